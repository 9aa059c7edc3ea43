"""Counting languages: the strings, and what the grammar allows after each of their prefixes."""

from __future__ import annotations

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 4_000
LIMIT = 9  # of n and m, when every string of a language is listed
STRINGS = {
    "anbn": {f"S{'a' * n}{'b' * n}T" for n in range(1, LIMIT)},
    "anbncn": {f"S{'a' * n}{'b' * n}{'c' * n}T" for n in range(1, LIMIT)},
    "anbmbman": {
        f"S{'a' * n}{'b' * m}{'B' * m}{'A' * n}T" for n, m in itertools.product(range(1, LIMIT), range(1, LIMIT))
    },
}
each_language = pytest.mark.parametrize("name", sorted(STRINGS))


def draw(task, seed, count):
    return jax.tree.map(np.asarray, jax.jit(task.symbols, static_argnums=1)(jax.random.key(seed), count))


def texts(task, batch):
    return ["".join(task.alphabet[s] for s in column if s >= 0) + "T" for column in batch.inputs.T]


@each_language
def test_strings_belong_to_the_language_with_uniform_counts(name):
    task = TASKS[name](length=6, shortest=2)
    batch = draw(task, 2, COUNT)
    drawn = texts(task, batch)
    assert set(drawn) == {
        string for string in STRINGS[name] if set(map(len, re.findall(r"(a+|b+)", string))) <= {*range(2, 7)}
    }
    assert [len(text) - 1 for text in drawn] == list(batch.lengths)
    for letter in "ab":
        counts = np.bincount([text.count(letter) for text in drawn], minlength=7) / COUNT
        np.testing.assert_allclose(counts[2:], 0.2, atol=0.04)


@each_language
def test_legal_successors_are_those_that_some_string_has(name):
    task = TASKS[name](length=4)
    batch = draw(task, 3, 40)
    for b, text in enumerate(texts(task, batch)):
        for t in range(len(text) - 1):
            prefix = text[: t + 1]
            expected = {string[t + 1] for string in STRINGS[name] if string.startswith(prefix)}
            assert {task.alphabet[o] for o in np.flatnonzero(batch.targets[t, b])} == expected, prefix
    assert not batch.targets[~batch.loss_mask].any()


def test_m_and_n_are_independent():
    task = TASKS["anbmbman"](length=3)
    batch = draw(task, 9, COUNT)
    both = np.zeros((3, 3))
    for text in texts(task, batch):
        both[text.count("a") - 1, text.count("b") - 1] += 1 / COUNT
    np.testing.assert_allclose(both, 1 / 9, atol=0.03)


@each_language
def test_equal_limits_give_the_one_string_of_that_count(name):
    task = TASKS[name](length=300, shortest=300)
    batch = draw(task, 0, 1)
    assert (batch.lengths == task.max_length).all() and batch.loss_mask.all()
    before, last = batch.targets[-2:, 0]
    assert last[-1] == 1 and last.sum() == 1  # T, and nothing else
    assert before[-2] == 1 and before.sum() == 1


@each_language
def test_lag_reaches_back_to_the_symbol_before_the_block_that_is_counted(name):
    """Any window of at most ``required_lag`` symbols before the last step has more than one continuation."""
    task = TASKS[name](length=2, shortest=2)
    (string,) = set(texts(task, draw(task, 0, 4)))
    window = string[: task.max_length][-task.required_lag :]
    following = {
        longer[start + len(window)]
        for longer in STRINGS[name]
        for start in range(len(longer) - len(window))
        if longer[start:].startswith(window)
    }
    assert len(following) > 1


def test_legal_works_under_jit_on_symbols_alone():
    task = TASKS["anbn"]()
    symbols = jnp.asarray([[0], [1], [2], [-1]], jnp.int32)
    allowed = np.asarray(jax.jit(task.legal)(symbols))[:, 0]
    np.testing.assert_array_equal(allowed, [[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
