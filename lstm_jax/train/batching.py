"""Which rows of a split share a batch: any, or those of like length; and how many computed steps are padding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import DataConfig
from lstm_jax.train.order import rows_in_order


@partial(jax.tree_util.register_dataclass, data_fields=["sequences"], meta_fields=["take", "batch_size"])
@dataclass(frozen=True)
class DatasetSource:
    """Batches gathered from a split that lies on the device; a plan is row numbers (``order.py``)."""

    sequences: Any
    take: Callable[[Any, jax.Array], Batch]
    batch_size: int

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> jax.Array:
        """Row numbers ``(steps, batch_size)``."""
        return rows_in_order(key, first_step, steps, self.sequences.inputs.shape[0], self.batch_size)

    def batch(self, item: jax.Array) -> Batch:
        """The rows of ``item``, time-major."""
        return self.take(self.sequences, item)


@partial(jax.tree_util.register_dataclass, data_fields=["sequences", "bucket"], meta_fields=["take", "batch_size"])
@dataclass(frozen=True)
class BucketSource:
    """As ``DatasetSource``, but the sequences of a batch share a bucket, so that none waits long for another.

    An epoch is as many whole batches as the split gives: it is permuted, sorted by bucket, cut into batches, and these
    are permuted. The rows that fill no batch are others in every epoch. Only where two buckets meet may a batch hold
    rows of both: it runs at the length of the longer.

    Attributes:
        bucket: ``(N,)`` int32, for each row the place of its cut, the shortest that holds it.
    """

    sequences: Any
    bucket: jax.Array
    take: Callable[[Any, jax.Array], Batch]
    batch_size: int

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> jax.Array:
        """Row numbers ``(steps, batch_size)``."""
        batches = self.bucket.shape[0] // self.batch_size
        first_epoch = jnp.asarray(first_step, jnp.int32) // batches
        epochs = first_epoch + jnp.arange(steps // batches + 2)
        orders = jax.vmap(lambda epoch: self._epoch(jax.random.fold_in(key, epoch)))(epochs)
        return jax.lax.dynamic_slice_in_dim(orders.reshape(-1, self.batch_size), first_step % batches, steps)

    def _epoch(self, key: jax.Array) -> jax.Array:
        """The batches of one epoch, ``(E, batch_size)``."""
        row_key, batch_key = jax.random.split(key)
        examples, size = self.bucket.shape[0], self.batch_size
        rows = jax.random.permutation(row_key, examples)[: examples // size * size]
        alike = rows[jnp.argsort(self.bucket[rows], stable=True)].reshape(-1, size)
        return jax.random.permutation(batch_key, alike)

    def batch(self, item: jax.Array) -> Batch:
        """The rows of ``item``, time-major."""
        return self.take(self.sequences, item)


def in_rows(config: DataConfig, sequences: Any, take: Any, cuts: tuple[int, ...]) -> DatasetSource | BucketSource:
    """The batches of a split, as ``config.batching`` puts them together; ``cuts``: the lengths that they run at.

    Raises:
        UsageError: bucketed batches of more sequences than there are.
    """
    from lstm_jax.datasets.packing import pack

    if config.batching == "packed":
        sequences = pack(sequences)
    if config.batching != "bucketed":
        return DatasetSource(jax.tree.map(jnp.asarray, sequences), take, config.batch_size)
    count = len(sequences.lengths)
    if count < config.batch_size:
        raise UsageError(f"{config.name}: {count} sequences fill no batch of {config.batch_size}; take a smaller one")
    bucket = np.searchsorted(cuts, sequences.lengths).astype(np.int32)
    return BucketSource(jax.tree.map(jnp.asarray, sequences), jnp.asarray(bucket), take, config.batch_size)


def wasted_share(source: DatasetSource | BucketSource, cuts: tuple[int, ...], key: jax.Array) -> float:
    """The share of the steps computed in an epoch that are padding, with the batches planned from ``key``.

    ``cuts``: the lengths that batches run at; none: all rows are computed whole.
    """
    lengths, size = np.asarray(source.sequences.lengths), source.batch_size
    valid = lengths.reshape(len(lengths), -1).sum(1)
    if (valid == source.sequences.inputs.shape[1]).all():
        return 0.0
    rows = np.asarray(source.plan(key, jnp.int32(0), max(len(valid) // size, 1)))
    bounds = np.array(cuts or (source.sequences.inputs.shape[1],))
    computed = bounds[np.searchsorted(bounds, valid[rows].max(1))] * size
    return float(1 - valid[rows].sum() / computed.sum())
