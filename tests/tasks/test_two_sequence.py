"""The three forms of experiment 3 of 1997."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 20_000
KEY = jax.random.key(6)


def draw(**options):
    task = TASKS["two_sequence"](**options)
    batch = jax.jit(task.sample, static_argnums=1)(KEY, COUNT)
    return task, jax.tree.map(np.asarray, batch), np.asarray(batch.targets[batch.lengths - 1, np.arange(COUNT), 0])


def test_3a_shows_the_class_exactly_and_then_noise_of_variance_one_fifth():
    task, batch, answers = draw(length=20, relevant=3)
    values = batch.inputs[..., 0]
    np.testing.assert_array_equal(values[:3], np.broadcast_to(2 * answers - 1, (3, COUNT)))
    assert answers.mean() == pytest.approx(0.5, abs=0.02) and set(answers) == {0, 1}
    noise = values[3:20]
    assert noise.var() == pytest.approx(0.2, abs=0.003) and noise.mean() == pytest.approx(0, abs=0.005)
    assert (np.abs(noise) > 2 * np.sqrt(0.2)).mean() == pytest.approx(0.0455, abs=0.002)
    assert {20, 21, 22} == set(batch.lengths) and task.required_lag == 17 and task.chance == 0.25


def test_3b_adds_the_noise_to_the_class_too_so_that_the_best_rule_errs():
    task, batch, answers = draw(length=20, relevant=1, noise="everywhere")
    heard = batch.inputs[0, :, 0] - (2 * answers - 1)
    assert heard.var() == pytest.approx(0.2, abs=0.01) and heard.mean() == pytest.approx(0, abs=0.02)
    solved = np.asarray(jax.jit(task.solve)(batch))[batch.lengths - 1, np.arange(COUNT), 0]
    assert (solved != answers).mean() == pytest.approx(0.0127, abs=0.004)  # Phi(-1 / sqrt(0.2))


def test_3c_exchanges_the_classes_and_adds_noise_of_variance_one_tenth_to_the_targets():
    task, batch, answers = draw(length=20, relevant=3, targets="noisy")
    _, exact, classes = draw(length=20, relevant=3)
    np.testing.assert_array_equal(batch.inputs, exact.inputs)
    clean = np.asarray(jax.jit(task.clean_targets, static_argnums=1)(KEY, COUNT))
    np.testing.assert_array_equal(clean, jax.jit(task.solve)(batch))
    noise_free = clean[batch.lengths - 1, np.arange(COUNT), 0]
    np.testing.assert_allclose(noise_free, np.where(classes == 1, 0.2, 0.8))
    noise = answers - noise_free
    assert noise.var() == pytest.approx(0.1, abs=0.005) and noise.mean() == pytest.approx(0, abs=0.015)
    assert not batch.targets[~batch.loss_mask].any() and answers.var() == pytest.approx(task.chance, abs=0.01)
    assert task.chance == pytest.approx(0.19) and task.target_variance == 0.1


def test_noisy_numbers_are_the_same_compiled_and_plain():
    task = TASKS["two_sequence"](length=20, noise="everywhere", targets="noisy")
    for plain, compiled in zip(task.sample(KEY, 64), jax.jit(task.sample, static_argnums=1)(KEY, 64), strict=True):
        np.testing.assert_array_equal(plain, compiled)
