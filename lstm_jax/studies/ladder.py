"""Variants x lengths: up to which length is a task learned, and where does each variant break down?

Rows of one task carry the label ``"<task>@<length>"``; where another option of the task grows, the longest stretch
of a warped text say, ``"<task>.<option>@<value>"``, and its values are meant wherever lengths are spoken of. The
rules, every one of them:

* A trial has solved its task when its test score passes the criterion of the task: ``CRITERIA``, written before any
  trial was run. The score is that of the step with the best validation score.
* A variant solves a length where at least half of its seeds do. It is solved up to the largest length that it solves
  together with all shorter ones, and breaks down at the next.
* Shares of seeds have Wilson's interval. The interval of the length solved up to comes from these: at its lower end
  the lower bounds reach one half, at its upper end the upper bounds do.
* A variant differs from the reference where the exact test of its successes, stratified by length, says so at 5 %,
  corrected (Holm) over the variants of the task.
* A variant with another start of its gates, ``"<variant>, <start>"``, is compared with the same variant and its usual
  start instead, and corrected (Holm) over all such questions of the task.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from lstm_jax.names import UsageError, nearest
from lstm_jax.studies.collect import Row
from lstm_jax.studies.compare import side
from lstm_jax.studies.grid import SEPARATOR
from lstm_jax.studies.shares import Excess, Share, share_of, stratified_exact
from lstm_jax.studies.statistics import holm

AT, OF = "@", "."
LENGTH = "length"
"""The option of a task that grows, unless its label names another."""
HALF = 0.5


class Criterion(NamedTuple):
    """A score that must be passed: a number, or a share of chance."""

    bound: float
    of_chance: bool = False


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {
        "accuracy": Criterion(0.99),
        "nll": Criterion(0.1, of_chance=True),
        "mse": Criterion(0.1, of_chance=True),
        "adding": Criterion(0.01),
    }
)
"""By the name of a task, otherwise by its metric. Scores must be better than that; equal is not enough."""


class Rung(NamedTuple):
    """One variant at one length.

    Attributes:
        share: trials that solved the task. ``median``: of their test scores; a trial without one counts as infinitely
            bad.
        diverged: how many trials a NaN or infinity stopped.
    """

    hidden_size: int
    parameters: int
    share: Share
    median: float
    diverged: int


class Climb(NamedTuple):
    """One variant on one task.

    Attributes:
        rungs: by length; missing where nothing was run.
        reach: the length that the task is solved up to, None below the shortest; ``low`` and ``high``: its interval.
        breaks: the length at which it breaks down; None if there is none, or if it was not run.
        base: the variant that this one is compared with; None for the reference. ``excess``: solved trials more than
            that one; ``p`` is Holm-corrected, NaN where nothing is compared.
        verdict: ``"better"``, ``"worse"`` or ``""`` (no difference shown at the 5 % level).
    """

    variant: str
    rungs: Mapping[int, Rung]
    reach: int | None
    low: int | None
    high: int | None
    breaks: int | None
    base: str | None
    excess: Excess | None = None
    p: float = math.nan
    verdict: str = ""


class Ladder(NamedTuple):
    """All variants on one task, the reference first; lengths rise. ``chance`` is that of the shortest."""

    task: str
    metric: str
    higher_is_better: bool
    chance: float
    criterion: Criterion
    reference: str
    lengths: tuple[int, ...]
    climbs: tuple[Climb, ...]


def label(task: str, length: int, grows: str = LENGTH) -> str:
    """What rows call a task at a length, or at a value of another option that grows."""
    return f"{task}{AT}{length}" if grows == LENGTH else f"{task}{OF}{grows}{AT}{length}"


def split_label(text: str) -> tuple[str, int]:
    """Task, with the option that grows if it is not the length, and length of a label.

    Raises:
        UsageError: no length stands there.
    """
    task, at, length = text.rpartition(AT)
    if not at or not length.isdecimal():
        raise UsageError(f"{text!r} is no task at a length, such as {label('adding', 100)!r}")
    return task, int(length)


def axis(task: str) -> str:
    """What a ladder's lengths are called: ``T``, or the option that the task's label names."""
    return task.partition(OF)[2] or "T"


def base_of(variant: str, reference: str) -> str:
    """The variant that one is compared with: of one with another start of its gates the variant itself."""
    plain, separator, _ = variant.partition(SEPARATOR)
    return plain if separator else reference


def criterion_of(task: str, metric: str) -> Criterion:
    """What a trial must pass to have solved the task."""
    name = task.partition(OF)[0]
    if name not in CRITERIA and metric not in CRITERIA:
        raise UsageError(f"{task}: no criterion for the metric {metric!r}; {nearest(metric, CRITERIA)}")
    return CRITERIA.get(name) or CRITERIA[metric]


def solved(row: Row) -> bool:
    """Whether a trial passed its criterion; one without a score did not."""
    criterion = criterion_of(split_label(row.task)[0], row.metric)
    # A score is a float32: 495 right of 500 is a little above 0.99 when read with more digits.
    bound = np.float32(criterion.bound * (row.chance if criterion.of_chance else 1.0))
    return bool(np.float32(row.test) > bound if row.higher_is_better else np.float32(row.test) < bound)


def ladders(rows: Sequence[Row], reference: str = "V") -> list[Ladder]:
    """One ladder a task, in the order of the rows.

    Raises:
        ValueError: for no rows; UsageError: for a label without a length, and a reference never run.
    """
    if not rows:
        raise ValueError("there is nothing to compare: no rows")
    variants = {row.variant for row in rows}
    if reference not in variants:
        raise UsageError(f"no result is of the reference {reference!r}; {nearest(reference, variants)}")
    tasks = list(dict.fromkeys(split_label(row.task)[0] for row in rows))
    return [_ladder(task, [row for row in rows if split_label(row.task)[0] == task], reference) for task in tasks]


def _ladder(task: str, rows: Sequence[Row], reference: str) -> Ladder:
    first = rows[0]
    lengths = tuple(sorted({split_label(row.task)[1] for row in rows}))
    found: dict[str, dict[int, list[Row]]] = {}
    for row in rows:
        found.setdefault(row.variant, {}).setdefault(split_label(row.task)[1], []).append(row)
    order = sorted(found, key=lambda variant: variant != reference)
    climbs = [_climb(variant, found[variant], lengths, reference) for variant in order]
    criterion = criterion_of(task, first.metric)
    chance = next(row.chance for row in rows if split_label(row.task)[1] == lengths[0])
    return Ladder(task, first.metric, first.higher_is_better, chance, criterion, reference, lengths, _judged(climbs))


def _climb(variant: str, found: Mapping[int, Sequence[Row]], lengths: Sequence[int], reference: str) -> Climb:
    rungs = {length: _rung(found[length]) for length in lengths if length in found}
    reach = _reach(rungs, lengths, lambda share: share.successes / share.trials)
    low, high = (_reach(rungs, lengths, bound) for bound in (lambda share: share.low, lambda share: share.high))
    after = [length for length in lengths if reach is None or length > reach]
    breaks = after[0] if after and after[0] in rungs else None
    base = None if variant == reference else base_of(variant, reference)
    return Climb(variant, rungs, reach, low, high, breaks, base)


def _rung(rows: Sequence[Row]) -> Rung:
    worst = -math.inf if rows[0].higher_is_better else math.inf
    scores = [row.test if math.isfinite(row.test) else worst for row in rows]
    share = share_of(sum(map(solved, rows)), len(rows))
    diverged = sum(row.diverged for row in rows)
    return Rung(rows[0].hidden_size, rows[0].parameters, share, statistics.median(scores), diverged)


def _reach(rungs: Mapping[int, Rung], lengths: Sequence[int], value: Callable[[Share], float]) -> int | None:
    """The last length before the first that was not run or whose share, seen so, is below one half."""
    reach = None
    for length in lengths:
        if length not in rungs or value(rungs[length].share) < HALF:
            break
        reach = length
    return reach


def _judged(climbs: Sequence[Climb]) -> tuple[Climb, ...]:
    """The same, each compared with its base; two families of questions."""
    by_variant = {climb.variant: climb for climb in climbs}
    asked = {
        climb.variant: stratified_exact(strata) if strata else Excess(0.0, math.nan)
        for climb in climbs
        if climb.base in by_variant
        for strata in [_strata(climb, by_variant[climb.base])]
    }
    starts = {variant for variant in asked if SEPARATOR in variant}
    corrected = {**_corrected(asked, asked.keys() - starts), **_corrected(asked, starts)}
    return tuple(
        climb._replace(
            excess=asked[climb.variant],
            p=corrected[climb.variant],
            verdict=side(asked[climb.variant].successes, corrected[climb.variant], higher_is_better=True),
        )
        if climb.variant in asked
        else climb
        for climb in climbs
    )


def _strata(climb: Climb, base: Climb) -> list[tuple[Share, Share]]:
    """The shares of both at the lengths at which both were run."""
    both = [length for length in climb.rungs if length in base.rungs]
    return [(climb.rungs[length].share, base.rungs[length].share) for length in both]


def _corrected(asked: Mapping[str, Excess], family: Iterable[str]) -> dict[str, float]:
    return holm({variant: asked[variant].p for variant in family})
