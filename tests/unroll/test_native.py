"""The native kernel: what the laws of every backend (test_conformance.py) do not ask of it."""

from __future__ import annotations

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lstm_jax as lj
from lstm_jax.unroll import build

needs_kernel = pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}")


def gradients(name, params, xs, lengths=None, backend="native"):
    """Outputs and last state, and the gradients of a scalar of them for weights and inputs."""

    def loss(params, xs):
        ys, state = lj.unroll(name, params, xs, lengths, backend=backend)
        return (jnp.cos(jnp.arange(ys.size)).reshape(ys.shape) * ys).sum() + state.c.sum(), (ys, state)

    slopes, found = jax.grad(loss, (0, 1), has_aux=True)(params, xs)
    return found, slopes


def close(got, want, tolerance: float) -> None:
    """Every array within a share of its largest number."""

    def check(a, b):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(float(np.abs(b).max(initial=0.0)), 1e-3))

    jax.tree.map(check, got, want)


@needs_kernel
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", lj.VARIANTS)
def test_float32_is_within_1e_5_of_float64(name):
    """Enough work for several threads, sizes that fill no vector, sequences of every length."""
    params = lj.init_params(jax.random.key(1), name, 13, 37, dtype=jnp.float64, initializers="pytorch")
    xs = jax.random.normal(jax.random.key(2), (40, 11, 13), jnp.float64)
    lengths = np.array([40, 0, 1, 17, 40, 3, 39, 8, 25, 2, 31])
    want = gradients(name, params, xs, lengths, backend="fused")
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs))
    close(gradients(name, *narrow, lengths), want, 1e-5)


@needs_kernel
@pytest.mark.usefixtures("x64")
def test_weights_that_fit_into_no_cache():
    """From 16 MiB on more rows wait for one product; here in several goes, the last of them not full."""
    params = lj.init_params(jax.random.key(1), "NP", 2, 1024, dtype=jnp.float64)
    assert params.R.size * params.R.itemsize // 2 >= 16 << 20
    xs = jax.random.normal(jax.random.key(2), (300, 3, 2), jnp.float64)
    lengths = np.array([300, 50, 99])  # the longest alone is more than one go, whatever the number of threads
    want = gradients("NP", params, xs, lengths, backend="fused")
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs))
    close(gradients("NP", *narrow, lengths), want, 1e-5)
    close(gradients("NP", params, xs, lengths), want, 1e-12)


TOPS = (9, 14, 5, 35)
"""Most steps, sequences, inputs and cells of a random shape."""


@partial(jax.jit, static_argnums=0)
def scan_at_the_top(name, params, xs, lengths, weights):
    """Gradients of the plain scan at the largest shape: one program a variant, as it takes seconds to compile."""

    def loss(params, xs):
        ys, state = lj.unroll(name, params, xs, lengths, backend="scan")
        return (weights * ys).sum() + state.c.sum(), (ys, state)

    slopes, found = jax.grad(loss, (0, 1), has_aux=True)(params, xs)
    return found, slopes


def weights_of(name, inputs, hidden, draw):
    """Shapes of the variant's weights, filled by ``draw(shape)``; nothing is compiled."""
    shapes = jax.eval_shape(lambda key: lj.init_params(key, name, inputs, hidden), jax.random.key(0))
    return jax.tree.map(lambda leaf: draw(leaf.shape), shapes)


def grown(array, shape):
    """With zeros behind, up to that shape: cells, inputs and sequences that are not there."""
    return np.pad(array, [(0, top - size) for size, top in zip(array.shape, shape, strict=True)])


@needs_kernel
@pytest.mark.usefixtures("x64")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_shape_and_lengths_agree_with_the_plain_scan(data):
    """Shapes that meet every height and width of a tile: in float64 to its rounding, where no cancelling sum can hide
    or feign an error, and in float32 to 1e-5 of the largest number.
    """
    steps, batch, inputs, hidden = sizes = tuple(data.draw(st.integers(1, top)) for top in TOPS)
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    name = data.draw(st.sampled_from(["V", "FGR", "GRU"]))
    rng = np.random.default_rng(sizes)
    params = weights_of(name, inputs, hidden, lambda shape: rng.uniform(-0.5, 0.5, shape))
    xs, weights = rng.normal(size=sizes[:3]), rng.normal(size=(steps, batch, hidden))

    tops = weights_of(name, *TOPS[2:], np.zeros)
    whole = scan_at_the_top(
        name,
        jax.tree.map(lambda a, top: grown(a, top.shape), params, tops),
        grown(xs, TOPS[:3]),
        grown(np.full(batch, steps) if lengths is None else np.array(lengths), TOPS[1:2]),
        grown(weights, (*TOPS[:2], TOPS[3])),
    )

    @jax.jit  # one small program a shape, instead of one an operation
    def native(params, xs, weights, lengths):
        def loss(params, xs):
            ys, state = lj.unroll(name, params, xs, lengths, backend="native")
            return (weights * ys).sum() + state.c.sum(), (ys, state)

        slopes, found = jax.grad(loss, (0, 1), has_aux=True)(params, xs)
        return found, slopes

    valid = None if lengths is None else np.array(lengths, np.int32)
    got = native(params, xs, weights, valid)
    want = jax.tree.map(lambda top, like: top[tuple(slice(size) for size in like.shape)], whole, got)
    close(got, want, 1e-11)
    narrow = native(*jax.tree.map(lambda a: a.astype(np.float32), (params, xs, weights)), valid)
    flat, flat_want = (np.concatenate([np.ravel(a) for a in jax.tree.leaves(tree)]) for tree in (narrow, want))
    close(flat, flat_want, 1e-5)


