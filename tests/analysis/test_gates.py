"""Recorded gates obey the six equations, and their summaries count what they say."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.analysis import record_gates, saturation, time_scales

T, B, I, H = 6, 3, 2, 4


def cell_and_inputs(variant, seed=0):
    weights, inputs = jax.random.split(jax.random.key(seed))
    params = lj.init_params(weights, variant, I, H, initializers="pytorch")
    return params, jax.random.normal(inputs, (T, B, I))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_recorded_gates_obey_the_six_equations():
    params, xs = cell_and_inputs("V")
    seen = {letter: np.asarray(a, np.float64) for letter, a in record_gates("V", params, xs).items()}
    w = {name: np.asarray(a, np.float64) for name, a in lj.gate_view("V", params).items()}
    x, blank = np.asarray(xs, np.float64), np.zeros((1, B, H))
    c, y = np.concatenate([blank, seen["c"]]), np.concatenate([blank, seen["y"]])

    def row(letter, peeped):
        peep = w[f"p_{letter}"] * peeped if letter != "z" else 0
        return x @ w[f"W_{letter}"] + y[:-1] @ w[f"R_{letter}"] + peep + w[f"b_{letter}"]

    right = {
        "z": np.tanh(row("z", None)),
        "i": sigmoid(row("i", c[:-1])),
        "f": sigmoid(row("f", c[:-1])),
        "o": sigmoid(row("o", c[1:])),
        "c": seen["z"] * seen["i"] + c[:-1] * seen["f"],
        "y": np.tanh(seen["c"]) * seen["o"],
    }
    assert set(seen) == set(right)
    for letter, values in right.items():
        np.testing.assert_allclose(seen[letter], values, atol=2e-6, err_msg=letter)


@pytest.mark.parametrize("variant", ["NIG", "CIFG", "LSTM1997", "GRU"])
def test_recording_holds_what_the_variant_has_and_agrees_with_unroll(variant):
    params, xs = cell_and_inputs(variant)
    lengths = jnp.array([6, 0, 4])
    xs = xs.at[4:, 2].set(jnp.nan)
    seen = record_gates(variant, params, xs, lengths)
    learned = set(lj.VARIANTS[variant].learned_gates)
    assert learned <= set(seen) and {"z", "c", "y"} <= set(seen)
    np.testing.assert_allclose(seen["y"], lj.unroll(variant, params, xs, lengths, backend="scan")[0], atol=1e-6)
    for letter, values in seen.items():
        assert not np.asarray(values[4:, 2]).any() and not np.asarray(values[:, 1]).any(), letter


def test_recording_refuses_what_unroll_refuses():
    params, xs = cell_and_inputs("V")
    with pytest.raises(ValueError, match="features"):
        record_gates("V", params, xs[..., :1])
    with pytest.raises(ValueError, match=r"outside 0\.\.T"):
        record_gates("V", params, xs, lengths=[7, 1, 1])


def test_saturation_counts_shut_and_open_steps_within_the_lengths():
    rng = np.random.default_rng(0)
    gate, lengths = rng.beta(0.3, 0.3, (T, B, H)).astype(np.float32), np.array([6, 2, 0])
    found = saturation({"f": gate, "c": gate}, lengths, margin=0.2)
    counted = np.concatenate([gate[:n, b] for b, n in enumerate(lengths)])
    assert set(found) == {"f"}
    np.testing.assert_allclose(found["f"].shut, (counted < 0.2).mean(0), atol=1e-6)
    np.testing.assert_allclose(found["f"].open, (counted > 0.8).mean(0), atol=1e-6)
    with pytest.raises(ValueError, match=r"margin must lie between 0 and 0\.5, got 0\.7"):
        saturation({"f": gate}, margin=0.7)


def test_time_scale_is_the_time_in_which_a_cell_falls_to_one_part_in_e():
    rng = np.random.default_rng(1)
    f, lengths = rng.uniform(0.2, 0.99, (T, 1, H)).astype(np.float32), np.array([4])
    scales = np.asarray(time_scales({"f": f}, lengths))
    left_after_four_steps = f[:4, 0].prod(0)
    np.testing.assert_allclose(np.exp(-4 / scales), left_after_four_steps, rtol=1e-5)
    assert np.isinf(time_scales({"f": np.ones((T, B, H), np.float32)})).all()


def test_time_scale_of_a_forget_bias_alone():
    params, xs = cell_and_inputs("NP")
    params = jax.tree.map(jnp.zeros_like, params)
    params = params._replace(b=params.b.at[lj.VARIANTS["NP"].rows.index("f")].set(3.0))
    np.testing.assert_allclose(time_scales(record_gates("NP", params, xs)), -1 / np.log(sigmoid(3.0)), rtol=1e-4)


def test_time_scale_of_a_cell_without_forget_gate_is_an_error():
    params, xs = cell_and_inputs("NFG")
    with pytest.raises(ValueError, match="needs the forget gate 'f', got activations of c, i, o, y, z"):
        time_scales(record_gates("NFG", params, xs))


def test_a_gate_that_never_closes_keeps_forever():
    scales = time_scales({"f": jnp.ones((4, 2, 3)).at[:, :, 1].set(0.5)})
    np.testing.assert_allclose(scales, [np.inf, 1 / np.log(2), np.inf], rtol=1e-6)
