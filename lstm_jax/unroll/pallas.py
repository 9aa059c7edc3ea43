"""The persistent GPU kernels as a backend: where they can run, and arrays cut to their tiles and joined again.

The input product is one large product before the kernel and the weight gradients are some after it, as in the fused
backend, whose gradient this is with both loops exchanged.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, input_rows, target_rows
from lstm_jax.cell.variants import Variant
from lstm_jax.unroll.backends import Mask, gradients, shifted
from lstm_jax.unroll.pallas_tiles import SHARED_BYTES, Given, Sizes, edges, has_reset, shared_bytes

OLDEST = (0, 11)
"""The first JAX whose Mosaic GPU has the calls that the kernels make."""
CAPABILITY = "9.0"
"""Hopper: the tensor core products that a warpgroup makes from shared memory."""


def refusal() -> str | None:
    """Why the kernels cannot run on this machine; None where they can."""
    if jax.__version_info__[:2] < OLDEST:
        return f"needs JAX {'.'.join(map(str, OLDEST))}, this is {jax.__version__}"
    if jax.default_backend() != "gpu":
        return f"is for GPUs, JAX computes on {jax.default_backend()}"
    capability = getattr(jax.devices()[0], "compute_capability", "unknown")
    if capability != CAPABILITY:
        return f"is for GPUs of compute capability {CAPABILITY}, this one has {capability}"
    return None


def pallas(
    variant: Variant, reverse: bool, params: Params, xs: jax.Array, state: State, valid: Mask, start: Mask
) -> tuple[jax.Array, State]:
    """The kernels and their own way back; differentiable once."""
    _check(variant, params, xs, start)
    return _pallas(variant, reverse, params, xs, state, valid)


def _check(variant: Variant, params: Params, xs: jax.Array, start: Mask) -> None:
    """Raise where the kernels do not cover the layer."""
    hidden, what = params.R.shape[0], None
    if params.R.dtype not in (jnp.bfloat16, jnp.float16):
        what = f"16-bit weights, these are {params.R.dtype}"
    elif jax.typeof(xs).manual_axis_type.varying:
        what = "shard_map(..., check_vma=False), its loops do not tell what varies"
    elif start is not None:
        what = "sequences without resets"
    elif variant.block_size > 1:
        what = f"gates of one cell each, the blocks of {variant.name} have {variant.block_size}"
    elif (size := shared_bytes(variant, Sizes(0, 0, hidden).parts)) > SHARED_BYTES:
        what = (
            f"recurrent weights that fit {SHARED_BYTES} bytes of shared memory, those of {variant.name} with {hidden} "
            f"units need {size}"
        )
    if what:
        raise ValueError(f"backend='pallas' is for {what}: take 'auto'")


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _pallas(variant, reverse, params, xs, state, valid):
    (ys, last), _ = _run(variant, reverse, params, xs, state, valid, keep=False)
    return ys, last


def _forward(variant, reverse, params, xs, state, valid):
    (ys, last), kept = _run(variant, reverse, params, xs, state, valid, keep=True)
    return (ys, last), (params, xs, state, valid, ys, *kept)


def _run(variant, reverse, params, xs, state, valid, *, keep):
    from lstm_jax.unroll import pallas_kernel as kernel

    sizes = _sizes(xs, params)
    x_rows = jnp.swapaxes(input_rows(params, xs, state.c.dtype), 1, 2)
    given = _given(variant, params, sizes, valid, back=False)
    rows, first = sizes.cut(x_rows), sizes.cut(_stacked(state))
    last, ys, *kept = kernel.forward(variant, reverse, sizes, keep, given, rows, first)
    return (sizes.join(ys), _state(sizes.join(last), state)), kept


def _backward(variant, reverse, residuals, cotangents):
    from lstm_jax.unroll import pallas_kernel as kernel

    params, xs, state, valid, ys, cs, acts = residuals
    d_ys, d_last = cotangents
    sizes = _sizes(xs, params)
    given = _given(variant, params, sizes, valid, back=True)
    cs_before = shifted(reverse, sizes.cut(state.c), cs)
    errors = sizes.cut(d_ys), sizes.cut(_stacked(d_last))
    d_first, d_rows = kernel.backward(variant, reverse, sizes, given, acts, cs, cs_before, *errors)

    count = len(variant.rows)
    rows = jnp.moveaxis(sizes.join(d_rows), 1, 2)  # (T, B, K, H)
    x_rows, gates = rows[:, :, :count], None
    y_rows = jnp.concatenate([rows[:, :, count:], x_rows[:, :, 1:]], 2) if has_reset(variant) else x_rows
    if state.gates is not None:
        gates = shifted(reverse, state.gates, jnp.moveaxis(sizes.join(acts[:, 1:count]), 1, 2))
    before = State(sizes.join(cs_before), shifted(reverse, state.y, ys), gates)
    flat_rows = (rows.reshape(*rows.shape[:2], count * sizes.hidden) for rows in (x_rows, y_rows))
    d_params, d_xs = gradients(variant, params, xs, before, sizes.join(cs), *flat_rows)
    return d_params, d_xs, _state(sizes.join(d_first), state), None


_pallas.defvjp(_forward, _backward)


def _sizes(xs: jax.Array, params: Params) -> Sizes:
    steps, batch, _ = xs.shape
    return Sizes(steps, batch, params.R.shape[0])


def _given(variant: Variant, params: Params, sizes: Sizes, valid: Mask, *, back: bool) -> Given:
    """Weights, peepholes and lengths as the kernels read them."""
    first = target_rows(variant).start
    matrices = [
        params.R[:, row] if params.Q is None or source == 0 else params.Q[source - 1, :, row - first]
        for row, source in edges(variant)
    ]
    weights = jnp.stack([sizes.cut_square(matrix if back else matrix.T) for matrix in matrices])
    p = None if params.p is None else sizes.cut_units(params.p.astype(jnp.float32))
    lengths = None if valid is None else sizes.cut_batch(valid.sum(0, dtype=jnp.int32))
    return Given(weights, p, lengths)


def _stacked(state: State) -> jax.Array:
    """c, y and the gates as one array ``(1 + S, B, H)``."""
    gates = [] if state.gates is None else [state.gates[:, n] for n in range(state.gates.shape[1])]
    return jnp.stack([state.c, state.y, *gates])


def _state(parts: jax.Array, like: State) -> State:
    return State(parts[0], parts[1], None if like.gates is None else jnp.moveaxis(parts[2:], 0, 1))
