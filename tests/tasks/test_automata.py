"""Regular languages against Python's own arithmetic, string by string."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 3_000
ORACLES = {
    "parity": lambda string: string.count("1") % 2,
    "even_pairs": lambda string: int((string.count("01") + string.count("10")) % 2 == 0),
    "cycle_navigation": lambda string: (string.count("1") - string.count("2")) % 5,
    "modular_arithmetic": lambda string: eval(string.translate(str.maketrans("567", "+-*"))) % 5,
}


@pytest.mark.parametrize("name", ORACLES)
def test_strings_are_uniform_and_answered_as_by_hand(name):
    lengths = (3, 5, 7) if name == "modular_arithmetic" else (3, 4, 5, 6, 7)
    task = TASKS[name](length=7, shortest=3)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), COUNT))
    found, counts = np.unique(batch.lengths - 1, return_counts=True)
    np.testing.assert_array_equal(found, lengths)
    np.testing.assert_allclose(counts / COUNT, 1 / len(lengths), atol=0.05)
    shown = batch.inputs.argmax(-1)
    assert task.required_lag == 3 and (shown[batch.lengths - 1, np.arange(COUNT)] == task.symbols).all()
    strings = ["".join(map(str, shown[: n - 1, b])) for b, n in enumerate(batch.lengths)]
    if name == "even_pairs":
        assert all(ORACLES[name](string) == (string[0] == string[-1]) for string in strings)
    answers = batch.targets[batch.lengths - 1, np.arange(COUNT)]
    np.testing.assert_array_equal(answers, [ORACLES[name](string) for string in strings])
    digits = np.concatenate([list(string) for string in strings]).astype(int)
    shares = np.bincount(digits) / digits.size
    for alike in [range(5), range(5, 8)] if name == "modular_arithmetic" else [range(task.symbols)]:
        np.testing.assert_allclose(shares[list(alike)], shares[list(alike)].mean(), atol=0.03)


def test_running_parity_is_the_parity_of_every_beginning():
    task = TASKS["parity"](length=9, shortest=4, every_step=True)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(2), 200))
    bits = batch.inputs[..., 1].astype(int)
    expected = np.where(np.arange(9)[:, None] < batch.lengths, np.cumsum(bits, axis=0) % 2, 0)
    np.testing.assert_array_equal(batch.targets, expected)
    assert task.input_size == 2 and task.max_length == 9 and task.required_lag == 3


def test_chance_approaches_guessing_for_long_strings():
    for name, classes in (("parity", 2), ("even_pairs", 2), ("cycle_navigation", 5), ("modular_arithmetic", 5)):
        assert TASKS[name](length=500, shortest=500).chance == pytest.approx(1 / classes, abs=1e-6)
    assert TASKS["even_pairs"](length=1).chance == 1
    product_is_zero = 9 / 25
    two_digits = TASKS["modular_arithmetic"](length=3, shortest=3)
    assert two_digits.chance == pytest.approx(2 / 3 * 1 / 5 + 1 / 3 * product_is_zero)


def test_even_lengths_of_arithmetic_count_as_one_less():
    even = TASKS["modular_arithmetic"](length=8, shortest=4)
    odd = TASKS["modular_arithmetic"](length=7, shortest=3)
    assert even.max_length == odd.max_length == 8 and even.required_lag == odd.required_lag == 3
    assert even.chances == odd.chances
