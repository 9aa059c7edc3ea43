"""One step of learning: pure, masked, and frozen where it is not finite."""

import dataclasses
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lstm_jax.train.config import ModelConfig, OptimizerConfig
from lstm_jax.train.network import apply_network, count_parameters, init_network
from lstm_jax.train.source import DATA, load_problem, stream
from lstm_jax.train.step import add_noise, default_hyper, gradient_sums, init_state, make_train_step


@lru_cache
def start(config):
    problem = load_problem(config.data)

    @jax.jit
    def first():
        item = problem.train.plan(stream(0, DATA), jnp.int32(0), 1)[0]
        return init_state(config, problem, jnp.uint32(0), default_hyper(config)), problem.train.batch(item)

    return problem, *first()


@pytest.mark.parametrize(("outputs", "both"), [(1, False), (300, True)])
def test_the_scheme_of_pytorch_draws_the_readout_by_what_it_reads(outputs, both):
    torch = pytest.importorskip("torch")
    model = ModelConfig("V", 64, bidirectional=both, initializer="pytorch")
    W = init_network(jax.random.key(0), model, 3, outputs, 10).readout.W
    theirs = float(torch.nn.Linear(len(W), 5000).weight.detach().abs().max())
    assert float(abs(W).max()) == pytest.approx(theirs, rel=0.1)


def poison(batch):
    return batch._replace(inputs=batch.inputs.at[0, 0, 0].set(jnp.nan))


def test_a_step_is_one_step_against_the_mean_gradient(tiny):
    config = dataclasses.replace(tiny(), optimizer=OptimizerConfig("sgd", 0.1, 0.0, clip_norm=None))
    problem, state, batch = start(config)

    def mean_error(params):
        error = apply_network(config.model, params, batch) - batch.targets
        return jnp.sum(jnp.where(batch.loss_mask[..., None], error**2, 0)) / jnp.sum(batch.loss_mask)

    loss, gradient = jax.jit(jax.value_and_grad(mean_error))(state.params)
    after, metrics = jax.jit(make_train_step(config, problem.loss))(state, batch)
    jax.tree.map(
        lambda new, old, g: np.testing.assert_allclose(new, old - 0.1 * g, rtol=1e-4, atol=1e-6),
        after.params,
        state.params,
        gradient,
    )
    np.testing.assert_allclose(metrics["mse"].total / metrics["mse"].count, loss, rtol=1e-5)
    assert after.step == 1 and after.active and not after.diverged


def test_a_gradient_may_be_a_sum_over_the_steps_of_each_sequence(tiny):
    """Whatever the lengths: with every step counted, T times the gradient of the mean."""
    means, sums = (tiny(name="sgd", momentum=0.0, clip_norm=None, average=over) for over in ("steps", "sequences"))
    problem, state, batch = start(means)
    batch = batch._replace(loss_mask=jnp.arange(6)[:, None] < jnp.asarray([6, 3, 0, 1, 6, 6, 2, 4])[None])
    moved = [jax.jit(make_train_step(config, problem.loss))(state, batch)[0].params for config in (means, sums)]
    steps, sequences = float(batch.loss_mask.sum()), 8
    step = lambda after: jax.tree.map(lambda new, old: np.asarray(new - old), after, state.params)  # noqa: E731
    jax.tree.map(
        lambda mean, total: np.testing.assert_allclose(total, mean * steps / sequences, rtol=2e-3, atol=1e-6),
        step(moved[0]),
        step(moved[1]),
    )


def test_what_is_clipped_is_the_mean_gradient(tiny):
    """Whose norm is far below that of the sum: a bound between the two changes nothing."""
    free = tiny(name="sgd", momentum=0.0, clip_norm=None)
    problem, state, batch = start(free)
    gradients, _, _ = jax.jit(gradient_sums(free, problem.loss))(state.params, batch)
    summed = float(optax.tree.norm(gradients))
    mean = summed / float(batch.loss_mask.sum())
    moved = {}
    for bound in (None, mean * 1.5, mean / 2):
        config = tiny(name="sgd", momentum=0.0, clip_norm=bound)
        problem, state, batch = start(config)
        after = jax.jit(make_train_step(config, problem.loss))(state, batch)[0].params
        moved[bound] = optax.tree.norm(jax.tree.map(jnp.subtract, after, state.params))
    rate = free.optimizer.learning_rate
    assert mean * 1.5 < summed
    np.testing.assert_allclose([*moved.values()], [rate * mean, rate * mean, rate * mean / 2], rtol=1e-3)


