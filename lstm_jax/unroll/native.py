"""The native CPU kernel as a backend: all steps of a layer in one call each way, through ``jax.ffi``.

It does what a loop of XLA cannot do at small batch: weights are packed once and stay in the cache, nothing is launched
per step, rows that have ended cost nothing, and weight gradients are summed a hundred rows at a time. The sources are
in ``kernel/``; ``lstm_jax.unroll.build`` compiles and loads them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, feeds_gates, target_rows
from lstm_jax.cell.variants import CHOICES, Variant
from lstm_jax.unroll.backends import Mask, fused

GATES = ("i", "f", "o", "r")  # Gate in kernel/cell.h
KINDS = ("learned", "open", "coupled", "closed")  # Kind in kernel/cell.h
SQUASHINGS = CHOICES["block_input"]  # Squash in kernel/squash.h


def native(
    variant: Variant, reverse: bool, params: Params, xs: jax.Array, state: State, valid: Mask, start: Mask
) -> tuple[jax.Array, State]:
    """The kernel and its own way back; outputs past a row's end are 0.

    It computes in the state's type: 16-bit weights and inputs are widened before and their gradients rounded after.
    """
    params, xs = jax.tree.map(lambda array: array.astype(state.c.dtype), (params, xs))
    return _native(variant, reverse, params, xs, state, valid, start)


class Kept(NamedTuple):
    """What the way back reads, ``(T, B, ...)``; 0 past a row's end.

    Attributes:
        ys, cs: outputs and cells ``(T, B, H)``.
        act: z and the learned gates ``(T, B, G n)``.
        reset_rows: ``(T, B, H)`` recurrent part of the block input where a gate resets it, otherwise empty.
    """

    ys: jax.Array
    cs: jax.Array
    act: jax.Array
    reset_rows: jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _native(variant, reverse, params, xs, state, valid, start):
    """Outputs and last state, nothing kept."""
    ys, last, _ = _call_forward(variant, reverse, params, xs, state, valid, start, keep=False)
    return ys, last


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _keeping(variant, reverse, params, xs, state, valid, start):
    """Last state and what the way back needs: differentiable too, for those who differentiate a gradient."""
    _, last, kept = _call_forward(variant, reverse, params, xs, state, valid, start, keep=True)
    return last, kept


def _forward(variant, reverse, *arguments):
    wanted = arguments[1].perturbed  # whether anybody asks for the gradient of xs
    values = jax.tree.map(lambda a: a.value, arguments, is_leaf=lambda a: hasattr(a, "perturbed"))
    last, kept = _keeping(variant, reverse, *values)
    return (kept.ys, last), (*values, kept, Wanted(wanted))


def _forward_keeping(variant, reverse, *arguments):
    (ys, last), (*values, kept, wanted) = _forward(variant, reverse, *arguments)
    return (last, kept), (*values, kept, wanted)


@jax.tree_util.register_static
class Wanted(int):
    """Whether the gradient of the inputs is asked for; static among residuals that are arrays."""


def _backward(variant, reverse, residuals, cotangents):
    *arguments, kept, wanted = residuals
    d_ys, d_last = _instantiated(cotangents, (kept.ys, arguments[2]))
    d_params, d_xs, d_state = _errors(variant, reverse, bool(wanted), tuple(arguments), kept, d_ys, d_last)
    return d_params, d_xs, d_state, None, None


def _backward_keeping(variant, reverse, residuals, cotangents):
    d_last, d_kept = cotangents
    return _backward(variant, reverse, residuals, (d_kept.ys, d_last))


def _instantiated(cotangents, like):
    """Zeros where nothing depends on an output."""
    return jax.tree.map(
        lambda d, a: jnp.zeros_like(a) if isinstance(d, SymbolicZero) else d,
        cotangents,
        like,
        is_leaf=lambda d: isinstance(d, SymbolicZero),
    )


_native.defvjp(_forward, _backward, symbolic_zeros=True)
_keeping.defvjp(_forward_keeping, _backward_keeping, symbolic_zeros=True)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _errors(variant, reverse, wanted, arguments, kept, d_ys, d_last):
    return _call_backward(variant, reverse, wanted, arguments, kept, d_ys, d_last)


def _errors_forward(variant, reverse, wanted, arguments, kept, d_ys, d_last):
    return _errors(variant, reverse, wanted, arguments, kept, d_ys, d_last), (arguments, kept, d_ys, d_last)


def _errors_backward(variant, reverse, wanted, residuals, cotangents):
    """The derivative of a gradient is that of the fused backend's, which is made of differentiable steps."""
    arguments, kept, *d_outputs = residuals
    *leaves, valid, start = arguments

    def gradient(leaves, d_outputs):
        _, back = jax.vjp(lambda *leaves: fused(variant, reverse, *leaves, valid, start), *leaves)
        return back(tuple(d_outputs))

    _, back = jax.vjp(gradient, tuple(leaves), tuple(d_outputs))
    d_leaves, d_d_outputs = back(cotangents)
    nothing = jax.tree.map(jnp.zeros_like, kept)  # what was kept is a function of the leaves, which are counted
    return (*d_leaves, None, None), nothing, *d_d_outputs


