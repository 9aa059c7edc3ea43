"""In which order the rows of a split are seen: a function of (seed, step), wherever the rows lie."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def rows_in_order(key: jax.Array, first_step: jax.Array, steps: int, examples: int, batch_size: int) -> jax.Array:
    """Row numbers ``(steps, batch_size)`` from one permutation of the ``examples`` an epoch.

    Permutations follow each other without a gap: step s reads positions s B to (s + 1) B - 1 of that endless row, so
    every example is seen once an epoch whatever the batch size. Positions must stay below 2**31.
    """
    first_position = jnp.asarray(first_step, jnp.int32) * batch_size
    first_epoch = first_position // examples
    wanted = steps * batch_size
    epochs = first_epoch + jnp.arange(wanted // examples + 2)
    orders = jax.vmap(lambda epoch: jax.random.permutation(jax.random.fold_in(key, epoch), examples))(epochs)
    offset = first_position - first_epoch * examples
    return jax.lax.dynamic_slice(orders.reshape(-1), (offset,), (wanted,)).reshape(steps, batch_size)
