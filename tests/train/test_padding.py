"""Padded networks are the exact ones: same outputs, same learning, and nothing in the cells that do not exist."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import apply_network, init_network
from lstm_jax.train.padding import crop, embed, keep_live, live_cells
from lstm_jax.train.source import load_problem
from lstm_jax.train.step import default_hyper, init_state, make_train_step

draw = jax.jit(lambda source, key: source.batch(key))
STACKS = [{}, {"num_layers": 2, "bidirectional": True}]


def sizes(variant: str) -> tuple[int, int]:
    """An exact size and a width, multiples of the variant's block size."""
    size = VARIANTS[variant].block_size
    return 3 * size, 5 * size


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_padded_network_learns_exactly_as_the_exact_one(tiny, variant):
    hidden, width = sizes(variant)
    exact = tiny(variant=variant, hidden_size=hidden, initializer="odyssey", clip_norm=0.5)
    padded = dataclasses.replace(exact, model=dataclasses.replace(exact.model, width=width))
    problem = load_problem(exact.data)
    hyper = default_hyper(exact)
    states = [jax.jit(partial(init_state, config, problem, 7))(hyper) for config in (exact, padded)]
    step = [jax.jit(make_train_step(config, problem.loss)) for config in (exact, padded)]
    for n in range(3):
        batch = draw(problem.train, jax.random.key(n))
        states = [advance(state, batch)[0] for advance, state in zip(step, states, strict=True)]
    cropped = crop(padded.model, states[1].params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), cropped, states[0].params)
    jax.tree.map(np.testing.assert_array_equal, embed(padded.model, cropped), states[1].params)


@pytest.mark.parametrize("changes", STACKS)
@pytest.mark.parametrize("variant", ["V", "FGR", "LSTM1997", "GRU"])
def test_padded_outputs_are_those_of_the_exact_network(tiny, variant, changes):
    hidden, width = sizes(variant)
    model = ModelConfig(variant, hidden, width, initializer="odyssey", **changes)
    network = init_network(jax.random.key(0), model, 2, 1)
    batch = draw(load_problem(tiny().data).train, jax.random.key(1))
    apply = jax.jit(apply_network, static_argnums=0)
    got = apply(model, embed(model, network), batch)
    np.testing.assert_allclose(got, apply(model, network, batch), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("changes", STACKS)
@pytest.mark.parametrize("variant", ["V", "FGR", "LSTM1997"])
def test_cropping_undoes_padding_and_the_mask_keeps_what_exists(variant, changes, assert_same_bits):
    hidden, width = sizes(variant)
    model = ModelConfig(variant, hidden, width, initializer="pytorch", **changes)
    network = init_network(jax.random.key(0), model, 2, 3)
    padded = embed(model, network)
    assert_same_bits(crop(model, padded), network)
    live = jnp.asarray(live_cells(model))
    assert live.sum() == hidden and live.shape == (width,)
    full = jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), padded)
    kept = keep_live(model, live, full)
    exists = embed(model, jax.tree.map(lambda leaf: jnp.full_like(leaf, 2.0), network))
    assert_same_bits(kept, exists)


def test_without_a_width_nothing_is_padded_or_masked(assert_same_bits):
    model = ModelConfig("V", 4)
    network = init_network(jax.random.key(0), model, 2, 1)
    assert (
        live_cells(model) is None and embed(model, network) is network and keep_live(model, None, network) is network
    )


def test_a_width_below_the_size_is_refused():
    with pytest.raises(ValueError, match="width must be finite and >= 8, got 4"):
        ModelConfig("V", 8, 4)
