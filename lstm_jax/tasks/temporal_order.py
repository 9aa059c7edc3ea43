"""Telling in which order a few relevant symbols came, long after they came; once, or again and again in a stream."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, coins, draw_lengths, valid

ALPHABET = ("E", "B", "X", "Y", "a", "b", "c", "d")
_E, _B, _X, _Y, _A = range(5)
_NOISE_SYMBOLS = 4
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where the relevant symbols may stand at T = 100, counted from 1: experiments 6a and 6b."""


@dataclass(frozen=True)
class TemporalOrder(Task):
    """Experiment 6 of 1997: classify a sequence by the order of its 2 (6a) or 3 (6b) relevant symbols.

    Sequences have a length L uniform on T..T + T/10. Inputs ``(T + T/10, B, 8)`` are one-hot over ``ALPHABET``: E
    first, the trigger B last, X or Y at each relevant step, a to d anywhere else. Target ``(T + T/10, B)`` int32 at
    the last step: the relevant symbols read as a binary number with X = 0, Y = 1 (XX, XY, YX, YY = 0, 1, 2, 3).

    Attributes:
        length: T, at least 20. 100 is the paper's; for others the windows of the relevant symbols scale with it.
        relevant: 2 (4 classes) or 3 (8 classes).

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.6.
    """

    length: int = 100
    relevant: int = 2

    name: ClassVar[str] = "temporal_order"
    summary: ClassVar[str] = "classify by the order of 2 or 3 relevant symbols (experiment 6 of 1997)"
    published: ClassVar[str] = (
        "6a: 31,390 sequences, 1 of 2560 wrong; 6b: 571,100, 2 wrong (Hochreiter & Schmidhuber 1997, verified)"
    )
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    input_size: ClassVar[int] = len(ALPHABET)

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 20)
        check_integer(self.name, "relevant", self.relevant, min(WINDOWS))
        check_choice(self.name, "relevant", self.relevant, WINDOWS)

    @property
    def output_size(self) -> int:
        """Number of classes: 4 or 8."""
        return 2**self.relevant

    @property
    def max_length(self) -> int:
        """T + T/10, the longest sequence."""
        return self.length + self.length // 10

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """First and last step of each relevant symbol's window, counted from 1, both included."""
        return tuple((low * self.length // 100, high * self.length // 100) for low, high in WINDOWS[self.relevant])

    @property
    def chances(self) -> Mapping[str, float]:
        """Guessing one class of 4 or 8: accuracy 1/4 or 1/8, and the cross-entropy in nats."""
        return {"accuracy": 1 / self.output_size, "nll": math.log(self.output_size)}

    @property
    def required_lag(self) -> int:
        """The youngest relevant symbol is at least this many steps old at the trigger: 40 in 6a, 24 in 6b."""
        return self.length - self.windows[-1][1]

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The sequences of ``sample`` in whole numbers: inputs ``(T + T/10, B)`` int32, -1 in the padding."""
        check_batch_size(self.name, batch_size)
        length_key, noise_key, place_key, symbol_key = jax.random.split(key, 4)
        steps = self.max_length
        lengths = draw_lengths(length_key, batch_size, self.length, steps)
        symbols = _A + jax.random.randint(noise_key, (steps, batch_size), 0, _NOISE_SYMBOLS, dtype=jnp.int32)
        is_y = coins(symbol_key, (self.relevant, batch_size)).astype(jnp.int32)
        for n, (low, high) in enumerate(self.windows):
            place = jax.random.randint(jax.random.fold_in(place_key, n), (batch_size,), low - 1, high, dtype=jnp.int32)
            symbols = jnp.where(at(place, steps), _X + is_y[n][None, :], symbols)
        last = at(lengths - 1, steps)
        symbols = jnp.where(last, _B, symbols.at[0].set(_E))
        symbols = jnp.where(valid(lengths, steps), symbols, -1)
        digits = 2 ** jnp.arange(self.relevant - 1, -1, -1, dtype=jnp.int32)
        classes = jnp.sum(is_y * digits[:, None], axis=0, dtype=jnp.int32)
        return Batch(symbols, answer_at(last, classes), lengths, last)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + T/10, B, 8)`` and targets ``(T + T/10, B)``, pure in the key."""
        batch = self.symbols(key, batch_size)
        return batch._replace(inputs=show(batch.inputs, self.input_size))

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + T/10, B)`` int32: the class at the last step, zero before."""
        return _answers_at_triggers(read(batch), self.relevant)


def _answers_at_triggers(symbols: jax.Array, relevant: int) -> jax.Array:
    """``(T, B)`` int32: at each B the class of the sequence that it ends, zero elsewhere; sequences begin with E."""
    is_y = (symbols == _Y).astype(jnp.int32)
    place = jnp.cumsum((symbols == _X) + is_y, axis=0)  # 1 at the first relevant symbol, 2 at the second ...
    worth = 2 ** (relevant - 1 - (place - 1) % relevant)
    total = jnp.cumsum(is_y * worth, axis=0, dtype=jnp.int32)
    before = jax.lax.cummax(jnp.where(symbols == _E, total, 0), axis=0)  # what earlier sequences were worth
    return jnp.where(symbols == _B, total - before, 0)


@dataclass(frozen=True)
class ContinualTemporalOrder(Task):
    """Continual noisy temporal order (CNTO): sequences of experiment 6 one after the other, without reset.

    A stream holds ``sequences`` of those of ``TemporalOrder``, each from its E to its B. Inputs ``(steps, B, 8)`` with
    steps = sequences (T + T/10). Target ``(steps, B)`` int32 at each B: the class of the sequence that it ends.

    Attributes:
        length: T of each sequence, at least 20.
        relevant: 2 (4 classes) or 3 (8 classes, the paper's).
        sequences: how many a stream holds, at least 1 (the paper has up to 100).

    Source: Gers, Schmidhuber & Cummins, "Learning to Forget", 2000.
    """

    length: int = 100
    relevant: int = 3
    sequences: int = 10

    name: ClassVar[str] = "continual_temporal_order"
    summary: ClassVar[str] = "a stream of temporal order sequences without reset (learning to forget, 2000)"
    published: ClassVar[str] = "24 % solved, 37 % with rate decay (Gers et al. 2000, recalled, low confidence)"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    input_size: ClassVar[int] = len(ALPHABET)

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 20)
        check_integer(self.name, "relevant", self.relevant, min(WINDOWS))
        check_choice(self.name, "relevant", self.relevant, WINDOWS)
        check_integer(self.name, "sequences", self.sequences, 1)

    @property
    def one(self) -> TemporalOrder:
        """The task that each sequence of a stream is drawn from."""
        return TemporalOrder(self.length, self.relevant)

    @property
    def output_size(self) -> int:
        """Number of classes: 4 or 8."""
        return self.one.output_size

    @property
    def max_length(self) -> int:
        """Steps of a stream whose sequences are all as long as can be."""
        return self.sequences * self.one.max_length

    @property
    def chances(self) -> Mapping[str, float]:
        """Guessing one class: accuracy and cross-entropy in nats, as in one sequence."""
        return self.one.chances

    @property
    def required_lag(self) -> int:
        """The youngest relevant symbol of a sequence is at least this many steps old at its trigger."""
        return self.one.required_lag

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The streams of ``sample`` in whole numbers: inputs ``(steps, B)`` int32, -1 in the padding."""
        check_batch_size(self.name, batch_size)
        drawn = self.one.symbols(key, self.sequences * batch_size)
        shape = (self.one.max_length, self.sequences, batch_size)
        ends = jnp.cumsum(drawn.lengths.reshape(shape[1:]), axis=0)
        places = (ends - drawn.lengths.reshape(shape[1:]))[None] + jnp.arange(shape[0])[:, None, None]
        inside = drawn.inputs.reshape(shape) >= 0
        places = jnp.where(inside, places, self.max_length)  # past the end: falls away
        columns = jnp.broadcast_to(jnp.arange(batch_size)[None, None, :], shape)

        def join(values: jax.Array, padding: int) -> jax.Array:
            stream = jnp.full((self.max_length, batch_size), padding, jnp.int32)
            return stream.at[places, columns].set(values.reshape(shape), mode="drop")

        symbols = join(drawn.inputs, -1)
        return Batch(symbols, join(drawn.targets, 0), ends[-1], symbols == _B)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(steps, B, 8)`` and targets ``(steps, B)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        return batch._replace(inputs=show(batch.inputs, self.input_size))

    def solve(self, batch: Batch) -> jax.Array:
        """``(steps, B)`` int32: the class at each B, zero elsewhere."""
        return _answers_at_triggers(read(batch), self.relevant)
