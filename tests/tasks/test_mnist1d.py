"""MNIST-1D: what the generator does to a template."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import TASKS, mnist1d


def test_templates_begin_and_end_at_zero_and_are_equally_high():
    assert mnist1d.TEMPLATES.shape == (10, 12)
    np.testing.assert_allclose(mnist1d.TEMPLATES[:, [0, -1]], 0, atol=0)
    np.testing.assert_allclose(mnist1d.TEMPLATES.std(axis=1), 1 / 6, rtol=1e-5)


def test_a_curve_is_its_template_stretched_and_rolled():
    template = mnist1d.TEMPLATES[2]
    curve, drawn = (np.asarray(a)[:, 0] for a in mnist1d._curves(jnp.asarray(template)[:, None], *_at(60, 7)))
    np.testing.assert_allclose(curve[7:19], template, atol=1e-6)  # 60 zeros: a point for a point
    assert (curve[:7] == 0).all() and (curve[19:] == 0).all()
    np.testing.assert_array_equal(np.flatnonzero(drawn), np.arange(7, 19))  # its own zeros too
    wide, drawn = (np.asarray(a)[:, 0] for a in mnist1d._curves(jnp.asarray(template)[:, None], *_at(36, 0)))
    places = np.arange(72) * 47 / 71
    np.testing.assert_allclose(wide, np.interp(places, np.arange(48), np.pad(template, (0, 36))), atol=1e-6)
    np.testing.assert_array_equal(drawn, places < 12)


def test_inputs_have_mean_0_and_spread_1():
    inputs = np.asarray(jax.jit(TASKS["mnist_1d"]().sample, static_argnums=1)(jax.random.key(3), 4000).inputs)
    assert abs(inputs.mean()) < 0.02 and inputs.std() == pytest.approx(1, abs=0.02)


def test_no_noise_is_laid_over_a_template_where_it_is_flat(monkeypatch):
    monkeypatch.setattr(mnist1d, "_smooth_noise", lambda key, batch_size: jnp.full((mnist1d.GRID, batch_size), 1e3))
    batch = TASKS["mnist_1d"](length=mnist1d.GRID).sample(jax.random.key(4), 300)
    drawn = (np.asarray(batch.inputs[..., 0]) < 1e3).sum(axis=0)  # points that are not noise
    assert drawn.min() >= mnist1d.POINTS and len(np.unique(batch.targets[-1])) == mnist1d.CLASSES


def _at(padding: int, shift: int) -> tuple[jax.Array, jax.Array]:
    return jnp.array([padding]), jnp.array([shift])


def test_smooth_noise_has_the_strength_and_likeness_of_a_filtered_one():
    noise = np.asarray(jax.jit(mnist1d._smooth_noise, static_argnums=1)(jax.random.key(1), 2_000))
    taps = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)
    taps /= taps.sum()
    assert noise.std() == pytest.approx(0.25 * np.sqrt((taps**2).sum()), rel=0.02)
    likeness = (noise[1:] * noise[:-1]).mean() / noise.var()
    assert likeness == pytest.approx((taps[1:] * taps[:-1]).sum() / (taps**2).sum(), abs=0.01)


def test_shuffling_only_changes_the_order_of_the_steps():
    plain, shuffled = (TASKS["mnist_1d"](shuffled=shuffled) for shuffled in (False, True))
    key = jax.random.key(4)
    draws = (jax.jit(task.sample, static_argnums=1)(key, 8) for task in (plain, shuffled))
    one, other = (np.asarray(batch.inputs[..., 0]) for batch in draws)
    order = [int(np.flatnonzero(np.isclose(one, row, rtol=0, atol=1e-6).all(axis=1))[0]) for row in other]
    assert sorted(order) == list(range(40)) != order
    assert plain.required_lag == 13 and shuffled.required_lag == 5
