"""The embedded Reber grammar: strings whose last symbol but one was settled by their second; alone, or in a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import guessing_cost, read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import coins, valid

ALPHABET = ("B", "T", "P", "S", "X", "V", "E")
BODY = (
    (("T", 1), ("P", 2)),
    (("S", 1), ("X", 3)),
    (("T", 2), ("V", 4)),
    (("X", 2), ("S", 5)),
    (("P", 3), ("V", 5)),
)
"""The Reber automaton: from each state two edges ``(symbol, next state)``, equally likely; state 5 ends the body."""
SHORTEST = 9

# The grammar of a whole string, B c B body E c E with c = T or P, is an automaton too. It keeps c by having every node
# of the string twice: 0 outer c read, 1 to 6 body states 0 to 5, 7 inner E read, 8 outer c read again.
START, OPENED, DEAD = 0, 1, 20
_OUTER, _STATE_0, _STATE_5, _CLOSED, _AGAIN = 0, 1, 6, 7, 8
_TO_END = (7, 6, 5, 5, 4, 4, 3, 2, 1)


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """``NEXT (nodes, symbols)``, and ``EDGES (nodes, 2)``: both symbols that may follow, or twice the only one."""
    following = np.full((DEAD + 1, len(ALPHABET)), DEAD, np.int32)
    edges = np.zeros((DEAD + 1, 2), np.int32)

    def connect(node: int, *choices: tuple[str, int]) -> None:
        for symbol, target in choices:
            following[node, ALPHABET.index(symbol)] = target
        edges[node] = [ALPHABET.index(choices[n % len(choices)][0]) for n in range(2)]

    branches = {"T": 2, "P": 2 + len(_TO_END)}
    connect(START, ("B", OPENED))
    connect(OPENED, *((outer, first + _OUTER) for outer, first in branches.items()))
    for outer, first in branches.items():
        connect(first + _OUTER, ("B", first + _STATE_0))
        for state, choices in enumerate(BODY):
            connect(first + _STATE_0 + state, *((symbol, first + _STATE_0 + target) for symbol, target in choices))
        connect(first + _STATE_5, ("E", first + _CLOSED))
        connect(first + _CLOSED, (outer, first + _AGAIN))
        connect(first + _AGAIN, ("E", START))
    return following, edges


NEXT, EDGES = _tables()
"""``NEXT[node, symbol]``: the node after reading a symbol, ``DEAD`` if the grammar forbids it. A string begins and
ends in ``START``. ``EDGES[node]``: the two symbols that a coin decides between."""
LEGAL = NEXT != DEAD
"""``(nodes, 7)`` bool: the symbols that may follow at each node."""
TO_END = np.array([0, 8, *_TO_END, *_TO_END, 0], np.int32)
"""At each node, how many symbols the string still has at least."""


def legal(symbols: jax.Array) -> jax.Array:
    """Which symbols may follow each symbol of a string or stream.

    Args:
        symbols: ``(T, B)`` int, indices into ``ALPHABET`` from the beginning of a string on; -1 in the padding.

    Returns:
        ``(T, B, 7)`` bool; B after the end of a string; nothing in the padding and after a forbidden symbol.
    """
    following, allowed = jnp.asarray(NEXT), jnp.asarray(LEGAL)

    def step(node: jax.Array, symbol: jax.Array) -> tuple[jax.Array, jax.Array]:
        node = following[node, symbol]
        return node, node

    _, nodes = jax.lax.scan(step, jnp.full(symbols.shape[1:], START, jnp.int32), symbols)
    return allowed[nodes] & (symbols >= 0)[..., None]


def _walk(key: jax.Array, batch_size: int, may_follow: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Symbols ``(T, B)`` of strings one after the other, and the nodes ``(T, B)`` reached by them.

    A coin decides at each step, unless its side leads to a string that has more symbols left than ``may_follow (T,)``.
    """
    following, edges, to_end = jnp.asarray(NEXT), jnp.asarray(EDGES), jnp.asarray(TO_END)
    flips = coins(key, (may_follow.shape[0], batch_size)).astype(jnp.int32)

    def step(node: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        coin, most = now
        drawn = edges[node, coin]
        symbol = jnp.where(to_end[following[node, drawn]] > most, edges[node, 1 - coin], drawn)
        node = following[node, symbol]
        return node, (symbol, node)

    _, (symbols, nodes) = jax.lax.scan(step, jnp.full((batch_size,), START, jnp.int32), (flips, may_follow))
    return symbols, nodes


def _flow(mass: np.ndarray, most: float) -> np.ndarray:
    """``(nodes, symbols)``: how the probability ``mass (nodes,)`` leaves by each symbol, as ``_walk`` decides."""
    leaving, nodes = np.zeros(NEXT.shape), np.arange(DEAD + 1)
    for coin in range(2):
        drawn = EDGES[:, coin]
        symbol = np.where(TO_END[NEXT[nodes, drawn]] > most, EDGES[:, 1 - coin], drawn)
        np.add.at(leaving, (nodes, symbol), mass / 2)
    return leaving


@cache
def _counted_reads(steps: int, longest: int | None) -> np.ndarray:
    """``(nodes, symbols)``: how often a counted step reads each symbol at each node, in the mean.

    ``longest``: strings of at most so many symbols, up to the last but one; None: an endless stream.
    """
    mass, reads = np.eye(DEAD + 1)[START], np.zeros(NEXT.shape)
    for step in range(steps):
        leaving = _flow(mass, np.inf if longest is None else longest - 1 - step)
        mass = np.bincount(NEXT.ravel(), leaving.ravel(), DEAD + 1)
        if longest is not None:
            leaving[NEXT == START] = 0.0
            mass[START] = 0.0
        reads += leaving
    return reads


def _chance(reads: np.ndarray) -> float:
    """Nats per step of the best guess at the legal successors from the symbol just read."""
    legal_after = reads[..., None] * LEGAL[NEXT]
    share = legal_after.sum(axis=0) / np.maximum(reads.sum(axis=0), 1e-300)[:, None]
    return float(reads.sum(axis=0) @ guessing_cost(share).sum(axis=1) / reads.sum())


@dataclass(frozen=True)
class EmbeddedReber(Task):
    """Experiment 1 of 1997: read an embedded Reber string and name the symbols that may come next.

    A string is B c B body E c E with c = T or P; the body is a random walk through ``BODY``. Without a limit strings
    have 12 symbols in the mean, 9 at least. Inputs ``(length - 1, B, 7)`` are one-hot over ``ALPHABET``, the string
    without its last E. Targets ``(length - 1, B, 7)``: 1 for each legal successor, else 0; every step counts. After
    the inner E only c is legal: that is the long lag. The symbol that really comes is in ``symbols``.

    Attributes:
        length: the longest string, at least 9. The walk is made to leave the body at the last possible moment, which
            changes exactly the strings that would have been longer: ``cut_probability``, 0.00006 at 40.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.1.
    """

    length: int = 40

    name: ClassVar[str] = "reber"
    summary: ClassVar[str] = "embedded Reber strings: name the legal next symbols (experiment 1 of 1997)"
    published: ClassVar[str] = "100 % of 30 trials after 8,440 strings (Hochreiter & Schmidhuber 1997, verified)"
    loss: ClassVar[str] = "bernoulli"
    metric: ClassVar[str] = "nll"
    input_size: ClassVar[int] = len(ALPHABET)
    output_size: ClassVar[int] = len(ALPHABET)
    required_lag: ClassVar[int] = SHORTEST - 4  # the second symbol is asked for after the last but two

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, SHORTEST)

    @property
    def max_length(self) -> int:
        """T of the batches: the last symbol of a string is never read."""
        return self.length - 1

    @property
    def cut_probability(self) -> float:
        """Share of strings that would be longer than ``length`` if the walk were free, and are led to the exit."""
        mass = np.eye(DEAD + 1)[START]
        for _ in range(self.length):
            mass = np.bincount(NEXT.ravel(), _flow(mass, np.inf).ravel(), DEAD + 1)
            mass[START] = 0.0
        return float(mass.sum())

    @property
    def chances(self) -> Mapping[str, float]:
        """Cross-entropy in nats per step, summed over the 7 outputs, of a predictor that sees the current symbol."""
        return {"nll": _chance(_counted_reads(self.max_length, self.length))}

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The strings of ``sample`` in whole numbers, as in 1997: read a symbol, predict the next one.

        Inputs ``(length - 1, B)`` int32, indices into ``ALPHABET``, -1 in the padding; targets ``(length - 1, B)``
        int32, the symbol that comes next, which no one can know where two are legal.
        """
        check_batch_size(self.name, batch_size)
        symbols, nodes = _walk(key, batch_size, jnp.arange(self.length - 1, -1, -1, dtype=jnp.int32))
        lengths = jnp.argmax(nodes == START, axis=0).astype(jnp.int32)  # the walk goes on with a new string: cut off
        inside = valid(lengths, self.max_length)
        return Batch(jnp.where(inside, symbols[:-1], -1), jnp.where(inside, symbols[1:], 0), lengths, inside)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(length - 1, B, 7)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        targets = legal(batch.inputs).astype(jnp.float32)
        return batch._replace(inputs=show(batch.inputs, self.input_size), targets=targets)

    def solve(self, batch: Batch) -> jax.Array:
        """``(length - 1, B, 7)``: the legal successors, by walking through the grammar."""
        return legal(read(batch)).astype(jnp.float32)


@dataclass(frozen=True)
class ContinualReber(Task):
    """Continual prediction: embedded Reber strings one after the other, without any mark or reset between them.

    Inputs ``(length, B, 7)`` are one-hot over ``ALPHABET``; targets ``(length, B, 7)``: 1 for each legal successor;
    every step counts. After the last E of a string comes the B of the next. The stream begins with a string, and stops
    within one.

    Attributes:
        length: symbols of the stream, at least 9. No string is cut, but for the last.

    Source: Gers, Schmidhuber & Cummins, "Learning to Forget", 2000.
    """

    length: int = 300

    name: ClassVar[str] = "continual_reber"
    summary: ClassVar[str] = "a stream of embedded Reber strings without reset (learning to forget, 2000)"
    published: ClassVar[str] = "18 perfect nets of 100, 62 with rate decay (Gers et al. 2000, secondary)"
    loss: ClassVar[str] = "bernoulli"
    metric: ClassVar[str] = "nll"
    input_size: ClassVar[int] = len(ALPHABET)
    output_size: ClassVar[int] = len(ALPHABET)
    required_lag: ClassVar[int] = SHORTEST - 4  # in each string that the stream holds to its end

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, SHORTEST)

    @property
    def max_length(self) -> int:
        """T of the batches."""
        return self.length

    @property
    def chances(self) -> Mapping[str, float]:
        """Cross-entropy in nats per step, summed over the 7 outputs, of a predictor that sees the current symbol."""
        return {"nll": _chance(_counted_reads(self.length, None))}

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The streams of ``sample`` in whole numbers: inputs ``(length, B)`` int32, targets the next symbol."""
        check_batch_size(self.name, batch_size)
        symbols, _ = _walk(key, batch_size, jnp.full((self.length + 1,), jnp.iinfo(jnp.int32).max))
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        return Batch(symbols[:-1], symbols[1:], lengths, jnp.ones((self.length, batch_size), bool))

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(length, B, 7)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        targets = legal(batch.inputs).astype(jnp.float32)
        return batch._replace(inputs=show(batch.inputs, self.input_size), targets=targets)

    def solve(self, batch: Batch) -> jax.Array:
        """``(length, B, 7)``: the legal successors, by walking through the grammar."""
        return legal(read(batch)).astype(jnp.float32)
