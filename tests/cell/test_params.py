"""Weights: how many there are, where they start, and that packing and viewing are inverse."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import lstm_jax as lj
from lstm_jax.cell import chrono, named_shapes, uniform_gates
from lstm_jax.cell.initializers import ladder, uniform


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("hidden", "v", "one_gate_less", "no_peepholes", "fgr"), [
    (20, 8_780, 6_580, 8_720, 12_380),
    (100, 75_900, 56_900, 75_600, 165_900),
])  # fmt: skip
def test_parameter_counts_are_those_of_the_odyssey(hidden, v, one_gate_less, no_peepholes, fgr):
    expected = dict.fromkeys(("V", "NIAF", "NOAF"), v) | dict.fromkeys(("NIG", "NFG", "NOG", "CIFG"), one_gate_less)
    for name, want in (expected | {"NP": no_peepholes, "FGR": fgr}).items():
        assert count(jax.eval_shape(lambda k, n=name: lj.init_params(k, n, 88, hidden), jax.random.key(0))) == want, (
            name
        )


@pytest.mark.parametrize(
    ("blocks", "size", "inputs", "hidden_weights"), [(4, 1, 7, 228), (3, 2, 7, 228), (2, 2, 2, 80), (3, 2, 8, 240)]
)
def test_hidden_weights_of_1997_are_the_papers(blocks, size, inputs, hidden_weights):
    variant = dataclasses.replace(lj.VARIANTS["LSTM1997"], block_size=size)
    params = lj.init_params(jax.random.key(0), variant, inputs, blocks * size)
    assert count(params._replace(b=None)) == hidden_weights
    assert params.b.size == blocks * size + 2 * blocks


@pytest.mark.parametrize("name", lj.VARIANTS)
def test_a_missing_gate_owns_no_weight(name):
    variant = lj.VARIANTS[name]
    view = lj.gate_view(variant, lj.init_params(jax.random.key(0), variant, 3, 4))
    owners = {letter for key in view for letter in key.split("_")[1]}
    assert owners == {"z", *variant.learned_gates}
    assert any(key.startswith("p_") for key in view) == bool(variant.peephole_gates)


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize("name", lj.VARIANTS)
def test_pack_is_the_inverse_of_view_with_and_without_trials(name, block):
    variant = dataclasses.replace(lj.VARIANTS[name], block_size=block)
    params = lj.init_params(jax.random.key(0), variant, 3, 4, initializers="pytorch")
    trials = jax.tree.map(lambda a: jnp.stack([a, -a, 2 * a]), params)
    for tree in (params, trials):
        view = lj.gate_view(variant, tree)
        jax.tree.map(np.testing.assert_array_equal, lj.pack_gates(variant, view), tree)
    assert {key: w.shape for key, w in lj.gate_view(variant, params).items()} == named_shapes(variant, 3, 4)


def test_variants_share_the_draws_of_the_weights_they_share():
    views = {n: lj.gate_view(n, lj.init_params(jax.random.key(5), n, 3, 4)) for n in ("V", "NIG", "FGR")}
    for name in ("NIG", "FGR"):
        for key in views["V"].keys() & views[name].keys():
            np.testing.assert_array_equal(views["V"][key], views[name][key])
    assert not np.allclose(views["V"]["R_i"], views["V"]["R_f"])


def test_each_gate_has_its_own_orthogonal_recurrent_matrix():
    view = lj.gate_view("V", lj.init_params(jax.random.key(0), "V", 3, 16))
    for gate in "zifo":
        np.testing.assert_allclose(view[f"R_{gate}"] @ view[f"R_{gate}"].T, np.eye(16), atol=1e-5)


def test_forget_bias_is_where_the_forget_gate_starts():
    for name, key, want in (("V", "b_f", 2.0), ("CIFG", "b_i", -2.0), ("GRU", "b_i", -2.0)):
        view = lj.gate_view(name, lj.init_params(jax.random.key(0), name, 3, 4, forget_bias=2.0))
        np.testing.assert_array_equal(view[key], np.full(4, want))
        others = [k for k in view if k.startswith("b_") and k != key]
        assert all(not np.any(view[k]) for k in others)


@pytest.mark.parametrize("lag", [2, -3.0, float("inf"), float("nan")])
def test_the_longest_lag_of_chrono_is_finite_and_a_lag(lag):
    with pytest.raises(ValueError, match="max_lag must be finite and exceed 2 steps"):
        lj.chrono(lag)


@pytest.mark.parametrize("bias", [float("nan"), float("inf"), np.float32("nan")])
def test_a_forget_bias_is_finite(bias):
    with pytest.raises(ValueError, match="forget_bias must be finite"):
        lj.init_params(jax.random.key(0), "V", 3, 4, forget_bias=bias)


def test_chrono_draws_lags_uniformly_and_couples_the_input_gate():
    view = lj.gate_view(
        "V", lj.init_params(jax.random.key(0), "V", 1, 4000, forget_bias=chrono(100.0), initializers={"R": jnp_zeros})
    )
    np.testing.assert_array_equal(view["b_i"], -view["b_f"])
    assert stats.kstest(np.exp(view["b_f"]), stats.uniform(1, 98).cdf).pvalue > 0.01


def test_uniform_gates_start_uniformly_open():
    view = lj.gate_view(
        "V",
        lj.init_params(jax.random.key(0), "V", 1, 4000, forget_bias=uniform_gates(), initializers={"R": jnp_zeros}),
    )
    np.testing.assert_array_equal(view["b_i"], -view["b_f"])
    assert stats.kstest(jax.nn.sigmoid(view["b_f"]), stats.uniform(0, 1).cdf).pvalue > 0.01


def jnp_zeros(key, shape, dtype):
    return jnp.zeros(shape, dtype)


def test_schemes_and_single_weights_can_be_set():
    init = {"W": uniform(0.2), "b_o": ladder(-1.0)}
    params = lj.init_params(jax.random.key(0), "LSTM1997", 3, 4, initializers=init, forget_bias=None)
    view = lj.gate_view("LSTM1997", params)
    np.testing.assert_array_equal(view["b_o"], [-1, -2, -3, -4])
    assert 0.1 < float(jnp.abs(view["W_z"]).max()) <= 0.2
    odyssey = lj.init_params(jax.random.key(0), "V", 50, 50, initializers="odyssey", forget_bias=None)
    assert float(odyssey.W.std()) == pytest.approx(0.1, rel=0.05)
    assert not np.any(odyssey.b)


def spread(weights) -> tuple[float, float]:
    """Standard deviation and the largest size."""
    return float(weights.std()), float(jnp.abs(weights).max())


@pytest.mark.parametrize(
    ("scheme", "of_inputs", "of_state"),
    [
        ("standard", (60**-0.5, None), (40**-0.5, None)),  # lecun: 1 / sqrt(inputs); rows of an orthogonal matrix
        ("odyssey", (0.1, None), (0.1, None)),
        ("hs97", (0.1 / 3**0.5, 0.1), (0.1 / 3**0.5, 0.1)),
        ("pytorch", (120**-0.5, 40**-0.5), (120**-0.5, 40**-0.5)),  # uniform to 1 / sqrt(cells): / sqrt(3)
    ],
)
def test_a_scheme_draws_weights_of_the_size_it_says(scheme, of_inputs, of_state):
    params = lj.init_params(jax.random.key(0), "FGR", 60, 40, initializers=scheme, forget_bias=None)
    for weights, (deviation, bound) in ((params.W, of_inputs), (params.R, of_state)):
        found, largest = spread(weights)
        assert found == pytest.approx(deviation, rel=0.05)
        assert bound is None or 0.99 * bound < largest <= bound
    if scheme in ("hs97", "pytorch"):  # every weight, biases and those of gates to gates among them
        bound = of_inputs[1]
        for weights in (params.b, params.p, params.Q):
            assert 0.9 * bound < spread(weights)[1] <= bound


@pytest.mark.parametrize("max_lag", [3.0, 100.0])
def test_chrono_draws_lags_up_to_one_below_the_longest(max_lag):
    params = lj.init_params(
        jax.random.key(0), "V", 1, 4000, forget_bias=chrono(max_lag), initializers={"R": jnp_zeros}
    )
    lags = np.exp(np.asarray(lj.gate_view("V", params)["b_f"], np.float64))
    assert 1.0 <= lags.min() < 1 + 0.01 * max_lag and 0.99 * (max_lag - 1) < lags.max() <= (max_lag - 1) * (1 + 1e-6)


@pytest.mark.parametrize(("cells", "margin"), [(2, 0.25), (4, 0.25), (10, 0.1)])
def test_uniform_gates_keep_a_margin_of_one_over_their_number(cells, margin):
    keys = jax.random.split(jax.random.key(0), 2000)
    draw = jax.vmap(lambda key: uniform_gates()(key, lj.VARIANTS["V"], cells, jnp.float32)["b_f"])
    opened = jax.nn.sigmoid(draw(keys))
    assert margin <= opened.min() + 1e-6 < margin + 0.01 and 1 - margin - 0.01 < opened.max() <= 1 - margin + 1e-6


def test_bfloat16_weights_are_float32_draws_rounded():
    whole, half = (lj.init_params(jax.random.key(0), "V", 3, 4, dtype=d) for d in (jnp.float32, jnp.bfloat16))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a.astype(jnp.bfloat16), b), whole, half)


def test_the_forget_bias_can_differ_between_trials_of_one_program():
    keys, biases = jax.random.split(jax.random.key(0), 3), jnp.array([0.0, 1.0, 2.0])
    params = jax.vmap(lambda key, bias: lj.init_params(key, "V", 3, 4, forget_bias=bias))(keys, biases)
    np.testing.assert_array_equal(lj.gate_view("V", params)["b_f"], np.repeat(biases[:, None], 4, axis=1))
    assert float(lj.gate_view("V", lj.init_params(keys[0], "V", 3, 4, forget_bias=np.float32(3)))["b_f"][0]) == 3


def test_the_irnn_starts_from_the_identity_and_keeps_what_it_holds():
    params = lj.init_params(jax.random.key(0), "RELU", 3, 40, initializers="irnn")
    np.testing.assert_array_equal(params.R[:, 0], np.eye(40))
    assert float(params.W.std()) == pytest.approx(0.001, rel=0.2) and not np.any(params.b)
    held = jnp.linspace(0.0, 2.0, 40)[None]
    ys, _ = lj.unroll("RELU", params, jnp.zeros((50, 1, 3)), initial_state=lj.State(held, held))
    np.testing.assert_array_equal(ys[-1], held)


def test_weights_to_pack_have_names():
    with pytest.raises(TypeError, match="mapping of names, such as gate_view gives, got Params"):
        lj.pack_gates("V", lj.init_params(jax.random.key(0), "V", 3, 4))


def test_a_bias_named_among_the_initializers_is_not_overridden():
    for name, bias in (("V", "b_f"), ("CIFG", "b_i"), ("GRU", "b_i")):
        params = lj.init_params(jax.random.key(0), name, 3, 4, initializers={bias: jax.nn.initializers.constant(7.0)})
        np.testing.assert_array_equal(lj.gate_view(name, params)[bias], np.full(4, 7.0))


def test_an_initializer_that_gives_no_array_is_named():
    with pytest.raises(ValueError, match="initializer of W_z returned a list, expected an array"):
        lj.init_params(jax.random.key(0), "V", 3, 4, initializers={"W": lambda key, shape, dtype: [0.0]})


@pytest.mark.parametrize("variant", ["V", "FGR"])
def test_a_blank_state_may_be_donated(variant):
    params = lj.init_params(jax.random.key(0), variant, 3, 4)
    step = jax.jit(lambda state, x: lj.lstm_step(variant, params, state, x)[0], donate_argnums=0)
    assert step(lj.initial_state(variant, (2,), 4), jnp.ones((2, 3))).c.shape == (2, 4)
