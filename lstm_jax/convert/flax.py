"""Weights to and from Flax's own LSTM cells: linen and nnx, per gate or optimised.

All of them are the variant NP. Flax calls the block input ``g``, keeps one bias, on the recurrent side, and names
its parameters in three layouts:

============= ======================================== =====================================
layout        cells                                    names
============= ======================================== =====================================
linen         linen LSTMCell and OptimizedLSTMCell     ii if ig io (I, H), hi hf hg ho (H, H)
nnx           nnx LSTMCell                             the same, with ``if_`` for ``if``
nnx_optimized nnx OptimizedLSTMCell                    dense_i (I, 4H), dense_h (H, 4H): i f g o
============= ======================================== =====================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.params import Params, check_no_trials, gate_view, pack_gates
from lstm_jax.cell.variants import VARIANTS, Variant
from lstm_jax.convert.checks import expect_no_peepholes, expect_shape
from lstm_jax.names import nearest

FLAX_GATE = {"i": "i", "f": "f", "z": "g", "o": "o"}
"""Flax's name of each of our rows, in the order in which its optimised cell packs them."""

LAYOUTS = {
    "linen": {"i": "ii", "f": "if", "z": "ig", "o": "io"},
    "nnx": {"i": "ii", "f": "if_", "z": "ig", "o": "io"},
    "nnx_optimized": {"packed": "dense_i"},
}
"""Names of the input weights in each layout; the recurrent ones begin with ``h`` instead."""


def from_flax(source: Any) -> Params:
    """Parameters of the variant NP from a Flax LSTM cell; which of the three layouts it is shows in its names.

    Args:
        source: the parameters of a linen cell (``variables["params"]``), those of an ``nn.RNN`` around it, an nnx
            cell, or the pure dictionary of its parameters.

    Raises:
        KeyError: a parameter is missing or unknown. ValueError: a shape does not fit the others.
    """
    weights = _unwrap(_pure(source))
    layout = _detect(weights)
    flat = _flatten(weights)
    _expect_names(flat, layout)
    mapping = _split_packed(flat) if layout == "nnx_optimized" else _by_gate(flat, layout)
    return pack_gates(VARIANTS["NP"], jax.tree.map(jnp.asarray, mapping))


def to_flax(variant: Variant | str, params: Params, layout: str = "linen") -> dict[str, dict[str, jax.Array]]:
    """The parameters as a Flax cell holds them: ``{"ii": {"kernel": (I, H)}, "hi": {"kernel", "bias"}, ...}``.

    Args:
        variant: the variant of ``params``; Flax has NP only. A peephole or an absent gate has no place there.
        layout: ``"linen"``, ``"nnx"`` or ``"nnx_optimized"``. The dictionary goes into a linen cell as
            ``{"params": ...}``, and into an nnx cell by ``nnx.update(cell, ...)`` after
            ``nnx.replace_by_pure_dict(state, ...)``.

    Raises:
        ValueError: another variant, an unknown layout, or weights with a trial axis.
    """
    expect_no_peepholes(variant, "Flax's LSTM cells")
    check_no_trials(params)
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r} of a Flax cell; {nearest(layout, LAYOUTS)}")
    view = gate_view(VARIANTS["NP"], params)
    if layout == "nnx_optimized":
        packed = {kind: jnp.concatenate([view[f"{kind}_{row}"] for row in FLAX_GATE], axis=-1) for kind in "WRb"}
        return {"dense_i": {"kernel": packed["W"]}, "dense_h": {"kernel": packed["R"], "bias": packed["b"]}}
    inputs = {name: {"kernel": view[f"W_{row}"]} for row, name in LAYOUTS[layout].items()}
    recurrent = {f"h{FLAX_GATE[r]}": {"kernel": view[f"R_{r}"], "bias": view[f"b_{r}"]} for r in FLAX_GATE}
    return inputs | recurrent


def _pure(source: Any) -> Any:
    """An nnx module or State as nested dictionaries of arrays; anything else unchanged."""
    from flax import nnx

    if isinstance(source, nnx.Module):
        source = nnx.state(source, nnx.Param)
    return nnx.to_pure_dict(source) if isinstance(source, nnx.State) else source


def _unwrap(weights: Any) -> Any:
    """Steps into ``params`` and ``cell``, the wrappings that linen adds."""
    for wrapping in ("params", "cell"):
        if isinstance(weights, Mapping) and wrapping in weights:
            weights = weights[wrapping]
    if not isinstance(weights, Mapping):
        raise TypeError(f"expected a Flax LSTM cell's parameters as a mapping, or an nnx cell, got {type(weights)}")
    return weights


def _detect(weights: Mapping) -> str:
    marks = {"dense_i": "nnx_optimized", "dense_h": "nnx_optimized", "if_": "nnx", "if": "linen"}
    for mark, layout in marks.items():
        if mark in weights:
            return layout
    raise KeyError(
        f"no Flax LSTM cell: got parameters named {sorted(weights)}; expected 'ii', 'if' (nnx: 'if_'), 'ig', 'io', "
        "'hi', 'hf', 'hg', 'ho', or 'dense_i' and 'dense_h'"
    )


def _flatten(weights: Mapping) -> dict[str, np.ndarray]:
    return {
        f"{name}.{leaf}": np.asarray(value)
        for name, leaves in weights.items()
        for leaf, value in (leaves.items() if isinstance(leaves, Mapping) else {"?": leaves}.items())
    }


def _expect_names(flat: Mapping[str, np.ndarray], layout: str) -> None:
    inputs = list(LAYOUTS[layout].values())
    recurrent = ["dense_h"] if layout == "nnx_optimized" else [f"h{gate}" for gate in FLAX_GATE.values()]
    expected = {f"{name}.kernel" for name in inputs + recurrent} | {f"{name}.bias" for name in recurrent}
    missing, unknown = sorted(expected - set(flat)), sorted(set(flat) - expected)
    if missing or unknown:
        raise KeyError(
            f"parameters do not fit a Flax cell of layout {layout!r}: missing {missing}, unknown {unknown}; "
            f"expected exactly {sorted(expected)}"
        )


def _by_gate(flat: Mapping[str, np.ndarray], layout: str) -> dict[str, np.ndarray]:
    inputs, hidden = flat["ii.kernel"].shape[0], flat["ii.kernel"].shape[-1]
    mapping = {}
    for row, name in LAYOUTS[layout].items():
        recurrent = f"h{FLAX_GATE[row]}"
        mapping[f"W_{row}"] = expect_shape(f"{name}.kernel", flat[f"{name}.kernel"], (inputs, hidden))
        mapping[f"R_{row}"] = expect_shape(f"{recurrent}.kernel", flat[f"{recurrent}.kernel"], (hidden, hidden))
        mapping[f"b_{row}"] = expect_shape(f"{recurrent}.bias", flat[f"{recurrent}.bias"], (hidden,))
    return mapping


def _split_packed(flat: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    inputs, hidden = flat["dense_i.kernel"].shape[0], flat["dense_i.kernel"].shape[-1] // len(FLAX_GATE)
    packed = {
        "W": expect_shape("dense_i.kernel", flat["dense_i.kernel"], (inputs, 4 * hidden)),
        "R": expect_shape("dense_h.kernel", flat["dense_h.kernel"], (hidden, 4 * hidden)),
        "b": expect_shape("dense_h.bias", flat["dense_h.bias"], (4 * hidden,)),
    }
    return {
        f"{kind}_{row}": part
        for kind, array in packed.items()
        for row, part in zip(FLAX_GATE, np.split(array, len(FLAX_GATE), axis=-1), strict=True)
    }
