"""A random search as numbers: the best trials of each variant compared, every rule in one place.

Greff et al., "LSTM: A Search Space Odyssey", 2015: of each variant's trials the best tenth by validation, their test
scores against those of the vanilla cell. What the hyperparameters did is in ``tuning.py``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.names import UsageError, nearest
from lstm_jax.studies.collect import Row
from lstm_jax.studies.compare import score, side, worst_score
from lstm_jax.studies.statistics import (
    BootstrapDifference,
    Difference,
    Effect,
    Interval,
    Rank,
    bootstrap_difference,
    hedges_g,
    holm,
    mean_interval,
    rank_test,
    welch,
)
from lstm_jax.studies.tuning import Tuning, tune, varied

SHARE = 0.1
"""Of a variant's trials are compared,"""
FEWEST = 5
"""but at least so many, where it has them."""
TREES = 16
"""Of a forest of ``importance.fanova``: from 16 to 64, shares of 1800 trials move by 0.001."""
RESAMPLES = 20
"""Forests behind an interval of shares; with ``TREES`` half a minute for 1800 trials on one core."""


class Contrast(NamedTuple):
    """The chosen trials of a variant minus those of the reference, and all trials of both by rank.

    Attributes:
        welch: of the chosen test scores, uncorrected. ``bootstrap``: the same difference with its interval.
        reselected: again the same, with the interval that takes into account that the trials were chosen.
        effect: Hedges' g of the chosen. ``ranks``: of the test scores of all trials.
        p: Welch's, Holm-corrected over the variants of the task; NaN where one side has fewer than two trials.
        verdict: ``"better"``, ``"worse"`` or ``""`` (no difference shown): p is below 5 %, and the interval of
            ``reselected`` excludes 0.
    """

    welch: Difference
    bootstrap: BootstrapDifference
    reselected: BootstrapDifference
    effect: Effect
    ranks: Rank
    p: float
    verdict: str


class Contender(NamedTuple):
    """One variant on one task.

    Attributes:
        trials, diverged, unscored: how many there were, a NaN or infinity stopped, never had a finite test score.
        chosen: the best by validation, best first. ``scores``: their test scores, ``interval`` the mean of these.
        by_sequence: mean test score of the chosen when each sequence weighs the same; NaN where one of them lacks it.
        parameters: of the chosen, the median.
        contrast: to the reference; None for the reference, and where that was not run.
    """

    variant: str
    trials: int
    diverged: int
    unscored: int
    chosen: tuple[Row, ...]
    scores: tuple[float, ...]
    interval: Interval
    by_sequence: float
    parameters: float
    contrast: Contrast | None


class TaskSearch(NamedTuple):
    """All variants on one task, the reference first; ``worst`` is what a trial without a score counts as."""

    task: str
    metric: str
    higher_is_better: bool
    chance: float
    worst: float
    contenders: tuple[Contender, ...]
    tuning: Tuning


class Search(NamedTuple):
    """A whole search; ``rows`` are its trials by task, variant, seed, in whatever order they were given."""

    reference: str
    rows: tuple[Row, ...]
    tasks: tuple[TaskSearch, ...]


def is_search(rows: Sequence[Row]) -> bool:
    """Whether hyperparameters vary within some (task, variant), as in a random search and in no repeated run."""
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row.task, row.variant), []).append(row)
    return any(varied(cell) for cell in cells.values())


def analyse(rows: Sequence[Row], reference: str = "V", trees: int = TREES, resamples: int = RESAMPLES) -> Search:
    """Everything that a report says, as numbers; the order of the rows does not matter.

    A trial without a finite test score counts as the worst finite score of its task (or chance, if that is worse). It
    is neither dropped nor drawn again. One that a NaN or infinity stopped later keeps the score of its best
    validation.

    Args:
        rows: the trials.
        reference: the variant that the others are compared with.
        trees, resamples: of each fANOVA, see ``importance.fanova``.

    Raises:
        ValueError: for no rows, and for a task without any finite score or chance; UsageError: when no row has the
            reference.
    """
    if not rows:
        raise ValueError("there is nothing to analyse: no rows")
    variants = {row.variant for row in rows}
    if reference not in variants:
        raise UsageError(f"no result is of the reference {reference!r}; {nearest(reference, variants)}")
    known = [reference, *VARIANTS]
    place = {name: n for n, name in enumerate(dict.fromkeys([*known, *sorted(variants)]))}
    rows = sorted(rows, key=lambda row: (row.task, place[row.variant], row.seed))
    tasks = list(dict.fromkeys(row.task for row in rows))
    searches = (_task([row for row in rows if row.task == task], reference, trees, resamples) for task in tasks)
    return Search(reference, tuple(rows), tuple(searches))


