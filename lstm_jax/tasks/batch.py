"""The one form in which examples reach the network, whether made of random numbers or read from disk."""

from __future__ import annotations

from typing import NamedTuple

import jax


class Inputs(NamedTuple):
    """What a network reads of a batch where nothing is asked of it: fields as those of ``Batch``."""

    inputs: jax.Array
    lengths: jax.Array | None = None


class Batch(NamedTuple):
    """A batch of B sequences of at most T steps, time-major.

    Attributes:
        inputs: ``(T, B, I)`` float32; symbols of a text ``(T, B)`` int32.
        targets: ``(T, B)`` int32 class indices, or ``(T, B, O)`` float32, read only where ``loss_mask`` is true; or
            ``(L, B)`` int32 labels without times (CTC).
        lengths: ``(B,)`` int32, valid steps of each sequence; ``(B, P)`` where rows are packed, those of the P
            sequences that follow each other in each; None where the rows are windows of streams, whose state is
            carried into the next batch.
        loss_mask: ``(T, B)`` bool, the steps that count in loss and metrics.
    """

    inputs: jax.Array
    targets: jax.Array
    lengths: jax.Array | None
    loss_mask: jax.Array
