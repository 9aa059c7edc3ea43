"""The learner of 1997 against the library's own cell and its reverse mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.cell.params import Params
from lstm_jax.online.net import BlockNet
from lstm_jax.online.sequences import Sequence, gradient

I, O, T, N = 3, 2, 9, 4
LAYOUTS = [
    BlockNet(I, O, 2, 2, biases=("cells", "gates", "outputs")),
    BlockNet(I, O, 3, 1, biases=("cells", "gates")),
    BlockNet(I, O, 2, 1),
    BlockNet(I, O, 2, 2, gates=("i", "f", "o"), biases=("gates",)),
    BlockNet(I, O, 2, 2, gates=("i", "f", "o"), biases=("gates",), feedback="cells", block_output="tanh"),
    BlockNet(I, O, 2, 1, gates=("i",), biases=("outputs",), block_input="logistic", block_output="identity"),
    BlockNet(I, O, 2, 1, gates=("o",)),
]


def drawn(net: BlockNet, seed: int = 0):
    rng = np.random.default_rng(seed)
    keys = jax.random.split(jax.random.key(seed), N)
    weights = jax.vmap(lambda key: net.draw(key, 0.9, {}), out_axes=-1)(keys)
    weights = jax.tree.map(lambda w: jnp.asarray(np.asarray(w, float)), weights)
    lengths = jnp.asarray(rng.permutation([1, 4, T - 1, T]), jnp.int32)
    xs = rng.normal(size=(T, I, N))
    xs = np.where((np.arange(T)[:, None] >= np.asarray(lengths))[:, None], 7.0, xs)  # whatever stands in the padding
    return weights, Sequence(jnp.asarray(xs), lengths, jnp.asarray(rng.uniform(size=(O, N))))


def in_the_library(net: BlockNet, path: str):
    """The same cell as a record of the library."""
    kinds = {letter: "learned" if letter in net.gates else "open" for letter in "ifo"}
    return lj.Variant(
        name="block", input_gate=kinds["i"], forget_gate=kinds["f"], output_gate=kinds["o"], peepholes=False,
        block_input=net.block_input, block_output=net.block_output, block_size=net.size,
        gate_recurrence=net.feedback == "units", input_recurrence=net.feedback == "units",
        feedback=path,
    )  # fmt: skip


def library_params(net: BlockNet, hidden) -> Params:
    """Hidden weights ``(K, U)`` of one trial in the packed layout of the library."""
    rows, gates = net.size + len(net.gates), len(net.gates)
    inputs, recurrent, bias = hidden[:I], hidden[I:-1], hidden[-1]
    packed = [part.reshape(*part.shape[:-1], rows, net.blocks) for part in (inputs, recurrent, bias)]
    W, R, b = packed
    Q = None
    if net.feedback == "units" and gates:
        Q = R[net.cells :].reshape(gates, net.blocks, rows, net.blocks)
    return Params(W, R[: net.cells], b, None, Q)


def by_the_library(net, weights, sequence, path, rule="slope"):
    """Gradients and errors of every trial, reverse mode through ``lj.unroll``; one program serves all trials.

    The error without the slope of the logistic output is the gradient of the cross-entropy.
    """
    variant = in_the_library(net, path)

    def loss(weights, xs, length, target):
        ys, _ = lj.unroll(variant, library_params(net, weights.hidden), xs[:, None], length[None], backend="scan")
        total = ys[length - 1, 0] @ weights.out[: net.cells]
        if "outputs" in net.biases:
            total = total + weights.out[-1]
        output = jax.nn.sigmoid(total)
        half_square, entropy = 0.5 * jnp.sum((target - output) ** 2), jnp.sum(jax.nn.softplus(total) - target * total)
        return {"slope": half_square, "plain": entropy}[rule], target - output

    every_trial = jax.vmap(jax.grad(loss, has_aux=True), in_axes=-1, out_axes=-1)
    return jax.jit(every_trial)(weights, sequence.xs, sequence.lengths, sequence.targets)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("net", "rule"), [*((net, "slope") for net in LAYOUTS), *((net, "plain") for net in LAYOUTS[:2])], ids=str
)
@pytest.mark.parametrize("path", ["truncated", "full"])
def test_the_gradient_is_that_of_the_library(net, path, rule):
    weights, sequence = drawn(net)
    got, errors = jax.jit(lambda w, s: gradient(net, w, s, path=path, rule=rule))(weights, sequence)
    want, want_errors = by_the_library(net, weights, sequence, path, rule)
    np.testing.assert_allclose(errors, want_errors, rtol=1e-12)
    hidden = np.where(net.mask[..., None], want.hidden, 0)
    np.testing.assert_allclose(-got.hidden, hidden, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(-got.out, want.out, rtol=1e-10, atol=1e-15)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("path", ["truncated", "full"])
def test_symbols_are_inputs_of_one_hot(path):
    """Each symbol comes several times in a sequence; what stands past its end is no symbol at all."""
    net = LAYOUTS[3]
    weights, sequence = drawn(net)
    symbols = np.random.default_rng(1).integers(0, I, (T, N))
    past = np.arange(T)[:, None] >= np.asarray(sequence.lengths)
    written = sequence._replace(xs=jnp.asarray(np.where(past, -1, symbols), jnp.int32))
    shown = sequence._replace(xs=jax.nn.one_hot(jnp.asarray(symbols), I, axis=1, dtype=float))
    learn = jax.jit(lambda w, s: gradient(net, w, s, path=path))
    for one, other in zip(
        jax.tree.leaves(learn(weights, written)), jax.tree.leaves(learn(weights, shown)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