def test_a_bad_batch_freezes_the_trial(tiny, assert_same_bits):
    config = tiny()
    problem, state, batch = start(config)
    step = jax.jit(make_train_step(config, problem.loss))
    frozen, metrics = step(state, poison(batch))
    assert_same_bits((frozen.params, frozen.opt_state, frozen.step), (state.params, state.opt_state, state.step))
    assert frozen.diverged and not frozen.active
    assert all(np.asarray(leaf) == 0 for leaf in jax.tree.leaves(metrics))
    later, _ = step(frozen, batch)
    assert_same_bits(later, frozen)


def test_a_bad_batch_may_be_skipped(tiny, assert_same_bits):
    config = tiny(nan_policy="skip")
    problem, state, batch = start(config)
    step = jax.jit(make_train_step(config, problem.loss))
    skipped, metrics = step(state, poison(batch))
    assert_same_bits((skipped.params, skipped.opt_state), (state.params, state.opt_state))
    assert skipped.active and not skipped.diverged and skipped.step == 1 and metrics["mse"].count == 0
    later, _ = step(skipped, batch)
    assert not np.array_equal(later.params.readout.W, state.params.readout.W)


def test_noise_has_the_stated_size_and_depends_on_seed_and_step(tiny):
    config = tiny(input_noise=0.5, batch_size=512)
    problem, state, batch = start(config)
    draw = jax.jit(add_noise)
    noise = [draw(s, batch).inputs - batch.inputs for s in (state, state._replace(step=jnp.int32(1)))]
    other = draw(state._replace(seed=jnp.uint32(9)), batch).inputs - batch.inputs
    np.testing.assert_allclose(np.std(noise[0]), 0.5, rtol=0.05)
    assert not np.allclose(noise[0], noise[1]) and not np.allclose(noise[0], other)
    np.testing.assert_array_equal(noise[0], draw(state, batch).inputs - batch.inputs)


def test_counts_of_parameters_are_those_of_the_formula():
    inputs, cells, outputs = 3, 5, 2
    params = init_network(jax.random.key(0), ModelConfig("V", cells), inputs, outputs)
    expected = 4 * cells * (inputs + cells + 1) + 3 * cells + outputs * (cells + 1)
    assert count_parameters(params) == expected


def test_chrono_initialisation_knows_the_length_of_the_sequences():
    config = ModelConfig("V", 4096, gate_init="chrono")
    config = dataclasses.replace(config, initializer="odyssey")  # orthogonal matrices take long to draw
    for T in (10, 1000):
        longest = float(jnp.exp(init_network(jax.random.key(0), config, 1, 1, T).stack[0][0].b[2].max()))
        assert 0.995 * (T - 1) < longest <= T - 1


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_half_precision_keeps_masters_and_sums_in_float32(tiny, backend):
    exact, narrow = (tiny(precision=precision, backend=backend) for precision in ("float32", "bfloat16"))
    problem, state, batch = start(exact)
    outputs = [
        jax.jit(apply_network, static_argnums=0)(config.model, state.params, batch) for config in (exact, narrow)
    ]
    assert outputs[1].dtype == jnp.float32
    np.testing.assert_allclose(*outputs, rtol=0.05, atol=0.02)
    assert not np.array_equal(*outputs), "bfloat16 gives the very numbers of float32: it is not used"
    gradients = [jax.jit(gradient_sums(config, problem.loss))(state.params, batch)[0] for config in (exact, narrow)]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(gradients[1]))
    size = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradients[0]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=0.03 * size), *gradients)


def test_a_half_precision_program_multiplies_bfloat16_operands(tiny):
    config = tiny(precision="bfloat16", backend="fused")
    problem, state, batch = start(config)
    text = jax.jit(gradient_sums(config, problem.loss)).lower(state.params, batch).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    wide = [line for line in products if "bf16" not in line]
    assert len(products) >= 6
    assert len(wide) <= 2, "only the way back through the readout meets float32 errors"