_errors.defvjp(_errors_forward, _errors_backward)


def cell_record(variant: Variant, inputs: int, hidden: int) -> np.ndarray:
    """The variant as ``read_cell`` in kernel/kernel.cc reads it."""
    learned, peeping = variant.learned_gates, variant.peephole_gates

    def place(names: tuple[str, ...]) -> list[int]:
        return [names.index(gate) if gate in names else -1 for gate in GATES]

    fed = target_rows(variant) if feeds_gates(variant) else slice(0, 0)
    numbers = [
        *(inputs, hidden, variant.block_size, len(learned)),
        *(*place(learned), *place(peeping), len(peeping)),
        *(KINDS.index(variant.forget_gate), KINDS.index(variant.reset_gate)),
        *(SQUASHINGS.index(variant.block_input), SQUASHINGS.index(variant.block_output)),
        *(variant.feedback == "truncated", fed.start, fed.stop - fed.start),
    ]
    return np.array(numbers, np.int64)


def _call_forward(variant, reverse, params, xs, state, valid, start, *, keep):
    (steps, batch, _), hidden, rows = xs.shape, state.c.shape[-1], params.b.size
    resets = variant.reset_gate != "open"
    kept = Kept(
        ys=(steps, batch, hidden),
        cs=(steps, batch, hidden) if keep else (0,),
        act=(steps, batch, rows) if keep else (0,),
        reset_rows=(steps, batch, hidden) if keep and resets else (0,),
    )
    shapes = (kept.ys, *_state_shapes(state), *kept[1:])
    ys, *last, cs, act, reset_rows = _call(
        "forward", variant, reverse, shapes, _problem(params, xs, state, valid, start)
    )
    return ys, _state(last, state), Kept(ys, cs, act, reset_rows)


def _call_backward(variant, reverse, wanted, arguments, kept, d_ys, d_last):
    params, xs, state, valid, start = arguments
    weights = [(0,) if weight is None else weight.shape for weight in params]
    shapes = (*weights, xs.shape if wanted else (0,), *_state_shapes(state))
    operands = (*_problem(params, xs, state, valid, start), *kept, d_ys, *_filled(xs, d_last))
    *d_weights, d_xs, d_c, d_y, d_gates = _call("backward", variant, reverse, shapes, operands)
    d_params = Params(*(None if w is None else d for w, d in zip(params, d_weights, strict=True)))
    return d_params, d_xs if wanted else jnp.zeros_like(xs), _state((d_c, d_y, d_gates), state)


def _problem(params, xs, state, valid, start) -> tuple[jax.Array, ...]:
    """The operands that both ways begin with."""
    lengths = None if valid is None else valid.sum(0, dtype=jnp.int32)
    return (*_filled(xs, params), xs, *_filled(xs, (lengths, start)), *_filled(xs, state))


def _filled(like: jax.Array, operands: Any) -> list[jax.Array]:
    """An empty array for what there is not."""
    return [jnp.zeros_like(like, shape=(0,)) if operand is None else operand for operand in operands]


def _state_shapes(state: State) -> list[tuple[int, ...]]:
    return [(0,) if part is None else part.shape for part in state]


def _state(parts, like: State) -> State:
    return State(*(None if old is None else part for part, old in zip(parts, like, strict=True)))


def _call(way: str, variant: Variant, reverse: bool, shapes, operands) -> list[jax.Array]:
    """Results under ``shard_map`` vary as the operands do, which ``ffi_call`` cannot be told beforehand."""
    xs = operands[5]
    results = [jax.ShapeDtypeStruct(shape, xs.dtype) for shape in shapes]
    call = jax.ffi.ffi_call(f"lstm_{way}_{xs.dtype}", results, vmap_method="sequential")
    made = call(*operands, cell=cell_record(variant, xs.shape[-1], operands[1].shape[0]), reverse=reverse)
    axes = tuple(jax.typeof(xs).manual_axis_type.varying)
    return [jax.lax.pcast(array, axes, to="varying") for array in made] if axes else made
