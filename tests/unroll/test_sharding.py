"""A batch spread over devices gives the gradient of one device, reduced once, after the time loop."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj
from lstm_jax.unroll import build
from lstm_jax.unroll.spread import _each_alone

T, B, I, H = 7, 8, 3, 5
CELLS = {name: lj.init_params(jax.random.key(0), name, I, H) for name in ("V", "FGR")}
PARAMS = CELLS["V"]
XS = jax.random.normal(jax.random.key(1), (T, B, I))
LENGTHS = jnp.array([7, 0, 3, 1, 7, 2, 5, 4])
MESH = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
BATCH = PartitionSpec(None, "data")


cells = pytest.mark.parametrize("name", CELLS)


def gradient(backend: str, name: str = "V"):
    def loss(params, xs, lengths):
        return (lj.unroll(name, params, xs, lengths, backend=backend)[0] ** 2).sum()

    return jax.grad(loss)


COLLECTIVES = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"


def collectives(function, *arguments) -> tuple[int, int]:
    """Instructions of the compiled program that talk between devices: inside loops, outside."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    loops = set(re.findall(r"body=%?([\w.\-]+)", text))
    inside = outside = 0
    for block in text.split("\n}"):
        name = re.search(r"^(?:ENTRY )?%?([\w.\-]+) \(", block.rsplit("\n\n", 1)[-1].lstrip())
        count = len(re.findall(rf" (?:{COLLECTIVES})(?:-start)?\(", block))
        inside, outside = (inside + count, outside) if name and name[1] in loops else (inside, outside + count)
    return inside, outside


@cells
@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_replicated_weights_under_shard_map_get_the_summed_gradient(backend, name):
    spread = jax.shard_map(
        gradient(backend, name),
        mesh=MESH,
        in_specs=(PartitionSpec(), BATCH, PartitionSpec("data")),
        out_specs=PartitionSpec(),
    )
    want = gradient(backend, name)(CELLS[name], XS, LENGTHS)
    got = jax.jit(spread)(CELLS[name], XS, LENGTHS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)
    inside, outside = collectives(spread, CELLS[name], XS, LENGTHS)
    assert inside == 0
    assert outside >= 1


@cells
@pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}")
def test_the_kernel_under_shard_map_gives_the_summed_gradient(name):
    specs = {"in_specs": (PartitionSpec(), BATCH, PartitionSpec("data")), "out_specs": PartitionSpec()}
    spread = jax.jit(jax.shard_map(gradient("native", name), mesh=MESH, **specs))
    want = gradient("native", name)(CELLS[name], XS, LENGTHS)
    got = spread(CELLS[name], XS, LENGTHS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)


@cells
@pytest.mark.parametrize("masked", [False, True], ids=["no lengths", "lengths"])
def test_the_fused_gradient_of_a_sharded_batch_is_reduced_outside_the_loop(name, masked):
    xs = jax.device_put(XS, NamedSharding(MESH, BATCH))
    lengths = jax.device_put(LENGTHS, NamedSharding(MESH, PartitionSpec("data"))) if masked else None
    params = jax.device_put(CELLS[name], NamedSharding(MESH, PartitionSpec()))
    inside, outside = collectives(gradient("fused", name), params, xs, lengths)
    assert (inside, outside >= 1) == (0, True)
    forward = collectives(lambda *given: lj.unroll(name, *given, backend="fused"), params, xs, lengths)
    assert forward == (0, 0)


def test_the_search_for_collectives_finds_those_of_the_plain_scan():
    xs, params = (
        jax.device_put(XS, NamedSharding(MESH, BATCH)),
        jax.device_put(PARAMS, NamedSharding(MESH, PartitionSpec())),
    )
    inside, _ = collectives(gradient("scan"), params, xs, None)
    assert inside >= 1, "the plain scan reduces in every step: without it the guards would prove nothing"


