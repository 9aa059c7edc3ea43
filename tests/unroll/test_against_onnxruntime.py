"""``unroll`` against ONNX Runtime's LSTM and GRU: peepholes, coupled gates, other squashings; float32.

ONNX packs its LSTM's rows in the order i o f c (c is our z) and its peepholes in the order i o f.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

onnx = pytest.importorskip("onnx", reason="onnx is in the extra 'peers'", exc_type=ImportError)
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is in the extra 'peers'", exc_type=ImportError)

T, B, I, H = 7, 3, 4, 5  # noqa: E741
LENGTHS = np.array([7, 2, 5], np.int32)
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
# variant: attributes of ONNX's LSTM that make it
LSTMS = {
    "V": {},
    "NP": {},
    "CIFG": {"input_forget": 1},
    "NIAF": {"activations": ["Sigmoid", "Affine", "Tanh"]},
    "NOAF": {"activations": ["Sigmoid", "Tanh", "Affine"]},
}


def run_onnx(operator, inputs, directions, **attributes):
    """Outputs Y (T, D, B, H) and final states of one node; ``inputs`` in the operator's order, None where absent."""
    names = [f"input_{n}" if array is not None else "" for n, array in enumerate(inputs)]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if operator == "LSTM" else 2]
    if "activations" in attributes:
        copies = len(directions)
        affine = attributes["activations"].count("Affine")
        attributes["activation_alpha"] = [1.0] * affine * copies
        attributes["activation_beta"] = [0.0] * affine * copies
        attributes["activations"] = attributes["activations"] * copies
    name = next(name for name, kinds in DIRECTIONS.items() if kinds == directions)
    node = onnx.helper.make_node(operator, names, outputs, hidden_size=H, direction=name, **attributes)
    kinds = {np.dtype(np.float32): onnx.TensorProto.FLOAT, np.dtype(np.int32): onnx.TensorProto.INT32}
    given = {name: array for name, array in zip(names, inputs, strict=True) if array is not None}
    graph = onnx.helper.make_graph(
        [node],
        "one_node",
        [onnx.helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in given.items()],
        [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)


def normal(rng, *shape):
    return (0.5 * rng.standard_normal(shape)).astype(np.float32)


def lstm_params(variant, W, R, bias, P):
    """One direction: W (4H, I), R (4H, H), bias (8H,), P (3H,) to the cell of that variant."""
    mapping = {}
    for k, row in enumerate("iofz"):
        part = slice(k * H, (k + 1) * H)
        both = bias[: 4 * H][part] + bias[4 * H :][part]
        mapping |= {f"W_{row}": W[part].T, f"R_{row}": R[part].T, f"b_{row}": both}
        if P is not None and row != "z":
            mapping[f"p_{row}"] = P[part]
    absent = "f" if variant == "CIFG" else "-"
    return lj.pack_gates(variant, {name: w for name, w in mapping.items() if not name.endswith(absent)})


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=DIRECTIONS)
@pytest.mark.parametrize("variant", LSTMS)
def test_ragged_batch_from_a_given_state_has_the_values_of_onnxruntime(variant, directions):
    rng = np.random.default_rng(0)
    D = len(directions)
    xs, h, c = normal(rng, T, B, I), normal(rng, D, B, H), normal(rng, D, B, H)
    W, R, bias = normal(rng, D, 4 * H, I), normal(rng, D, 4 * H, H), normal(rng, D, 8 * H)
    P = None if variant == "NP" else normal(rng, D, 3 * H)
    theirs, h_n, c_n = run_onnx("LSTM", [xs, W, R, bias, LENGTHS, h, c, P], directions, **LSTMS[variant])
    for d, reverse in enumerate(directions):
        params = lstm_params(variant, W[d], R[d], bias[d], None if P is None else P[d])
        first = lj.State(c=jnp.asarray(c[d]), y=jnp.asarray(h[d]))
        ys, state = lj.unroll(variant, params, xs, LENGTHS, first, reverse)
        np.testing.assert_allclose(ys, theirs[:, d], atol=2e-6, rtol=0)
        np.testing.assert_allclose(state.y, h_n[d], atol=2e-6, rtol=0)
        np.testing.assert_allclose(state.c, c_n[d], atol=2e-6, rtol=0)


def test_the_gru_has_the_values_of_onnxruntime_with_the_reset_on_the_recurrent_product():
    rng = np.random.default_rng(1)
    xs = normal(rng, T, B, I)
    W, R, bias = normal(rng, 1, 3 * H, I), normal(rng, 1, 3 * H, H), normal(rng, 1, 6 * H)
    bias[:, 5 * H :] = 0.0  # the bias inside the reset gate, which ours has not
    theirs, _ = run_onnx("GRU", [xs, W, R, bias, LENGTHS, None], (False,), linear_before_reset=1)
    mapping = {}
    for k, (row, sign) in enumerate({"i": -1, "r": 1, "z": 1}.items()):  # ONNX: z r h, and i = 1 - z
        part = slice(k * H, (k + 1) * H)
        both = bias[0, : 3 * H][part] + bias[0, 3 * H :][part]
        mapping |= {f"W_{row}": sign * W[0, part].T, f"R_{row}": sign * R[0, part].T, f"b_{row}": sign * both}
    ys, _ = jax.jit(lambda xs: lj.unroll("GRU", lj.pack_gates("GRU", mapping), xs, LENGTHS))(xs)
    np.testing.assert_allclose(ys, theirs[:, 0], atol=2e-6, rtol=0)
