"""The linear readout: outputs of the recurrent layers to predictions, one step at a time, pure."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.initializers import Initializer, uniform
from lstm_jax.cell.params import widened_dtype


class Readout(NamedTuple):
    """Weights ``W (H, O)`` and biases ``b (O,)`` of ``W y + b``; W is None where another table is to stand for it."""

    W: jax.Array | None
    b: jax.Array


def init_readout(key: jax.Array, inputs: int, outputs: int, initializer: Initializer | None = None) -> Readout:
    """Weights drawn by ``initializer``, by default uniform within ``+-sqrt(6 / (inputs + outputs))``; biases 0.

    Source of the default: Glorot & Bengio, 2010, eq. 16.
    """
    if inputs < 1 or outputs < 1:
        raise ValueError(f"a readout needs at least 1 input and 1 output, got inputs={inputs}, outputs={outputs}")
    draw = uniform((6 / (inputs + outputs)) ** 0.5) if initializer is None else initializer
    W = draw(key, (inputs, outputs), jnp.float32)
    return Readout(W, jnp.zeros((outputs,), W.dtype))  # not the default type, which jax_enable_x64 makes float64


def readout(params: Readout, ys: jax.Array) -> jax.Array:
    """Predictions ``(..., O)`` of ``ys (..., H)``: operands in the weights' type, sums in at least float32."""
    if params.W is None:
        raise ValueError("this readout is tied and has no W of its own; put the transposed embedding in its place")
    if ys.shape[-1] != params.W.shape[0]:
        raise ValueError(f"readout expects {params.W.shape[0]} features on the last axis, got shape {ys.shape}")
    wide = widened_dtype(params.W.dtype)
    product = jnp.einsum("...h,ho->...o", ys.astype(params.W.dtype), params.W, preferred_element_type=wide)
    bias = params.b.astype(wide)
    return product + jnp.broadcast_to(bias, product.shape)
