"""Regular languages: read a string of unknown length, keep a state of a few values, and say it when asked.

The regular tasks of Deletang et al., "Neural Networks and the Chomsky Hierarchy", 2023: trained on lengths 1..40,
tested on longer ones. A string of n symbols, n uniform on shortest..length, is followed by a question mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_flag, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, draw_lengths, step_numbers, valid

MODULUS = 5  # of the cycle and of the arithmetic
PLUS, MINUS, TIMES = MODULUS, MODULUS + 1, MODULUS + 2


def guessing(weights: np.ndarray) -> dict[str, float]:
    """Cross-entropy in nats and accuracy of the best guess at a class from its context.

    Args:
        weights: ``(contexts, classes)``, how often each class stands in each context, on any scale.
    """
    total, of_context = weights.sum(), weights.sum(axis=1, keepdims=True)
    share = np.divide(weights, of_context, out=np.ones_like(weights), where=weights > 0)
    nats = -(weights * np.log(share)).sum()
    return {"nll": float(nats / total), "accuracy": float(weights.max(axis=1).sum() / total)}


@dataclass(frozen=True)
class _Asked(Task):
    """What the four tasks share: a string, a question mark, one answer at the last step."""

    length: int = 40
    shortest: int = 1

    name: ClassVar[str]
    symbols: ClassVar[int]  # of the strings; the number after the last one is the question mark
    output_size: ClassVar[int]
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        check_integer(self.name, "shortest", self.shortest, 1)
        check_integer(self.name, "length", self.length, self.shortest)

    @property
    def question(self) -> bool:
        """Whether a question mark ends the string."""
        return True

    @property
    def input_size(self) -> int:
        """The symbols and the question mark."""
        return self.symbols + self.question

    @property
    def max_length(self) -> int:
        """The longest string and the question mark."""
        return self.length + self.question

    @property
    def chances(self) -> Mapping[str, float]:
        """The best guess from the number of symbols read: accuracy, and cross-entropy in nats."""
        return guessing(self._shares())

    @property
    def required_lag(self) -> int:
        """The first symbol matters; in the shortest string it is so old at the last step."""
        return self.shortest - 1 + self.question

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(length + 1, B, I)`` and targets ``(length + 1, B)``, pure in the key."""
        check_batch_size(self.name, batch_size)
        string, counts = self._draw(key, batch_size)
        last = at(counts, self.max_length)
        shown = jnp.where(valid(counts, self.max_length), jnp.pad(string, ((0, 1), (0, 0))), -1)
        inputs = show(jnp.where(last, self.symbols, shown), self.input_size)
        return Batch(inputs, answer_at(last, self._answers(string, counts)), counts + 1, last)

    def solve(self, batch: Batch) -> jax.Array:
        """``(length + 1, B)`` int32: the answer at the last step, zero before."""
        counts = batch.lengths - 1
        return answer_at(at(counts, self.max_length), self._answers(read(batch)[:-1], counts))

    def _draw(self, key: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
        """Strings ``(length, B)`` of independent uniform symbols, and how many symbols ``(B,)`` of each are read."""
        count_key, string_key = jax.random.split(key)
        string = jax.random.randint(string_key, (self.length, batch_size), 0, self.symbols, dtype=jnp.int32)
        return string, draw_lengths(count_key, batch_size, self.shortest, self.length)

    def _answers(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        """``(B,)`` int32 answers to the first ``counts (B,)`` symbols of ``string (length, B)``."""
        raise NotImplementedError

    def _shares(self) -> np.ndarray:
        """``(contexts, classes)``: how often each answer is right, a row for each number of symbols."""
        return np.full((1, self.output_size), 1 / self.output_size)


def _total(string: jax.Array, counts: jax.Array) -> jax.Array:
    """``(B,)`` sum of the first ``counts (B,)`` numbers of ``string (length, B)``."""
    return jnp.sum(jnp.where(valid(counts, string.shape[0]), string, 0), axis=0, dtype=jnp.int32)


@dataclass(frozen=True)
class Parity(_Asked):
    """Parity: is the number of ones odd?

    Inputs ``(length + 1, B, 3)`` one-hot: 0, 1, question mark. Target ``(length + 1, B)`` int32 at the question mark:
    1 if the number of ones is odd, else 0. With ``every_step`` there is no question mark: inputs ``(length, B, 2)``,
    and the target of every step is the parity of the ones so far.

    Attributes:
        length: the longest string.
        shortest: the shortest string; lengths are uniform in between.
        every_step: ask at every step, as state-tracking benchmarks do in training.
    """

    every_step: bool = False

    name: ClassVar[str] = "parity"
    summary: ClassVar[str] = "is the number of ones odd?"
    published: ClassVar[str] = "Mamba-2 0.90, Mamba-3 100 in % between chance and perfect (secondary)"
    symbols: ClassVar[int] = 2
    output_size: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_flag(self.name, "every_step", self.every_step)

    @property
    def question(self) -> bool:
        """Not where every step is one."""
        return not self.every_step

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, I)`` and targets ``(T, B)``; a pure function of the key."""
        if not self.every_step:
            return super().sample(key, batch_size)
        check_batch_size(self.name, batch_size)
        string, counts = self._draw(key, batch_size)
        inside = valid(counts, self.length)
        inputs = show(jnp.where(inside, string, -1), self.input_size)
        running = jnp.cumsum(string, axis=0, dtype=jnp.int32) % 2
        return Batch(inputs, jnp.where(inside, running, 0), counts, inside)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the parity at the last step, zero before; or at every step."""
        if not self.every_step:
            return super().solve(batch)
        running = jnp.cumsum(read(batch) == 1, axis=0, dtype=jnp.int32) % 2
        return jnp.where(valid(batch.lengths, self.length), running, 0)

    def _answers(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        return _total(string, counts) % 2

    def _shares(self) -> np.ndarray:
        if not self.every_step:
            return super()._shares()
        later = (self.shortest + self.length) / 2 - 1  # steps after the first, at which the input is the answer
        return np.array([[0.5, 0.0], [0.0, 0.5], [later / 2, later / 2]])


@dataclass(frozen=True)
class EvenPairs(_Asked):
    """Even pairs: is the number of changes from 0 to 1 or back even, which says that first and last symbol agree?

    Inputs ``(length + 1, B, 3)`` one-hot: 0, 1, question mark. Target ``(length + 1, B)`` int32 there: 1 if even.

    Attributes:
        length: the longest string.
        shortest: the shortest string; lengths are uniform in between. A string of one symbol has no change.
    """

    name: ClassVar[str] = "even_pairs"
    summary: ClassVar[str] = "is the number of changes from 0 to 1 or back even?"
    published: ClassVar[str] = "LSTM 100 % at lengths to 500, trained to 40 (Deletang et al. 2023, recalled)"
    symbols: ClassVar[int] = 2
    output_size: ClassVar[int] = 2

    def _answers(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        changed = (string[1:] != string[:-1]).astype(jnp.int32)
        return 1 - _total(changed, counts - 1) % 2

    def _shares(self) -> np.ndarray:
        strings = np.arange(self.shortest, self.length + 1)[:, None]
        return np.where(strings == 1, [[0.0, 1.0]], [[0.5, 0.5]])


@dataclass(frozen=True)
class CycleNavigation(_Asked):
    """Cycle navigation: where on a ring of five places does a walk end that starts at place 0?

    Inputs ``(length + 1, B, 4)`` one-hot: stay, up, down, question mark. Target ``(length + 1, B)`` int32 there, 0..4.

    Attributes:
        length: the longest walk.
        shortest: the shortest walk; lengths are uniform in between.
    """

    name: ClassVar[str] = "cycle_navigation"
    summary: ClassVar[str] = "where on a ring of five places does a walk end?"
    published: ClassVar[str] = "LSTM 100 % at lengths to 500, trained to 40 (Deletang et al. 2023, recalled)"
    symbols: ClassVar[int] = 3
    output_size: ClassVar[int] = MODULUS

    def _answers(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        return _total((string == 1).astype(jnp.int32) - (string == 2), counts) % MODULUS

    def _shares(self) -> np.ndarray:
        places = [np.eye(MODULUS)[0]]
        for _ in range(self.length):
            places.append((places[-1] + np.roll(places[-1], 1) + np.roll(places[-1], -1)) / 3)
        return np.array(places[self.shortest :])


@dataclass(frozen=True)
class ModularArithmetic(_Asked):
    """Modular arithmetic without brackets: the value of a sum of products modulo 5.

    A string is digit, sign, digit ... digit: digits 0..4, signs +, -, *, all uniform, * before + and -: 2 - 3 * 4 is
    -10, which is 0. Inputs ``(T, B, 9)`` one-hot: five digits, +, -, *, question mark. Target ``(T, B)`` int32 at the
    question mark: the value modulo 5. T is the longest odd length and one more.

    Attributes:
        length: the longest string; strings have an odd number of symbols, so an even number counts as one less.
        shortest: the shortest string, likewise; odd lengths are uniform in between.
    """

    name: ClassVar[str] = "modular_arithmetic"
    summary: ClassVar[str] = "the value of digits joined by + - * modulo 5, without brackets"
    published: ClassVar[str] = "Mamba-2 47.81, Mamba-3 98.51 in % between chance and perfect (secondary)"
    symbols: ClassVar[int] = MODULUS + 3
    output_size: ClassVar[int] = MODULUS

    @property
    def _digits(self) -> tuple[int, int]:
        """Least and largest number of digits."""
        return (self.shortest + 1) // 2, (self.length + 1) // 2

    @property
    def max_length(self) -> int:
        """The longest string and the question mark."""
        return 2 * self._digits[1]

    @property
    def required_lag(self) -> int:
        """Age of the first digit in the shortest string at the question mark."""
        return 2 * self._digits[0] - 1

    def _draw(self, key: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
        count_key, digit_key, sign_key = jax.random.split(key, 3)
        counts = 2 * draw_lengths(count_key, batch_size, *self._digits) - 1
        shape = (self.max_length, batch_size)
        digits = jax.random.randint(digit_key, shape, 0, MODULUS, dtype=jnp.int32)
        signs = jax.random.randint(sign_key, shape, PLUS, TIMES + 1, dtype=jnp.int32)
        return jnp.where(step_numbers(self.max_length) % 2 == 0, digits, signs)[:-1], counts

    def _answers(self, string: jax.Array, counts: jax.Array) -> jax.Array:
        """From left to right: a sum of finished products, and the product that may still grow."""

        def step(state: jax.Array, pair: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
            sign, digit, counted = pair
            total, product = state
            grown = jnp.stack([total, product * digit])
            begun = jnp.stack([total + product, jnp.where(sign == MINUS, -digit, digit)])
            after = jnp.where(sign[None] == TIMES, grown, begun) % MODULUS
            return jnp.where(counted[None], after, state), None

        pairs = string[1::2], string[2::2], valid(counts, string.shape[0])[2::2]
        state, _ = jax.lax.scan(step, jnp.stack([jnp.zeros_like(string[0]), string[0]]), pairs)
        return jnp.sum(state, axis=0, dtype=jnp.int32) % MODULUS

    def _shares(self) -> np.ndarray:
        """The same walk with probabilities: ``mass[total, product]``."""
        values = np.arange(MODULUS)
        sums = (values[:, None] + values) % MODULUS
        times = np.outer(values, values) % MODULUS
        grows = (times[:, None, :] == values[None, :, None]).mean(axis=2)  # [product, product one digit later]
        mass, shares = np.outer(values == 0, np.full(MODULUS, 1 / MODULUS)), []
        for _ in range(self._digits[1]):
            shares.append(np.bincount(sums.ravel(), mass.ravel(), MODULUS))
            mass = (2 * shares[-1][:, None] / MODULUS + mass @ grows) / 3  # + and - begin a new product, * goes on
        return np.array(shares[self._digits[0] - 1 :])
