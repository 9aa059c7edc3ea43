"""Learning from rows that stay on disk: the batches of one chunk of steps are on the device, the next are being read.

The order is that of a split in memory, a function of (seed, step). So there is no position of a reader to save: a run
that resumes at a step reads on there, and gives the bytes of one that never stopped, or that had its data in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.order import rows_in_order

_rows_in_order = jax.jit(rows_in_order, static_argnums=(2, 3, 4))


@jax.tree_util.register_static
@dataclass(frozen=True, eq=False)
class DiskSource:
    """Batches of a split on disk (``datasets/reader.py``); ``feeding`` reads a chunk of them at a time."""

    reader: Any
    batch_size: int

    def read(self, key: jax.Array, first_step: int, steps: int) -> Batch:
        """The batches ``(steps, T, B, ...)`` of a chunk on the host, as ``DatasetSource`` has them."""
        order = _rows_in_order(key, jnp.int32(first_step), steps, len(self.reader), self.batch_size)
        inputs, targets, lengths, mask = self.reader.read(np.asarray(order).reshape(-1))

        def by_step(array: np.ndarray) -> np.ndarray:
            return array.reshape(steps, self.batch_size, *array.shape[1:])

        timed = (by_step(array).swapaxes(1, 2) for array in (inputs, targets, mask))
        inputs, targets, mask = timed
        return Batch(inputs, targets, by_step(lengths), mask)

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> Any:
        """Refused: a program cannot read."""
        raise UsageError("data that stay on disk are learned from by `train` only; load this problem into memory")

    def batch(self, item: Any) -> Batch:
        """Refused, as ``plan``."""
        return self.plan(item, item, 0)


@partial(jax.tree_util.register_dataclass, data_fields=["batches"], meta_fields=[])
@dataclass(frozen=True)
class ChunkSource:
    """The batches ``(steps, T, B, ...)`` of the one chunk that is learned from now; a plan is their numbers."""

    batches: Batch

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> jax.Array:
        """``0`` to ``steps - 1``; a chunk that holds fewer is left before its end."""
        return jnp.arange(steps)

    def batch(self, item: jax.Array) -> Batch:
        """Batch number ``item``."""
        return jax.tree.map(lambda array: array[item], self.batches)


@contextlib.contextmanager
def feeding(
    problem: Any, key: jax.Array, stop_after: Callable[[int], int], last: int, place: Callable[[Any], Any]
) -> Iterator[Callable[[int], Any]]:
    """A function from the first step of a chunk to the problem that the chunk is learned from.

    While a chunk is learned from, a thread reads the one that follows it and puts it on the device. An error in
    reading is raised where the chunk is asked for. A problem in memory is given back as it is.

    Args:
        problem: a ``Problem``; ``key``: of its data.
        stop_after: where the chunk that begins at a step ends; ``last``: the end of the run.
        place: puts arrays where the program reads them.
    """
    source = problem.train
    if not isinstance(source, DiskSource):
        yield lambda first: problem
        return

    def chunk(first: int) -> ChunkSource:
        return ChunkSource(place(source.read(key, first, stop_after(first) - first)))

    ahead: dict[int, Future[ChunkSource]] = {}
    thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

    def fed(first: int) -> Any:
        for begin in (first, stop_after(first)):
            if begin < last and begin not in ahead:
                ahead[begin] = thread.submit(chunk, begin)
        return replace(problem, train=ahead.pop(first).result())

    try:
        yield fed
    finally:
        thread.shutdown(cancel_futures=True)
