"""A batch split over four devices gives the numbers of one device, with one reduction outside the loop over time."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.network import init_network
from lstm_jax.train.parallel import build_program, data_mesh, sharded_gradient
from lstm_jax.train.population import run_population
from lstm_jax.train.source import load_problem
from lstm_jax.train.step import gradient_sums

T, B = 7, 8


def ragged_batch(seed=0):
    """Masks and lengths differ from shard to shard; one shard counts nothing."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, T + 1, B).astype(np.int32)
    mask = (np.arange(T)[:, None] < lengths[None, :]) & (draw.random((T, B)) < 0.7)
    mask[:, 2:4] = False
    inputs, targets = draw.normal(size=(T, B, 2)), draw.normal(size=(T, B, 1))
    return Batch(jnp.float32(inputs), jnp.float32(targets), jnp.asarray(lengths), jnp.asarray(mask))


@pytest.fixture(scope="module")
def params(tiny):
    return init_network(jax.random.key(0), tiny().model, 2, 1)


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_gradients_of_four_devices_are_those_of_one(tiny, params, backend):
    gradient = gradient_sums(tiny(backend=backend), "squared_error")
    batch = ragged_batch()
    one = jax.jit(gradient)(params, batch)
    four = jax.jit(sharded_gradient(gradient, data_mesh(jax.devices()[:4])))(params, batch)
    assert one[1]["mse"].count == batch.loss_mask.sum()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), four, one)


@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_no_collective_inside_the_time_loop(tiny, params, backend):
    gradient = sharded_gradient(gradient_sums(tiny(backend=backend), "squared_error"), data_mesh(jax.devices()[:4]))
    text = jax.jit(gradient).lower(params, ragged_batch()).compile().as_text()
    inside, outside = collectives(text)
    assert not inside, inside
    assert 1 <= len(outside) <= 2, outside


def test_the_search_for_collectives_finds_one_in_a_loop():
    """A sum over all devices in every step, and its gradient."""

    def step(total, row):
        return total + jax.lax.psum(jnp.tanh(total * row.sum()), "data"), None

    def sums(rows):
        return jax.lax.scan(step, 1.0, rows)[0]

    split = jax.shard_map(sums, mesh=data_mesh(jax.devices()[:4]), in_specs=P(None, "data"), out_specs=P())
    inside, _ = collectives(jax.jit(jax.value_and_grad(split)).lower(jnp.ones((T, 4))).compile().as_text())
    assert inside


COLLECTIVE = re.compile(r" = .*\b(all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all)(-start)?\(")


def collectives(text):
    """Instructions that talk between devices: those in bodies of while loops (or called there), and the others."""
    computations, name = {}, None
    for line in text.splitlines():
        header = re.match(r"(?:ENTRY )?%?([\w.\-]+) .*\{$", line)
        if header and not line.startswith(" "):
            name = header[1]
            computations[name] = []
        elif name is not None:
            computations[name].append(line.strip())
    calls = {
        key: set(re.findall(r"%([\w.\-]+)", " ".join(lines))) & computations.keys()
        for key, lines in computations.items()
    }
    looped = set(re.findall(r"body=%?([\w.\-]+)", text))
    assert len(looped) >= 2, "expected a forward and a reverse loop over time"
    frontier = set(looped)
    while frontier:
        frontier = set.union(*(calls[key] for key in frontier)) - looped
        looped |= frontier
    found = {key: [line for line in lines if COLLECTIVE.search(line)] for key, lines in computations.items()}
    inside = [line for key in looped for line in found[key]]
    return inside, [line for key, lines in found.items() if key not in looped for line in lines]


def test_shard_map_and_pmap_train_as_one_device_does(tiny):
    configs = {kind: tiny(parallel=kind, input_noise=0.1) for kind in ("none", "shard_map", "pmap")}
    problem = load_problem(tiny().data)
    results = {kind: run_population(config, [5], problem=problem) for kind, config in configs.items()}
    for kind in ("shard_map", "pmap"):
        np.testing.assert_allclose(results[kind].curve, results["none"].curve, rtol=1e-4)
        np.testing.assert_allclose(results[kind].loss, results["none"].loss, rtol=1e-4)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
            results[kind].params,
            results["none"].params,
        )


@pytest.mark.parametrize("kind", ["shard_map", "pmap"])
def test_a_batch_that_cannot_be_split_is_refused(tiny, kind):
    with pytest.raises(UsageError, match="batch_size=6 is not a multiple of 4; take batch_size=8, or parallel='none'"):
        build_program(tiny(parallel=kind, batch_size=6), "squared_error")
