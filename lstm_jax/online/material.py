"""Strings that trials read: the sets of experiment 1, all sequences of 2a, ever new ones of 2b."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch

SETS = 10
"""The purpose of randomness that data sets have; several trials share one."""
AT_ONCE = 16
"""Strings, or sequences, that are judged at once while a trial may still pass: sets are filled up to a multiple."""


class Strings(NamedTuple):
    """M strings for each trial: read and next symbols ``(M, T, N)`` int32, steps that are read ``(M, N)``."""

    read: jax.Array
    next: jax.Array
    lengths: jax.Array


def material(task: Any, kind: str, seeds: np.ndarray, trials_a_set: int) -> tuple[Strings | None, Strings | None]:
    """What the trials read and what they are judged by, made on the host once; None where it is drawn on the way."""
    if kind == "fresh":
        return None, None
    if kind == "all":
        strings = _distinct(_draw(task, 0, 256))
        return _stack([strings] * len(seeds)), _stack([strings] * len(seeds), AT_ONCE)
    by_set = {number: _two_sets(task, number) for number in {int(s) // trials_a_set for s in seeds}}
    pairs = [by_set[int(seed) // trials_a_set] for seed in seeds]
    return _stack([train for train, _ in pairs]), _stack([_distinct(np.concatenate(pair)) for pair in pairs], AT_ONCE)


def _draw(task: Any, number: int, count: int) -> np.ndarray:
    """``(count, T, 2)``: read and next symbol, -1 in the padding."""
    key = jax.random.fold_in(jax.random.key(number), SETS)
    batch = _symbols(task, key, count)
    inside = np.arange(batch.inputs.shape[0])[:, None] < np.asarray(batch.lengths)
    both = np.stack([np.where(inside, batch.inputs, -1), np.where(inside, batch.targets, -1)], axis=-1)
    return both.swapaxes(0, 1)


@partial(jax.jit, static_argnums=(0, 2))
def _symbols(task: Any, key: jax.Array, count: int) -> Batch:
    return task.symbols(key, count)


def _two_sets(task: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    """256 strings to learn from, duplicates and all, and 256 that are none of them."""
    drawn = _draw(task, number, 8192)
    train, rest = drawn[:256], drawn[256:]
    known = {string.tobytes() for string in train}
    test = np.stack([string for string in rest if string.tobytes() not in known][:256])
    assert len(test) == 256, "8192 strings hold 256 that are not among the first 256"
    return train, test


def _distinct(strings: np.ndarray) -> np.ndarray:
    """In an order of no meaning, so that a few of them are a fair sample."""
    distinct = np.unique(strings, axis=0)
    return np.random.default_rng(0).permutation(distinct)


def _stack(sets: list[np.ndarray], multiple: int = 1) -> Strings:
    """Sets of the same number of strings, by repeating the first string of the smaller ones."""
    most = -(-max(len(strings) for strings in sets) // multiple) * multiple
    padded = [np.concatenate([strings, np.repeat(strings[:1], most - len(strings), axis=0)]) for strings in sets]
    both = np.stack(padded, axis=-1)
    lengths = (both[:, :, 0] >= 0).sum(axis=1)
    return Strings(jnp.asarray(both[:, :, 0]), jnp.asarray(both[:, :, 1]), jnp.asarray(lengths, jnp.int32))


def fresh(task: Any, keys: jax.Array, count: int) -> Strings:
    """``count`` new strings for each key ``(N,)``."""
    batch = jax.vmap(lambda key: task.symbols(key, count), out_axes=-1)(keys)
    return Strings(batch.inputs.swapaxes(0, 1), batch.targets.swapaxes(0, 1), batch.lengths)
