"""Held-out sets as batches of one shape, so that one program evaluates all of them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import DataConfig


def by_example(batch: Batch) -> Batch:
    """Batch axis first, as rows on disk."""
    inputs, targets, lengths, mask = (np.asarray(array) for array in batch)
    return Batch._make([inputs.swapaxes(0, 1), targets.swapaxes(0, 1), lengths, mask.swapaxes(0, 1)])


def evaluation_sets(config: DataConfig, *sets: Any) -> list[Batch]:
    """Each of ``sets`` (batch-major examples) in batches ``(E, T, B, ...)`` of one shape: one program serves all.

    Shorter sequences are padded to the common T; rows of length 0 that count nothing fill the last batch. Where
    batches are cut, rows of like length stand together.
    """
    if config.cuts > 1:
        sets = tuple(_sorted(examples) for examples in sets)
    counts = [len(examples.lengths) for examples in sets]
    if min(counts) == 0:
        raise ValueError(f"{config.name}: an evaluation set needs at least 1 sequence, got {counts}")
    size = min(config.eval_batch_size, max(counts))
    steps, rows = (max(examples[n].shape[1] for examples in sets) for n in range(2))  # of inputs and of targets
    return [_batches(examples, size, steps, rows) for examples in sets]


def _sorted(examples: Any) -> Any:
    order = np.argsort(np.asarray(examples.lengths), kind="stable")
    return type(examples)._make(np.asarray(array)[order] for array in examples)


def _batches(examples: Any, size: int, steps: int, rows: int) -> Batch:
    number = -(-len(examples.lengths) // size)

    def shape(array: Any, *tail: int) -> np.ndarray:
        array = np.asarray(array)
        full = (number * size, *tail, *array.shape[1 + len(tail) :])
        padded = np.pad(array, [(0, want - have) for want, have in zip(full, array.shape, strict=True)])
        return padded.reshape(number, size, *full[1:])

    inputs, mask = (shape(array, steps) for array in (examples.inputs, examples.loss_mask))
    targets = shape(examples.targets, rows)
    parts = inputs.swapaxes(1, 2), targets.swapaxes(1, 2), shape(examples.lengths), mask.swapaxes(1, 2)
    return Batch._make(jnp.asarray(part) for part in parts)
