"""A batch spread over devices gives the gradient of one device, reduced once, after the time loop."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import lstm_jax as lj

T, B, I, H = 7, 8, 3, 5
PARAMS = lj.init_params(jax.random.key(0), "V", I, H)
XS = jax.random.normal(jax.random.key(1), (T, B, I))
LENGTHS = jnp.array([7, 0, 3, 1, 7, 2, 5, 4])
MESH = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
BATCH = PartitionSpec(None, "data")


def gradient(backend: str):
    def loss(params, xs, lengths):
        return (lj.unroll("V", params, xs, lengths, backend=backend)[0] ** 2).sum()

    return jax.grad(loss)


def collectives(function, *arguments) -> tuple[int, int]:
    """All-reduces in the compiled program: inside loops, outside."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    loops = set(re.findall(r"body=%?([\w.\-]+)", text))
    inside = outside = 0
    for block in text.split("\n}"):
        name = re.search(r"^(?:ENTRY )?%?([\w.\-]+) \(", block.rsplit("\n\n", 1)[-1].lstrip())
        count = len(re.findall(r" all-reduce(?:-start)?\(", block))
        inside, outside = (inside + count, outside) if name and name[1] in loops else (inside, outside + count)
    return inside, outside


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_replicated_weights_under_shard_map_get_the_summed_gradient(backend):
    spread = jax.shard_map(
        gradient(backend),
        mesh=MESH,
        in_specs=(PartitionSpec(), BATCH, PartitionSpec("data")),
        out_specs=PartitionSpec(),
    )
    want = gradient(backend)(PARAMS, XS, LENGTHS)
    got = jax.jit(spread)(PARAMS, XS, LENGTHS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)
    inside, outside = collectives(spread, PARAMS, XS, LENGTHS)
    assert inside == 0
    assert outside >= 1


def test_the_fused_gradient_of_a_sharded_batch_is_reduced_outside_the_loop():
    place = NamedSharding(MESH, BATCH), NamedSharding(MESH, PartitionSpec("data"))
    xs, lengths = jax.device_put(XS, place[0]), jax.device_put(LENGTHS, place[1])
    params = jax.device_put(PARAMS, NamedSharding(MESH, PartitionSpec()))
    inside, outside = collectives(gradient("fused"), params, xs, lengths)
    assert (inside, outside >= 1) == (0, True)
    plain = collectives(gradient("scan"), params, xs, lengths)
    assert plain[0] >= 1, "the plain scan reduces in every step: without it this guard would prove nothing"
