"""Copying what matters from among blanks: the wait between two symbols differs from sequence to sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import step_numbers

BLANK = 0  # symbols are 1..N, and N + 1 asks for the next answer


@dataclass(frozen=True)
class SelectiveCopy(Task):
    """The selective copying task: M symbols stand anywhere among T steps of blanks; then say them in order.

    Inputs ``(T + M, B, N + 2)`` one-hot: for T steps a blank, or a random symbol at M steps drawn without replacement;
    then M steps of a question mark. Targets ``(T + M, B)`` int32: the M symbols as classes 0..N - 1 at the M question
    marks, which alone count.

    Attributes:
        length: T, at least M. 4096 in the literature.
        remember: M, symbols to remember.
        symbols: N, size of the alphabet, without blank and question mark.

    Source: the task of Gu & Dao, "Mamba", 2023 (T = 4096, M = 16, 16 tokens, of which theirs count the blank as one),
    after the one of the same name of Jing et al. 2019.
    """

    length: int = 256
    remember: int = 16
    symbols: int = 16

    name: ClassVar[str] = "selective_copy"
    summary: ClassVar[str] = "repeat 16 symbols that stand anywhere among blanks"
    published: ClassVar[str] = "T = 4096: S6 97.0 to 99.8 %, S4 18.3 % (summary of the suGRU report, secondary)"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        check_integer(self.name, "remember", self.remember, 1)
        check_integer(self.name, "symbols", self.symbols, 2)
        check_integer(self.name, "length", self.length, self.remember)

    @property
    def input_size(self) -> int:
        """Blank, N symbols, question mark."""
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        """N symbols."""
        return self.symbols

    @property
    def max_length(self) -> int:
        """T + M."""
        return self.length + self.remember

    @property
    def chances(self) -> Mapping[str, float]:
        """Guessing one symbol of N."""
        return {"accuracy": 1 / self.symbols, "nll": math.log(self.symbols)}

    @property
    def required_lag(self) -> int:
        """M: so old are all symbols when they are asked for, even if they fill the last M steps."""
        return self.remember

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T + M, B, N + 2)`` and targets ``(T + M, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        place_key, string_key = jax.random.split(key)
        string = jax.random.randint(string_key, (self.remember, batch_size), 1, self.symbols + 1, dtype=jnp.int32)
        # The M steps with the largest of T random numbers are a draw without replacement.
        _, places = jax.lax.top_k(jax.random.uniform(place_key, (batch_size, self.length), jnp.float32), self.remember)
        places = jnp.sort(places, axis=1).T
        columns = jnp.arange(batch_size)[None, :]
        shown = jnp.full((self.length, batch_size), BLANK, jnp.int32).at[places, columns].set(string)
        shown = jnp.concatenate([shown, jnp.full(string.shape, self.symbols + 1, jnp.int32)])
        targets = jnp.concatenate([jnp.zeros((self.length, batch_size), jnp.int32), string - 1])
        lengths = jnp.full((batch_size,), self.max_length, jnp.int32)
        asked = jnp.broadcast_to(step_numbers(self.max_length) >= self.length, targets.shape)
        return Batch(show(shown, self.input_size), targets, lengths, asked)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + M, B)`` int32: the symbols without the blanks, at the question marks; zero before."""
        shown = read(batch)[: self.length]
        place = jnp.where(shown == BLANK, self.remember, jnp.cumsum(shown != BLANK, axis=0) - 1)
        columns = jnp.arange(shown.shape[1])[None, :]
        string = jnp.zeros((self.remember, shown.shape[1]), jnp.int32).at[place, columns].set(shown - 1, mode="drop")
        return jnp.concatenate([jnp.zeros_like(shown), string])
