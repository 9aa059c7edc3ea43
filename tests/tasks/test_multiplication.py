"""Experiment 5 of 1997: the adding problem with values in [0, 1] and a product."""

from __future__ import annotations

from functools import cache

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 20_000


@cache
def draw(name="multiplication", **options):
    task = TASKS[name](**options)
    return task, jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(3), COUNT))


def test_the_answer_is_the_product_of_the_marked_values():
    task, batch = draw()
    values, marks = np.moveaxis(batch.inputs, -1, 0)
    answers = batch.targets[batch.lengths - 1, np.arange(COUNT), 0]
    np.testing.assert_array_equal((marks == 1).sum(axis=0), 2)
    np.testing.assert_allclose(answers, np.where(marks == 1, values, 1).prod(axis=0), rtol=1e-6)
    drawn = values[1:100]
    assert drawn.min() >= 0 and drawn.max() <= 1 and drawn.mean() == pytest.approx(0.5, abs=0.003)
    assert answers.mean() == pytest.approx(0.2796, abs=0.007)
    assert answers.var() == pytest.approx(0.0592, abs=0.002) and task.chance == pytest.approx(0.0592, abs=5e-5)


def test_the_first_value_is_one_when_it_is_marked_in_reading_b_only():
    task, ones = draw()
    _, removed = draw(first_pair="mark_removed")
    picked = ones.inputs[0, :, 1] == 1
    assert picked.mean() == pytest.approx(task.first_pair_probability, abs=0.01)
    assert (ones.inputs[0, picked, 0] == 1).all() and (removed.inputs[0, picked, 0] != 1).all()
    assert (removed.inputs[0, :, 1] == -1).all()
    np.testing.assert_array_equal(ones.targets, removed.targets)
    solved = jax.jit(task.solve)(removed)
    np.testing.assert_allclose(solved, removed.targets, rtol=0, atol=1e-6)


def test_marks_and_lengths_are_those_of_the_adding_problem():
    (_, product), (_, total) = draw(), draw("adding_1997")
    np.testing.assert_array_equal(product.inputs[..., 1], total.inputs[..., 1])
    np.testing.assert_array_equal(product.lengths, total.lengths)