@needs_kernel
def test_nan_in_one_sequence_stays_in_it():
    params = lj.init_params(jax.random.key(0), "V", 3, 8)
    xs = jax.random.normal(jax.random.key(1), (6, 9, 3)).at[2, 4].set(jnp.nan)
    ys, state = lj.unroll("V", params, xs, backend="native")
    assert np.isnan(ys[2:, 4]).all()
    assert np.isfinite(np.delete(ys, 4, axis=1)).all() and np.isfinite(ys[:2]).all()
    assert np.isnan(state.c[4]).all()


@needs_kernel
@pytest.mark.parametrize("large", [30.0, 1e4, 3e38])
def test_saturated_gates_are_exactly_open_or_closed_or_nearly(large):
    params = jax.tree.map(jnp.zeros_like, lj.init_params(jax.random.key(0), "NP", 1, 3))
    for sign in (1.0, -1.0):
        saturated = params._replace(b=jnp.full_like(params.b, sign * large))
        ys, state = lj.unroll("NP", saturated, jnp.ones((2, 1, 1)), backend="native")
        want, _ = lj.unroll("NP", saturated, jnp.ones((2, 1, 1)), backend="scan")
        np.testing.assert_allclose(ys, want, atol=1e-7)
        assert np.isfinite(state.c).all()


@needs_kernel
def test_a_gradient_can_be_differentiated():
    params = lj.init_params(jax.random.key(0), "FGR", 3, 4)
    xs = jax.random.normal(jax.random.key(1), (5, 2, 3))

    def curvature(backend):
        def slope(params):
            loss = lambda p: (lj.unroll("FGR", p, xs, [5, 2], backend=backend)[0] ** 2).sum()  # noqa: E731
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(jax.grad(loss)(params)))

        return jax.grad(slope)(params)

    close(curvature("native"), curvature("scan"), 1e-5)


@needs_kernel
def test_the_program_holds_two_calls_and_no_loop():
    params = lj.init_params(jax.random.key(0), "V", 3, 8)
    xs = jnp.zeros((20, 2, 3))

    def loss(params, xs, lengths):
        return (lj.unroll("V", params, xs, lengths, backend="native")[0] ** 2).sum()

    def program(*wanted):
        text = jax.jit(jax.grad(loss, wanted)).lower(params, xs, jnp.array([20, 7])).compile().as_text()
        assert " while(" not in text and " dot(" not in text
        assert text.count('custom_call_target="lstm_forward') == text.count('custom_call_target="lstm_backward') == 1
        (made,) = re.findall(r"= \((.*?)\) custom-call\(.*lstm_backward", text)
        return made

    assert "f32[20,2,3]" in program(0, 1) and "f32[20,2,3]" not in program(0)  # made where somebody asks for it


@needs_kernel
@pytest.mark.parametrize("name", ["V", "GRU", "FGR"])
def test_what_is_kept_past_a_rows_end_is_0(name):
    """Old memory, which may hold a NaN, would be an alarm of jax_debug_nans without a cause."""
    from lstm_jax.unroll.native import _call_forward

    variant = lj.VARIANTS[name]
    params = lj.init_params(jax.random.key(0), variant, 4, 8)
    state = lj.initial_state(variant, (3,), 8)
    valid, xs = jnp.arange(6)[:, None] < jnp.array([[6, 2, 0]]), jax.random.normal(jax.random.key(1), (6, 3, 4))
    for _ in range(20):  # old memory with NaN in it, of all sizes that the kernel asks for
        jax.block_until_ready([jnp.full((6, 3, size), jnp.nan) for size in (8, 24, 32)])
        kept = _call_forward(variant, False, params, xs, state, valid, None, keep=True)[2]
        for array in filter(lambda array: array.size, kept):
            assert not np.any(np.asarray(array)[~np.asarray(valid)])
