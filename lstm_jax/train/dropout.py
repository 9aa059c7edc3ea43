"""What is dropped in training: masks drawn once an update, the same at every step of a window (locked dropout).

Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models" (AWD), 2018; the masks: Gal & Ghahramani,
"A Theoretically Grounded Application of Dropout in Recurrent Neural Networks", 2016.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lstm_jax.train.config import DropoutConfig
from lstm_jax.unroll.stack import Stack

EMBEDDING, RECURRENT, FEATURES = range(3)
"""What a mask is for; features have one a layer, from ``FEATURES`` on, and one more for the readout."""


def drop_weights(rates: DropoutConfig, key: jax.Array, stack: Stack) -> Stack:
    """The layers with recurrent weights dropped: one mask over R for the whole update, so that it is a function of
    the weights and the loop over time does not know of it.
    """
    if rates.recurrent == 0:
        return stack
    key = jax.random.fold_in(key, RECURRENT)
    return tuple(
        tuple(
            params._replace(R=_scaled(jax.random.fold_in(key, 2 * n + d), rates.recurrent, params.R, params.R.shape))
            for d, params in enumerate(layer)
        )
        for n, layer in enumerate(stack)
    )


def drop_rows(rates: DropoutConfig, key: jax.Array, table: jax.Array) -> jax.Array:
    """The embedding ``(V, E)`` without some of its rows."""
    if rates.embedding == 0:
        return table
    return _scaled(jax.random.fold_in(key, EMBEDDING), rates.embedding, table, (table.shape[0], 1))


def drop_features(rate: float, key: jax.Array, place: int, xs: jax.Array) -> jax.Array:
    """``xs (T, B, I)`` without some features of each sequence, the same at every step; ``place`` tells masks apart."""
    if rate == 0:
        return xs
    return _scaled(jax.random.fold_in(key, FEATURES + place), rate, xs, (1, *xs.shape[1:]))


def _scaled(key: jax.Array, rate: float, array: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A share ``rate`` set to 0, the rest scaled up so that the mean stays; one draw an entry of ``shape``."""
    keep = jax.random.bernoulli(key, 1 - rate, shape)
    return array * jnp.broadcast_to(keep.astype(array.dtype) / (1 - rate), array.shape)
