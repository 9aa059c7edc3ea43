"""Experiment 2 of 1997: the first symbol of a long sequence is asked for at its end, with p distractors between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, coins, valid

GO_ON = 0.9
"""In 2c, the probability that one more distractor follows."""


@dataclass(frozen=True)
class _FirstSymbolReturns(Task):
    """What 2a and 2b share: x or y, then p - 1 symbols, then the first again; the next symbol is asked for.

    Symbols are numbered a_1 to a_(p-1) = 0 to p - 2, x = p - 1, y = p.
    """

    length: int = 100

    name: ClassVar[str] = "lag_2"
    loss: ClassVar[str] = "softmax"

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 2)

    @property
    def input_size(self) -> int:
        """All p + 1 symbols."""
        return self.length + 1

    @property
    def output_size(self) -> int:
        """All p + 1 symbols."""
        return self.length + 1

    @property
    def max_length(self) -> int:
        """p: the last of the p + 1 symbols is never read."""
        return self.length

    @property
    def required_lag(self) -> int:
        """The first symbol is asked for after the last but one."""
        return self.length - 1

    def _symbols(self, key: jax.Array, middle: jax.Array) -> Batch:
        """Put x or y before and after ``middle (p - 1, B)``."""
        batch_size = middle.shape[1]
        first = self.length - 1 + coins(key, (1, batch_size)).astype(jnp.int32)
        string = jnp.concatenate([first, middle, first])
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        return Batch(string[:-1], string[1:], lengths, jnp.ones(string[1:].shape, bool))


@dataclass(frozen=True)
class Lag2a(_FirstSymbolReturns):
    """Experiment 2a of 1997: predict the next symbol of one of two sequences that differ only at their ends.

    The sequences are x a_1 .. a_(p-1) x and y a_1 .. a_(p-1) y. Inputs ``(p, B, p + 1)`` one-hot, targets ``(p, B)``
    int32, the next symbol; every step counts. All but the last follow from the symbol just read.

    Attributes:
        length: p, at least 2 (the paper has 4, 10 and 100).

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.2.
    """

    name: ClassVar[str] = "lag_2a"
    summary: ClassVar[str] = "predict the next symbol; the last equals the first (experiment 2a of 1997)"
    published: ClassVar[str] = (
        "p = 100: 100 % of 18 trials after 5,040 sequences (Hochreiter & Schmidhuber 1997, verified)"
    )
    metric: ClassVar[str] = "nll"

    @property
    def chances(self) -> Mapping[str, float]:
        """Only the last of p steps is guessed: ln 2 / p nats a step, and the accuracy."""
        return {"nll": math.log(2) / self.length, "accuracy": 1 - 0.5 / self.length}

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The sequences of ``sample`` in whole numbers: inputs and targets ``(p, B)`` int32."""
        check_batch_size(self.name, batch_size)
        middle = jnp.arange(self.length - 1, dtype=jnp.int32)[:, None]
        return self._symbols(key, jnp.broadcast_to(middle, (self.length - 1, batch_size)))

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(p, B, p + 1)`` and targets ``(p, B)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        return batch._replace(inputs=show(batch.inputs, self.input_size))

    def solve(self, batch: Batch) -> jax.Array:
        """``(p, B)`` int32: a_1 after x or y, a_(k+1) after a_k, and the first symbol after a_(p-1)."""
        symbols = read(batch)
        following = jnp.where(symbols < self.length - 1, symbols + 1, 0)
        return jnp.where(symbols == self.length - 2, symbols[:1], following)


