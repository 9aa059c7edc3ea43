"""Rows of results in, one comparison a task out: every variant against the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from lstm_jax.names import UsageError, nearest
from lstm_jax.studies.collect import Row
from lstm_jax.studies.statistics import Difference, Interval, holm, mean_interval, welch

LEVEL = 0.05


class Line(NamedTuple):
    """One variant on one task.

    Attributes:
        scores: test scores by rising seed. ``interval``: their mean and 95 % t-interval.
        difference: to the reference (None for the reference itself). ``p``: Holm-corrected over the task's variants.
        verdict: ``"better"``, ``"worse"`` or ``""`` (no difference shown at the 5 % level).
        diverged: how many trials a NaN or infinity stopped.
    """

    variant: str
    parameters: int
    scores: tuple[float, ...]
    interval: Interval
    difference: Difference | None
    p: float
    verdict: str
    diverged: int


class Comparison(NamedTuple):
    """All variants on one task, the reference first and the others in the order of the results."""

    task: str
    metric: str
    higher_is_better: bool
    chance: float
    reference: str
    lines: tuple[Line, ...]


def compare(rows: Sequence[Row], reference: str = "V") -> list[Comparison]:
    """Welch's test of each variant against the reference, corrected (Holm) over the variants of each task.

    A trial without any finite score counts as the worst finite score of its task (or chance, if that is worse): it is
    neither dropped nor drawn again.

    Raises:
        ValueError: for no rows, and for a task without any finite score or chance; UsageError: when no row has the
            reference.
    """
    if not rows:
        raise ValueError("there is nothing to compare: no rows")
    variants = {row.variant for row in rows}
    if reference not in variants:
        raise UsageError(f"no result is of the reference {reference!r}; {nearest(reference, variants)}")
    tasks = list(dict.fromkeys(row.task for row in rows))
    return [_compare_task([row for row in rows if row.task == task], reference) for task in tasks]


def _compare_task(rows: Sequence[Row], reference: str) -> Comparison:
    first = rows[0]
    worst = worst_score(rows)
    variants = list(dict.fromkeys(row.variant for row in rows))
    variants.sort(key=lambda variant: variant != reference)
    trials = {variant: sorted((r for r in rows if r.variant == variant), key=lambda r: r.seed) for variant in variants}
    scores = {variant: tuple(score(row, worst) for row in trials[variant]) for variant in variants}
    others = [variant for variant in variants if variant != reference] if reference in scores else []
    differences = {variant: welch(scores[variant], scores[reference]) for variant in others}
    corrected = holm({variant: difference.p for variant, difference in differences.items()})
    verdicts = {
        variant: side(difference.mean, corrected[variant], first.higher_is_better)
        for variant, difference in differences.items()
    }
    lines = tuple(
        Line(
            variant=variant,
            parameters=trials[variant][0].parameters,
            scores=scores[variant],
            interval=mean_interval(scores[variant]),
            difference=differences.get(variant),
            p=corrected.get(variant, math.nan),
            verdict=verdicts.get(variant, ""),
            diverged=sum(row.diverged for row in trials[variant]),
        )
        for variant in variants
    )
    return Comparison(first.task, first.metric, first.higher_is_better, first.chance, reference, lines)


def worst_score(rows: Sequence[Row], field: str = "test") -> float:
    """What a trial of a task without a score counts as: the worst finite one of its rows, or chance if that is worse.

    Args:
        rows: of one task. ``field``: which score, ``"test"`` or ``"validation"``.

    Raises:
        ValueError: where there is neither a finite score nor chance; any number would be better than somebody's.
    """
    known = [value for row in rows for value in (getattr(row, field), row.chance) if math.isfinite(value)]
    if not known:
        raise ValueError(
            f"{rows[0].task}: no trial has a {field} score, and neither is chance known; nothing can be compared"
        )
    return (min if rows[0].higher_is_better else max)(known)


def score(row: Row, worst: float, field: str = "test") -> float:
    """A trial's score; the worst where it has none."""
    value = getattr(row, field)
    return value if math.isfinite(value) else worst


def side(mean: float, p: float, higher_is_better: bool) -> str:
    """``"better"`` or ``"worse"`` for a difference whose p is below 5 %, otherwise ``""``."""
    if not p < LEVEL:
        return ""
    return "better" if (mean > 0) == higher_is_better else "worse"
