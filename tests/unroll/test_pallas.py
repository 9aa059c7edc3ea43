"""The GPU kernels: interpreted on the CPU they equal the fused backend, and they lower for a GPU, every variant."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from lstm_jax.cell.step import feeds_gates
from lstm_jax.cell.variants import VARIANTS, Variant
from lstm_jax.unroll import choice, pallas

T, B, I = 4, 3, 2
LENGTHS = np.array([4, 0, 2])
ONE_PART, TWO_PARTS = 5, 70
"""Hidden sizes of one warpgroup and of two."""

here = pytest.mark.skipif(
    jax.__version_info__[:2] < pallas.OLDEST, reason=f"the kernels need JAX {pallas.OLDEST}, here is {jax.__version__}"
)


@pytest.fixture
def interpreted(monkeypatch):
    """A machine on which kernels of Pallas are interpreted."""
    from jax.experimental.pallas import mosaic_gpu as plgpu

    monkeypatch.setattr(choice, "refusal", lambda: None)
    with plgpu.force_gpu_interpret_mode():
        yield


def problem(name: str, hidden: int = ONE_PART, dtype=jnp.bfloat16, batch: int = B):
    """Weights of 16 bits, inputs, a state that is not blank."""
    rng = np.random.default_rng(hidden)
    normal = dict.fromkeys(("W", "R", "b", "p", "Q"), jax.nn.initializers.normal(0.5))
    params = lj.init_params(jax.random.key(1), name, I, hidden, initializers=normal, forget_bias=None)
    params = jax.tree.map(lambda w: w.astype(dtype), params)
    draw = lambda a: jnp.asarray(rng.standard_normal(a.shape), a.dtype)  # noqa: E731
    state = jax.tree.map(draw, lj.initial_state(name, (batch,), hidden))
    return params, draw(jnp.zeros((T, batch, I), dtype)), state


def gradients(name, backend, reverse, lengths, params, xs, state):
    """Values, and their gradients by weights, inputs and state, each number weighed differently."""

    def loss(params, xs, state):
        made = lj.unroll(name, params, xs, lengths, state, reverse, backend=backend)
        leaves = [leaf.ravel() for leaf in jax.tree.leaves(made)]
        return sum((leaf * jnp.cos(1.0 + jnp.arange(leaf.size))).sum() for leaf in leaves), made

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, xs, state)


def agree(got, want, tolerance: float = 1e-2) -> None:
    """Equal to 16 bits of the largest number of each array: what both round, they may round to either side."""
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(initial=0), 1e-3))


@here
@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_equals_the_fused_backend_with_lengths(name, interpreted):
    reverse = list(VARIANTS).index(name) % 2 == 1
    want = gradients(name, "fused", reverse, LENGTHS, *problem(name))
    agree(gradients(name, "pallas", reverse, LENGTHS, *problem(name)), want)


@here
@pytest.mark.parametrize(("name", "reverse"), [("V", True), ("GRU", False)])
def test_units_of_two_warpgroups_meet_at_every_step_and_programs_do_not(name, reverse, interpreted):
    sizes = name, TWO_PARTS, jnp.float16, 17
    want = gradients(name, "fused", reverse, None, *problem(*sizes))
    agree(gradients(name, "pallas", reverse, None, *problem(*sizes)), want, 2e-3)


@here
def test_a_trial_axis_by_vmap_gives_each_trial_its_own_run(interpreted):
    params, xs, state = problem("CIFG")
    trials = jax.tree.map(lambda w: jnp.stack([w, 0.5 * w]), params)
    lengths = jnp.stack([LENGTHS, LENGTHS[::-1]])
    run = jax.vmap(partial(gradients, "CIFG", "pallas", False), (0, 0, None, None))
    got = run(lengths, trials, xs, state)
    for n in range(2):
        own = jax.tree.map(lambda w, n=n: w[n], trials)
        alone = gradients("CIFG", "fused", False, lengths[n], own, xs, state)
        agree(jax.tree.map(lambda a, n=n: a[n], got), alone)


@here
@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_lowers_for_a_gpu(name, monkeypatch):
    monkeypatch.setattr(choice, "refusal", lambda: None)
    hidden = 64 if feeds_gates(VARIANTS[name]) else 128
    params, xs, state = problem(name, hidden)
    run = jax.jit(partial(gradients, name, "pallas", True, LENGTHS))
    text = run.trace(params, xs, state).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("custom_call @mosaic_gpu") == 2, "one launch each way"
    assert "while" not in text, "no loop of XLA's own is left"


def launches(run, *arguments) -> int:
    """How many launches of a kernel the program lowered for a GPU holds."""
    text = jax.jit(run).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
    return text.count("custom_call @mosaic_gpu")


@here
def test_trials_chunks_and_batches_on_a_mesh_lower_too(monkeypatch):
    monkeypatch.setattr(choice, "refusal", lambda: None)
    params, xs, state = problem("NP", batch=4)
    trials = jax.tree.map(lambda w: jnp.stack([w, w]), params)
    run = partial(gradients, "NP", "pallas", False, None)
    assert launches(jax.vmap(run, (0, None, None)), trials, xs, state) == 2, "one launch each way for all trials"

    def chunked(params, xs):
        return lj.unroll("NP", params, xs, backend="pallas", remat_chunk=2)[0].sum()

    assert launches(jax.grad(chunked), params, xs) == 3, "there, there again, and back"
    assert launches(run, *problem("NP", batch=0)) == 2
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        rows = jax.device_put(xs, NamedSharding(mesh, PartitionSpec(None, "data")))
        assert launches(lambda p, xs: lj.unroll("NP", p, xs, backend="pallas")[0], params, rows) == 1
        split = partial(
            jax.shard_map, in_specs=(PartitionSpec(), PartitionSpec(None, "data")), out_specs=PartitionSpec()
        )
        with pytest.raises(ValueError, match="check_vma=False"):
            split(lambda p, xs: lj.unroll("NP", p, xs, backend="pallas")[0].sum())(params, rows)


@here
@pytest.mark.parametrize(
    ("variant", "hidden", "dtype", "resets", "message"),
    [
        ("V", 8, jnp.float32, None, "16-bit weights, these are float32"),
        ("V", 8, jnp.bfloat16, np.zeros((T, B), bool), "sequences without resets"),
        ("V", 129, jnp.bfloat16, None, "V with 129 units need 344064"),
        ("FGR", 65, jnp.bfloat16, None, "FGR with 65 units"),
        (Variant("blocks", block_size=2), 8, jnp.bfloat16, None, "the blocks of blocks have 2"),
    ],
)
def test_what_the_kernels_do_not_cover_is_refused(variant, hidden, dtype, resets, message, interpreted):
    params, xs, _ = problem(variant, hidden, dtype)
    with pytest.raises(ValueError, match=f"{message}.*take 'auto'"):
        lj.unroll(variant, params, xs, resets=resets, backend="pallas")


def test_a_machine_without_such_a_gpu_says_what_is_missing(monkeypatch):
    params, xs, _ = problem("V")
    with pytest.raises(RuntimeError, match=r"backend='pallas' .*take 'auto'"):
        lj.unroll("V", params, xs, backend="pallas")
    monkeypatch.setattr(jax, "__version_info__", (0, 10, 2))
    assert pallas.refusal() == f"needs JAX 0.11, this is {jax.__version__}"
    monkeypatch.setattr(jax, "__version_info__", (0, 12, 0))
    assert pallas.refusal() == "is for GPUs, JAX computes on cpu"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for capability, why in {"9.0": None, "8.0": "is for GPUs of compute capability 9.0, this one has 8.0"}.items():
        monkeypatch.setattr(jax, "devices", lambda c=capability: [SimpleNamespace(compute_capability=c)])
        assert pallas.refusal() == why


def test_nothing_chooses_it_by_itself(monkeypatch):
    params, _, _ = problem("V")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(choice, "refusal", lambda: None)
    assert choice.automatic(params) == "fused"
