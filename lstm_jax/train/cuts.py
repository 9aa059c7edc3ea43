"""Batches of unequal length at a few static lengths: each runs at the shortest that holds its longest sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch

Result = TypeVar("Result")


def best_cuts(lengths: np.ndarray, count: int, longest: int) -> tuple[int, ...]:
    """At most ``count`` lengths, rising, the last ``longest``, that waste the fewest steps on ``lengths (N,)``.

    Exact, by dynamic programming over the distinct lengths.
    """
    distinct, weights = np.unique(np.minimum(lengths, longest), return_counts=True)
    if distinct.size == 0 or distinct[-1] < longest:
        distinct, weights = np.append(distinct, longest), np.append(weights, 0)
    below = np.concatenate([[0], np.cumsum(weights)])
    cost, choice = distinct * below[1:], []
    for _ in range(min(count, len(distinct)) - 1):
        before, with_one_more = np.full(len(distinct), -1), distinct * below[1:]
        for m in range(1, len(distinct)):  # all up to length m, the last cut there, the one before at k < m
            ends = cost[:m] + distinct[m] * (below[m + 1] - below[1 : m + 1])
            k = int(ends.argmin())
            if ends[k] < with_one_more[m]:
                before[m], with_one_more[m] = k, ends[k]
        choice.append(before)
        cost = with_one_more
    cuts, place = [int(distinct[-1])], len(distinct) - 1
    for before in reversed(choice):
        if before[place] < 0:
            break
        place = int(before[place])
        cuts.insert(0, int(distinct[place]))
    return tuple(cuts)


def longest_in_batches(lengths: np.ndarray, batch_size: int) -> np.ndarray:
    """The longest of each batch of a random order of ``lengths (N,)``: what the cuts have to hold."""
    order = np.random.default_rng(0).permutation(lengths)
    starts = np.arange(0, len(order), batch_size)
    return np.maximum.reduceat(order, starts) if len(order) else order


def at_length(cuts: tuple[int, ...], function: Callable[[Batch], Result], batch: Batch) -> Result:
    """``function`` of ``batch`` without the steps beyond the shortest of ``cuts`` that holds every sequence in it.

    One branch is compiled for each cut below the batch's T; ``function`` must not depend on T but by padding.
    """
    steps = batch.inputs.shape[0]
    lengths = [*(cut for cut in cuts if cut < steps), steps]
    if len(lengths) == 1 or batch.lengths is None:  # windows of streams have one length
        return function(batch)
    place = jnp.searchsorted(jnp.asarray(lengths), batch.lengths.max())
    return jax.lax.switch(place, [lambda batch, cut=cut: function(first_steps(batch, cut)) for cut in lengths], batch)


def first_steps(batch: Batch, steps: int) -> Batch:
    """The batch up to ``steps``. Labels without times (CTC) have no steps of their own, hence stay."""
    timed = batch.targets.shape[0] == batch.inputs.shape[0]
    targets = batch.targets[:steps] if timed else batch.targets
    return Batch(batch.inputs[:steps], targets, batch.lengths, batch.loss_mask[:steps])
