"""What gates do while a cell reads: their activations, how often they are shut or open, how long they hold."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, initial_state, lstm_step, state_dtype
from lstm_jax.cell.variants import Variant, resolve
from lstm_jax.unroll import unroll
from lstm_jax.unroll.lengths import check_lengths, clean, hold, valid_steps

GATES = ("i", "f", "o", "r")


class Saturation(NamedTuple):
    """Share of valid steps that each cell's gate spends shut or open, ``(n,)`` each, between 0 and 1."""

    shut: jax.Array
    open: jax.Array


def record_gates(
    variant: Variant | str, params: Params, xs: jax.Array, lengths: jax.typing.ArrayLike | None = None
) -> dict[str, jax.Array]:
    """Every activation of a cell while it reads a batch from the blank state.

    Args:
        variant: record or name.
        params: of that variant.
        xs: ``(T, B, I)`` floating.
        lengths: ``(B,)`` integers in 0..T, or None for all T.

    Returns:
        By letter, ``(T, B, H)`` each: the block input ``z``, the gates that the variant has (``i``, ``f``, ``o``,
        ``r``; ``(T, B, n)`` where memory blocks share them), the cell ``c`` and the block output ``y``. Exactly 0 past
        a row's length.

    Raises:
        TypeError, ValueError: as ``unroll`` does.
    """
    variant = resolve(variant)
    xs = jnp.asarray(xs)
    jax.eval_shape(lambda: unroll(variant, params, xs, lengths))  # the checks of unroll, without running it
    steps, batch = xs.shape[:2]
    lengths = jnp.full((batch,), steps) if lengths is None else check_lengths(lengths, steps, batch)
    return _record(variant, params, xs, valid_steps(lengths, steps))


@partial(jax.jit, static_argnums=0)
def _record(variant: Variant, params: Params, xs: jax.Array, valid: jax.Array) -> dict[str, jax.Array]:
    def step(state: State, now: tuple[jax.Array, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
        x, valid = now
        after, activations = lstm_step(variant, params, state, x)
        activations = {**activations, "c": after.c, "y": after.y}
        return hold(valid, after, state), jax.tree.map(partial(_zero_unless, valid), activations)

    blank = initial_state(variant, (xs.shape[1],), params.R.shape[0], state_dtype(params))
    return lax.scan(step, blank, (clean(xs, valid), valid))[1]


def _zero_unless(valid: jax.Array, values: jax.Array) -> jax.Array:
    return jnp.where(valid[..., None], values, jnp.zeros_like(values))


def saturation(
    activations: Mapping[str, jax.Array], lengths: jax.typing.ArrayLike | None = None, margin: float = 0.1
) -> dict[str, Saturation]:
    """How often each gate is shut (below ``margin``) or open (above ``1 - margin``), for each cell.

    Args:
        activations: what ``record_gates`` returned; letters that are no gates are passed over.
        lengths: the ones given to ``record_gates``.
        margin: between 0 and 0.5.

    Source: the saturation plots of Karpathy, Johnson & Fei-Fei, "Visualizing and understanding recurrent networks",
    2015, section 4.2.
    """
    if not 0 < margin < 0.5:
        raise ValueError(f"saturation: margin must lie between 0 and 0.5, got {margin!r}")
    return {
        gate: Saturation(
            shut=_mean_over_valid(values < margin, lengths), open=_mean_over_valid(values > 1 - margin, lengths)
        )
        for gate, values in activations.items()
        if gate in GATES
    }


def time_scales(activations: Mapping[str, jax.Array], lengths: jax.typing.ArrayLike | None = None) -> jax.Array:
    """Steps after which each cell has lost all but 1/e of what it held: ``-1 / mean(log f)``, ``(n,)``.

    The product of the forget gates over k steps is what remains of a cell's content, so the mean is taken of log f;
    infinite where the gate never closes.

    Raises:
        ValueError: the activations hold no forget gate (an open one keeps forever, a closed one not at all).
    """
    if "f" not in activations:
        raise ValueError(
            f"time_scales needs the forget gate 'f', got activations of {', '.join(sorted(activations))}: "
            "a variant with an open forget gate keeps its cell forever"
        )
    return 1.0 / jnp.abs(_mean_over_valid(jnp.log(activations["f"]), lengths))


def _mean_over_valid(values: jax.Array, lengths: jax.typing.ArrayLike | None) -> jax.Array:
    """``(T, B, n)`` to its mean ``(n,)`` over the valid steps."""
    steps, batch = values.shape[:2]
    lengths = jnp.full((batch,), steps) if lengths is None else check_lengths(lengths, steps, batch)
    counted = jnp.broadcast_to(valid_steps(lengths, steps)[..., None], values.shape)
    return jnp.mean(values, axis=(0, 1), where=counted)
