"""``unroll`` and ``unroll_stack`` against PyTorch: values and gradients, float64, PyTorch's own weight layout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

torch = pytest.importorskip(
    "torch", reason="torch is installed on Python 3.11 only: no lock without CUDA beyond it", exc_type=ImportError
)

T, B, I, H = 6, 3, 4, 5  # noqa: E741
LENGTHS = (6, 2, 4)

pytestmark = pytest.mark.usefixtures("x64")


def peer(kind, **options):
    """A PyTorch module with random weights, float64."""
    module = getattr(torch.nn, kind)(I, H, dtype=torch.float64, **options)
    rng = np.random.default_rng(1)
    for parameter in module.parameters():
        parameter.data = torch.from_numpy(0.5 * rng.standard_normal(tuple(parameter.shape)))
    return module


def packed(module, xs, lengths, state=None):
    """Outputs (T, B, D*H) and the final state of PyTorch on a packed batch."""
    batch = torch.nn.utils.rnn.pack_padded_sequence(xs, torch.tensor(lengths), enforce_sorted=False)
    ys, final = module(batch, state)
    return torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=T)[0], final


def weights_of(module):
    return {name: jnp.asarray(parameter.detach().numpy()) for name, parameter in module.named_parameters()}


def lstm_cell(w, suffix):
    """PyTorch's rows i f g o, transposed, both biases added."""
    mapping = {}
    for k, row in enumerate("ifzo"):
        part = slice(k * H, (k + 1) * H)
        mapping[f"W_{row}"] = w[f"weight_ih{suffix}"][part].T
        mapping[f"R_{row}"] = w[f"weight_hh{suffix}"][part].T
        mapping[f"b_{row}"] = w[f"bias_ih{suffix}"][part] + w[f"bias_hh{suffix}"][part]
    return lj.pack_gates("NP", mapping)


def gru_cell(w, suffix):
    """PyTorch's rows r z n; its update gate keeps what our input gate replaces, i = 1 - z."""
    mapping = {}
    for k, (row, sign) in enumerate({"r": 1, "i": -1, "z": 1}.items()):
        part = slice(k * H, (k + 1) * H)
        mapping[f"W_{row}"] = sign * w[f"weight_ih{suffix}"][part].T
        mapping[f"R_{row}"] = sign * w[f"weight_hh{suffix}"][part].T
        mapping[f"b_{row}"] = sign * (w[f"bias_ih{suffix}"][part] + w[f"bias_hh{suffix}"][part])
    return lj.pack_gates("GRU", mapping)


def rnn_cell(w, suffix):
    mapping = {"W_z": w[f"weight_ih{suffix}"].T, "R_z": w[f"weight_hh{suffix}"].T}
    return lj.pack_gates("RNN", mapping | {"b_z": w[f"bias_ih{suffix}"] + w[f"bias_hh{suffix}"]})


CELLS = {"LSTM": ("NP", lstm_cell), "GRU": ("GRU", gru_cell), "RNN": ("RNN", rnn_cell)}


def stack_of(kind, w, layers, directions):
    suffixes = ("", "_reverse")[:directions]
    return tuple(tuple(CELLS[kind][1](w, f"_l{n}{d}") for d in suffixes) for n in range(layers))


def silence_recurrent_bias(module):
    """PyTorch's GRU has a second candidate bias inside the reset gate, which ours has not."""
    for name, parameter in module.named_parameters():
        if name.startswith("bias_hh"):
            parameter.data[2 * H :] = 0.0


@pytest.mark.parametrize("backend", ["scan", "fused"])
@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 2)])
def test_packed_stack_has_the_values_and_gradients_of_torch(kind, layers, directions, backend):
    module = peer(kind, num_layers=layers, bidirectional=directions == 2)
    if kind == "GRU":
        silence_recurrent_bias(module)
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((T, B, I))
    d_ys = rng.standard_normal((T, B, directions * H))
    theirs_in = torch.tensor(xs, requires_grad=True)
    theirs, _ = packed(module, theirs_in, LENGTHS)
    (theirs * torch.from_numpy(d_ys)).sum().backward()

    def loss(w, xs):
        ys, _ = lj.unroll_stack(CELLS[kind][0], stack_of(kind, w, layers, directions), xs, LENGTHS, backend=backend)
        return (ys * d_ys).sum(), ys

    (d_w, d_xs), ours = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(weights_of(module), jnp.asarray(xs))
    np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=1e-12, rtol=0)
    np.testing.assert_allclose(d_xs, theirs_in.grad.numpy(), atol=1e-11, rtol=0)
    for name, parameter in module.named_parameters():
        expected, got = parameter.grad.numpy(), d_w[name]
        if kind == "GRU" and name.startswith("bias_hh"):
            expected, got = expected[: 2 * H], got[: 2 * H]
        np.testing.assert_allclose(got, expected, atol=1e-11, rtol=0, err_msg=name)


@pytest.mark.parametrize("reverse", [False, True])
def test_final_states_of_a_ragged_batch_are_those_of_torch(reverse):
    module = peer("LSTM", bidirectional=True)
    rng = np.random.default_rng(2)
    xs = rng.standard_normal((T, B, I))
    h, c = rng.standard_normal((2, 2, B, H))
    theirs, (h_n, c_n) = packed(module, torch.from_numpy(xs), LENGTHS, (torch.from_numpy(h), torch.from_numpy(c)))
    params = lstm_cell(weights_of(module), "_l0_reverse" if reverse else "_l0")
    first = lj.State(c=jnp.asarray(c[int(reverse)]), y=jnp.asarray(h[int(reverse)]))
    ys, state = lj.unroll("NP", params, jnp.asarray(xs), LENGTHS, first, reverse)
    np.testing.assert_allclose(ys, theirs.detach().numpy()[..., reverse * H : (reverse + 1) * H], atol=1e-12)
    np.testing.assert_allclose(state.y, h_n[int(reverse)].detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(state.c, c_n[int(reverse)].detach().numpy(), atol=1e-12)
