"""Means with intervals, differences with p-values, and the correction for asking many questions at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean with its two-sided t-interval; ``low`` and ``high`` are NaN below two values."""

    mean: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # shadows tuple.count, which nobody needs here


class Difference(NamedTuple):
    """Mean of some values minus mean of the reference, its interval, and Welch's two-sided p-value.

    ``p`` and the interval are NaN when one side has fewer than two values: one value says nothing about spread.
    """

    mean: float
    low: float
    high: float
    p: float


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean and two-sided Student t-interval of independent values.

    Raises:
        ValueError: for no values, for a value that is not finite, and for a level outside (0, 1).
    """
    sample = _finite(values, "values")
    mean = float(sample.mean())
    if len(sample) < 2:
        return Interval(mean, math.nan, math.nan, len(sample))
    half = _quantile(level, len(sample) - 1) * float(sample.std(ddof=1)) / math.sqrt(len(sample))
    return Interval(mean, mean - half, mean + half, len(sample))


def welch(values: Sequence[float], reference: Sequence[float], level: float = 0.95) -> Difference:
    """Difference of means without assuming equal variances (Welch, "The generalization of Student's problem", 1947).

    Two groups without any spread differ for certain (p = 0) or not at all (p = 1).

    Raises:
        ValueError: for an empty side, for a value that is not finite, and for a level outside (0, 1).
    """
    from scipy.stats import t as student

    ours, theirs = _finite(values, "values"), _finite(reference, "reference values")
    mean = float(ours.mean() - theirs.mean())
    if min(len(ours), len(theirs)) < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    shares = [float(side.var(ddof=1)) / len(side) for side in (ours, theirs)]
    error = math.sqrt(sum(shares))
    if error == 0.0:
        return Difference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    # Ratios, not the variances themselves: squares of tiny variances would underflow.
    ratios = [share / error**2 for share in shares]
    freedom = 1.0 / sum(ratio**2 / (len(side) - 1) for ratio, side in zip(ratios, (ours, theirs), strict=True))
    half = _quantile(level, freedom) * error
    return Difference(mean, mean - half, mean + half, float(2.0 * student.sf(abs(mean) / error, freedom)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Corrected p-values that keep the chance of any false alarm below the level (Holm, 1979).

    A NaN marks a question that could not be asked: it stays NaN and is not counted.
    """
    asked = sorted((p, name) for name, p in p_values.items() if not math.isnan(p))
    corrected = {name: math.nan for name in p_values}
    largest = 0.0
    for rank, (p, name) in enumerate(asked):
        largest = max(largest, min(1.0, p * (len(asked) - rank)))
        corrected[name] = largest
    return corrected


def _finite(values: Sequence[float], what: str) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{what} must be a non-empty list of numbers, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{what} must be finite, got {array.tolist()}; give a diverged run the worst score, do not leave it out"
        )
    return array


def _quantile(level: float, freedom: float) -> float:
    from scipy.stats import t as student

    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    return float(student.ppf(0.5 + level / 2.0, freedom))
