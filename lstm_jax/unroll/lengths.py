"""The one meaning of length: past it the state is held, the output is 0, and the padding is never read.

A row of a batch is valid at steps t < length. What stands beyond, NaN included, reaches neither values nor gradients.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.step import State


def check_lengths(lengths: jax.typing.ArrayLike, steps: int, batch: int) -> jax.Array:
    """Lengths as int32 ``(B,)``; values are checked where they are known (not under ``jit``).

    Raises:
        TypeError: lengths are not integers.
        ValueError: wrong shape, a negative length, or one beyond T.
    """
    if isinstance(lengths, (list, tuple)) and any(isinstance(length, jax.core.Tracer) for length in lengths):
        lengths = jnp.stack([jnp.asarray(length) for length in lengths])  # ``jit`` traces a list one by one
    lengths = lengths if isinstance(lengths, jax.Array) else np.asarray(lengths)
    if lengths.shape == (0,):
        lengths = lengths.astype(np.int32)  # an empty list has no type of its own
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"lengths must be integers, got {lengths.dtype}: round them and cast to int32")
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths has shape {lengths.shape}, expected ({batch},): one length for each of the B sequences"
        )
    if not isinstance(lengths, jax.core.Tracer):
        values = np.asarray(lengths)
        wrong = np.flatnonzero((values < 0) | (values > steps))
        if wrong.size:
            row = int(wrong[0])
            raise ValueError(f"lengths[{row}] = {values[row]} is outside 0..T, T = {steps}: cut or pad the sequence")
    return jnp.asarray(lengths, jnp.int32)


def valid_steps(lengths: jax.Array, steps: int) -> jax.Array:
    """``(T, B)`` bool: step t of row b comes before its end."""
    return jnp.arange(steps, dtype=jnp.int32)[:, None] < lengths[None, :]


def packed_starts(lengths: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """Valid steps of each row ``(B,)``, and the first step of each sequence in it ``(T, B)`` bool, for ``resets``.

    ``lengths (B, P)``: of the sequences that follow each other in each row; 0 where a row holds fewer than P.
    """
    first = jnp.cumsum(lengths, axis=1) - lengths
    at = jnp.arange(steps, dtype=first.dtype)[:, None, None] == first[None]
    return lengths.sum(1), (at & (lengths > 0)[None]).any(-1)


def starts(resets: jax.Array, valid: jax.Array | None, reverse: bool) -> jax.Array:
    """``(T, B)`` bool: steps before which the state is blank.

    ``resets`` marks the first step of each packed sequence, so a reversed direction is blank before the last step of
    each, which stands just before the first step of the next; no mark stands behind the last in a row, so that it
    begins in the initial state. Marks in the padding mean nothing.
    """
    if valid is not None:
        resets = resets & valid
    if not reverse:
        return resets
    return jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])])


def clean(xs: jax.Array, valid: jax.Array | None) -> jax.Array:
    """Zero the padding before anything is computed from it: ``where`` alone would let a NaN into the gradient."""
    return xs if valid is None else jnp.where(valid[..., None], xs, jnp.zeros_like(xs))


def hold(valid: jax.Array | None, new: State, old: State) -> State:
    """The new state where the step is valid, the old one past the end."""
    if valid is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(_along(valid, a), a, b), new, old)


def blank(start: jax.Array | None, state: State) -> State:
    """The state that a step begins with: zeros where a packed sequence starts."""
    if start is None:
        return state
    return jax.tree.map(lambda a: jnp.where(_along(start, a), jnp.zeros_like(a), a), state)


def _along(mask: jax.Array, like: jax.Array) -> jax.Array:
    """A mask over the leading axes, broadcast over the features."""
    return jnp.broadcast_to(mask.reshape(mask.shape + (1,) * (like.ndim - mask.ndim)), like.shape)
