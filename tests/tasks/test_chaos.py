"""Chaotic series against their equations, integrated by NumPy in float64 with far smaller steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import TASKS, chaos


def midpoint_mackey_glass(tau, units, fine=100):
    """``fine`` values a unit of time, from a constant past, by the midpoint rule."""
    x = [1.2] * (tau * fine + 1)
    for _ in range(units * fine):
        then = (x[-1 - tau * fine] + x[-tau * fine]) / 2
        gain = 0.2 * then / (1 + then**10)
        middle = x[-1] + (gain - 0.1 * x[-1]) / (2 * fine)
        x.append(x[-1] + (gain - 0.1 * middle) / fine)
    return np.array(x)


def test_mackey_glass_obeys_its_equation():
    every_half = midpoint_mackey_glass(17, 200)[::50]
    past, later = every_half[200:236], every_half[237::2]  # two delays after the kink in the constant past
    series = np.asarray(chaos.mackey_glass(jnp.asarray(past, jnp.float32)[:, None], later.size))[:, 0]
    assert later.size > 80
    np.testing.assert_allclose(series, later, atol=1e-4)


def test_lorenz_obeys_its_equations():
    state = np.array([1.0, 2.0, 20.0])
    moved = np.asarray(chaos.lorenz(jnp.asarray(state, jnp.float32)[:, None]))[:, 0]
    for _ in range(5_000):
        x, y, z = state
        slope = np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
        x, y, z = state + slope * 5e-6
        state = state + 1e-5 * np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])
    np.testing.assert_allclose(moved, state, rtol=1e-4)


@pytest.mark.parametrize(("name", "size"), [("mackey_glass", 1), ("lorenz", 3)])
def test_targets_are_later_inputs_and_every_sequence_differs(name, size):
    options = {"lorenz": {"observed": "xyz"}}.get(name, {})
    task = TASKS[name](length=60, horizon=7, washout=20, **options)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 200))
    assert batch.inputs.shape == batch.targets.shape == (80, 200, size)
    np.testing.assert_array_equal(batch.targets[20:73], batch.inputs[27:80])
    assert (batch.targets[:20] == 0).all() and not batch.loss_mask[:20].any() and batch.loss_mask[20:].all()
    assert batch.inputs[0].std(axis=0).min() > 0.7  # spread over the attractor, not in step with each other
    assert np.abs(batch.inputs).max() < 4


def test_second_delay_is_normalised_too():
    task = TASKS["mackey_glass"](length=100, horizon=1, tau=30)
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(3), 1_000)
    assert float(batch.inputs.mean()) == pytest.approx(0, abs=0.05)
    assert float(batch.inputs.var()) == pytest.approx(1, abs=0.04)


def test_all_coordinates_leave_nothing_to_infer():
    task = TASKS["lorenz"](length=30, observed="xyz", washout=0)
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(3), 50)
    assert float(jnp.mean((task.solve(batch) - batch.targets) ** 2)) < 1e-8
    assert task.required_lag == 0
