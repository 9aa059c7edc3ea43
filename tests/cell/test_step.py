"""One step against the papers' equations: its state, and the activations that it shows."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import oracles.numpy_lstm as oracle
import pytest

import lstm_jax as lj

I, H, AXES = 3, 4, (2, 5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", oracle.NAMES)
def test_state_and_gates_are_those_of_the_paper_over_any_leading_axes(name):
    rng, variant = np.random.default_rng(1), lj.VARIANTS[name]
    weights = oracle.random_weights(name, rng, I, H)
    params = lj.pack_gates(name, {key: jnp.asarray(value) for key, value in weights.items()})
    blank = lj.initial_state(name, AXES, H, jnp.float64)
    state = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), blank)
    x = jnp.asarray(rng.normal(size=(*AXES, I)))
    after, shown = lj.lstm_step(name, params, state, x)
    assert all(value.shape == (*AXES, H) for value in shown.values())
    for place in np.ndindex(*AXES):
        before = jax.tree.map(lambda leaf, place=place: np.asarray(leaf[place]), state)
        fed_back = {}
        if before.gates is not None:
            fed_back = dict(zip(oracle.GATES[name], before.gates.reshape(-1, H), strict=True))
        c, y, gates = oracle.one_step(name, weights, np.asarray(x[place]), before.c, before.y, fed_back)
        np.testing.assert_allclose(after.c[place], c, rtol=1e-12)
        np.testing.assert_allclose(after.y[place], y, rtol=1e-12)
        for letter, value in gates.items():
            np.testing.assert_allclose(shown[letter][place], value, rtol=1e-12)
        if name == "GRU":
            reset = oracle.logistic(x[place] @ weights["W_r"] + before.y @ weights["R_r"] + weights["b_r"])
            np.testing.assert_allclose(shown["r"][place], reset, rtol=1e-12)
    if variant.forget_gate == "coupled":
        np.testing.assert_allclose(shown["f"], 1 - shown["i"], rtol=1e-12)
    if variant.reset_gate == "coupled":
        np.testing.assert_array_equal(shown["r"], shown["i"])
    np.testing.assert_array_equal(sorted(shown), sorted({"z", *oracle.GATES[name], *_coupled(variant)}))


def _coupled(variant) -> set[str]:
    """Gates that own no weights and are shown all the same."""
    return {letter for letter, kind in (("f", variant.forget_gate), ("r", variant.reset_gate)) if kind == "coupled"}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_truncated_feedback_cuts_all_paths_out_of_a_step_but_the_cell(backend):
    """With peepholes: those of input and forget gates send no error back; that of the output gate, within its step."""
    rng, steps = np.random.default_rng(2), 7
    variant = dataclasses.replace(lj.VARIANTS["V"], feedback="truncated")
    weights = {key: jnp.asarray(w) for key, w in oracle.random_weights("V", rng, I, H).items()}
    xs, scale = jnp.asarray(rng.normal(size=(steps, 1, I))), jnp.asarray(rng.normal(size=(steps, H)))

    def by_hand(weights):
        c, y, total = jnp.zeros(H), jnp.zeros(H), 0.0
        for x, of in zip(xs[:, 0], scale, strict=True):
            past_y, past_c = jax.lax.stop_gradient((y, c))

            def row(name, cell=0.0, x=x, past_y=past_y):
                peephole = weights[f"p_{name}"] * cell if f"p_{name}" in weights else 0.0
                return x @ weights[f"W_{name}"] + past_y @ weights[f"R_{name}"] + weights[f"b_{name}"] + peephole

            write, keep = jax.nn.sigmoid(row("i", past_c)), jax.nn.sigmoid(row("f", past_c))
            c = jnp.tanh(row("z")) * write + c * keep
            y = jnp.tanh(c) * jax.nn.sigmoid(row("o", c))
            total = total + jnp.sum(of * y)
        return total

    def by_unroll(weights):
        return jnp.sum(scale * lj.unroll(variant, lj.pack_gates(variant, weights), xs, backend=backend)[0][:, 0])

    expected = jax.jit(jax.value_and_grad(by_hand))(weights)
    found = jax.jit(jax.value_and_grad(by_unroll))(weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), found, expected)
