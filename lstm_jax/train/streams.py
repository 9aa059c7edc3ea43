"""A text as parallel streams of windows: where each goes on is a function of (seed, step), as all batches are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch


@partial(jax.tree_util.register_dataclass, data_fields=["windows"], meta_fields=["take", "batch_size"])
@dataclass(frozen=True)
class StreamSource:
    """A text read by B streams at once, for ever; a plan is the rows of windows that follow each other.

    Streams begin N / B windows apart and never end: each goes on where the next one began, and after the last window
    of the text comes the first. So there is no end of an epoch at which states would be given up, and every window is
    seen once in N / B steps. The seed decides where the first stream begins. ``windows``: whole ones, N rows.
    """

    windows: Any
    take: Callable[[Any, jax.Array], Batch]
    batch_size: int

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> jax.Array:
        """Row numbers ``(steps, batch_size)``."""
        count = self.windows.inputs.shape[0]
        apart = np.arange(self.batch_size, dtype=np.int64) * count // self.batch_size  # B N may exceed 32 bits
        begins = jax.random.randint(key, (), 0, count) + jnp.asarray(apart, jnp.int32)
        return (begins[None, :] + (first_step + jnp.arange(steps))[:, None]) % count

    def batch(self, item: jax.Array) -> Batch:
        """The next window of every stream, time-major."""
        return self.take(self.windows, item)._replace(lengths=None)


def in_streams(windows: Any, count: int) -> Batch:
    """All of a text in batches ``(E, T, B)``: each of ``count`` streams has E windows that follow each other."""
    rows = len(windows.lengths)
    count = min(count, rows)
    each = -(-rows // count)

    def by_time(array: np.ndarray) -> jax.Array:
        filled = np.pad(array, [(0, count * each - rows), (0, 0)])
        return jnp.asarray(filled.reshape(count, each, -1).transpose(1, 2, 0))

    return Batch(by_time(windows.inputs), by_time(windows.targets), None, by_time(windows.loss_mask))
