"""Whatever the lengths, resets and shapes: the oracle's numbers."""

from __future__ import annotations

from functools import cache

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import oracles.numpy_lstm as oracle
import pytest
from hypothesis import given, settings

import lstm_jax as lj

T, B, I, H = 7, 3, 2, 4


@cache
def compiled(name: str, reverse: bool):
    return jax.jit(lambda params, xs, lengths, resets: lj.unroll(name, params, xs, lengths, None, reverse, resets))


def compare(name: str, shape: tuple[int, int, int, int], lengths, resets, reverse: bool, seed: int) -> None:
    steps, batch, inputs, hidden = shape
    rng = np.random.default_rng(seed)
    weights = oracle.random_weights(name, rng, inputs, hidden)
    xs = rng.standard_normal((steps, batch, inputs))
    beyond = np.arange(steps)[:, None] >= lengths[None, :]
    dirty = np.where(beyond[..., None], np.nan, xs)
    with jax.enable_x64(True):
        params = lj.pack_gates(name, {key: jnp.asarray(w) for key, w in weights.items()})
        ys, state = compiled(name, reverse)(params, dirty, lengths, resets)
    want, last = oracle.run(name, weights, xs, lengths, resets=resets, reverse=reverse)
    np.testing.assert_allclose(ys, want, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state.c, last.c, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(state.y, last.y, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@settings(max_examples=30)
@given(data=st.data())
def test_any_lengths_and_resets(reverse, data):
    lengths = np.array(data.draw(st.lists(st.integers(0, T), min_size=B, max_size=B)))
    resets = np.array(data.draw(st.lists(st.booleans(), min_size=T * B, max_size=T * B))).reshape(T, B)
    compare("V", (T, B, I, H), lengths, resets, reverse, seed=data.draw(st.integers(0, 9)))


@settings(max_examples=8)
@given(
    name=st.sampled_from(["V", "FGR", "GRU"]),
    shape=st.tuples(*(st.integers(1, 5) for _ in range(4))),
    reverse=st.booleans(),
    data=st.data(),
)
def test_any_shape(name, shape, reverse, data):
    steps, batch = shape[:2]
    lengths = np.array(data.draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch)))
    compare(name, shape, lengths, np.zeros((steps, batch), bool), reverse, seed=1)
