"""Every layout of Flax's own LSTM cells, in both directions, against Flax's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

import lstm_jax as lj
from lstm_jax.convert import from_flax, to_flax

B, T, I, H = 3, 5, 2, 4  # noqa: E741
XS = jnp.asarray(np.random.default_rng(0).standard_normal((B, T, I)), jnp.float32)
NNX = {"nnx": nnx.LSTMCell, "nnx_optimized": nnx.OptimizedLSTMCell}
LINEN = [linen.LSTMCell, linen.OptimizedLSTMCell]


def ours(params):
    return lj.unroll("NP", params, XS, time_major=False)[0]


def noisy(tree, seed=0):
    """The same tree with random leaves, so that no bias is 0."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.standard_normal(leaf.shape), jnp.float32), tree)


def nnx_cell(layout, seed=0):
    cell = NNX[layout](I, H, rngs=nnx.Rngs(seed))
    nnx.update(cell, noisy(nnx.state(cell, nnx.Param), seed))
    return cell


def random_params(variant="NP"):
    return noisy(lj.init_params(jax.random.key(0), variant, I, H))


def same(got, expected, atol=1e-6):
    np.testing.assert_allclose(got, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("kind", LINEN)
def test_a_linen_cell_comes_in_with_its_outputs(kind):
    rnn = linen.RNN(kind(H))
    variables = noisy(rnn.init(jax.random.key(0), XS))
    theirs = rnn.apply(variables, XS)
    for source in (variables, variables["params"], variables["params"]["cell"]):
        same(ours(from_flax(source)), theirs)


@pytest.mark.parametrize("kind", LINEN)
def test_a_linen_cell_takes_our_weights(kind):
    params = random_params()
    same(linen.RNN(kind(H)).apply({"params": {"cell": to_flax("NP", params)}}, XS), ours(params))


@pytest.mark.parametrize("layout", NNX)
def test_an_nnx_cell_comes_in_with_its_outputs(layout):
    cell = nnx_cell(layout)
    theirs = nnx.RNN(cell)(XS)
    state = nnx.state(cell, nnx.Param)
    for source in (cell, state, nnx.to_pure_dict(state)):
        same(ours(from_flax(source)), theirs)


@pytest.mark.parametrize("layout", NNX)
def test_an_nnx_cell_takes_our_weights(layout):
    params, cell = random_params(), nnx_cell(layout)
    state = nnx.state(cell, nnx.Param)
    nnx.replace_by_pure_dict(state, to_flax("NP", params, layout))
    nnx.update(cell, state)
    same(nnx.RNN(cell)(XS), ours(params))


@pytest.mark.parametrize("layout", ["linen", *NNX])
def test_out_and_in_again_is_exact(layout):
    params = random_params()
    jax.tree.map(np.testing.assert_array_equal, from_flax(to_flax("NP", params, layout)), params)


def test_final_states_are_flax_carries():
    cell = nnx_cell("nnx")
    (c, h), _ = nnx.RNN(cell)(XS, return_carry=True)
    _, state = lj.unroll("NP", from_flax(cell), XS, time_major=False)
    same(state.c, c)
    same(state.y, h)


def without(name):
    weights = to_flax("NP", random_params())
    del weights[name]
    return weights


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda: without("ho"), KeyError, r"missing \['ho.bias', 'ho.kernel'\]"),
        (lambda: to_flax("NP", random_params()) | {"hx": {"kernel": XS}}, KeyError, r"unknown \['hx.kernel'\]"),
        (lambda: {"weights": {"kernel": XS}}, KeyError, r"got parameters named \['weights'\]"),
        (lambda: to_flax("NP", random_params()) | {"ig": {"kernel": jnp.ones((I, H + 1))}}, ValueError, "ig.kernel"),
        (lambda: [XS], TypeError, "as a mapping, or an nnx cell"),
    ],
)
def test_what_does_not_fit_is_named(source, error, message):
    with pytest.raises(error, match=message):
        from_flax(source())


@pytest.mark.parametrize("variant", ["V", "GRU", "CIFG"])
def test_a_variant_that_flax_lacks_is_not_exported(variant):
    with pytest.raises(ValueError, match="has no place in Flax's LSTM cells"):
        to_flax(variant, random_params(variant))


def test_weights_with_a_trial_axis_are_not_exported():
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), random_params())
    with pytest.raises(ValueError, match="run a trial axis with jax.vmap"):
        to_flax("NP", two)


def test_an_unknown_layout_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'nnx_optimized'"):
        to_flax("NP", random_params(), "nnx-optimised")
