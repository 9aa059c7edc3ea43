"""How far back a cell can feel: the size of a gradient against the time lag it has to cross.

Both functions differentiate the step as learning does: for a variant with truncated feedback they show the truncated
gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, initial_state, lstm_step, state_dtype
from lstm_jax.cell.variants import Variant, resolve
from lstm_jax.unroll import unroll
from lstm_jax.unroll.lengths import check_lengths


def input_gradient_norms(
    variant: Variant | str, params: Params, xs: jax.Array, lengths: jax.typing.ArrayLike | None = None
) -> jax.Array:
    """How much the last output depends on the input k steps before: the Frobenius norm of ``d y_L / d x_{L-k}``.

    Args:
        variant: record or name.
        params: of that variant.
        xs: ``(T, B, I)`` floating.
        lengths: ``(B,)`` integers in 0..T, or None; a row's lags count back from its own last step.

    Returns:
        ``(T, B)``: row k is lag k; NaN where a sequence has no step so far back.

    Raises:
        TypeError, ValueError: as ``unroll`` does.
    """
    variant, xs = resolve(variant), jnp.asarray(xs)
    jax.eval_shape(lambda: unroll(variant, params, xs, lengths))  # its checks of what came in
    steps, batch = xs.shape[:2]
    lengths = jnp.full((batch,), steps) if lengths is None else check_lengths(lengths, steps, batch)
    return _input_norms(variant, params, xs, lengths)


@partial(jax.jit, static_argnums=0)
def _input_norms(variant: Variant, params: Params, xs: jax.Array, lengths: jax.Array) -> jax.Array:
    def last_output(xs: jax.Array) -> jax.Array:
        return unroll(variant, params, xs, lengths)[1].y

    y, pull = jax.vjp(last_output, xs)

    def squares_of_cell(total: jax.Array, cell: jax.Array) -> tuple[jax.Array, None]:
        (gradient,) = pull(jnp.zeros_like(y).at[:, cell].set(1.0))  # of one cell, in all sequences at once
        return total + jnp.sum(jnp.square(gradient), axis=-1), None

    cells = jnp.arange(y.shape[-1])
    norms = jnp.sqrt(lax.scan(squares_of_cell, jnp.zeros(xs.shape[:2], xs.dtype), cells)[0])
    steps = lengths[None, :] - 1 - jnp.arange(xs.shape[0])[:, None]
    norms = jnp.take_along_axis(norms, jnp.maximum(steps, 0), axis=0)
    return jnp.where(steps >= 0, norms, jnp.nan)


def state_jacobian_norms(variant: Variant | str, params: Params, xs: jax.Array) -> jax.Array:
    """How an error in the state grows or fades on its way back: the spectral norm of ``d s_T / d s_{T-k}``.

    The state s holds all that the next step reads: c, y and, where they are fed back, the gates; of a tanh network y
    alone. The Jacobian is the product of one Jacobian a step (Bengio, Simard & Frasconi 1994; Hochreiter & Schmidhuber
    1997, section 3), so a straight line on a logarithmic axis is exponential decay or growth. Where f = 1, the cell
    passes errors on unchanged.

    Args:
        variant: record or name.
        params: of that variant.
        xs: ``(T, B, I)`` floating. Cost: B T products of matrices of twice the hidden size.

    Returns:
        ``(T + 1, B)``: row k is lag k; row 0 is 1.

    Raises:
        TypeError, ValueError: as ``unroll`` does.
    """
    variant, xs = resolve(variant), jnp.asarray(xs)
    jax.eval_shape(lambda: unroll(variant, params, xs))
    return _state_norms(variant, params, xs)


@partial(jax.jit, static_argnums=0)
def _state_norms(variant: Variant, params: Params, xs: jax.Array) -> jax.Array:
    first = initial_state(variant, (), params.R.shape[0], state_dtype(params))
    unread = variant.forget_gate == "closed" and not variant.peephole_gates

    def read(state: State) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
        """What the next step reads, as a vector, and the way back."""
        return ravel_pytree(state._replace(c=None) if unread else state)

    blank, restore = read(first)

    def step(state: jax.Array, x: jax.Array) -> jax.Array:
        before = restore(state)
        before = before._replace(c=first.c) if unread else before
        return read(lstm_step(variant, params, before, x)[0])[0]

    def of_one_sequence(xs: jax.Array) -> jax.Array:
        def back(product: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            product = product @ jax.jacfwd(step)(*now)
            return product, jnp.linalg.norm(product, ord=2)

        before = lax.scan(lambda state, x: (step(state, x), state), blank, xs)[1]
        norms = lax.scan(back, jnp.eye(blank.size, dtype=blank.dtype), (before, xs), reverse=True)[1]
        return jnp.concatenate([jnp.ones((1,), norms.dtype), norms[::-1]])

    return jnp.swapaxes(jax.vmap(of_one_sequence, in_axes=1)(xs), 0, 1)
