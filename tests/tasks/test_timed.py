"""Spike trains and periodic functions of 2002."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 2_000


def draw(task):
    return jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(7), COUNT))


@pytest.mark.parametrize(("levels", "delays"), [("all", {0, 1, 2, 3}), ("two", {0, 3})])
def test_delays_are_the_gaps_between_spikes_less_the_interval(levels, delays):
    task = TASKS["spike_delays"](length=80, interval=6, extra=3, levels=levels)
    batch = draw(task)
    spikes = batch.inputs[..., 0]
    assert (spikes[0] == 1).all() and set(np.unique(spikes)) == {0, 1}
    first = []
    for b in range(COUNT):
        times = np.flatnonzero(spikes[:, b])
        gaps = np.diff(times) - 6
        np.testing.assert_array_equal(batch.targets[times[1:], b, 0], gaps)
        np.testing.assert_array_equal(np.flatnonzero(batch.loss_mask[:, b]), times[1:])
        assert set(gaps) <= delays and 80 - times[-1] <= 6 + 3
        first.append(gaps[0])
    values, counts = np.unique(first, return_counts=True)
    assert set(values) == delays
    np.testing.assert_allclose(counts / COUNT, 1 / len(delays), atol=0.06)
    assert task.required_lag == 6


def test_the_least_length_holds_one_delay():
    batch = draw(TASKS["spike_delays"](length=12, interval=10, extra=1))
    np.testing.assert_array_equal(batch.loss_mask.sum(axis=0), 1)


def test_timed_spikes_turn_the_roles_of_measured_delays_round():
    options = {"length": 50, "interval": 6, "extra": 3}
    measured, made = draw(TASKS["spike_delays"](**options)), draw(TASKS["timed_spikes"](**options))
    np.testing.assert_array_equal(made.targets, measured.inputs)  # the same key, the same train
    for b in range(200):
        times = np.flatnonzero(made.targets[:, b, 0])
        np.testing.assert_array_equal(made.inputs[times[:-1], b, 0], np.diff(times) - 6)
        assert not np.delete(made.inputs[:, b, 0], times).any()
    assert made.loss_mask.all()


def test_a_train_asks_for_the_shorter_delays_a_little_more_often_than_for_the_longer():
    task = TASKS["spike_delays"](length=21, interval=2, extra=8, levels="two")
    batch = draw(task)
    assert batch.targets[batch.loss_mask].var() == pytest.approx(task.chance, rel=0.03)
    assert task.chance < 15.5 and TASKS["spike_delays"](length=2000).chance == pytest.approx(0.25, abs=1e-4)


def test_periodic_functions_are_those_of_the_paper():
    wave = {s: TASKS["periodic"](length=20, period=10, shape=s).wave for s in ("cos", "triangle", "rectangle")}
    np.testing.assert_allclose(wave["cos"], 0.5 * (1 - np.cos(2 * np.pi * np.arange(20) / 10)), atol=1e-6)
    np.testing.assert_allclose(wave["triangle"][:10], [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2], atol=1e-6)
    np.testing.assert_array_equal(wave["rectangle"], [0, 0, 0, 0, 0, 0, 1, 1, 1, 1] * 2)
    for period in (10, 25):
        steepest = {s: np.abs(np.diff(TASKS["periodic"](period=period, shape=s).wave)).max() for s in wave}
        assert steepest["cos"] <= np.pi / period and steepest["rectangle"] == 1
        assert steepest["triangle"] == pytest.approx(2 / period, rel=1e-5)


def test_periodic_has_no_input_and_one_sequence():
    batch = draw(TASKS["periodic"](length=30, period=25))
    assert not batch.inputs.any() and batch.loss_mask.all() and (batch.targets == batch.targets[:, :1]).all()
    assert batch.targets.min() >= 0 and batch.targets.max() <= 1
