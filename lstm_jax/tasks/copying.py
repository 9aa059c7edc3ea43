"""Repeating a short string after a long wait, of a length that is known or not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import at, draw_lengths, step_numbers, valid

BLANK = 0  # symbols are 1..N, and N + 1 asks for the answer


@dataclass(frozen=True)
class _Repeat(Task):
    """What both copy tasks share: M of N symbols, a wait of at most T steps, a delimiter, the symbols again."""

    length: int = 100
    remember: int = 10
    symbols: int = 8

    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "nll"

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 1)
        check_integer(self.name, "remember", self.remember, 1)
        check_integer(self.name, "symbols", self.symbols, 2)

    @property
    def input_size(self) -> int:
        """Blank, N symbols, delimiter."""
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        """Blank and N symbols."""
        return self.symbols + 1

    @property
    def max_length(self) -> int:
        """T + 2 M."""
        return self.length + 2 * self.remember


@dataclass(frozen=True)
class Copy(_Repeat):
    """The copy task: remember M symbols over T blank steps, then say them in order.

    Inputs ``(T + 2 M, B, N + 2)`` one-hot: M random symbols, T - 1 blanks, one delimiter, M blanks. Targets
    ``(T + 2 M, B)`` int32: class 0 (blank) for T + M steps, then the M symbols as classes 1..N. Every step counts.

    Attributes:
        length: T, the wait, at least 1.
        remember: M, symbols to remember.
        symbols: N, size of the alphabet.

    Sources: Hochreiter & Schmidhuber 1997 in spirit; the form of Arjovsky, Shah & Bengio, "Unitary Evolution Recurrent
    Neural Networks", 2016: N = 8, M = 10, baseline 10 ln 8 / (T + 20).
    """

    name: ClassVar[str] = "copy"
    summary: ClassVar[str] = "repeat 10 symbols after a wait"
    published: ClassVar[str] = "T = 1000: LSTM 0.0204, TCN 3.5e-5 nats (Bai, Kolter & Koltun 2018, verified)"

    @property
    def chances(self) -> Mapping[str, float]:
        """Blank until the delimiter, then guess: cross-entropy M ln N / (T + 2 M) nats, and the accuracy."""
        guessed = self.remember / self.max_length
        return {"nll": guessed * math.log(self.symbols), "accuracy": 1 - guessed + guessed / self.symbols}

    @property
    def required_lag(self) -> int:
        """Each symbol is asked for T + M steps after it came."""
        return self.length + self.remember

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + 2 M, B, N + 2)`` and targets ``(T + 2 M, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        string = jax.random.randint(key, (self.remember, batch_size), 1, self.symbols + 1, dtype=jnp.int32)
        blank = jnp.full((self.required_lag, batch_size), BLANK, jnp.int32)
        shown = jnp.concatenate([string, blank]).at[self.required_lag - 1].set(self.symbols + 1)
        inputs = jax.nn.one_hot(shown, self.input_size, dtype=jnp.float32)
        lengths = jnp.full((batch_size,), self.max_length, jnp.int32)
        targets = jnp.concatenate([blank, string])
        return Batch(inputs, targets, lengths, jnp.ones(targets.shape, bool))

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + 2 M, B)`` int32: the string of the first M steps, T + M steps later; blank before."""
        string = jnp.argmax(batch.inputs[: self.remember], axis=-1).astype(jnp.int32)
        blank = jnp.full((self.required_lag, string.shape[1]), BLANK, jnp.int32)
        return jnp.concatenate([blank, string])


@dataclass(frozen=True)
class VariableCopy(_Repeat):
    """The copy task with a wait that no one knows beforehand: only the delimiter tells when to answer.

    Each sequence has a wait W uniform on 1..T, so lengths vary: L = W + 2 M. Inputs ``(T + 2 M, B, N + 2)`` one-hot: M
    random symbols, W - 1 blanks, one delimiter, M blanks. Targets ``(T + 2 M, B)`` int32: class 0 (blank) for W + M
    steps, then the M symbols as classes 1..N. Every step up to L counts.

    Attributes:
        length: T, the longest wait, at least 1.
        remember: M, symbols to remember.
        symbols: N, size of the alphabet.

    Source: Tallec & Ollivier, "Can recurrent neural networks warp time?", 2018, who vary the wait of the copy task.
    """

    name: ClassVar[str] = "variable_copy"
    summary: ClassVar[str] = "repeat 10 symbols after a wait of unknown length"
    published: ClassVar[str] = "LSTM with chrono initialisation below the baseline (Tallec & Ollivier 2018, recalled)"

    @property
    def chances(self) -> Mapping[str, float]:
        """Cross-entropy in nats per step, and accuracy, of a predictor that knows the time and the present input.

        At a blank it must weigh "still waiting" against "already asked": more nats than M ln N / L, which a predictor
        has that knows where the delimiter was.
        """
        step = np.arange(self.remember, self.max_length)
        waiting = np.maximum(self.length - 1 - (step - self.remember), 0)  # waits that have not ended, of T
        latest, earliest = np.minimum(self.length, step - self.remember), np.maximum(1, step - 2 * self.remember + 1)
        asked = np.maximum(latest - earliest + 1, 0)  # waits after which this step is an answer
        blanks = np.maximum(waiting + asked, 1)
        wait_cost = -np.log(np.maximum(waiting, 1) / blanks)
        answer_cost = -np.log(np.maximum(asked, 1) / blanks) + math.log(self.symbols)
        steps = self.length * ((self.length + 1) / 2 + 2 * self.remember)
        right = steps - np.sum(waiting + asked) + np.sum(np.maximum(waiting, asked / self.symbols))
        return {
            "nll": float(np.sum(waiting * wait_cost + asked * answer_cost)) / steps,
            "accuracy": float(right) / steps,
        }

    @property
    def required_lag(self) -> int:
        """Each symbol is asked for W + M steps after it came, and W may be 1."""
        return 1 + self.remember

    def _answers(self, string: jax.Array, delimiter: jax.Array) -> jax.Array:
        """``(T + 2 M, B)``: the string ``(M, B)`` from the step after the delimiter ``(B,)`` on, else blank."""
        place = step_numbers(self.max_length) - delimiter[None, :] - 1
        said = jnp.take_along_axis(string, jnp.clip(place, 0, self.remember - 1), axis=0)
        return jnp.where((place >= 0) & (place < self.remember), said, BLANK)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + 2 M, B, N + 2)`` and targets ``(T + 2 M, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        wait_key, string_key = jax.random.split(key)
        lengths = 2 * self.remember + draw_lengths(wait_key, batch_size, 1, self.length)
        string = jax.random.randint(string_key, (self.remember, batch_size), 1, self.symbols + 1, dtype=jnp.int32)
        delimiter = lengths - self.remember - 1
        shown = jnp.pad(string, ((0, self.max_length - self.remember), (0, 0)), constant_values=BLANK)
        shown = jnp.where(at(delimiter, self.max_length), self.symbols + 1, shown)
        inside = valid(lengths, self.max_length)
        inputs = show(jnp.where(inside, shown, -1), self.input_size)
        return Batch(inputs, self._answers(string, delimiter), lengths, inside)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + 2 M, B)`` int32: the string of the first M steps, from the delimiter on; blank elsewhere."""
        string = jnp.argmax(batch.inputs[: self.remember], axis=-1).astype(jnp.int32)
        delimiter = jnp.argmax(batch.inputs[..., self.symbols + 1] == 1, axis=0).astype(jnp.int32)
        return self._answers(string, delimiter)
