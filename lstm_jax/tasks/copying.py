"""Repeating a short string after a long wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer

BLANK = 0  # symbols are 1..N, and N + 1 asks for the answer


@dataclass(frozen=True)
class Copy:
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

    length: int = 100
    remember: int = 10
    symbols: int = 8

    name: ClassVar[str] = "copy"
    summary: ClassVar[str] = "repeat 10 symbols after a wait"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

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

    @property
    def chances(self) -> Mapping[str, float]:
        """Blank until the delimiter, then guess: cross-entropy M ln N / (T + 2 M) nats, and the accuracy."""
        guessed = self.remember / self.max_length
        return {"nll": guessed * math.log(self.symbols), "accuracy": 1 - guessed + guessed / self.symbols}

    @property
    def chance(self) -> float:
        """Cross-entropy of the memoryless baseline, in nats per step."""
        return self.chances[self.metric]

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
