"""Counting languages: a^n b^n, a^n b^m B^m A^n and a^n b^n c^n; which symbols may come next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_integer
from lstm_jax.tasks.symbols import guessing_cost, read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import draw_lengths, step_numbers, valid


@dataclass(frozen=True)
class _Language(Task):
    """What the languages share: a string is S, then ``blocks`` of equal letters, then T.

    ``copies[k]`` is the last block before k of the same length, which k must repeat; k itself if its length is free,
    drawn uniformly from shortest..length. Symbols are numbered S = 0, the letters in the order of their blocks, then
    T.
    """

    length: int = 10
    shortest: int = 1

    name: ClassVar[str] = "language"
    blocks: ClassVar[str]
    copies: ClassVar[tuple[int, ...]]
    loss: ClassVar[str] = "bernoulli"
    metric: ClassVar[str] = "nll"

    def __post_init__(self) -> None:
        check_integer(self.name, "shortest", self.shortest, 1)
        check_integer(self.name, "length", self.length, self.shortest)

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The symbols in the order of inputs and outputs."""
        return ("S", *self.blocks, "T")

    @property
    def input_size(self) -> int:
        """One input a symbol; T is never read."""
        return len(self.blocks) + 2

    @property
    def output_size(self) -> int:
        """One output a symbol."""
        return len(self.blocks) + 2

    @property
    def max_length(self) -> int:
        """T of the batches: S and the longest blocks."""
        return 1 + len(self.blocks) * self.length

    @property
    def chances(self) -> Mapping[str, float]:
        """Cross-entropy in nats per step, summed over the outputs, of a predictor that sees the current symbol.

        S and letters of free blocks settle what is legal. At a letter that repeats a block the end of the block must
        be guessed, two outputs with a probability of one in the mean number of letters.
        """
        mean = (self.shortest + self.length) / 2
        guessed = mean * sum(copied != block for block, copied in enumerate(self.copies))
        return {"nll": float(guessed * 2 * guessing_cost(np.array(1 / mean)) / (1 + mean * len(self.blocks)))}

    @property
    def required_lag(self) -> int:
        """What may follow the last letter depends on where the block began that it repeats."""
        return (len(self.copies) - self.copies[-1]) * self.shortest

    def symbols(self, key: jax.Array, batch_size: int) -> Batch:
        """The strings in whole numbers: inputs ``(T, B)`` int32, -1 in the padding; targets as those of ``sample``."""
        check_batch_size(self.name, batch_size)
        blocks: list[jax.Array] = []
        for block, copied in enumerate(self.copies):
            drawn = draw_lengths(jax.random.fold_in(key, block), batch_size, self.shortest, self.length)
            blocks.append(drawn if copied == block else blocks[copied])
        ends = 1 + jnp.cumsum(jnp.stack(blocks), axis=0)
        steps = step_numbers(self.max_length)
        letters = jnp.sum(steps[None] >= ends[:, None], axis=0, dtype=jnp.int32)
        inside = valid(ends[-1], self.max_length)
        symbols = jnp.where(inside, jnp.where(steps > 0, 1 + letters, 0), -1)
        return Batch(symbols, self.legal(symbols).astype(jnp.float32), ends[-1], inside)

    def legal(self, symbols: jax.Array) -> jax.Array:
        """Which symbols may follow each symbol of a string.

        Args:
            symbols: ``(T, B)`` int, indices into ``alphabet`` from S on; -1 in the padding.

        Returns:
            ``(T, B, O)`` bool; nothing in the padding.
        """
        outputs = jnp.arange(self.output_size)[None, None, :]
        here = symbols[..., None] == outputs
        follows = symbols[..., None] + 1 == outputs
        count = jnp.cumsum(here[..., 1:-1], axis=0, dtype=jnp.int32)
        may_stay, may_move = jnp.zeros(symbols.shape, bool), symbols == 0
        for block, copied in enumerate(self.copies):
            inside = symbols == block + 1
            full = count[..., block] == count[..., copied]  # a free block copies itself: always full
            may_stay |= inside & ((copied == block) | ~full)
            may_move |= inside & full
        return (may_stay[..., None] & here) | (may_move[..., None] & follows)

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(T, B, O)``; a pure function of the key."""
        batch = self.symbols(key, batch_size)
        return batch._replace(inputs=show(batch.inputs, self.input_size))

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B, O)``: the legal successors, by counting letters."""
        return self.legal(read(batch)).astype(jnp.float32)


@dataclass(frozen=True)
class AnBn(_Language):
    """The context-free language a^n b^n: after S a^n b^k, which symbols are legal?

    Inputs ``(1 + 2 length, B, 4)`` one-hot over S, a, b, T; T is never read. Targets ``(1 + 2 length, B, 4)``: 1 for
    each legal successor; every step counts. After S: a. After an a: a or b. After b number k < n: b; after b n: T.

    Attributes:
        length: the largest n; n is uniform on shortest..length.
        shortest: the smallest n, at least 1. ``AnBn(n, n)`` tests how far the counting goes.

    Source: Gers & Schmidhuber, "LSTM Recurrent Networks Learn Simple Context-Free and Context-Sensitive Languages",
    2001.
    """

    name: ClassVar[str] = "anbn"
    blocks: ClassVar[str] = "ab"
    copies: ClassVar[tuple[int, ...]] = (0, 0)
    summary: ClassVar[str] = "name the legal next symbols of a^n b^n"
    published: ClassVar[str] = "trained to 10, right to 65 to 100 (cap), median 100 (schmidhuber-problems, verified)"


@dataclass(frozen=True)
class AnBmBmAn(_Language):
    """The context-free language a^n b^m B^m A^n: a count kept while another one is made and used.

    Inputs ``(1 + 4 length, B, 6)`` one-hot over S, a, b, B, A, T; T is never read. Targets ``(1 + 4 length, B, 6)``: 1
    for each legal successor; every step counts. The B are as many as the b, the A as many as the a.

    Attributes:
        length: the largest n and m, which are independent and uniform on shortest..length.
        shortest: the smallest n and m, at least 1.

    Source: Gers & Schmidhuber, "LSTM Recurrent Networks Learn Simple Context-Free and Context-Sensitive Languages",
    2001.
    """

    name: ClassVar[str] = "anbmbman"
    blocks: ClassVar[str] = "abBA"
    copies: ClassVar[tuple[int, ...]] = (0, 1, 1, 0)
    summary: ClassVar[str] = "name the legal next symbols of a^n b^m B^m A^n"
    published: ClassVar[str] = ""


@dataclass(frozen=True)
class AnBnCn(_Language):
    """The context-sensitive language a^n b^n c^n: one count, used twice.

    Inputs ``(1 + 3 length, B, 5)`` one-hot over S, a, b, c, T; T is never read. Targets ``(1 + 3 length, B, 5)``: 1
    for each legal successor; every step counts. The b and the c are as many as the a.

    Attributes:
        length: the largest n; n is uniform on shortest..length.
        shortest: the smallest n, at least 1.

    Source: Gers & Schmidhuber, "LSTM Recurrent Networks Learn Simple Context-Free and Context-Sensitive Languages",
    2001.
    """

    name: ClassVar[str] = "anbncn"
    blocks: ClassVar[str] = "abc"
    copies: ClassVar[tuple[int, ...]] = (0, 0, 1)
    summary: ClassVar[str] = "name the legal next symbols of a^n b^n c^n"
    published: ClassVar[str] = "trained to 10, right to 18 to 29, median 24 (schmidhuber-problems, verified)"
