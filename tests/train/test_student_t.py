"""The head with doubts: density and samples against scipy's t distribution."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from lstm_jax.train import student_t


def outputs_and_targets():
    rng = np.random.default_rng(0)
    return rng.normal(size=(5, 4, 9)) * 2, rng.standard_t(3, size=(5, 4, 3)) * 3


def test_the_loss_is_the_log_density_of_scipys_t():
    outputs, targets = outputs_and_targets()
    location, scale, freedom = (np.asarray(part, float) for part in student_t.distribution(jnp.asarray(outputs)))
    assert (scale > 0).all() and (freedom > 2).all()
    wanted = -stats.t.logpdf(targets, freedom, location, scale).mean(-1)
    np.testing.assert_allclose(student_t.nll(jnp.asarray(outputs), jnp.asarray(targets)), wanted, rtol=2e-4)
    squared = ((location - targets) ** 2).mean(-1)
    np.testing.assert_allclose(student_t.squared_error(jnp.asarray(outputs), jnp.asarray(targets)), squared, rtol=1e-5)


def test_the_gradient_is_finite_where_targets_are_far_away():
    gradient = jax.grad(lambda outputs: student_t.nll(outputs, jnp.full((2, 3), 1e6)).sum())(jnp.zeros((2, 9)))
    assert np.isfinite(np.asarray(gradient)).all() and np.asarray(gradient).any()


def test_samples_follow_the_distribution():
    row = jnp.asarray([1.5, -0.3, 0.7])  # location, raw scale, raw freedom
    location, scale, freedom = (float(part[0]) for part in student_t.distribution(row))
    drawn = student_t.draw(jax.random.key(0), jnp.broadcast_to(row, (4000, 3)))[:, 0]
    assert stats.kstest(np.asarray(drawn), stats.t(freedom, location, scale).cdf).pvalue > 0.01
