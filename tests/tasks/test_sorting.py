"""Bucket sort against Python's own sort."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS


def test_strings_are_answered_sorted_after_as_many_question_marks():
    task = TASKS["bucket_sort"](length=9, shortest=4, symbols=3)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 500))
    shown = batch.inputs.argmax(-1)
    assert set(batch.lengths.tolist()) == {8, 10, 12, 14, 16, 18}
    for b, steps in enumerate(batch.lengths):
        string, asked = shown[: steps // 2, b], shown[steps // 2 : steps, b]
        assert (asked == 3).all() and (string < 3).all()
        assert batch.targets[batch.loss_mask[:, b], b].tolist() == sorted(string.tolist())
        np.testing.assert_array_equal(np.flatnonzero(batch.loss_mask[:, b]), np.arange(steps // 2, steps))


def test_the_place_in_a_long_string_tells_almost_everything():
    assert TASKS["bucket_sort"](length=500, shortest=500).chance > 0.9 > TASKS["bucket_sort"]().chance
    one = TASKS["bucket_sort"](length=1).chances
    assert one["accuracy"] == pytest.approx(0.2) and one["nll"] == pytest.approx(np.log(5))