@pytest.mark.parametrize("backend", ["scan", "fused", "auto"])
@pytest.mark.parametrize("time_major", [True, False], ids=["TBI", "BTI"])
def test_a_mesh_with_explicit_axes_gives_the_same_numbers_lying_as_xs_does(backend, time_major):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    params = lj.init_params(jax.random.key(2), "FGR", I, H)
    xs = XS if time_major else jnp.swapaxes(XS, 0, 1)
    state = jax.tree.map(lambda a: a + 0.1, lj.initial_state("FGR", (B,), H))
    rows = jnp.arange(T)[:, None] == (jnp.arange(B) % 4)[None]
    resets = rows if time_major else rows.T
    lie = PartitionSpec(None, "data") if time_major else PartitionSpec("data")

    def run(params, xs, lengths, state, resets):
        return lj.unroll("FGR", params, xs, lengths, state, not time_major, resets, time_major, backend)

    def both(*arguments):
        gradient = jax.grad(lambda params, xs, *others: (run(params, xs, *others)[0] ** 2).sum(), (0, 1))
        return run(*arguments), jax.jit(gradient)(*arguments)

    want = both(params, xs, LENGTHS, state, resets)
    with jax.set_mesh(mesh):
        put = lambda a, *spec: jax.device_put(a, NamedSharding(mesh, PartitionSpec(*spec)))  # noqa: E731
        spread = put(xs, *lie), put(LENGTHS, "data"), jax.tree.map(lambda a: put(a, "data"), state), put(resets, *lie)
        got = both(params, *spread)
        inside, outside = collectives(lambda p: jax.grad(lambda p: (run(p, *spread)[0] ** 2).sum())(p), params)
    assert inside == 0 and outside >= 1
    assert jax.typeof(got[0][0]).sharding.spec == PartitionSpec(*lie, *[None] * (3 - len(lie)))
    assert {jax.typeof(a).sharding.spec[0] for a in jax.tree.leaves(got[0][1])} == {"data"}
    assert jax.typeof(got[1][1]).sharding.spec == jax.typeof(spread[0]).sharding.spec
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


def test_weights_and_features_spread_over_another_axis_are_gathered():
    mesh = jax.make_mesh((2, 2), ("data", "model"), axis_types=(AxisType.Explicit,) * 2)
    xs = jnp.concatenate([XS, XS[..., :1]], -1)
    params = lj.init_params(jax.random.key(3), "V", 4, 4)
    gradient = jax.jit(jax.grad(lambda p, xs: (lj.unroll("V", p, xs, LENGTHS)[0] ** 2).sum(), (0, 1)))
    want = gradient(params, xs)
    with jax.set_mesh(mesh):
        cells = NamedSharding(mesh, PartitionSpec(None, None, "model"))
        wide = params._replace(W=jax.device_put(params.W, cells), R=jax.device_put(params.R, cells))
        for spec in (PartitionSpec(None, "data", "model"), PartitionSpec()):
            got = gradient(wide, jax.device_put(xs, NamedSharding(mesh, spec)))
            assert jax.typeof(got[0].W).sharding.spec == cells.spec
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_marks_alone_may_lie_spread(backend):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    resets = jnp.arange(T)[:, None] % jnp.arange(2, 2 + B)[None] == 0
    want, _ = lj.unroll("V", PARAMS, XS, resets=resets, backend=backend)
    with jax.set_mesh(mesh):
        spread = jax.device_put(resets, NamedSharding(mesh, BATCH))
        ys, _ = lj.unroll("V", PARAMS, jax.device_put(XS, NamedSharding(mesh, PartitionSpec())), resets=spread,
                          backend=backend)  # fmt: skip
    np.testing.assert_allclose(ys, want, rtol=1e-5, atol=1e-6)


def test_on_explicit_axes_dropout_runs_and_a_second_call_compiles_nothing():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    stack = lj.init_stack(jax.random.key(4), "NP", I, H, num_layers=2)
    options = {"dropout": 0.5, "dropout_key": jax.random.key(5)}
    want, _ = lj.unroll_stack("NP", stack, XS, LENGTHS, **options)
    with jax.set_mesh(mesh):
        xs = jax.device_put(XS, NamedSharding(mesh, BATCH))
        for _ in range(2):
            before = _each_alone._cache_size()
            got, _ = lj.unroll_stack("NP", stack, xs, LENGTHS, **options)
        assert _each_alone._cache_size() == before, "one program for each layer, made in the first call"
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("time_major", [True, False], ids=["TBI", "BTI"])
def test_a_blank_state_lies_as_xs_does_whole_or_spread(devices, time_major):
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Explicit,))
    xs = XS if time_major else jnp.swapaxes(XS, 0, 1)
    want = lj.unroll("V", PARAMS, xs, time_major=time_major)
    with jax.set_mesh(mesh):
        for spec in (PartitionSpec(), BATCH if time_major else PartitionSpec("data")):
            got = lj.unroll("V", PARAMS, jax.device_put(xs, NamedSharding(mesh, spec)), time_major=time_major)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, want)


def test_outside_the_mesh_an_explicit_array_is_refused_with_what_to_do():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit,))
    xs = jax.device_put(XS, NamedSharding(mesh, BATCH))
    with pytest.raises(ValueError, match=r"call under jax.set_mesh\(mesh\)"):
        lj.unroll("V", PARAMS, xs)
