"""Sorting a string over a small alphabet by counting its symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.automata import guessing
from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import draw_lengths, step_numbers, valid


@dataclass(frozen=True)
class BucketSort(Task):
    """Bucket sort: read a string over N symbols, then say it sorted.

    A string of n symbols, n uniform on shortest..length, is followed by n question marks. Inputs
    ``(2 length, B, N + 1)`` one-hot; targets ``(2 length, B)`` int32: the symbols in ascending order, at the question
    marks, which alone count. A sequence has 2 n steps.

    Attributes:
        length: the longest string.
        shortest: the shortest string.
        symbols: N, size of the alphabet, at least 2.

    Source: Deletang et al., "Neural Networks and the Chomsky Hierarchy", 2023: N = 5, trained on lengths 1..40.
    """

    length: int = 40
    shortest: int = 1
    symbols: int = 5

    name: ClassVar[str] = "bucket_sort"
    summary: ClassVar[str] = "read a string over 5 symbols, then say it sorted"
    published: ClassVar[str] = "LSTM 99.3 % at lengths to 500, trained to 40 (Deletang et al. 2023, recalled)"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        check_integer(self.name, "shortest", self.shortest, 1)
        check_integer(self.name, "length", self.length, self.shortest)
        check_integer(self.name, "symbols", self.symbols, 2)

    @property
    def input_size(self) -> int:
        """N symbols and the question mark."""
        return self.symbols + 1

    @property
    def output_size(self) -> int:
        """N symbols."""
        return self.symbols

    @property
    def max_length(self) -> int:
        """Twice the longest string."""
        return 2 * self.length

    @property
    def chances(self) -> Mapping[str, float]:
        """The best guess from the time: accuracy, and cross-entropy in nats; early answers are small, late ones large.

        Answer j (from 0) of n is below v if more than j of n symbols are: a tail of a binomial distribution.
        """
        below = np.arange(self.symbols + 1) / self.symbols  # share of symbols below v
        binomial = np.zeros((self.length + 1, self.symbols + 1))  # [k, v]: k of the symbols so far are below v
        binomial[0] = 1.0
        weights = np.zeros((self.max_length, self.symbols))  # [time, answer]
        for n in range(1, self.length + 1):
            binomial[1:] = binomial[1:] * (1 - below) + binomial[:-1] * below
            binomial[0] *= 1 - below
            if n >= self.shortest:
                at_least = np.cumsum(binomial, axis=0)[:n]  # [j, v]: P(answer j is v or more)
                weights[n : 2 * n] += np.clip(at_least[:, :-1] - at_least[:, 1:], 0, None)
        return guessing(weights)

    @property
    def required_lag(self) -> int:
        """The first answer needs the first symbol, which is n steps old."""
        return self.shortest

    def _sorted(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        """``(2 length, B)``: the first ``counts (B,)`` symbols of ``string (T, B)``, sorted, after them; else zero.

        Answer j is the number of symbols v such that no more than j symbols of the string are v or smaller.
        """
        inside = valid(counts, string.shape[0])
        place = step_numbers(self.max_length) - counts[None, :]
        answers = jnp.zeros(place.shape, jnp.int32)
        for symbol in range(self.symbols - 1):
            smaller = jnp.sum(inside & (string <= symbol), axis=0, dtype=jnp.int32)
            answers += place >= smaller[None, :]
        return jnp.where((place >= 0) & valid(2 * counts, self.max_length), answers, 0)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(2 length, B, N + 1)`` and targets ``(2 length, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        count_key, string_key = jax.random.split(key)
        counts = draw_lengths(count_key, batch_size, self.shortest, self.length)
        string = jax.random.randint(string_key, (self.max_length, batch_size), 0, self.symbols, dtype=jnp.int32)
        reading, inside = valid(counts, self.max_length), valid(2 * counts, self.max_length)
        shown = jnp.where(reading, string, jnp.where(inside, self.symbols, -1))
        return Batch(show(shown, self.input_size), self._sorted(string, counts), 2 * counts, inside & ~reading)

    def solve(self, batch: Batch) -> jax.Array:
        """``(2 length, B)`` int32: the symbols before the first question mark in order, after it; zero elsewhere."""
        string = read(batch)
        counts = jnp.sum((string >= 0) & (string < self.symbols), axis=0, dtype=jnp.int32)
        return self._sorted(string, counts)
