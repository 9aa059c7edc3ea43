"""Means with intervals, differences with p-values, and the correction for asking many questions at once.

Student's methods for few independent runs; the bootstrap and ranks for scores that a search has selected or skewed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

FEWEST = 3
"""Values that give an interval: of two it reaches 13 standard errors to each side, where mostly no score can be."""


class Interval(NamedTuple):
    """A mean with its two-sided t-interval; ``low`` and ``high`` are NaN below ``FEWEST`` values."""

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


class Waits(NamedTuple):
    """Times until something happened, and the times after which those were given up that it had not happened to."""

    done: Sequence[float]
    given_up: Sequence[float]


class BootstrapDifference(NamedTuple):
    """Mean of some values minus mean of the reference; ``low`` and ``high`` are NaN when a side has fewer than two."""

    mean: float
    low: float
    high: float


class Effect(NamedTuple):
    """A standardised difference with its interval; no unit: it counts pooled standard deviations.

    All are NaN when one side has fewer than two values.
    """

    g: float
    low: float
    high: float


class Rank(NamedTuple):
    """Mann-Whitney's two-sided p-value, and P(value > reference) + P(value = reference) / 2."""

    p: float
    superiority: float


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean and two-sided Student t-interval of independent values; no interval below ``FEWEST`` of them.

    Raises:
        ValueError: for no values, for a value that is not finite, and for a level outside (0, 1).
    """
    _check_level(level)
    sample = _finite(values, "values")
    mean, variance = _moments_of(sample)
    if len(sample) < FEWEST:
        return Interval(mean, math.nan, math.nan, len(sample))
    half = _quantile(level, len(sample) - 1) * math.sqrt(variance) / math.sqrt(len(sample))
    return Interval(mean, mean - half, mean + half, len(sample))


def welch(values: Sequence[float], reference: Sequence[float], level: float = 0.95) -> Difference:
    """Difference of means without assuming equal variances (Welch, "The generalization of Student's problem", 1947).

    Two groups without any spread differ for certain (p = 0) or not at all (p = 1).

    Raises:
        ValueError: for an empty side, for a value that is not finite, and for a level outside (0, 1).
    """
    from scipy.stats import t as student

    _check_level(level)
    ours, theirs = _finite(values, "values"), _finite(reference, "reference values")
    (ours_mean, ours_variance), (theirs_mean, theirs_variance) = _moments_of(ours), _moments_of(theirs)
    mean = ours_mean - theirs_mean
    if min(len(ours), len(theirs)) < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    shares = [ours_variance / len(ours), theirs_variance / len(theirs)]
    error = math.sqrt(sum(shares))
    if error == 0.0:
        return Difference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    # Ratios, not the variances themselves: squares of tiny variances would underflow.
    ratios = [share / error**2 for share in shares]
    freedom = 1.0 / sum(ratio**2 / (len(side) - 1) for ratio, side in zip(ratios, (ours, theirs), strict=True))
    half = _quantile(level, freedom) * error
    return Difference(mean, mean - half, mean + half, float(2.0 * student.sf(abs(mean) / error, freedom)))


def bootstrap_difference(
    values: Sequence[float], reference: Sequence[float], level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> BootstrapDifference:
    """Difference of means with a percentile bootstrap interval (Efron, "Bootstrap methods", 1979).

    Each side is drawn again with replacement, on its own, ``draws`` times; equal arguments give equal intervals.

    Raises:
        ValueError: for an empty side, for a value that is not finite, for a level outside (0, 1), for draws below 1.
    """
    ours, theirs = _finite(values, "values"), _finite(reference, "reference values")
    _check_bootstrap(level, draws)
    mean = _moments_of(ours)[0] - _moments_of(theirs)[0]
    if min(len(ours), len(theirs)) < 2:
        return BootstrapDifference(mean, math.nan, math.nan)
    rng = np.random.default_rng(seed)
    gaps = _resampled(ours, draws, rng)[0] - _resampled(theirs, draws, rng)[0]
    return BootstrapDifference(mean, *_percentiles(gaps, level))


def hedges_g(
    values: Sequence[float], reference: Sequence[float], level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> Effect:
    """Difference of means in pooled standard deviations, without small-sample bias, and its bootstrap interval.

    Hedges, "Distribution theory for Glass's estimator of effect size", 1981, with the correction in its exact form
    (gamma functions). Sides without any spread give 0 (equal means) or an infinity with the sign of the difference;
    so does each resample without spread, so few or much repeated values can make an end of the interval infinite.

    Raises:
        ValueError: for an empty side, for a value that is not finite, for a level outside (0, 1), for draws below 1.
    """
    ours, theirs = _finite(values, "values"), _finite(reference, "reference values")
    _check_bootstrap(level, draws)
    if min(len(ours), len(theirs)) < 2:
        return Effect(math.nan, math.nan, math.nan)
    # g has no unit, and squares of tiny or huge values would leave the range of floats.
    unit = max(np.abs(ours).max(), np.abs(theirs).max()) or 1.0
    ours, theirs = ours / unit, theirs / unit
    rng = np.random.default_rng(seed)
    (g,) = _standardised(_moments(ours[None]), _moments(theirs[None]), len(ours), len(theirs))
    sides = _resampled(ours, draws, rng), _resampled(theirs, draws, rng)
    return Effect(float(g), *_percentiles(_standardised(*sides, len(ours), len(theirs)), level))


def wilson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of a success rate seen in few trials (Wilson, 1927): never outside 0 to 1, never empty.

    Raises:
        ValueError: for no trial, and for more successes than trials.
    """
    from scipy.stats import binomtest

    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(
            f"wilson: {successes} successes of {trials} trials; give 0 <= successes <= trials, trials >= 1"
        )
    _check_level(level)
    found = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def rank_test(values: Sequence[float], reference: Sequence[float]) -> Rank:
    """Do values tend to exceed the reference? It sees their order only (Mann & Whitney, 1947).

    The p-value is of the normal approximation with corrections for ties and for continuity, meant for eight or more
    values a side: the exact distribution knows no ties, and clipped scores are full of them. All values equal: p = 1.

    Raises:
        ValueError: for an empty side and for a value that is not finite.
    """
    from scipy.stats import mannwhitneyu

    ours, theirs = _finite(values, "values"), _finite(reference, "reference values")
    if len({*ours, *theirs}) == 1:  # no order at all: scipy says 1 or NaN, by version
        return Rank(1.0, 0.5)
    tested = mannwhitneyu(ours, theirs, alternative="two-sided", method="asymptotic")
    return Rank(float(tested.pvalue), float(tested.statistic) / (len(ours) * len(theirs)))


