"""Telling in which order a few relevant symbols came, long after they came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.timing import answer_at, at, draw_lengths, valid

ALPHABET = ("E", "B", "X", "Y", "a", "b", "c", "d")
_E, _B, _X, _Y, _A = range(5)
_NOISE_SYMBOLS = 4
WINDOWS = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Where the relevant symbols may stand at T = 100, counted from 1: experiments 6a and 6b."""


@dataclass(frozen=True)
class TemporalOrder:
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
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
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
    def chance(self) -> float:
        """Accuracy of guessing."""
        return self.chances[self.metric]

    @property
    def required_lag(self) -> int:
        """The youngest relevant symbol is at least this many steps old at the trigger: 40 in 6a, 24 in 6b."""
        return self.length - self.windows[-1][1]

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + T/10, B, 8)`` and targets ``(T + T/10, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        length_key, noise_key, place_key, symbol_key = jax.random.split(key, 4)
        steps = self.max_length
        lengths = draw_lengths(length_key, batch_size, self.length, steps)
        symbols = _A + jax.random.randint(noise_key, (steps, batch_size), 0, _NOISE_SYMBOLS)
        is_y = jax.random.bernoulli(symbol_key, 0.5, (self.relevant, batch_size)).astype(jnp.int32)
        for n, (low, high) in enumerate(self.windows):
            place = jax.random.randint(jax.random.fold_in(place_key, n), (batch_size,), low - 1, high)
            symbols = jnp.where(at(place, steps), _X + is_y[n][None, :], symbols)
        last = at(lengths - 1, steps)
        symbols = jnp.where(last, _B, symbols.at[0].set(_E))
        symbols = jnp.where(valid(lengths, steps), symbols, -1)  # one_hot(-1) is all zeros
        digits = 2 ** jnp.arange(self.relevant - 1, -1, -1, dtype=jnp.int32)
        classes = jnp.sum(is_y * digits[:, None], axis=0, dtype=jnp.int32)
        inputs = jax.nn.one_hot(symbols, self.input_size, dtype=jnp.float32)
        return Batch(inputs, answer_at(last, classes), lengths, last)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + T/10, B)`` int32: the class at the last step, zero before."""
        steps = batch.inputs.shape[0]
        seen = (batch.inputs == 1) & valid(batch.lengths, steps)[..., None]
        is_y = seen[..., _Y].astype(jnp.int32)
        place = jnp.cumsum(seen[..., _X] + is_y, axis=0)  # 1 at the first relevant symbol, 2 at the second ...
        worth = 2 ** (self.relevant - jnp.clip(place, 0, self.relevant))
        classes = jnp.sum(is_y * worth, axis=0)
        return answer_at(at(batch.lengths - 1, steps), classes.astype(jnp.int32))