@dataclass(frozen=True)
class Lag2b(_FirstSymbolReturns):
    """Experiment 2b of 1997: as 2a, but the p - 1 symbols between are random, so nothing local helps.

    Inputs ``(p, B, p + 1)`` one-hot; target ``(p, B)`` int32 at the last step only: the first symbol. What comes
    before cannot be predicted; ``symbols`` has it as targets all the same, as the paper does.

    Attributes:
        length: p, at least 2 (the paper has 100).

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.2.
    """

    name: ClassVar[str] = "lag_2b"
    summary: ClassVar[str] = "the first of p symbols returns at the end, all others random (experiment 2b of 1997)"
    published: ClassVar[str] = (
        "p = 100: 100 % of 18 trials after 5,680 sequences (Hochreiter & Schmidhuber 1997, verified)"
    )
    metric: ClassVar[str] = "accuracy"
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"accuracy": 0.5, "nll": math.log(2)})

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The sequences of ``sample`` in whole numbers; targets ``(p, B)`` are the next symbol, at every step."""
        check_batch_size(self.name, batch_size)
        end_key, middle_key = jax.random.split(key)
        shape = (self.length - 1, batch_size)
        return self._symbols(end_key, jax.random.randint(middle_key, shape, 0, self.length - 1, dtype=jnp.int32))

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(p, B, p + 1)`` and targets ``(p, B)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        last = at(batch.lengths - 1, self.length)
        return Batch(show(batch.inputs, self.input_size), jnp.where(last, batch.targets, 0), batch.lengths, last)

    def solve(self, batch: Batch) -> jax.Array:
        """``(p, B)`` int32: the first symbol at the last step, zero before."""
        return answer_at(at(batch.lengths - 1, self.length), read(batch)[0])


@dataclass(frozen=True)
class Lag2c(Task):
    """Experiment 2c of 1997: x or y early, at least q distractors, a stop symbol: which one was it?

    Sequences are b, x or y, q + k distractors uniform over a_1 to a_p, e. Inputs ``(T, B, p + 4)`` one-hot in the
    order a_1 .. a_p, e, b, x, y; target ``(T, B)`` int32 at e only: 0 for x, 1 for y. P(k) = 0.1 * 0.9^k.

    Attributes:
        length: q, the smallest number of distractors, at least 1 (the paper has 50 to 1000).
        distractors: p, how many different ones (the paper has 50 to 1000).
        longest_extra: largest k; greater draws count as this one, with probability 0.9^(longest_extra + 1), 0.00007
            at 90.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.2.
    """

    length: int = 50
    distractors: int = 50
    longest_extra: int = 90

    name: ClassVar[str] = "lag_2c"
    summary: ClassVar[str] = "tell x from y after q random distractors (experiment 2c of 1997)"
    published: ClassVar[str] = (
        "q = p = 50: 30,000 sequences, q = p = 1000: 49,000 (Hochreiter & Schmidhuber 1997, verified)"
    )
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    output_size: ClassVar[int] = 2
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"accuracy": 0.5, "nll": math.log(2)})

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 1)
        check_integer(self.name, "distractors", self.distractors, 1)
        check_integer(self.name, "longest_extra", self.longest_extra, 0)

    @property
    def input_size(self) -> int:
        """The p distractors, e, b, x, y."""
        return self.distractors + 4

    @property
    def max_length(self) -> int:
        """b, x or y, all distractors, e."""
        return self.length + self.longest_extra + 3

    @property
    def required_lag(self) -> int:
        """From x or y to e, over at least q distractors."""
        return self.length + 1

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The sequences of ``sample`` in whole numbers: inputs ``(T, B)`` int32, -1 in the padding; targets alike."""
        check_batch_size(self.name, batch_size)
        extra_key, class_key, noise_key = jax.random.split(key, 3)
        # k is the number of j >= 1 with u < 0.9^j: the cap is where the table ends.
        survival = jnp.asarray(GO_ON ** np.arange(1, self.longest_extra + 1), jnp.float32)
        luck = jax.random.uniform(extra_key, (1, batch_size), jnp.float32)
        lengths = self.length + 3 + jnp.sum(luck < survival[:, None], axis=0, dtype=jnp.int32)
        classes = coins(class_key, (batch_size,)).astype(jnp.int32)
        end, begin, x = self.distractors, self.distractors + 1, self.distractors + 2
        steps = self.max_length
        symbols = jax.random.randint(noise_key, (steps, batch_size), 0, self.distractors, dtype=jnp.int32)
        last = at(lengths - 1, steps)
        symbols = jnp.where(last, end, symbols.at[0].set(begin).at[1].set(x + classes))
        return Batch(jnp.where(valid(lengths, steps), symbols, -1), answer_at(last, classes), lengths, last)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, p + 4)`` and targets ``(T, B)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        return batch._replace(inputs=show(batch.inputs, self.input_size))

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the class of the second symbol at the last step, zero before."""
        last = at(batch.lengths - 1, batch.inputs.shape[0])
        return answer_at(last, read(batch)[1] - (self.distractors + 2))
