"""The derivative of one step: from the errors that arrive at a state to the errors of its rows and of its past.

Written out (Greff et al. 2015, section III; the sheet's corrected form) rather than left to autodiff, so that the
fused backend keeps six numbers a cell and step, and recomputes no gate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import (
    SQUASH,
    State,
    flat,
    gather,
    spread,
    target_rows,
    through,
)
from lstm_jax.cell.variants import Variant

SLOPE = {
    "tanh": lambda a: 1.0 - a * a,
    "identity": jnp.ones_like,
    "logistic": lambda a: a * (1.0 - a),
    "centered_logistic_1": lambda a: 0.5 * (1.0 - a * a),
    "centered_logistic_2": lambda a: 1.0 - 0.25 * a * a,
    "relu": lambda a: (a > 0).astype(a.dtype),
}
"""Derivative of each squashing as a function of its value: what was saved is enough."""


class Saved(NamedTuple):
    """What a forward step leaves for the way back.

    Attributes:
        act: activations by row: z ``(..., H)``, then the learned gates ``(..., n)``.
        reset_row: ``(..., H)`` the recurrent part of the block input, where a reset gate scales it; otherwise None.
    """

    act: tuple[jax.Array, ...]
    reset_row: jax.Array | None


def save(variant: Variant, act: dict[str, jax.Array | None], y_rows: jax.Array) -> Saved:
    """Keep what ``cell_adjoint`` needs of a step."""
    reset_row = None if variant.reset_gate == "open" else flat(y_rows[..., : variant.block_size, :])
    return Saved((act["z"], *(act[gate] for gate in variant.learned_gates)), reset_row)


def cell_adjoint(
    variant: Variant, p: jax.Array | None, saved: Saved, c_before: jax.Array, c: jax.Array, error: State
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Carry the errors of a new state back through the cell.

    Args:
        variant: the cell's record.
        p: peepholes ``(P, H)`` or None.
        saved: of the forward step.
        c_before: ``(..., H)`` cells that the step started from; ``c`` those that it made.
        error: errors at the new c, y and gates.

    Returns:
        Errors of the input rows and of the recurrent rows, each flat ``(..., G n)`` (one array where no reset gate
        tells them apart), and of ``c_before``.
    """
    from_gates = (
        {} if error.gates is None else {g: error.gates[..., n, :] for n, g in enumerate(variant.learned_gates)}
    )
    x_rows, z_passed, d_before = row_errors(variant, p, saved, c_before, c, (error.c, error.y), from_gates)
    flat_x = _pack(variant, x_rows)
    flat_y = flat_x if z_passed is None else _pack(variant, {**x_rows, "z": z_passed})
    return flat_x, flat_y, d_before


