"""Gradient norms against finite differences, and against cells whose gradients are known in closed form."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

import lstm_jax as lj
from lstm_jax.analysis import input_gradient_norms, state_jacobian_norms

T, B, I, H = 5, 2, 2, 3


def cell_and_inputs(variant, seed=0):
    weights, inputs = jax.random.split(jax.random.key(seed))
    params = lj.init_params(weights, variant, I, H, initializers={"R": jax.nn.initializers.normal(0.7)}, dtype=float)
    return params, jax.random.normal(inputs, (T, B, I), float)


def differences(function, at, step=1e-6):
    """Jacobian of a function of one float64 vector, by central differences."""
    at = np.asarray(at, np.float64)
    moves = step * np.eye(at.size)
    return np.stack([(function(at + m) - function(at - m)) / (2 * step) for m in moves], axis=-1)


@pytest.mark.parametrize("variant", ["V", "FGR", "RNN"])
def test_input_gradient_norms_equal_finite_differences(variant, x64):
    params, xs = cell_and_inputs(variant)
    lengths = np.array([5, 3])
    found = np.asarray(input_gradient_norms(variant, params, xs, lengths))
    run = jax.jit(lambda xs: lj.unroll(variant, params, xs, lengths, backend="scan")[1].y)
    for b, length in enumerate(lengths):
        for lag in range(length):
            t = length - 1 - lag
            jacobian = differences(lambda x, t=t, b=b: np.asarray(run(xs.at[t, b].set(x))[b]), xs[t, b])
            assert found[lag, b] == pytest.approx(np.linalg.norm(jacobian), rel=1e-6)
    assert np.isnan(found[3:, 1]).all() and not np.isnan(found[:3, 1]).any()


@pytest.mark.parametrize("variant", ["V", "FGR", "RNN"])
def test_state_jacobian_norms_equal_finite_differences(variant, x64):
    params, xs = cell_and_inputs(variant)
    found = np.asarray(state_jacobian_norms(variant, params, xs))
    _, restore = ravel_pytree(lj.initial_state(variant, (), H, xs.dtype))
    step = jax.jit(lambda state, x: ravel_pytree(lj.lstm_step(variant, params, restore(state), x)[0])[0])
    states = [ravel_pytree(lj.initial_state(variant, (), H, xs.dtype))[0]]
    for t in range(T):
        states.append(step(states[-1], xs[t, 1]))

    def run_from(t, state):
        for x in xs[t:, 1]:
            state = step(state, x)
        return np.asarray(state)

    read = slice(H if variant == "RNN" else 0, None)  # nobody reads the c of a tanh network
    for lag in range(T + 1):
        jacobian = differences(lambda s, t=T - lag: run_from(t, s), states[T - lag])[read, read]
        assert found[lag, 1] == pytest.approx(np.linalg.norm(jacobian, ord=2), rel=1e-6)


def test_a_scaled_orthogonal_tanh_network_at_rest_decays_by_its_scale(x64):
    params = lj.init_params(jax.random.key(3), "RNN", I, H, dtype=float)
    params = params._replace(R=0.5 * params.R)
    norms = np.asarray(state_jacobian_norms("RNN", params, jnp.zeros((6, 1, I))))
    np.testing.assert_allclose(norms[:, 0], 0.5 ** np.arange(7), rtol=1e-10)


def test_without_forget_gate_and_feedback_the_error_is_carried_unchanged(x64):
    params, xs = cell_and_inputs("LSTM1997")
    truncated = np.asarray(state_jacobian_norms("LSTM1997", params, xs))
    # Along the cell the factor is exactly 1; the step from c to y adds a part that does not grow with the lag.
    assert (truncated >= 1).all() and truncated.max() < 1.5
    full = dataclasses.replace(lj.VARIANTS["LSTM1997"], feedback="full")
    assert not np.allclose(truncated, state_jacobian_norms(full, params, xs))


def test_forget_bias_sets_how_fast_the_gradient_fades(x64):
    xs = jnp.zeros((20, 1, I))
    for bias in (0.0, 1.0, 5.0):
        params = lj.init_params(jax.random.key(0), "NP", I, H, forget_bias=bias, dtype=float)
        params = params._replace(R=jnp.zeros_like(params.R))
        norms = np.asarray(state_jacobian_norms("NP", params, xs))[:, 0]
        np.testing.assert_allclose(norms[1:-1] / norms[2:], 1 + np.exp(-bias), rtol=1e-6)


def test_gradient_norms_refuse_what_unroll_refuses():
    params = lj.init_params(jax.random.key(0), "V", I, H)
    for norms in (input_gradient_norms, state_jacobian_norms):
        with pytest.raises(ValueError, match="3 axes"):
            norms("V", params, jnp.zeros((T, I)))
        with pytest.raises(ValueError, match="did you mean 'NFG'"):
            norms("NFGG", params, jnp.zeros((T, B, I)))
