"""Whole splits as arrays, and the batch that indices take out of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch


class Sequences(NamedTuple):
    """N padded sequences of at most T steps, batch-major because examples are rows on disk.

    Attributes:
        inputs: ``(N, T, I)`` float32, zero past each length; symbols of a text ``(N, T)`` int32.
        targets: ``(N, T)`` int32 class indices, or ``(N, T, O)`` float32, read only where ``loss_mask`` is true; or
            ``(N, L)`` int32 labels without times, for CTC.
        lengths: ``(N,)`` int32, valid steps of each sequence; ``(N, P)`` in packed rows (``packing.py``).
        loss_mask: ``(N, T)`` bool, the steps that count in loss and metrics.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray
    loss_mask: np.ndarray


def take(sequences: Sequences, indices: jax.Array | np.ndarray) -> Batch:
    """The time-major batch of the rows ``indices`` ``(B,)``; numpy stays numpy, and it works inside ``jit``."""
    arrays = (*sequences, indices)
    xp = jnp if any(isinstance(array, jax.Array) for array in arrays) else np
    rows = xp.asarray(indices)
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(f"indices must be integers of shape (B,), got {rows.dtype} of shape {rows.shape}")
    inputs, targets, lengths, loss_mask = (xp.asarray(array)[rows] for array in sequences)
    return Batch(inputs.swapaxes(0, 1), targets.swapaxes(0, 1), lengths, loss_mask.swapaxes(0, 1))


def padded(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows ``(n, I)`` with zeros up to the longest ``(N, T, I)`` float32, their lengths, and their own steps."""
    lengths = np.array([len(row) for row in rows], np.int32)
    whole = np.zeros((len(rows), int(lengths.max()), rows[0].shape[1]), np.float32)
    for place, row in zip(whole, rows, strict=True):
        place[: len(row)] = row
    return whole, lengths, np.arange(whole.shape[1])[None, :] < lengths[:, None]


def label_each(clips: Sequence[np.ndarray], labels: Sequence[int]) -> Sequences:
    """Clips ``(n, I)`` whose class counts at every step of theirs."""
    inputs, lengths, mask = padded(clips)
    targets = np.broadcast_to(np.asarray(labels, np.int32)[:, None], inputs.shape[:2])
    return Sequences(inputs, targets, lengths, mask)


def label_last(inputs: np.ndarray, labels: Sequence[int]) -> Sequences:
    """Sequences of one length whose class counts at the last step only; ``inputs (N, T, I)``, ``labels (N,)``."""
    count, steps, _ = inputs.shape
    targets = np.broadcast_to(np.asarray(labels, np.int32)[:, None], (count, steps))
    mask = np.broadcast_to(np.arange(steps) == steps - 1, (count, steps))
    return Sequences(inputs.astype(np.float32), targets, np.full(count, steps, np.int32), mask)


def next_step(rolls: Sequence[np.ndarray]) -> Sequences:
    """Step t predicts step t + 1: a roll ``(L, K)`` becomes L - 1 inputs and targets, padded to the longest."""
    if min(map(len, rolls), default=0) < 2:
        raise ValueError(f"next-step prediction needs rolls of 2 steps or more, got lengths {[*map(len, rolls)]}")
    inputs, lengths, mask = padded([roll[:-1] for roll in rolls])
    targets, _, _ = padded([roll[1:] for roll in rolls])
    return Sequences(inputs, targets, lengths, mask)


def majority_accuracy(train: Sequences, test: Sequences) -> float:
    """Accuracy on ``test`` of always answering the class that is most frequent in ``train``."""
    majority = np.bincount(train.targets[train.loss_mask]).argmax()
    return float((test.targets[test.loss_mask] == majority).mean())


def marginal_nll(train: Sequences, test: Sequences) -> float:
    """Nats per step of ``test`` under independent outputs with the frequencies of ``train``'s whole rolls.

    A roll is the inputs and the last target. Outputs that never sound in training cost nothing where they stay
    silent; one that does sound is met with a probability of 1e-6 instead of 0.
    """
    first, rest = train.inputs[:, 0], train.targets[train.loss_mask]
    frequency = np.concatenate([first, rest]).mean(0, dtype=np.float64).clip(1e-6, 1 - 1e-6)
    sounding = test.targets[test.loss_mask].mean(0, dtype=np.float64)
    return float(-(sounding * np.log(frequency) + (1 - sounding) * np.log1p(-frequency)).sum())