def _task(rows: Sequence[Row], reference: str, trees: int, resamples: int) -> TaskSearch:
    first, worst = rows[0], worst_score(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.variant, []).append(row)
    chosen = {variant: select(trials) for variant, trials in groups.items()}
    contrasts = _contrasts(groups, chosen, reference, worst)
    contenders = tuple(
        _contender(variant, trials, chosen[variant], worst, contrasts.get(variant))
        for variant, trials in groups.items()
    )
    scores = [score(row, worst) for row in rows]
    tuning = tune(rows, scores, trees, resamples)
    return TaskSearch(first.task, first.metric, first.higher_is_better, first.chance, worst, contenders, tuning)


def select(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The best tenth of a variant's trials by validation, rounded up, but five where there are as many; best first.

    The test score has no say, and where validation scores are equal the lower seed comes first.
    """
    return tuple(sorted(rows, key=_preference)[: _chosen(len(rows))])


def _chosen(trials: int) -> int:
    return max(math.ceil(SHARE * trials), min(FEWEST, trials))


def _preference(row: Row) -> tuple[float, int]:
    validation = -row.validation if row.higher_is_better else row.validation
    return (validation if math.isfinite(validation) else math.inf, row.seed)


def reselected_difference(
    rows: Sequence[Row], reference: Sequence[Row], worst: float, draws: int = 10_000, seed: int = 0
) -> BootstrapDifference:
    """Mean test score of the chosen trials minus that of the reference's, with a 95 % interval that knows the choice.

    All trials of a variant are drawn again with replacement, and each time the best by validation are chosen anew. The
    best of many resemble each other more than the mean of the best of another search resembles theirs: where variants
    are equal, Welch's test at 5 % on 20 of 200 trials finds a difference in 20 % of searches, and a bootstrap of the
    20 misses 0 in 25 %; this interval in 5 to 9 % (simulated, normal scores and scores ruled by the learning rate).

    Args:
        rows, reference: all trials of two variants on one task. ``worst``: what a trial without a score counts as.
        draws: of the bootstrap; equal arguments give equal intervals.
    """
    rng = np.random.default_rng(seed)
    sides = []
    for trials in (rows, reference):
        scores = np.array([score(row, worst) for row in sorted(trials, key=_preference)])
        count = _chosen(len(scores))
        drawn = rng.integers(len(scores), size=(draws, len(scores)))
        # Scores stand in the order of preference, so the lowest places are the best trials of a draw.
        places = np.partition(drawn, count - 1, axis=1)[:, :count]
        sides.append((scores[:count].mean(), scores[places].mean(axis=1), len(scores)))
    (ours, our_draws, n), (theirs, their_draws, m) = sides
    if min(n, m) < 2:
        return BootstrapDifference(float(ours - theirs), math.nan, math.nan)
    low, high = np.quantile(our_draws - their_draws, [0.025, 0.975])
    return BootstrapDifference(float(ours - theirs), float(low), float(high))


def _contender(
    variant: str, trials: Sequence[Row], chosen: tuple[Row, ...], worst: float, contrast: Contrast | None
) -> Contender:
    scores = tuple(score(row, worst) for row in chosen)
    return Contender(
        variant=variant,
        trials=len(trials),
        diverged=sum(row.diverged for row in trials),
        unscored=sum(not math.isfinite(row.test) for row in trials),
        chosen=chosen,
        scores=scores,
        interval=mean_interval(scores),
        by_sequence=_finite_mean([row.test_by_sequence for row in chosen]),
        parameters=float(statistics.median(row.parameters for row in chosen)),
        contrast=contrast,
    )


def _finite_mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if all(math.isfinite(value) for value in values) else math.nan


def _contrasts(
    groups: dict[str, list[Row]], chosen: dict[str, tuple[Row, ...]], reference: str, worst: float
) -> dict[str, Contrast]:
    """By variant; none where the reference was not run."""
    if reference not in groups:
        return {}
    others = [variant for variant in groups if variant != reference]
    best = {variant: [score(row, worst) for row in rows] for variant, rows in chosen.items()}
    every = {variant: [score(row, worst) for row in rows] for variant, rows in groups.items()}
    tests = {variant: welch(best[variant], best[reference]) for variant in others}
    corrected = holm({variant: test.p for variant, test in tests.items()})
    higher_is_better = groups[reference][0].higher_is_better
    again = {variant: reselected_difference(groups[variant], groups[reference], worst) for variant in others}
    return {
        variant: Contrast(
            welch=tests[variant],
            bootstrap=bootstrap_difference(best[variant], best[reference]),
            reselected=again[variant],
            effect=hedges_g(best[variant], best[reference]),
            ranks=rank_test(every[variant], every[reference]),
            p=corrected[variant],
            verdict=_verdict(again[variant], corrected[variant], higher_is_better),
        )
        for variant in others
    }


def _verdict(difference: BootstrapDifference, p: float, higher_is_better: bool) -> str:
    if difference.low <= 0.0 <= difference.high:
        return ""
    return side(difference.mean, p, higher_is_better)
