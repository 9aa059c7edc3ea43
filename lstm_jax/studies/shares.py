"""Shares of trials that succeed: their intervals, and an exact test between two sides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from lstm_jax.studies.statistics import wilson


class Share(NamedTuple):
    """Successes among trials, and the two-sided interval of their share."""

    successes: int
    trials: int
    low: float
    high: float


class Excess(NamedTuple):
    """Successes above what equal shares would give (below: negative), and the two-sided p-value of that."""

    successes: float
    p: float


def share_of(successes: int, trials: int) -> Share:
    """Successes among independent trials, with Wilson's 95 % interval.

    Raises:
        ValueError: for no trial, and for more successes than trials.
    """
    return Share(successes, trials, *wilson(successes, trials))


def stratified_exact(strata: Iterable[tuple[Share, Share]]) -> Excess:
    """Do values succeed more often than the reference, stratum by stratum? Exact, given all successes of a stratum.

    The conditional test of Cochran, Mantel and Haenszel for 2 x 2 tables in its exact form; of one stratum it is
    Fisher's. Two-sided: all outcomes that are no more probable than this one.

    Args:
        strata: ``(values, reference)`` of each.
    """
    from scipy.stats import hypergeom

    law, least, found, expected = np.ones(1), 0, 0, 0.0
    for ours, theirs in strata:
        total, drawn = ours.trials + theirs.trials, ours.successes + theirs.successes
        support = np.arange(max(0, drawn - theirs.trials), min(ours.trials, drawn) + 1)
        law = np.convolve(law, hypergeom.pmf(support, total, drawn, ours.trials))
        least, found = least + int(support[0]), found + ours.successes
        expected += drawn * ours.trials / total
    as_rare = law <= law[found - least] * (1.0 + 1e-7)
    return Excess(found - expected, min(1.0, float(law[as_rare].sum())))
