"""Recalling the character before the present one, where each character is stretched or padded in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_flag, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import step_numbers


def _runs(key: jax.Array, shape: tuple[int, int], stretch: int, variable: bool) -> jax.Array:
    """``shape = (T, B)`` int32, the number of the run that each step belongs to, counted from 0.

    A run has ``stretch`` steps, or a number of steps uniform on 1..stretch; the last one is cut off at T.
    """
    steps, batch_size = shape
    if not variable:
        return jnp.broadcast_to(step_numbers(steps) // stretch, shape)
    ends = jnp.cumsum(jax.random.randint(key, shape, 1, stretch + 1, dtype=jnp.int32), axis=0)
    begins = jnp.zeros(shape, jnp.int32).at[ends, jnp.arange(batch_size)[None, :]].set(1, mode="drop")
    return jnp.cumsum(begins, axis=0, dtype=jnp.int32)


def _latest(happened: jax.Array) -> jax.Array:
    """``(T, B)`` int32: the last step at which ``happened (T, B)`` was true, the present one included; else 0."""
    return jax.lax.cummax(jnp.where(happened, step_numbers(happened.shape[0]), 0), axis=0)


@dataclass(frozen=True)
class _Stretched(Task):
    """What both share: a text over N characters, stretched to T steps; the character before is asked for."""

    length: int = 500
    stretch: int = 10
    variable: bool = True
    symbols: int = 10

    fewest: ClassVar[int]
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "nll"

    def __post_init__(self) -> None:
        check_integer(self.name, "stretch", self.stretch, 2)
        check_flag(self.name, "variable", self.variable)
        check_integer(self.name, "symbols", self.symbols, self.fewest)
        check_integer(self.name, "length", self.length, self.stretch + 1)

    @property
    def output_size(self) -> int:
        """N characters."""
        return self.symbols

    @property
    def max_length(self) -> int:
        """T."""
        return self.length


@dataclass(frozen=True)
class TimeWarp(_Stretched):
    """Warped time: each character of a random text is repeated; say which one came before the present one.

    Inputs ``(T, B, N)`` one-hot: a text over N characters in which each stands for several steps. No character follows
    itself, for the border of two equal runs cannot be seen: our choice. Targets ``(T, B)`` int32: the character of the
    run before. Every step counts that has a run before it.

    Attributes:
        length: T, steps of the warped text, more than ``stretch``.
        stretch: steps of each run, at least 2, or their largest number.
        variable: whether each run has its own number of steps, uniform on 1..stretch, instead of ``stretch``.
        symbols: N, characters, at least 3.

    Source: Tallec & Ollivier, "Can recurrent neural networks warp time?", 2018: N = 10, length 500, warps 10 to 100.
    """

    name: ClassVar[str] = "time_warp"
    summary: ClassVar[str] = "say the character before the present one; each is repeated"
    published: ClassVar[str] = "gated nets perfect at all warps, plain RNN fails (Tallec & Ollivier 2018, verified)"
    fewest: ClassVar[int] = 3

    @property
    def input_size(self) -> int:
        """N characters."""
        return self.symbols

    @property
    def chances(self) -> Mapping[str, float]:
        """Guessing one character of the N - 1 that are not the present one."""
        return {"nll": math.log(self.symbols - 1), "accuracy": 1 / (self.symbols - 1)}

    @property
    def required_lag(self) -> int:
        """At the end of a run the character before is ``stretch`` steps old; 1 if every run may be short."""
        return 1 if self.variable else min(self.stretch, self.length - self.stretch)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, N)`` and targets ``(T, B)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        run_key, first_key, text_key = jax.random.split(key, 3)
        shape = (self.length, batch_size)
        runs = _runs(run_key, shape, self.stretch, self.variable)
        first = jax.random.randint(first_key, (batch_size,), 0, self.symbols, dtype=jnp.int32)
        jumps = jax.random.randint(text_key, shape, 1, self.symbols, dtype=jnp.int32).at[0].set(first)
        text = jnp.cumsum(jumps, axis=0, dtype=jnp.int32) % self.symbols  # never twice the same
        before = jnp.take_along_axis(text, jnp.maximum(runs - 1, 0), axis=0)
        shown = jnp.take_along_axis(text, runs, axis=0)
        counted = runs > 0
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        return Batch(show(shown, self.symbols), jnp.where(counted, before, 0), lengths, counted)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the character at the step before the last change; zero before the first."""
        text = read(batch)
        changed = jnp.concatenate([jnp.zeros_like(text[:1], bool), text[1:] != text[:-1]])
        latest = _latest(changed)
        return jnp.where(latest > 0, jnp.take_along_axis(text, jnp.maximum(latest - 1, 0), axis=0), 0)


@dataclass(frozen=True)
class TimePadding(_Stretched):
    """Padded time: blanks follow each character of a random text; say which one came before the present one.

    Inputs ``(T, B, N + 1)`` one-hot: characters 0..N - 1 drawn independently, each followed by blanks (symbol N).
    Targets ``(T, B)`` int32: the last character but one, at blanks too. Every step counts from the second
    character on.

    Attributes:
        length: T, steps of the padded text, more than ``stretch``.
        stretch: steps from one character to the next, at least 2, or their largest number.
        variable: whether each distance is drawn by itself, uniform on 1..stretch, instead of ``stretch``.
        symbols: N, characters, at least 2.

    Source: Tallec & Ollivier, "Can recurrent neural networks warp time?", 2018. That blanks ask too is our choice.
    """

    name: ClassVar[str] = "time_padding"
    summary: ClassVar[str] = "say the character before the present one; blanks follow each"
    published: ClassVar[str] = "gated nets perfect at all warps, plain RNN fails (Tallec & Ollivier 2018, verified)"
    fewest: ClassVar[int] = 2

    @property
    def input_size(self) -> int:
        """N characters and the blank."""
        return self.symbols + 1

    @property
    def chances(self) -> Mapping[str, float]:
        """Guessing one character of N."""
        return {"nll": math.log(self.symbols), "accuracy": 1 / self.symbols}

    @property
    def required_lag(self) -> int:
        """The last blank asks for a character 2 ``stretch`` - 1 steps ago; 1 if every distance may be short."""
        return 1 if self.variable else min(2 * self.stretch, self.length) - 1

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, N + 1)`` and targets ``(T, B)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        run_key, text_key = jax.random.split(key)
        shape = (self.length, batch_size)
        runs = _runs(run_key, shape, self.stretch, self.variable)
        text = jax.random.randint(text_key, shape, 0, self.symbols, dtype=jnp.int32)
        before = jnp.take_along_axis(text, jnp.maximum(runs - 1, 0), axis=0)
        first = jnp.concatenate([jnp.ones_like(runs[:1], bool), runs[1:] != runs[:-1]])
        shown = jnp.where(first, jnp.take_along_axis(text, runs, axis=0), self.symbols)
        counted = runs > 0
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        return Batch(show(shown, self.input_size), jnp.where(counted, before, 0), lengths, counted)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the last character but one; zero before the second."""
        text = read(batch)
        latest = _latest(text != self.symbols)
        before = jnp.take_along_axis(latest, jnp.maximum(latest - 1, 0), axis=0)
        return jnp.where(latest > 0, jnp.take_along_axis(text, before, axis=0), 0)
