"""Adding two marked numbers that lie far apart, in the modern form and in that of 1997; multiplying them (1997)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, draw_lengths, valid

VALUE, MARK = 0, 1  # the two input channels


def _batch(values: jax.Array, marks: jax.Array, lengths: jax.Array, answers: jax.Array) -> Batch:
    """Pack ``(T, B)`` channels and ``(B,)`` answers; the padding is zero and only the last step counts."""
    steps = values.shape[0]
    inputs = jnp.where(valid(lengths, steps)[..., None], jnp.stack([values, marks], axis=-1), 0.0)
    last = at(lengths - 1, steps)
    return Batch(inputs, answer_at(last, answers)[..., None], lengths, last)


def _counted(batch: Batch) -> jax.Array:
    """``(T, B)`` bool: where the mark is 1, within each sequence's length."""
    return (batch.inputs[..., MARK] == 1) & valid(batch.lengths, batch.inputs.shape[0])


def _marked_sum(batch: Batch) -> jax.Array:
    """``(B,)`` sum of the values whose mark is 1."""
    return jnp.sum(jnp.where(_counted(batch), batch.inputs[..., VALUE], 0.0), axis=0)


def _answers(batch: Batch, answers: jax.Array) -> jax.Array:
    last = at(batch.lengths - 1, batch.inputs.shape[0])
    return answer_at(last, answers)[..., None]


