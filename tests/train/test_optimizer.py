"""Values may be traced; updates are those of Optax and of the formulas."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lstm_jax as lj
from lstm_jax.train.config import ModelConfig, OptimizerConfig
from lstm_jax.train.network import init_network
from lstm_jax.train.optimizer import build_optimizer, schedule

STEPS = 12


def run(optimizer, params, gradients):
    state = optimizer.init(params)
    for gradient in gradients:
        moves, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, moves)
    return params


class Weight(NamedTuple):
    """One weight, under the name of one that decays."""

    W: jax.Array


def random_trees(count, seed=0):
    """Of very different norms, so that clipping bites on some."""
    draw = np.random.default_rng(seed)
    return [Weight(jnp.asarray(draw.normal(size=3) * draw.choice([0.1, 3.0]), jnp.float32)) for _ in range(count)]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (OptimizerConfig("sgd", 0.1, 0.9, clip_norm=None), optax.sgd(0.1, 0.9)),
        (OptimizerConfig("sgd", 0.1, 0.9, nesterov=True, clip_norm=None), optax.sgd(0.1, 0.9, nesterov=True)),
        (OptimizerConfig("sgd", 0.1, 0.0, clip_norm=None), optax.sgd(0.1)),
        (OptimizerConfig("damped_sgd", 0.1, 0.9, True, clip_norm=None), optax.sgd(0.01, 0.9, nesterov=True)),
        (OptimizerConfig("adam", 0.1, 0.8, clip_norm=None), optax.adam(0.1, b1=0.8)),
        (OptimizerConfig("rmsprop", 0.1, 0.0, clip_norm=None), optax.rmsprop(0.1)),
        (OptimizerConfig("adagrad", 0.1, 0.0, clip_norm=None), optax.adagrad(0.1)),
        (
            OptimizerConfig("sgd", 0.1, 0.0, clip_norm=0.5),
            optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)),
        ),
        (
            OptimizerConfig("sgd", 0.1, 0.9, clip_norm=0.5),
            optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1, 0.9)),
        ),
        (
            OptimizerConfig("adam", 0.1, 0.9, clip_norm=0.5, weight_decay=0.3),
            optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(0.1, b1=0.9, weight_decay=0.3)),
        ),
    ],
)
def test_updates_are_those_of_optax(config, expected):
    params, *gradients = random_trees(5)
    traced = jax.jit(lambda rate, momentum: run(build_optimizer(config, STEPS, rate, momentum), params, gradients))
    ours = traced(config.learning_rate, config.momentum)
    np.testing.assert_allclose(ours.W, run(expected, params, gradients).W, rtol=1e-5, atol=1e-7)


def test_each_trial_may_have_its_own_rate_and_momentum():
    params, *gradients = random_trees(4)
    config = OptimizerConfig("sgd", clip_norm=None)
    rates, momenta = jnp.array([0.1, 0.3]), jnp.array([0.9, 0.5])

    def trial(rate, momentum):
        return run(build_optimizer(config, STEPS, rate, momentum), params, gradients)

    together = jax.vmap(trial)(rates, momenta).W
    apart = jnp.stack([run(optax.sgd(0.1, 0.9), params, gradients).W, run(optax.sgd(0.3, 0.5), params, gradients).W])
    np.testing.assert_allclose(together, apart, rtol=1e-5)


def test_only_weight_matrices_decay():
    ones = jax.tree.map(jnp.ones_like, lj.init_params(jax.random.key(0), "FGR", 2, 3))
    config = OptimizerConfig("sgd", weight_decay=0.5, clip_norm=None)
    moved = run(build_optimizer(config, STEPS, 0.1, 0.0), ones, [jax.tree.map(jnp.zeros_like, ones)])
    np.testing.assert_allclose(moved.W, 0.95, rtol=1e-6)
    np.testing.assert_allclose(moved.R, 0.95, rtol=1e-6)
    np.testing.assert_allclose(moved.Q, 0.95, rtol=1e-6)
    np.testing.assert_array_equal(moved.b, 1)
    np.testing.assert_array_equal(moved.p, 1)


def test_a_table_of_symbols_decays_whether_it_is_the_readouts_matrix_too_or_not():
    for tied in (False, True):
        model = ModelConfig("NP", 3, embedding=3, tied=tied)
        ones = jax.tree.map(jnp.ones_like, init_network(jax.random.key(0), model, 5, 5, 4))
        config = OptimizerConfig("sgd", weight_decay=0.5, clip_norm=None)
        moved = run(build_optimizer(config, STEPS, 0.1, 0.0), ones, [jax.tree.map(jnp.zeros_like, ones)])
        np.testing.assert_allclose(moved.embedding, 0.95, rtol=1e-6)
        np.testing.assert_array_equal(moved.readout.b, 1)
        assert tied == (moved.readout.W is None)


@pytest.mark.parametrize(
    ("shape", "law"),
    [
        ("constant", lambda share: 1.0),
        ("cosine", lambda share: (1 + math.cos(math.pi * share)) / 2),
        ("linear", lambda share: 1 - share),
        ("exponential", lambda share: 0.01**share),
    ],
)
@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_a_schedule_rises_to_the_peak_and_falls_by_its_law(shape, law, warmup):
    fraction = schedule(OptimizerConfig(schedule=shape, warmup_steps=warmup), STEPS)
    values = np.array([fraction(step) for step in range(STEPS + 1)])
    np.testing.assert_allclose(values[:warmup], (np.arange(warmup) + 1) / max(warmup, 1), rtol=1e-6)
    shares = np.arange(STEPS - warmup + 1) / (STEPS - warmup)
    np.testing.assert_allclose(values[warmup:], [law(share) for share in shares], rtol=1e-5, atol=1e-6)
