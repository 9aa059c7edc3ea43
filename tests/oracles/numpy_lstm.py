"""The recurrent cells as the papers write them: float64 NumPy, one example and one time step at a time.

Imports nothing from the library. Weights are a mapping of names: ``W_z (I, H)``, ``R_f (H, H)``, ``p_o (H,)``,
``b_i (H,)``, ``R_fi (H, H)`` from the forget gate of the step before into the input gate. With memory blocks of S
cells, everything that belongs to a gate has H/S where the above has H, except ``p``; cell k is in block k % (H/S).

Sources: Greff et al. 2015 (V to FGR); Hochreiter & Schmidhuber 1997 (LSTM1997); Cho et al. 2014, with the reset gate
on the recurrent product (GRU); Zhou et al. 2016 (MGU); Le et al. 2015 (RELU).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
NAMES = (*NINE, "CIFG_NOAF", "LSTM1997", "RNN", "RELU", "GRU", "MGU")

GATES = {name: "ifo" for name in NAMES} | {
    "NIG": "fo",
    "NFG": "io",
    "NOG": "if",
    "CIFG": "io",
    "CIFG_NOAF": "io",
    "LSTM1997": "io",
    "RNN": "",
    "RELU": "",
    "GRU": "ir",
    "MGU": "i",
}
WITH_PEEPHOLES = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "FGR", "CIFG_NOAF")


class CellState(NamedTuple):
    """``c (B, H)``, ``y (B, H)``, and ``gates (B, L, H/S)`` in the order i f o for cells that feed gates back."""

    c: np.ndarray
    y: np.ndarray
    gates: np.ndarray | None = None


def logistic(a: np.ndarray) -> np.ndarray:
    """s(a) in (0, 1)."""
    return 1.0 / (1.0 + np.exp(-a))


def one_step(name: str, w: Mapping[str, np.ndarray], x: np.ndarray, c: np.ndarray, y: np.ndarray, fed_back: dict):
    """One time step of one example: x (I,), c and y (H,), gates of the step before by name, each (H/S,)."""
    cells = c.shape[-1]

    def weighted(row: str, cell: np.ndarray | None = None, recurrent: float | np.ndarray = 1.0) -> np.ndarray:
        total = x @ w[f"W_{row}"] + recurrent * (y @ w[f"R_{row}"]) + w[f"b_{row}"]
        if f"p_{row}" in w:
            blocks = w[f"b_{row}"].shape[-1]
            total = total + (w[f"p_{row}"] * cell).reshape(cells // blocks, blocks).sum(0)
        for source, gate in fed_back.items():
            if f"R_{source}{row}" in w:
                total = total + gate @ w[f"R_{source}{row}"]
        return total

    def every_cell(gate: np.ndarray) -> np.ndarray:
        return np.tile(gate, cells // gate.shape[-1])

    gates = {}
    if "i" in GATES[name]:
        gates["i"] = logistic(weighted("i", c))
    if "f" in GATES[name]:
        gates["f"] = logistic(weighted("f", c))

    if name == "GRU":
        z = np.tanh(weighted("z", recurrent=logistic(weighted("r"))))
    elif name == "MGU":
        z = np.tanh(weighted("z", recurrent=gates["i"]))
    elif name == "LSTM1997":
        z = 4.0 * logistic(weighted("z")) - 2.0
    elif name in ("NIAF", "RNN", "RELU"):
        z = weighted("z")
    else:
        z = np.tanh(weighted("z"))

    if name == "NIG":
        new_c = z + c * gates["f"]
    elif name in ("NFG", "LSTM1997"):
        new_c = z * every_cell(gates["i"]) + c
    elif name in ("CIFG", "CIFG_NOAF", "GRU", "MGU"):
        new_c = z * gates["i"] + c * (1.0 - gates["i"])
    elif name in ("RNN", "RELU"):
        new_c = z
    else:
        new_c = z * gates["i"] + c * gates["f"]

    if "o" in GATES[name]:
        gates["o"] = logistic(weighted("o", new_c))

    if name == "LSTM1997":
        new_y = (2.0 * logistic(new_c) - 1.0) * every_cell(gates["o"])
    elif name in ("NOAF", "CIFG_NOAF"):
        new_y = new_c * gates["o"]
    elif name in ("GRU", "MGU"):
        new_y = new_c
    elif name in ("NOG", "RNN"):
        new_y = np.tanh(new_c)
    elif name == "RELU":
        new_y = np.maximum(new_c, 0.0)
    else:
        new_y = np.tanh(new_c) * gates["o"]
    return new_c, new_y, gates


def run(
    name: str,
    weights: Mapping[str, np.ndarray],
    xs: np.ndarray,
    lengths: np.ndarray | None = None,
    initial: CellState | None = None,
    *,
    resets: np.ndarray | None = None,
    reverse: bool = False,
) -> tuple[np.ndarray, CellState]:
    """Outputs ``(T, B, H)`` (0 past each length) and the final state of xs ``(T, B, I)``.

    ``resets (T, B)`` marks the first step of each packed sequence: the state is blank before it, and in reverse before
    the last step of the sequence that ends in front of it. Only marks inside a row's length count.
    """
    w = {key: np.asarray(value, np.float64) for key, value in weights.items()}
    steps, batch = xs.shape[:2]
    cells = w["b_z"].shape[-1]
    ys = np.zeros((steps, batch, cells))
    start = blank_state(name, w, batch) if initial is None else initial
    c, y = np.array(start.c, np.float64), np.array(start.y, np.float64)
    gates = None if start.gates is None else np.array(start.gates, np.float64)
    sources = GATES[name] if gates is not None else ""
    for row in range(batch):
        length = steps if lengths is None else int(lengths[row])
        for t in reversed(range(length)) if reverse else range(length):
            mark = t + 1 if reverse else t
            if resets is not None and mark < length and resets[mark, row]:
                c[row], y[row] = 0.0, 0.0
                if gates is not None:
                    gates[row] = 0.0
            fed_back = {source: gates[row, k].copy() for k, source in enumerate(sources)}
            c[row], y[row], opened = one_step(name, w, np.asarray(xs[t, row], np.float64), c[row], y[row], fed_back)
            for k, source in enumerate(sources):
                gates[row, k] = opened[source]
            ys[t, row] = y[row]
    return ys, CellState(c, y, gates)


def blank_state(name: str, weights: Mapping[str, np.ndarray], batch: int) -> CellState:
    """Zeros for every part of the state; gates only for cells that feed them back."""
    cells = weights["b_z"].shape[-1]
    gates = GATES[name]
    feeds_back = bool(gates) and f"R_{gates[0]}{gates[0]}" in weights
    blocks = weights[f"b_{gates[0]}"].shape[-1] if gates else cells
    zeros = np.zeros((batch, cells))
    return CellState(zeros, zeros, np.zeros((batch, len(gates), blocks)) if feeds_back else None)


def random_weights(name: str, rng: np.random.Generator, inputs: int, cells: int, block: int = 1, scale: float = 0.5):
    """Normal weights for every name that the cell has, biases and peepholes included."""
    blocks = cells // block
    shapes: dict[str, tuple[int, ...]] = {"W_z": (inputs, cells), "R_z": (cells, cells), "b_z": (cells,)}
    for gate in GATES[name]:
        shapes |= {f"W_{gate}": (inputs, blocks), f"R_{gate}": (cells, blocks), f"b_{gate}": (blocks,)}
        if name in WITH_PEEPHOLES:
            shapes[f"p_{gate}"] = (cells,)
    if name in ("FGR", "LSTM1997"):
        targets = {gate: blocks for gate in GATES[name]} | ({"z": cells} if name == "LSTM1997" else {})
        shapes |= {f"R_{s}{t}": (blocks, width) for s in GATES[name] for t, width in targets.items()}
    return {key: scale * rng.standard_normal(shape) for key, shape in shapes.items()}


def numeric_gradient(function: Callable[[np.ndarray], float], at: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    """Central differences of a scalar function of one array, float64."""
    gradient = np.zeros(at.shape)
    for index in np.ndindex(*at.shape):
        step = np.zeros(at.shape)
        step[index] = epsilon
        gradient[index] = (function(at + step) - function(at - step)) / (2 * epsilon)
    return gradient