@dataclass(frozen=True)
class Adding(Task):
    """The adding problem as it is used today: say the sum of the two marked numbers at the last step.

    Inputs ``(T, B, 2)``: a value uniform on [0, 1], and a mark that is 1 at one step of the first half and one step of
    the second half, else 0. Target ``(T, B, 1)``: their sum, read at the last step.

    Attributes:
        length: T, at least 2.
        longest: None for fixed length; otherwise lengths are uniform on length..longest.

    Sources: the usual modern form (Le, Jaitly & Hinton 2015; Arjovsky, Shah & Bengio 2016). A constant prediction of 1
    has a mean squared error of 2/12 = 1/6.
    """

    length: int = 100
    longest: int | None = None

    name: ClassVar[str] = "adding"
    summary: ClassVar[str] = "add two marked numbers in [0, 1], one in each half (modern form)"
    published: ClassVar[str] = "T = 600: LSTM 0.164, GRU 5.3e-5 (Bai, Kolter & Koltun 2018, verified)"
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"mse": 1 / 6})

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 2)
        if self.longest is not None:
            check_integer(self.name, "longest", self.longest, self.length)

    @property
    def max_length(self) -> int:
        """T of the batches: the longest sequence."""
        return self.length if self.longest is None else self.longest

    @property
    def required_lag(self) -> int:
        """The first mark is at least half a sequence old when the sum is asked for."""
        return self.length - self.length // 2

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, 2)`` and targets ``(T, B, 1)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        length_key, value_key, first_key, second_key = jax.random.split(key, 4)
        lengths = draw_lengths(length_key, batch_size, self.length, self.max_length)
        values = jax.random.uniform(value_key, (self.max_length, batch_size), jnp.float32)
        first = jax.random.randint(first_key, (batch_size,), 0, lengths // 2, dtype=jnp.int32)
        second = jax.random.randint(second_key, (batch_size,), lengths // 2, lengths, dtype=jnp.int32)
        marked = at(first, self.max_length) | at(second, self.max_length)
        answers = jnp.sum(jnp.where(marked, values, 0.0), axis=0)
        return _batch(values, marked.astype(jnp.float32), lengths, answers)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B, 1)``: the sum of the marked values at the last step, zero before."""
        return _answers(batch, _marked_sum(batch))


@dataclass(frozen=True)
class _TwoEarlyMarks(Task):
    """What experiments 4 and 5 of 1997 share: lengths, values and marks, and the first pair, which is special.

    ``low``: values are uniform on low..1. ``neutral``: the value that counts when the first pair is picked.
    """

    length: int = 100
    first_pair: str = ""

    name: ClassVar[str] = "two_early_marks"
    low: ClassVar[float]
    neutral: ClassVar[float]
    first_pairs: ClassVar[tuple[str, str]]
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 20)
        check_choice(self.name, "first_pair", self.first_pair, self.first_pairs)

    @property
    def max_length(self) -> int:
        """T + T/10, the longest sequence."""
        return self.length + self.length // 10

    @property
    def first_pair_probability(self) -> float:
        """Share of sequences in which the first step is one of the two: 11.8 % at T = 100."""
        return 0.1 + 0.9 / (self.length // 2 - 1)

    @property
    def required_lag(self) -> int:
        """Both marks lie in the first T/2 steps, so the younger is at least T/2 old."""
        return self.length - self.length // 2

    def _draw(self, key: jax.Array, batch_size: int, answer: Callable[[jax.Array, jax.Array], jax.Array]) -> Batch:
        """A batch whose targets are ``answer(values, picked)``, ``(T, B)`` to ``(B,)``."""
        check_batch_size(self.name, batch_size)
        length_key, value_key, early_key, other_key = jax.random.split(key, 4)
        steps = self.max_length
        lengths = draw_lengths(length_key, batch_size, self.length, steps)
        early = jax.random.randint(early_key, (batch_size,), 0, 10, dtype=jnp.int32)
        other = jax.random.randint(other_key, (batch_size,), 0, self.length // 2 - 1, dtype=jnp.int32)
        other = other + (other >= early)  # skip the step that is already marked
        picked = at(early, steps) | at(other, steps)
        drawn = jax.random.uniform(value_key, (steps, batch_size), jnp.float32, self.low, 1.0)
        counted = drawn.at[0].set(jnp.where(picked[0], self.neutral, drawn[0]))
        ends = at(jnp.zeros_like(lengths), steps) | at(lengths - 1, steps)
        if self.first_pair == "mark_removed":
            values, marks = drawn, jnp.where(ends, -1.0, picked.astype(jnp.float32))
        else:
            values, marks = counted, jnp.where(picked, 1.0, jnp.where(ends, -1.0, 0.0))
        return _batch(values, marks, lengths, answer(counted, picked))


@dataclass(frozen=True)
class Adding1997(_TwoEarlyMarks):
    """The adding problem of 1997 (experiment 4): values in [-1, 1], both marks early, answer at the end.

    Sequences have a length L uniform on T..T + T/10. Inputs ``(T + T/10, B, 2)``: a value uniform on [-1, 1], and a
    mark that is -1 at the first and last step, 1 at two marked steps, else 0. The first marked step is uniform over
    the first 10, the other over the first T/2 - 1 that are still unmarked. Target ``(T + T/10, B, 1)`` at step L only:
    0.5 + (X1 + X2) / 4. When the first step is one of the two, its X is zero, which can be read in two ways.

    Attributes:
        length: T, at least 20 (the paper has 100, 500 and 1000).
        first_pair: what a network sees there: ``"value_zeroed"`` (mark 1, value 0; reading B) or ``"mark_removed"``
            (mark -1, value left as drawn but absent from the target; reading A).

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.4.
    """

    first_pair: str = "value_zeroed"

    name: ClassVar[str] = "adding_1997"
    summary: ClassVar[str] = "add two marked numbers in [-1, 1], both early (experiment 4 of 1997)"
    published: ClassVar[str] = (
        "T = 100: 74,000 sequences, 1 of 2560 wrong; T = 1000: 853,000 (Hochreiter & Schmidhuber 1997, verified)"
    )
    low: ClassVar[float] = -1.0
    neutral: ClassVar[float] = 0.0
    first_pairs: ClassVar[tuple[str, str]] = ("value_zeroed", "mark_removed")

    @property
    def chances(self) -> Mapping[str, float]:
        """MSE of the constant 0.5: 0.0392 at T = 100, the zeroed first pair counted."""
        return {"mse": (2 - self.first_pair_probability) / 48}

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + T/10, B, 2)`` and targets ``(T + T/10, B, 1)``, pure in the key."""

        def answer(values: jax.Array, picked: jax.Array) -> jax.Array:
            return 0.5 + jnp.sum(jnp.where(picked, values, 0.0), axis=0) / 4

        return self._draw(key, batch_size, answer)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + T/10, B, 1)``: 0.5 + a quarter of the marked values at the last step, zero before."""
        return _answers(batch, 0.5 + _marked_sum(batch) / 4)


@dataclass(frozen=True)
class Multiplication(_TwoEarlyMarks):
    """The multiplication problem of 1997 (experiment 5): as ``Adding1997``, with the product of the marked numbers.

    Inputs ``(T + T/10, B, 2)``: a value uniform on [0, 1], and the marks of ``Adding1997``. Target
    ``(T + T/10, B, 1)`` at step L only: X1 X2. When the first step is one of the two, its X is one.

    Attributes:
        length: T, at least 20 (the paper has 100).
        first_pair: what a network sees there: ``"value_one"`` (mark 1, value 1; reading B) or ``"mark_removed"``
            (mark -1, value left as drawn but absent from the target; reading A).

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.5.
    """

    first_pair: str = "value_one"

    name: ClassVar[str] = "multiplication"
    summary: ClassVar[str] = "multiply two marked numbers in [0, 1], both early (experiment 5 of 1997)"
    published: ClassVar[str] = (
        "T = 100: 14 of 2560 wrong after 1,273,000 sequences, printed MSE 0.0139 "
        "(Hochreiter & Schmidhuber 1997, verified)"
    )
    low: ClassVar[float] = 0.0
    neutral: ClassVar[float] = 1.0
    first_pairs: ClassVar[tuple[str, str]] = ("value_one", "mark_removed")

    @property
    def chances(self) -> Mapping[str, float]:
        """MSE of the mean product: 0.0592 around 0.2796 at T = 100, the first pair that is one counted."""
        alone = self.first_pair_probability  # then the product is the other value
        mean, square = alone / 2 + (1 - alone) / 4, alone / 3 + (1 - alone) / 9
        return {"mse": square - mean**2}

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + T/10, B, 2)`` and targets ``(T + T/10, B, 1)``, pure in the key."""

        def answer(values: jax.Array, picked: jax.Array) -> jax.Array:
            return jnp.prod(jnp.where(picked, values, 1.0), axis=0)

        return self._draw(key, batch_size, answer)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + T/10, B, 1)``: the product of the marked values at the last step, zero before."""
        return _answers(batch, jnp.prod(jnp.where(_counted(batch), batch.inputs[..., VALUE], 1.0), axis=0))
