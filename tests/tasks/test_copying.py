"""The wait of the variable copy task is drawn for each sequence."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 4_000


def test_the_wait_is_uniform_and_the_delimiter_alone_asks():
    task = TASKS["variable_copy"](length=5, remember=3, symbols=4)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), COUNT))
    waits, counts = np.unique(batch.lengths - 6, return_counts=True)
    np.testing.assert_array_equal(waits, range(1, 6))
    np.testing.assert_allclose(counts / COUNT, 0.2, atol=0.04)
    for b in range(200):
        wait = batch.lengths[b] - 6
        shown = batch.inputs[: batch.lengths[b], b].argmax(-1).tolist()
        assert shown[3:] == [0] * (wait - 1) + [5] + [0] * 3 and set(shown[:3]) <= {1, 2, 3, 4}
        assert batch.targets[: batch.lengths[b], b].tolist() == [0] * (wait + 3) + shown[:3]


def test_not_knowing_the_wait_costs_more_than_guessing_the_symbols():
    for length in (1, 10, 1000, 5000):
        task = TASKS["variable_copy"](length=length)
        guessing = 10 * np.log(8) / ((length + 1) / 2 + 20)
        assert task.chance == pytest.approx(guessing) if length == 1 else task.chance > guessing
        assert task.chance < guessing + np.log(2)
    assert TASKS["variable_copy"](length=1).chance == pytest.approx(TASKS["copy"](length=1).chance)