def row_errors(
    variant: Variant,
    p: Sequence[jax.Array] | jax.Array | None,
    saved: Saved,
    c_before: jax.Array,
    c: jax.Array,
    error: tuple[jax.Array, jax.Array],
    from_gates: Mapping[str, jax.Array],
) -> tuple[dict[str, jax.Array], jax.Array | None, jax.Array]:
    """What ``cell_adjoint`` does, by letter: the adjoint of ``lstm_jax.cell.step.move``.

    Args:
        variant, p, saved, c_before, c: as there, in any arrangement that ``move`` takes.
        error: at the new c and y.
        from_gates: the errors that the next step's rows send to this step's gates, where they see them.

    Returns:
        The errors of the input rows; that of the block input's recurrent row, where a reset gate stands before it,
        otherwise None (all other recurrent rows have the errors of the input rows); and that of ``c_before``.
    """
    size, (error_c, error_y) = variant.block_size, error
    z, act = saved.act[0], dict(zip(variant.learned_gates, saved.act[1:], strict=True))
    i, o = act.get("i"), act.get("o")
    f = (1.0 - i) if variant.forget_gate == "coupled" else act.get("f")
    r = i if variant.reset_gate == "coupled" else act.get("r")

    def row(gate: str, at_cells: jax.Array) -> jax.Array:
        """The error of a gate's row from the errors of its uses, one a cell, and of the next step's rows."""
        total = gather(size, at_cells)
        if gate in from_gates:
            total = total + from_gates[gate]
        return total * SLOPE["logistic"](act[gate])

    def peeped(gate: str, d_row: jax.Array) -> jax.Array:
        """The error that a gate's row sends to the cells it peeped at."""
        weights = p[variant.peephole_gates.index(gate)].astype(d_row.dtype)
        at_cells = spread(size, d_row)
        return at_cells * jnp.broadcast_to(weights, at_cells.shape)

    d_rows = {}
    h = SQUASH[variant.block_output](c)
    if o is not None:
        d_rows["o"] = row("o", error_y * h)
    d_c = error_c + through(size, o, error_y) * SLOPE[variant.block_output](h)
    if "o" in variant.peephole_gates:
        d_c = d_c + peeped("o", d_rows["o"])

    d_z = through(size, i, d_c) * SLOPE[variant.block_input](z)
    d_i = d_c * z
    if variant.forget_gate == "coupled":
        d_i = d_i - d_c * c_before
    if variant.reset_gate == "coupled":
        d_i = d_i + d_z * saved.reset_row
    if i is not None:
        d_rows["i"] = row("i", d_i)
    if variant.forget_gate == "learned":
        d_rows["f"] = row("f", d_c * c_before)
    if variant.reset_gate == "learned":
        d_rows["r"] = row("r", d_z * saved.reset_row)

    d_before = jnp.zeros_like(d_c) if variant.forget_gate == "closed" else through(size, f, d_c)
    if variant.feedback == "full":
        for gate in ("i", "f"):
            if gate in variant.peephole_gates:
                d_before = d_before + peeped(gate, d_rows[gate])
    return {"z": d_z, **d_rows}, None if r is None else through(size, r, d_z), d_before


class Back(NamedTuple):
    """The recurrent weights as ``past_errors`` reads them: made once, outside the time loop.

    Attributes:
        R: from rows to block outputs, ``(G n, H)``; ``Q``: from rows to gates, ``(rows n, L n)``, or None. For a batch
            of one they stay as they were, ``(H, G n)``: then a product is a row of scalar products, which reads them
            in order.
    """

    R: jax.Array
    Q: jax.Array | None


def backward_weights(variant: Variant, params: Params, batch: int) -> Back | None:
    """What errors pass on their way to the step before; None where the feedback is truncated and none goes back."""
    if variant.feedback == "truncated":
        return None
    R, Q = _matrix(params.R, 1), None if params.Q is None else _matrix(params.Q, 2)
    return Back(R, Q) if batch == 1 else Back(R.T, None if Q is None else Q.T)


def past_errors(variant: Variant, back: Back | None, y_rows: jax.Array, error: State, d_c: jax.Array) -> State:
    """The errors of the state before, from those of the recurrent rows ``(..., G n)`` and of its cells."""
    if back is None:
        return State(d_c, *jax.tree.map(jnp.zeros_like, error[1:]))
    d_y = _passed_back(y_rows, back.R)
    if back.Q is None:
        return State(d_c, d_y, None)
    n = y_rows.shape[-1] // len(variant.rows)
    rows = target_rows(variant)
    d_gates = _passed_back(y_rows[..., rows.start * n : rows.stop * n], back.Q)
    return State(d_c, d_y, d_gates.reshape(error.gates.shape))


def _passed_back(rows: jax.Array, weights: jax.Array) -> jax.Array:
    """Rows ``(B, G n)`` to what they came from; see ``Back`` for the two forms of the weights."""
    contracted = 1 if rows.shape[0] == 1 else 0
    dimensions = (((1,), (contracted,)), ((), ()))
    return jax.lax.dot_general(rows.astype(weights.dtype), weights, dimensions, preferred_element_type=rows.dtype)


def _matrix(weights: jax.Array, axes: int) -> jax.Array:
    return weights.reshape(math.prod(weights.shape[:axes]), -1)


def _pack(variant: Variant, rows: Mapping[str, jax.Array]) -> jax.Array:
    return jnp.concatenate([rows["z"], *(rows[gate] for gate in variant.learned_gates)], axis=-1)
