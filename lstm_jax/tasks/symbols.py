"""Sequences of symbols, as whole numbers and as a network reads them, and what guessing them costs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.timing import valid


def show(symbols: jax.Array, size: int) -> jax.Array:
    """``(T, B, size)`` float32, one-hot of ``symbols (T, B)``; all zeros in the padding, where the symbol is -1."""
    return jax.nn.one_hot(symbols, size, dtype=jnp.float32)


def read(batch: Batch) -> jax.Array:
    """``(T, B)`` int32, the symbols behind one-hot inputs; -1 in the padding, whatever stands there."""
    symbols = jnp.argmax(batch.inputs, axis=-1).astype(jnp.int32)
    return jnp.where(valid(batch.lengths, batch.inputs.shape[0]), symbols, -1)


def guessing_cost(share: np.ndarray) -> np.ndarray:
    """Least mean cross-entropy in nats of one constant guess at a 0/1 output that is 1 in ``share`` of all cases."""
    inner = np.clip(share, 1e-300, 1.0)
    outer = np.clip(1.0 - share, 1e-300, 1.0)
    return -share * np.log(inner) - (1.0 - share) * np.log(outer)
