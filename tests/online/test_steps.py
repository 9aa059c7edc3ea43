"""The derivatives accumulated forwards against reverse mode with the recurrent paths cut."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lstm_jax.cell.adjoint import SLOPE
from lstm_jax.cell.step import SQUASH
from lstm_jax.online import sequences, steps
from lstm_jax.online.net import BlockNet, Weights

I, O, T, N = 3, 2, 8, 3
LAYOUTS = [
    BlockNet(I, O, 2, 2, biases=("gates",)),
    BlockNet(I, O, 3, 1, biases=("cells", "gates", "outputs")),
    BlockNet(I, O, 2, 2, gates=("i", "f", "o"), biases=("gates", "outputs"), feedback="cells", inputs_to_outputs=True),
    BlockNet(I, O, 1, 1, gates=("i",), feedback="none", inputs_to_outputs=True, block_input="logistic",
             block_output="identity"),
    BlockNet(I, O, 2, 1, gates=("i", "f", "o"), biases=("cells", "gates", "outputs"), feedback="cells", peepholes=True,
             block_input="identity", block_output="identity", output="identity"),
]  # fmt: skip
each_layout = pytest.mark.parametrize("net", LAYOUTS, ids=str)


def drawn(net: BlockNet):
    rng = np.random.default_rng(1)
    keys = jax.random.split(jax.random.key(1), N)
    weights = jax.vmap(lambda key: net.draw(key, 0.9, {}), out_axes=-1)(keys)
    weights = jax.tree.map(lambda w: jnp.asarray(np.asarray(w, float)), weights)
    return weights, jnp.asarray(rng.normal(size=(T, I, N))), jnp.asarray(rng.uniform(size=(T, O, N)))


def answer(net: BlockNet, weights: Weights, y, x):
    """The output units, written out."""
    total = jnp.einsum("con,cn->on", weights.out[: net.cells], y)
    if "outputs" in net.biases:
        total = total + weights.out[-1]
    if net.inputs_to_outputs:
        total = total + jnp.einsum("ion,in->on", weights.direct, x)
    return jax.nn.sigmoid(total) if net.output == "logistic" else total


def fed_back(net: BlockNet, y, gates):
    """What hidden units see of the step before."""
    units = {"units": [y, *(gates[letter] for letter in net.gates)], "cells": [y], "none": [y[:0]]}
    return jnp.concatenate(units[net.feedback])


def reverse_mode(net: BlockNet, weights: Weights, xs, targets):
    """Half the squared error of N streams; no error leaves through what is fed back or peeped at."""
    place = {gate: net.gate_start(gate) for gate in net.gates}

    def step(carry, given):
        c, seen = carry
        x, target = given
        sources = jnp.concatenate([x, lax.stop_gradient(seen), jnp.ones_like(x[:1])])
        rows = jnp.einsum("kun,kn->un", weights.hidden, sources)

        def gate(letter, peeped):
            if letter not in net.gates:
                return None
            row = rows[place[letter] : place[letter] + net.blocks]
            if net.peepholes:
                row = row + weights.peep[net.gates.index(letter)] * lax.stop_gradient(peeped)
            return jax.nn.sigmoid(row)

        def by(letter_gate, value):
            return value if letter_gate is None else jnp.concatenate([letter_gate] * net.size) * value

        i, f = gate("i", c), gate("f", c)
        c = by(f, c) + by(i, SQUASH[net.block_input](rows[: net.cells]))
        o = gate("o", c)
        y = by(o, SQUASH[net.block_output](c))
        gates = {"i": i, "f": f, "o": o}
        return (c, fed_back(net, y, gates)), 0.5 * jnp.sum((target - answer(net, weights, y, x)) ** 2)

    first = jnp.zeros((net.cells, N)), jnp.zeros((net.fed_back, N))
    return jnp.sum(lax.scan(step, first, (xs, targets))[1])


@pytest.mark.usefixtures("x64")
@each_layout
def test_traces_give_the_gradient_of_reverse_mode(net):
    weights, xs, targets = drawn(net)

    @jax.jit
    def forwards(weights):
        past, total = steps.blank(net, N), jax.tree.map(jnp.zeros_like, weights)
        for x, target in zip(xs, targets, strict=True):
            past, now = steps.step(net, weights, past, x)
            signal = (target - now.output) * SLOPE[net.output](now.output)
            change = steps.gradient(net, weights, past, now, signal)
            total = jax.tree.map(jnp.add, total, change)
        return total

    got, want = forwards(weights), jax.jit(jax.grad(lambda w: reverse_mode(net, w, xs, targets)))(weights)
    np.testing.assert_allclose(-got.hidden, np.where(net.mask[..., None], want.hidden, 0), rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(-got.out, want.out, rtol=1e-11, atol=1e-15)
    if net.peepholes:
        np.testing.assert_allclose(-got.peep, want.peep, rtol=1e-10, atol=1e-14)
    if net.inputs_to_outputs:
        np.testing.assert_allclose(-got.direct, want.direct, rtol=1e-11, atol=1e-15)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("net", LAYOUTS[:2], ids=str)
def test_both_learners_agree_on_a_sequence_with_one_target(net):
    """The paper's forward accumulation, and errors computed backwards from what was kept."""
    weights, xs, targets = drawn(net)
    lengths = jnp.full(N, T, jnp.int32)
    backwards, _ = sequences.gradient(net, weights, sequences.Sequence(xs, lengths, targets[-1]))
    past = steps.blank(net, N)
    for x in xs:
        past, now = steps.step(net, weights, past, x)
    signal = (targets[-1] - now.output) * SLOPE[net.output](now.output)
    forwards = steps.gradient(net, weights, past, now, signal)
    for one, other in zip(forwards[:2], backwards[:2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-15)


def test_a_new_sequence_starts_blank_in_its_own_trial_only():
    net = LAYOUTS[0]
    weights, xs, _ = drawn(net)
    past, _ = steps.step(net, weights, steps.blank(net, N), xs[0])
    begun = steps.forget(past, jnp.asarray([True, False, False]))
    for before, after in zip(jax.tree.leaves(past), jax.tree.leaves(begun), strict=True):
        assert not np.asarray(after)[..., 0].any()
        np.testing.assert_array_equal(after[..., 1:], before[..., 1:])
