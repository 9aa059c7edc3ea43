"""Exclusive or of two bits that lie far apart among distractors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, coins, valid

BIT, MARK = 0, 1  # the two input channels


@dataclass(frozen=True)
class DelayedXor(Task):
    """Strongly delayed XOR: say at the last step whether the two marked bits differ.

    Inputs ``(T, B, 2)``: a random bit at every step, and a mark that is 1 at two steps, else 0. The first mark is
    uniform over the first T/10 steps (at least one), the second over as many steps from T/2 on. Target ``(T, B)``
    int32 at the last step: the exclusive or of the two marked bits; the others distract. Neither bit alone tells
    anything about the answer, so that nothing is gained by keeping only one.

    Attributes:
        length: T, at least 4.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, name the problem as one that the truncated
    gradient will not easily solve, and give no protocol; the placing is ours.
    """

    length: int = 100

    name: ClassVar[str] = "delayed_xor"
    summary: ClassVar[str] = "do two marked bits far apart differ? (truncated against full gradient)"
    published: ClassVar[str] = "truncated LSTM 'will not easily solve' it (Hochreiter & Schmidhuber 1997, verified)"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 2
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"accuracy": 0.5, "nll": math.log(2)})

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 4)

    @property
    def max_length(self) -> int:
        """T."""
        return self.length

    @property
    def window(self) -> int:
        """Steps among which each mark is drawn."""
        return max(1, self.length // 10)

    @property
    def required_lag(self) -> int:
        """Age of the first marked bit at the last step, at least."""
        return self.length - self.window

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, 2)`` and targets ``(T, B)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        bit_key, first_key, second_key = jax.random.split(key, 3)
        bits = coins(bit_key, (self.length, batch_size))
        first = jax.random.randint(first_key, (batch_size,), 0, self.window, dtype=jnp.int32)
        second = jax.random.randint(second_key, (batch_size,), 0, self.window, dtype=jnp.int32) + self.length // 2
        marked = at(first, self.length) | at(second, self.length)
        inputs = jnp.stack([bits, marked], axis=-1).astype(jnp.float32)
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        last = at(lengths - 1, self.length)
        return Batch(inputs, answer_at(last, _xor(bits & marked)), lengths, last)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: whether the marked bits differ, at the last step; zero before."""
        counted = (batch.inputs == 1) & valid(batch.lengths, self.length)[..., None]
        answers = _xor(counted[..., BIT] & counted[..., MARK])
        return answer_at(at(batch.lengths - 1, self.length), answers)


def _xor(bits: jax.Array) -> jax.Array:
    """``(B,)`` int32: whether an odd number of ``bits (T, B)`` is 1."""
    return jnp.sum(bits, axis=0, dtype=jnp.int32) % 2
