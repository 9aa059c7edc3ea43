"""Every cell and backend obeys the same laws: the oracle's values, true gradients, padding, resets, direction."""

from __future__ import annotations

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import oracles.numpy_lstm as oracle
import pytest

import lstm_jax as lj
from lstm_jax.unroll import build

T, B, I, H = 6, 4, 3, 4
LENGTHS = np.array([6, 0, 3, 1])

CELLS = {
    **lj.VARIANTS,
    "LSTM1997 in blocks of 2": dataclasses.replace(lj.VARIANTS["LSTM1997"], block_size=2),
    "V, truncated": dataclasses.replace(lj.VARIANTS["V"], feedback="truncated"),
    "V, relu and logistic": dataclasses.replace(lj.VARIANTS["V"], block_input="logistic", block_output="relu"),
    "everything in blocks of 2": dataclasses.replace(
        lj.VARIANTS["FGR"],
        block_size=2,
        reset_gate="learned",
        input_recurrence=True,
        block_input="centered_logistic_1",
    ),
}
IN_ORACLE = [name for name in CELLS if CELLS[name].name == name] + ["LSTM1997 in blocks of 2"]
FULL_GRADIENT = [name for name in IN_ORACLE if CELLS[name].feedback == "full"]

cells = pytest.mark.parametrize("name", CELLS)
few = pytest.mark.parametrize("name", ["V", "GRU", "everything in blocks of 2"])
native = pytest.param("native", marks=pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}"))
backends = pytest.mark.parametrize("backend", ["scan", "fused", native])
fast = pytest.mark.parametrize("backend", ["fused", native])
directions = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


@cache
def problem(name: str):
    """Random weights, inputs, state and resets of one cell, float64."""
    variant, rng = CELLS[name], np.random.default_rng(len(name))
    normal = dict.fromkeys(("W", "R", "b", "p", "Q"), jax.nn.initializers.normal(0.5))
    options = {"initializers": normal, "forget_bias": None, "dtype": jnp.float64}
    params = lj.init_params(jax.random.key(1), variant, I, H, **options)
    blank = lj.initial_state(variant, (B,), H, jnp.float64)
    state = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(a.shape)), blank)
    xs = jnp.asarray(rng.standard_normal((T, B, I)))
    resets = jnp.asarray(rng.random((T, B)) < 0.3)
    return variant, params, xs, state, resets


def weigh(tree) -> jax.Array:
    """A scalar that depends differently on every number of a tree."""
    leaves = [leaf.ravel() for leaf in jax.tree.leaves(tree)]
    flat = jnp.concatenate(leaves)
    return (flat * jnp.cos(1.0 + jnp.arange(flat.size))).sum()


@cache
def compiled(name: str, backend: str, reverse: bool, chunk: int | None = None):
    """Values and gradients for params, xs and state, lengths and resets included; compiled once a combination."""
    variant = CELLS[name]

    def loss(params, xs, state, lengths, resets):
        result = lj.unroll(variant, params, xs, lengths, state, reverse, resets, backend=backend, remat_chunk=chunk)
        return weigh(result), result

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))


