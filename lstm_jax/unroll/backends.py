"""How a sequence is run: the plain scan, and the fused gradient.

A backend maps ``(variant, reverse, params, xs, state, valid, start)`` to the states' outputs ``(T, B, H)``, which mean
nothing past a row's end, and the final state. All agree to rounding, pallas to that of its tanh (2^-11);
``lstm_jax.unroll.choice`` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.adjoint import Saved, backward_weights, cell_adjoint, past_errors, save
from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, cell, flat, input_rows, product, products, recurrent_rows, spread, target_rows
from lstm_jax.cell.variants import Variant
from lstm_jax.unroll.lengths import blank, hold

Mask: TypeAlias = jax.Array | None


def scan(
    variant: Variant, reverse: bool, params: Params, xs: jax.Array, state: State, valid: Mask, start: Mask
) -> tuple[jax.Array, State]:
    """The plain reference: one step after another, differentiated by JAX in any mode."""
    wide, narrow = widened(params, state.c.dtype)

    def step(state: State, now: tuple) -> tuple[State, jax.Array]:
        x, ok, first = now
        before = blank(first, state)
        weights = narrow(wide)
        after, _ = cell(variant, weights.p, *products(variant, weights, before, x), before)
        state = hold(ok, after, state)
        return state, state.y

    state, ys = lax.scan(step, state, (xs, valid, start), reverse=reverse)
    return ys, state


def widened(params: Params, dtype: jnp.dtype) -> tuple[Params, Callable[[Params], Params]]:
    """Weights in the state's type and the way back to their own.

    What a loop's body narrows, its derivative widens: the gradients of 16-bit weights are summed over time in the
    state's type and rounded once. For weights that are wide already both are no operation.
    """
    wide = jax.tree.map(lambda w: w.astype(dtype), params)
    types = jax.tree.map(lambda w: w.dtype, params)
    return wide, lambda wide: jax.tree.map(lambda w, own: w.astype(own), wide, types)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def fused(
    variant: Variant, reverse: bool, params: Params, xs: jax.Array, state: State, valid: Mask, start: Mask
) -> tuple[jax.Array, State]:
    """The scan with its own way back: the reverse loop carries state errors only.

    Weight gradients are one product each, after the loop, over time and batch at once: no accumulator of a weight's
    size is read and written every step, which is what limits autodiff at small batch.
    """
    return scan(variant, reverse, params, xs, state, valid, start)


def _forward(variant, reverse, params, xs, state, valid, start):
    alone = xs.shape[1] == 1  # all input products at once; with more rows they are cheaper in the loop (on CPU)
    inputs = input_rows(params, xs, state.c.dtype) if alone else xs

    def step(state: State, now: tuple) -> tuple[State, tuple[State, Saved]]:
        x, ok, first = now
        before = blank(first, state)
        x_rows = x if alone else input_rows(params, x, state.c.dtype)
        y_rows = recurrent_rows(variant, params, before)
        after, act = cell(variant, params.p, x_rows, y_rows, before)
        state = hold(ok, after, state)
        return state, (state, save(variant, act, y_rows))

    final, (states, saved) = lax.scan(step, state, (inputs, valid, start), reverse=reverse)
    return (states.y, final), (params, xs, state, valid, start, states, saved)


def _backward(variant, reverse, residuals, cotangents):
    params, xs, first_state, valid, start, states, saved = residuals
    d_ys, d_final = cotangents
    before = jax.tree.map(partial(shifted, reverse), first_state, states)
    before = blank(start, before)

    back = backward_weights(variant, params, xs.shape[1])

    def step(error: State, now: tuple) -> tuple[State, tuple[jax.Array, jax.Array | None]]:
        d_y, c_before, c, kept, ok, first = now
        error = error._replace(y=error.y + d_y)
        x_rows, y_rows, d_c = cell_adjoint(variant, params.p, kept, c_before, c, error)
        past = blank(first, past_errors(variant, back, y_rows, error, d_c))
        rows = _masked(ok, x_rows), (None if y_rows is x_rows else _masked(ok, y_rows))
        return hold(ok, past, error), rows

    now = (d_ys, before.c, states.c, saved, valid, start)
    d_first, (x_rows, y_rows) = lax.scan(step, d_final, now, reverse=not reverse)
    y_rows = x_rows if y_rows is None else y_rows
    d_params, d_xs = gradients(variant, params, xs, before, states.c, x_rows, y_rows)
    return d_params, d_xs, d_first, None, None


def gradients(
    variant: Variant, params: Params, xs: jax.Array, before: State, c: jax.Array, x_rows: jax.Array, y_rows: jax.Array
) -> tuple[Params, jax.Array]:
    """The gradients of weights and inputs, once the errors of all rows ``(T, B, G n)`` are known."""
    d_params = _weight_gradients(variant, params, xs, before, c, x_rows, y_rows)
    d_xs = product(x_rows, params.W.reshape(params.W.shape[0], -1).T, x_rows.dtype)
    return d_params, d_xs.astype(xs.dtype)


def _weight_gradients(variant, params, xs, before, c, x_rows, y_rows) -> Params:
    """One product a weight, contracted over time and batch without a reshape (a sharded batch stays where it is)."""

    def contract(inputs: jax.Array, rows: jax.Array, weights: jax.Array) -> jax.Array:
        left, right = inputs.astype(weights.dtype), rows.astype(weights.dtype)
        if rows.shape[1] == 1:  # a plain matrix product, which is twice as fast on CPU
            summed = lax.dot(left[:, 0].T, right[:, 0], preferred_element_type=rows.dtype)
        else:
            summed = lax.dot_general(left, right, (((0, 1), (0, 1)), ((), ())), preferred_element_type=rows.dtype)
        return summed.astype(weights.dtype).reshape(weights.shape)

    n = params.b.shape[-1]
    p = Q = None
    if params.p is not None:
        p = _peephole_gradients(variant, n, {"i": before.c, "f": before.c, "o": c}, x_rows).astype(params.p.dtype)
    if params.Q is not None:
        rows = target_rows(variant)
        Q = contract(flat(before.gates), y_rows[..., rows.start * n : rows.stop * n], params.Q)
    return Params(
        W=contract(xs, x_rows, params.W),
        R=contract(before.y, y_rows, params.R),
        b=x_rows.sum((0, 1)).astype(params.b.dtype).reshape(params.b.shape),
        p=p,
        Q=Q,
    )


def _peephole_gradients(variant: Variant, n: int, seen: dict[str, jax.Array], rows: jax.Array) -> jax.Array:
    """``(P, H)``: what each gate saw times its row's error, summed over time and batch."""
    gradients = []
    for gate in variant.peephole_gates:
        first = (variant.block_size + variant.learned_gates.index(gate)) * n
        row = spread(variant.block_size, rows[..., first : first + n])
        gradients.append((seen[gate] * row).sum((0, 1)))
    return jnp.stack(gradients)


def shifted(reverse: bool, first: jax.Array, sequence: jax.Array) -> jax.Array:
    """Each step's past: the sequence moved by one step, the first state let in at its beginning."""
    parts = [sequence[1:], first[None]] if reverse else [first[None], sequence[:-1]]
    return jnp.concatenate(parts)


def _masked(valid: Mask, rows: jax.Array) -> jax.Array:
    return rows if valid is None else jnp.where(jnp.broadcast_to(valid[:, None], rows.shape), rows, 0.0)


fused.defvjp(_forward, _backward)
