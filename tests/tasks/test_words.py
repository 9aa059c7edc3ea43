"""Groups are groups, and words are multiplied from left to right."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS
from lstm_jax.tasks.words import GROUPS, multiplication_table, order, permutations


@pytest.mark.parametrize("group", GROUPS)
def test_multiplication_table_is_that_of_a_group(group):
    table = multiplication_table(group)
    elements = np.arange(order(group))
    assert table.shape == (elements.size, elements.size)
    np.testing.assert_array_equal(table[0], elements)
    np.testing.assert_array_equal(table[:, 0], elements)
    for lines in (table, table.T):  # each element once in each row and column: everything has an inverse
        np.testing.assert_array_equal(np.sort(lines, axis=1), np.broadcast_to(elements, table.shape))
    some = np.random.default_rng(0).integers(0, elements.size, (3, 1000))
    first, second, third = some
    np.testing.assert_array_equal(table[table[first, second], third], table[first, table[second, third]])
    assert (table == table.T).all() == (group[0] == "Z")


def test_alternating_groups_hold_the_even_permutations():
    for group, size in (("A4", 12), ("A5", 60)):
        moves = permutations(group)
        assert moves.shape[0] == size == order(group)
        signs = [np.linalg.det(np.eye(moves.shape[1])[move]) for move in moves]
        np.testing.assert_allclose(signs, 1)


def test_targets_are_what_the_permutations_do_one_after_the_other():
    task = TASKS["group_words"](length=9, group="S3")
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 300))
    words, moves = batch.inputs.argmax(-1), permutations("S3")
    assert np.bincount(words.ravel()).min() > 300
    for b in range(300):
        places = np.arange(3)
        for element, target in zip(words[:, b], batch.targets[:, b], strict=True):
            places = moves[element][places]
            np.testing.assert_array_equal(places, moves[target])


def test_cyclic_words_are_sums():
    task = TASKS["group_words"](length=20, group="Z60")
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 4)
    np.testing.assert_array_equal(batch.targets, np.cumsum(batch.inputs.argmax(-1), axis=0) % 60)
