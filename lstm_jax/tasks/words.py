"""Word problems: keep the running product of a stream of group elements."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.symbols import read, show
from lstm_jax.tasks.task import Task

GROUPS = ("Z2", "Z5", "Z60", "S3", "A4", "S4", "A5", "S5")
"""Cyclic (Z), symmetric (S) and alternating (A) groups. A5 and S5 are not solvable: the hard ones."""


def order(group: str) -> int:
    """Number of elements."""
    kind, size = group[0], int(group[1:])
    return {"Z": size, "S": math.factorial(size), "A": math.factorial(size) // 2}[kind]


def permutations(group: str) -> np.ndarray:
    """``(order, n)`` the elements of S_n or A_n in the order of dictionaries; element g moves i to ``[g, i]``."""
    size = int(group[1:])
    moves = np.array(list(itertools.permutations(range(size))))
    swapped = sum(moves[:, i] > moves[:, j] for i in range(size) for j in range(i + 1, size))
    return moves if group[0] == "S" else moves[swapped % 2 == 0]


@cache
def multiplication_table(group: str) -> np.ndarray:
    """``(order, order)`` int32, the element that does ``[first, second]`` in this order; element 0 does nothing."""
    elements = np.arange(order(group), dtype=np.int32)
    if group[0] == "Z":
        return (elements[:, None] + elements) % order(group)
    moves = permutations(group)
    done = moves[elements[None, :, None], moves[:, None, :]]  # (first, second, i): where i is after both
    place_value = moves.shape[1] ** np.arange(moves.shape[1] - 1, -1, -1)
    return np.searchsorted(moves @ place_value, done @ place_value).astype(np.int32)


@dataclass(frozen=True)
class GroupWords(Task):
    """The word problem of a finite group: after each element, name the product of all read so far.

    Inputs ``(T, B, |G|)`` one-hot: elements drawn uniformly. Targets ``(T, B)`` int32: the element that does x_1, then
    x_2, ... then x_t. Every step counts.

    Attributes:
        length: T, at least 2.
        group: one of ``GROUPS``: "A5" has 60 elements, "S5" 120, "Z60" 60 that commute.

    Sources: Liu et al., "Transformers Learn Shortcuts to Automata", 2023; Merrill, Petty & Sabharwal, "The Illusion of
    State in State-Space Models", 2024. A fixed number of parallel layers is believed not to be enough for words
    over A5 or S5, but enough over Z60; a recurrent net needs one look at the table for each step.
    """

    length: int = 100
    group: str = "A5"

    name: ClassVar[str] = "group_words"
    summary: ClassVar[str] = "name the running product of elements of a group (A5: 60 permutations)"
    published: ClassVar[str] = ""
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 2)
        check_choice(self.name, "group", self.group, GROUPS)

    @property
    def input_size(self) -> int:
        """|G|."""
        return order(self.group)

    @property
    def output_size(self) -> int:
        """|G|."""
        return order(self.group)

    @property
    def max_length(self) -> int:
        """T."""
        return self.length

    @property
    def chances(self) -> Mapping[str, float]:
        """The first product is the first element; all later ones are a guess among |G|, whatever was read last."""
        guessed, classes = 1 - 1 / self.length, order(self.group)
        return {"accuracy": 1 - guessed + guessed / classes, "nll": guessed * math.log(classes)}

    @property
    def required_lag(self) -> int:
        """T - 1: the last product needs the first element."""
        return self.length - 1

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, |G|)`` and targets ``(T, B)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        table = jnp.asarray(multiplication_table(self.group))
        shape = (self.length, batch_size)
        word = jax.random.randint(key, shape, 0, order(self.group), dtype=jnp.int32)
        products = jax.lax.associative_scan(lambda first, second: table[first, second], word)
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        return Batch(show(word, self.input_size), products, lengths, jnp.ones(shape, bool))

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the running products, one step after the other."""
        table = jnp.asarray(multiplication_table(self.group))

        def step(product: jax.Array, element: jax.Array) -> tuple[jax.Array, jax.Array]:
            product = table[product, element]
            return product, product

        word = read(batch)
        return jax.lax.scan(step, jnp.zeros_like(word[0]), word)[1]
