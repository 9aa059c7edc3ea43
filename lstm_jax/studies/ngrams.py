"""What counting gives: a model of the next symbol from the few before it, as the yardstick of networks."""

from __future__ import annotations

import numpy as np


def ngram_nll(train: np.ndarray, test: np.ndarray, symbols: int, order: int, still: bool = False) -> float:
    """Nats a symbol of ``test`` under counts of ``train``, the longer contexts interpolated with the shorter ones.

    ``P_k(s | c) = (n(c s) + d(c) P_{k-1}(s | c')) / (n(c) + d(c))``, with n counts and d(c) the different symbols that
    follow c; c' is c without its first symbol, and below no context at all is the uniform distribution.
    Source: Witten & Bell, "The zero-frequency problem", 1991 (method C).

    Args:
        train, test: ``(n,)`` numbers of symbols; the first ``order - 1`` of the test are only read.
        symbols: how many different ones there are.
        order: symbols of a context and the one after it, 1 or more; ``symbols ** order`` below 2**63.
        still: goes on counting: a symbol of the test, once judged, is counted with those of the training.
    """
    if order < 1 or symbols**order >= 2**63:
        raise ValueError(f"ngrams: order must be >= 1 and {symbols}**order below 2**63, got order={order}")
    if min(len(train), len(test)) < order:
        raise ValueError(f"ngrams: texts must have {order} symbols or more, got {len(train)} and {len(test)}")
    probability = np.full(len(test) - order + 1, 1 / symbols)
    for context in range(order):
        grams, counts = np.unique(_grams(train, symbols, context + 1), return_counts=True)
        asked = _grams(test, symbols, context + 1)[order - 1 - context :]
        before, first, different = np.unique(grams // symbols, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, first)
        met = _look_up(grams, counts, asked)
        total, follow = (_look_up(before, values, asked // symbols) for values in (totals, different))
        if still:
            judged = _earlier(asked, np.ones_like(asked))
            total = total + _earlier(asked // symbols, np.ones_like(asked))
            follow = follow + _earlier(asked // symbols, (met == 0) & (judged == 0))
            met = met + judged
        probability = np.where(total > 0, (met + follow * probability) / np.maximum(total + follow, 1), probability)
    return float(-np.log(probability).mean())


def _grams(text: np.ndarray, symbols: int, length: int) -> np.ndarray:
    """Every ``length`` symbols in a row as one number ``(n - length + 1,)``."""
    number = np.zeros(len(text) - length + 1, np.int64)
    for n in range(length):
        number = number * symbols + text[n : len(text) - length + 1 + n]
    return number


def _earlier(numbers: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each place the weights of all earlier places where the same number stands, added up."""
    order = np.argsort(numbers, kind="stable")
    rising, before = numbers[order], np.concatenate([[0], np.cumsum(weights[order])])[:-1]
    first = np.searchsorted(rising, rising)  # where its run begins
    summed = np.empty(len(numbers), np.int64)
    summed[order] = before - before[first]
    return summed


def _look_up(known: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The value of each number asked for, 0 where it is not among the sorted ``known``."""
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    return np.where(known[place] == asked, values[place], 0)
