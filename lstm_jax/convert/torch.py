"""Weights to and from PyTorch's ``nn.LSTM``: its state_dict, as arrays; torch itself is not imported.

PyTorch packs (4H, I) and (4H, H) in the order i f g o (g is our z) and keeps two biases, whose sum is ours: they are
summed on the way in, and the second is 0 on the way out. Its states are (h, c), ours ``State(c, y)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.params import Params, check_no_trials, gate_view, pack_gates
from lstm_jax.cell.variants import VARIANTS, Variant
from lstm_jax.convert.checks import expect_no_peepholes, expect_shape

TORCH_ROWS = ("i", "f", "z", "o")
"""Our names of PyTorch's rows i f g o."""

_KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_KEY = re.compile(r"(weight_ih|weight_hh|bias_ih|bias_hh)_l\d+(_reverse)?$")


def from_torch(state_dict: Mapping[str, Any], prefix: str = "") -> tuple[tuple[Params, ...], ...]:
    """The stack of an ``nn.LSTM``: a tuple over layers of a tuple over directions of NP parameters.

    Args:
        state_dict: names to tensors or arrays (``module.state_dict()``); without biases they become 0.
        prefix: where the LSTM sits in a larger module, such as ``"encoder."``; names elsewhere are ignored.

    Raises:
        KeyError: a weight is missing or unknown. ValueError: shapes do not fit, or the LSTM has a projection.
    """
    found = {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}
    weights = {name: _array(value) for name, value in _only_lstm(found, prefix).items()}
    layers = 1 + max(int(name.removesuffix("_reverse").rpartition("_l")[2]) for name in weights)
    directions = ("", "_reverse") if any(name.endswith("_reverse") for name in weights) else ("",)
    hidden = _take(weights, "weight_hh_l0").shape[-1]
    return tuple(
        tuple(_one_direction(weights, f"_l{layer}{direction}", hidden) for direction in directions)
        for layer in range(layers)
    )


def _array(value: Any) -> np.ndarray:
    """A weight for NumPy, to which PyTorch gives no bfloat16."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    foreign = str(getattr(value, "dtype", "")) == "torch.bfloat16"
    return np.asarray(jnp.from_dlpack(value) if foreign else value)


def to_torch(variant: Variant | str, stack: Sequence[Sequence[Params]]) -> dict[str, np.ndarray]:
    """The stack as the state_dict of an ``nn.LSTM``, NumPy arrays; load with ``{k: torch.from_numpy(v)}``.

    bfloat16 weights leave as float32, because NumPy arrays of bfloat16 are none for PyTorch.

    Raises:
        TypeError: one cell's weights.
        ValueError: a variant other than NP, which is the only one that PyTorch has; weights with a trial axis; a layer
            of more than two directions, or of other sizes than the first leaves it.
    """
    expect_no_peepholes(variant, "PyTorch's nn.LSTM")
    if isinstance(stack, Params):
        raise TypeError("expected a stack, a sequence of layers of one or two directions each: give ((params,),)")
    state_dict: dict[str, np.ndarray] = {}
    for layer, directions in enumerate(stack):
        if not 1 <= len(directions) <= 2:
            raise ValueError(f"layer {layer} has {len(directions)} directions, PyTorch's nn.LSTM has 1 or 2")
        for direction, params in zip(("", "_reverse")[: len(directions)], directions, strict=True):
            check_no_trials(params)
            _check_fits(stack, layer, params)
            arrays = _to_rows(params)
            state_dict |= {f"{kind}_l{layer}{direction}": array for kind, array in arrays.items()}
    return state_dict


def _check_fits(stack: Sequence[Sequence[Params]], layer: int, params: Params) -> None:
    """PyTorch's layers have all the same number of cells and directions, and read the outputs of the one below."""
    hidden, directions = stack[0][0].R.shape[0], len(stack[0])
    inputs = directions * hidden if layer else stack[0][0].W.shape[0]
    found = len(stack[layer]), params.W.shape[0], params.R.shape[0]
    if found != (directions, inputs, hidden):
        raise ValueError(
            f"layer {layer} has {found[0]} directions, {found[1]} inputs and {found[2]} cells, PyTorch's nn.LSTM "
            f"needs {directions}, {inputs} and {hidden} there"
        )


def _to_rows(params: Params) -> dict[str, np.ndarray]:
    view = gate_view(VARIANTS["NP"], params)
    packed = {kind: np.concatenate([_exported(view[f"{kind}_{r}"]) for r in TORCH_ROWS]) for kind in "WRb"}
    return dict(zip(_KINDS, (packed["W"], packed["R"], packed["b"], np.zeros_like(packed["b"])), strict=True))


def _exported(weights: jax.Array) -> np.ndarray:
    return np.asarray(weights.astype(jnp.float32) if weights.dtype == jnp.bfloat16 else weights).T


def _only_lstm(found: Mapping[str, Any], prefix: str) -> Mapping[str, Any]:
    projections = [name for name in found if name.startswith("weight_hr_l")]
    if projections:
        raise ValueError(f"{projections[0]!r}: an LSTM with proj_size has an output projection, which NP lacks")
    unknown = [name for name in found if not _KEY.match(name)]
    if unknown or not found:
        raise KeyError(
            f"under prefix {prefix!r} there are {sorted(unknown) or 'no names'} beside an nn.LSTM's weight_ih_l0, "
            "weight_hh_l0, bias_ih_l0, bias_hh_l0 (_reverse); give the prefix of the LSTM in its module"
        )
    return found


def _take(weights: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in weights:
        raise KeyError(f"{name!r} is missing; the state_dict has {sorted(weights)}")
    return weights[name]


def _one_direction(weights: Mapping[str, np.ndarray], suffix: str, hidden: int) -> Params:
    rows = len(TORCH_ROWS) * hidden
    inputs = _take(weights, f"weight_ih{suffix}").shape[-1]
    zero = np.zeros(rows, weights[f"weight_ih{suffix}"].dtype)
    biases = any(name.startswith("bias") for name in weights)
    packed = {
        "W": expect_shape(f"weight_ih{suffix}", weights[f"weight_ih{suffix}"], (rows, inputs)),
        "R": expect_shape(f"weight_hh{suffix}", _take(weights, f"weight_hh{suffix}"), (rows, hidden)),
        "b": sum(
            (expect_shape(f"{k}{suffix}", _take(weights, f"{k}{suffix}"), (rows,)) for k in _KINDS[2:] if biases), zero
        ),
    }
    mapping = {
        f"{kind}_{row}": jnp.asarray(part.T)
        for kind, array in packed.items()
        for row, part in zip(TORCH_ROWS, np.split(array, len(TORCH_ROWS)), strict=True)
    }
    return pack_gates(VARIANTS["NP"], mapping)