def log_rank(some: Waits, others: Waits) -> float:
    """Two-sided p-value that two groups wait equally long (Mantel, 1966).

    NaN where nobody in either is done, or was done while anybody of the other group was left to compare with.
    """
    from scipy.stats import CensoredData, logrank

    if not len(some.done) + len(others.done):
        return math.nan
    with np.errstate(invalid="ignore"):
        return float(logrank(*(CensoredData(group.done, right=group.given_up) for group in (some, others))).pvalue)


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

    return float(student.ppf(0.5 + level / 2.0, freedom))


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")


def _check_bootstrap(level: float, draws: int) -> None:
    _check_level(level)
    if draws < 1:
        raise ValueError(f"a bootstrap needs at least one draw, got draws={draws}")


def _moments(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means (S,) and unbiased variances (S,) of samples (S, N); equal values have a variance of exactly 0."""
    offsets = samples[:, 0]
    rests = samples - offsets[:, None]
    return offsets + rests.mean(axis=1), rests.var(axis=1, ddof=1)


def _moments_of(sample: np.ndarray) -> tuple[float, float]:
    """Mean and unbiased variance of one sample (N,); one value has a variance of NaN."""
    if len(sample) < 2:
        return float(sample[0]), math.nan
    (mean,), (variance,) = _moments(sample[None])
    return float(mean), float(variance)


def _resampled(sample: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means (draws,) and variances (draws,) of the sample drawn again with replacement."""
    rows = max(1, 2**20 // len(sample))  # a block at a time: some megabytes, however many values
    blocks = [min(rows, draws - start) for start in range(0, draws, rows)]
    moments = [_moments(sample[rng.integers(len(sample), size=(block, len(sample)))]) for block in blocks]
    means, variances = zip(*moments, strict=True)
    return np.concatenate(means), np.concatenate(variances)


def _standardised(
    ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray], n: int, m: int
) -> np.ndarray:
    """Hedges' g (S,) of two sides, each the means (S,) and variances (S,) of n and of m values."""
    freedom = n + m - 2
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    gaps = ours[0] - theirs[0]
    spreads = np.sqrt(((n - 1) * ours[1] + (m - 1) * theirs[1]) / freedom)
    infinite = np.where(gaps == 0.0, 0.0, np.copysign(np.inf, gaps))
    return np.where(spreads > 0.0, correction * gaps / np.where(spreads > 0.0, spreads, 1.0), infinite)


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    """The order statistics that hold the middle ``level`` of the values; between infinities nothing interpolates."""
    ordered = np.sort(values)
    outside = int((0.5 - level / 2.0) * len(ordered))
    return float(ordered[outside]), float(ordered[-1 - outside])