def agree(a, b, tolerance: float = 1e-12) -> None:
    """Two trees hold the same numbers."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), a, b)


def near(a, b, tolerance: float) -> None:
    """Two arrays are as near as that, the largest number of the second being 1."""
    a, b = np.asarray(a, np.float64), np.asarray(b)
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(initial=0.0), 1e-3))


@pytest.mark.usefixtures("x64")
class TestConformance:
    """All of it in float64, so that rounding hides nothing."""

    @pytest.mark.parametrize("name", IN_ORACLE)
    @backends
    @directions
    def test_values_equal_the_paper_written_in_numpy(self, name, backend, reverse):
        variant, params, xs, state, resets = problem(name)
        (_, (ys, final)), _ = compiled(name, backend, reverse)(params, xs, state, LENGTHS, resets)
        weights = {key: np.asarray(w) for key, w in lj.gate_view(variant, params).items()}
        first = oracle.CellState(*(None if a is None else np.asarray(a) for a in state))
        want = oracle.run(
            variant.name, weights, np.asarray(xs), LENGTHS, first, resets=np.asarray(resets), reverse=reverse
        )
        agree((np.asarray(ys), tuple(final)), (want[0], tuple(want[1])))

    @cells
    @directions
    @fast
    def test_it_equals_scan_in_value_and_gradient(self, name, reverse, backend):
        _, params, xs, state, resets = problem(name)
        scan = compiled(name, "scan", reverse)(params, xs, state, LENGTHS, resets)
        agree(scan, compiled(name, backend, reverse)(params, xs, state, LENGTHS, resets))

    @pytest.mark.parametrize("name", FULL_GRADIENT)
    @directions
    @fast
    def test_gradients_equal_finite_differences_of_the_oracle(self, name, reverse, backend):
        variant, params, xs, state, resets = problem(name)
        _, gradients = compiled(name, backend, reverse)(params, xs, state, LENGTHS, resets)
        d_params, d_xs, d_state = gradients
        rng = np.random.default_rng(7)
        weights = {key: np.asarray(w) for key, w in lj.gate_view(variant, params).items()}
        slopes = lj.gate_view(variant, d_params)
        way = {key: rng.standard_normal(w.shape) for key, w in weights.items()}
        way_x, way_c, way_y = (rng.standard_normal(a.shape) for a in (xs, state.c, state.y))

        def along(epsilon: float) -> float:
            moved = {key: w + epsilon * way[key] for key, w in weights.items()}
            gates = None if state.gates is None else np.asarray(state.gates)
            first = oracle.CellState(
                np.asarray(state.c) + epsilon * way_c, np.asarray(state.y) + epsilon * way_y, gates
            )
            result = oracle.run(
                variant.name,
                moved,
                np.asarray(xs) + epsilon * way_x,
                LENGTHS,
                first,
                resets=np.asarray(resets),
                reverse=reverse,
            )
            return float(weigh((result[0], tuple(result[1]))))

        numeric = (along(1e-5) - along(-1e-5)) / 2e-5
        exact = sum(float((slopes[key] * way[key]).sum()) for key in weights)
        exact += float((d_xs * way_x).sum() + (d_state.c * way_c).sum() + (d_state.y * way_y).sum())
        assert exact == pytest.approx(numeric, rel=1e-7, abs=1e-7)

    @cells
    @backends
    def test_padding_never_reaches_values_or_gradients(self, name, backend):
        _, params, xs, state, resets = problem(name)
        run = compiled(name, backend, False)
        beyond = jnp.arange(T)[:, None, None] >= jnp.asarray(LENGTHS)[None, :, None]
        clean, dirty = (run(params, jnp.where(beyond, pad, xs), state, LENGTHS, resets) for pad in (0.0, jnp.nan))
        agree(clean, dirty, tolerance=0.0)
        (_, (ys, final)), (_, d_xs, _) = dirty
        assert not np.any(np.asarray(ys)[np.broadcast_to(beyond, ys.shape)])
        assert not np.any(np.asarray(d_xs)[np.broadcast_to(beyond, d_xs.shape)])
        agree(jax.tree.map(lambda a: a[1], final), jax.tree.map(lambda a: a[1], state), tolerance=0.0)

    @few
    @backends
    @directions
    def test_each_row_alone_gives_what_the_batch_gives(self, name, backend, reverse):
        variant, params, xs, state, resets = problem(name)
        (_, (ys, final)), _ = compiled(name, backend, reverse)(params, xs, state, LENGTHS, resets)
        for b, n in enumerate(LENGTHS):
            first = jax.tree.map(lambda a, b=b: a[b : b + 1], state)
            alone, last = lj.unroll(
                variant, params, xs[:n, b : b + 1], None, first, reverse, resets[:n, b : b + 1], backend=backend
            )
            agree(alone[:, 0], ys[:n, b])
            agree(jax.tree.map(lambda a: a[0], last), jax.tree.map(lambda a, b=b: a[b], final))

    @few
    @backends
    def test_recomputing_in_chunks_changes_nothing(self, name, backend):
        _, params, xs, state, resets = problem(name)
        plain = compiled(name, backend, True)(params, xs, state, LENGTHS, resets)
        agree(plain, compiled(name, backend, True, 4)(params, xs, state, LENGTHS, resets))

    @backends
    @pytest.mark.parametrize("reverse", [False, True])
    def test_nor_does_a_remainder(self, backend, reverse):
        """No divisor of 5 is near 4."""
        _, params, xs, state, resets = problem("V")
        cut = params, xs[:5], state, np.minimum(LENGTHS, 5), resets[:5]
        agree(compiled("V", backend, reverse)(*cut), compiled("V", backend, reverse, 4)(*cut))

    @cells
    @fast
    @pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.bfloat16, 2e-2)])
    def test_narrow_weights_and_inputs_are_near_the_scan_in_float64(self, name, backend, dtype, tolerance):
        """Values and gradients, each array as a share of its largest number.

        The slope of relu jumps from 0 to 1, so a cell that rounding moves over the kink (0.007 became -0.0006 in
        bfloat16) has another gradient, whatever computes it. The claim is made where none moves.
        """
        variant, params, xs, state, resets = problem(name)
        xs = 2.0 * xs if name == "RELU" else xs
        (_, want), slopes = compiled(name, "scan", False)(params, xs, state, LENGTHS, resets)
        narrow = jax.tree.map(lambda a: a.astype(dtype), (params, xs))
        wide = jax.tree.map(lambda a: a.astype(jnp.float32), state)
        (_, got), narrow_slopes = compiled(name, backend, False)(*narrow, wide, LENGTHS, resets)
        if variant.block_output == "relu":
            np.testing.assert_array_equal(got[0] > 0, want[0] > 0)
        assert got[0].dtype == jnp.float32 and narrow_slopes[0].R.dtype == dtype
        jax.tree.map(partial(near, tolerance=tolerance), (got, narrow_slopes), (want, slopes))

    @cells
    @backends
    def test_second_call_does_not_retrace_and_a_call_repeats_to_the_bit(self, name, backend):
        _, params, xs, state, resets = problem(name)
        run = compiled(name, backend, False)
        first = run(params, xs, state, LENGTHS, resets)
        before = run._cache_size()
        run(params, xs + 1.0, state, LENGTHS[::-1], ~resets)
        assert run._cache_size() == before
        agree(first, run(params, xs, state, LENGTHS, resets), tolerance=0.0)

    @cells
    def test_repeated_steps_equal_the_unrolled_sequence(self, name):
        variant, params, xs, state, _ = problem(name)
        ys, final = lj.unroll(variant, params, xs, initial_state=state)
        for t in range(T):
            state, _ = lj.lstm_step(variant, params, state, xs[t])
            agree(state.y, ys[t])
        agree(state, final)

    @few
    @backends
    def test_a_trial_axis_by_vmap_gives_each_trial_its_own_run(self, name, backend):
        variant, params, xs, _, _ = problem(name)
        trials = jax.tree.map(lambda a: jnp.stack([a, 2.0 * a]), params)

        def gradient(params):
            return jax.grad(lambda p: weigh(lj.unroll(variant, p, xs, LENGTHS, backend=backend)))(params)

        together = jax.jit(jax.vmap(gradient))(trials)
        for n in range(2):
            alone = gradient(jax.tree.map(lambda a, n=n: a[n], trials))
            agree(alone, jax.tree.map(lambda a, n=n: a[n], together))


@pytest.mark.parametrize("name", ["V", "FGR", "GRU"])
@backends
def test_no_step_and_no_length_return_the_initial_state(name, backend):
    params = lj.init_params(jax.random.key(0), name, I, H)
    state = jax.tree.map(lambda a: a + 0.3, lj.initial_state(name, (B,), H))
    ys, final = lj.unroll(name, params, jnp.zeros((0, B, I)), None, state, backend=backend)
    assert ys.shape == (0, B, H)
    agree(final, state, tolerance=0.0)
    ys, final = lj.unroll(name, params, jnp.full((T, B, I), jnp.nan), np.zeros(B, int), state, backend=backend)
    assert not np.any(np.asarray(ys))
    agree(final, state, tolerance=0.0)


@pytest.mark.parametrize("shape", [(5, 1, 3, 4), (5, 2, 3, 1), (1, 2, 1, 2)], ids=["B=1", "H=1", "T=1, I=1"])
@fast
def test_smallest_sizes_agree_between_backends(shape, backend):
    steps, batch, inputs, hidden = shape
    params = lj.init_params(jax.random.key(3), "V", inputs, hidden)
    xs = jax.random.normal(jax.random.key(4), (steps, batch, inputs))
    results = [
        jax.value_and_grad(lambda p, backend=backend: weigh(lj.unroll("V", p, xs, backend=backend)))(params)
        for backend in ("scan", backend)
    ]
    agree(*results, tolerance=1e-5)


@pytest.mark.parametrize("chunk", [None, 4], ids=["whole", "in chunks"])
def test_a_second_call_outside_jit_compiles_nothing(caplog, chunk):
    params = lj.init_params(jax.random.key(0), "V", I, H)
    xs = jax.random.normal(jax.random.key(1), (T, B, I))
    gradient = jax.grad(lambda p: (lj.unroll("V", p, xs, LENGTHS, remat_chunk=chunk)[0] ** 2).sum())
    gradient(params)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        gradient(params)
    assert [record for record in caplog.records if "ompil" in record.getMessage()] == []
