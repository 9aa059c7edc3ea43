"""The gradient of 1997, accumulated forwards by hand, against the truncated feedback of the reverse mode."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

T, I, O, BLOCKS, SIZE = 9, 4, 3, 3, 2
H = BLOCKS * SIZE
VARIANT = dataclasses.replace(lj.VARIANTS["LSTM1997"], block_size=SIZE)


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def paper_rule(w: dict[str, np.ndarray], readout: np.ndarray, xs: np.ndarray, targets: np.ndarray):
    """Hochreiter & Schmidhuber 1997, appendix: minus the weight changes per unit learning rate, for one sequence.

    Each source of a hidden unit is one entry of r = [x, cell outputs, input gates, output gates, 1]; P_in and P_c are
    the paper's running derivatives of each cell state for the weights of its input gate and of its own input.
    """
    block = np.arange(H) % BLOCKS
    columns = {
        row: np.concatenate([w[f"W_{row}"], w[f"R_{row}"], w[f"R_i{row}"], w[f"R_o{row}"], w[f"b_{row}"][None]])
        for row in "zio"
    }
    sources = len(columns["z"])
    gradient = {row: np.zeros_like(columns[row]) for row in "zio"}
    d_readout = np.zeros_like(readout)
    s, y, gate_i, gate_o = np.zeros(H), np.zeros(H), np.zeros(BLOCKS), np.zeros(BLOCKS)
    p_in, p_c = np.zeros((H, sources)), np.zeros((H, sources))
    for x, target in zip(xs, targets, strict=True):
        r = np.concatenate([x, y, gate_i, gate_o, [1.0]])
        gate_i, gate_o = logistic(r @ columns["i"]), logistic(r @ columns["o"])
        net = r @ columns["z"]
        g, slope = 4 * logistic(net) - 2, 4 * logistic(net) * (1 - logistic(net))
        s = s + gate_i[block] * g
        p_in += np.outer(g * (gate_i * (1 - gate_i))[block], r)
        p_c += np.outer(gate_i[block] * slope, r)
        h = 2 * logistic(s) - 1
        y = gate_o[block] * h
        output = logistic(y @ readout)
        e = output * (1 - output) * (target - output)
        d = readout @ e
        e_state = gate_o[block] * 0.5 * (1 - h * h) * d
        e_out = gate_o * (1 - gate_o) * np.array([(h * d)[block == j].sum() for j in range(BLOCKS)])
        d_readout -= np.outer(y, e)
        gradient["o"] -= np.outer(r, e_out)
        for cell in range(H):
            gradient["i"][:, block[cell]] -= e_state[cell] * p_in[cell]
            gradient["z"][:, cell] -= e_state[cell] * p_c[cell]
    edges = np.cumsum([I, H, BLOCKS, BLOCKS])
    parts = {row: np.split(gradient[row], edges) for row in "zio"}
    named = {f"{kind}_{row}": parts[row][n] for row in "zio" for n, kind in ((0, "W"), (1, "R"))}
    named |= {f"R_{s}{row}": parts[row][n] for row in "zio" for n, s in ((2, "i"), (3, "o"))}
    return named | {f"b_{row}": parts[row][4][0] for row in "zio"}, d_readout


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("backend", ["scan", "fused"])
def test_truncated_feedback_is_the_rule_of_1997(backend):
    rng = np.random.default_rng(0)
    normal = dict.fromkeys(("W", "R", "b", "Q"), jax.nn.initializers.normal(0.6))
    options = {"initializers": normal, "forget_bias": None, "dtype": jnp.float64}
    params = lj.init_params(jax.random.key(0), VARIANT, I, H, **options)
    readout, xs, targets = rng.standard_normal((H, O)), rng.standard_normal((T, I)), rng.random((T, O))

    def half_squared_error(params, readout):
        ys, _ = lj.unroll(VARIANT, params, xs[:, None], backend=backend)
        return 0.5 * ((jax.nn.sigmoid(ys[:, 0] @ readout) - targets) ** 2).sum()

    got, got_readout = jax.grad(half_squared_error, (0, 1))(params, jnp.asarray(readout))
    weights = {name: np.asarray(value) for name, value in lj.gate_view(VARIANT, params).items()}
    want, want_readout = paper_rule(weights, readout, xs, targets)
    got = lj.gate_view(VARIANT, got)
    assert got.keys() == want.keys()
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-12, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(got_readout, want_readout, rtol=1e-12)
