"""Whose gap to the reference does a better initialisation close?

The rules, every one of them:

* A variant's best initialisation is the one with the best mean validation score; test scores have no say in it.
* Gaps are a variant's mean minus the reference's under the same initialisation.
* Three families of questions of a task are corrected (Holm), each over its variants: gaps under the standard
  initialisation, gaps under the best one, and how much the second differs from the first.
* A gap that is not shown any more is not a gap that closed: that takes evidence that it shrank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from types import MappingProxyType
from typing import NamedTuple

from lstm_jax.studies.compare import side
from lstm_jax.studies.grid import STANDARD, Grid
from lstm_jax.studies.statistics import Difference, holm, welch


class Gap(NamedTuple):
    """A variant minus the reference under one initialisation; ``p`` is Holm-corrected, ``verdict`` the gap's side."""

    init: str
    difference: Difference
    p: float
    verdict: str


class Rescue(NamedTuple):
    """What an initialisation did for one variant.

    Attributes:
        plain: the gap under the standard initialisation. ``tuned``: under the variant's best one.
        change: the second minus the first; None where the best initialisation is the standard one.
        p: of the change, Holm-corrected.
        outcome: a name in ``OUTCOMES``.
    """

    variant: str
    plain: Gap
    tuned: Gap
    change: Difference | None
    p: float
    outcome: str


FELL = "reference fell"
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "closed": "worse before, no gap shown after, and the gap is shown to have shrunk",
        "narrowed": "worse before and after, and the gap is shown to have shrunk",
        FELL: "the gap is shown to have shrunk, but this initialisation makes the reference itself worse",
        "remains": "worse before and after; no shrinking shown",
        "not decided": "worse before, no gap shown after, but neither is it shown to have shrunk",
        "opened": "no gap shown before, worse after, and the gap is shown to have grown",
        "appears": "no gap shown before, worse after, but it is not shown to have grown",
        "no gap shown": "neither before nor after",
    }
)
"""Every outcome of a rescue in words. "Shown": at 5 % after correction."""


def rescues(grid: Grid) -> tuple[Rescue, ...]:
    """One for every variant that was run beside the reference, under the standard initialisation at least."""
    cells, reference = grid.cells, grid.reference
    if (reference, STANDARD) not in cells:
        return ()
    others = [variant for variant in grid.variants if variant != reference and (variant, STANDARD) in cells]
    chosen = {variant: _best_init(grid, variant) for variant in others}
    plain, tuned = _gaps(grid, dict.fromkeys(others, STANDARD)), _gaps(grid, chosen)
    changes = {
        variant: contrast(
            plus=(cells[variant, init].scores, cells[reference, STANDARD].scores),
            minus=(cells[reference, init].scores, cells[variant, STANDARD].scores),
        )
        for variant, init in chosen.items()
        if init != STANDARD
    }
    corrected = holm({variant: change.p for variant, change in changes.items()})
    found = []
    for variant in others:
        change, p = changes.get(variant), corrected.get(variant, math.nan)
        moved = side(change.mean, p, grid.higher_is_better) if change is not None else ""
        outcome = _outcome(plain[variant].verdict, tuned[variant].verdict, moved)
        if outcome in ("closed", "narrowed") and cells[reference, chosen[variant]].verdict == "worse":
            outcome = FELL
        found.append(Rescue(variant, plain[variant], tuned[variant], change, p, outcome))
    return tuple(found)


def _best_init(grid: Grid, variant: str) -> str:
    """By validation, among those that were run for the reference too; of equals the first."""
    cells = grid.cells
    own = [init for init in grid.inits if (variant, init) in cells and (grid.reference, init) in cells]
    felt = [init for init in own if cells[variant, init].source == init]
    best = max if grid.higher_is_better else min
    return best(felt, key=lambda init: cells[variant, init].validation)


def _gaps(grid: Grid, chosen: Mapping[str, str]) -> dict[str, Gap]:
    """Of each variant to the reference, under the initialisation chosen for the variant."""
    gaps = {
        variant: welch(grid.cells[variant, init].scores, grid.cells[grid.reference, init].scores)
        for variant, init in chosen.items()
    }
    corrected = holm({variant: gap.p for variant, gap in gaps.items()})
    return {
        variant: Gap(
            chosen[variant], gap, corrected[variant], side(gap.mean, corrected[variant], grid.higher_is_better)
        )
        for variant, gap in gaps.items()
    }


def _outcome(before: str, after: str, moved: str) -> str:
    """``moved``: the side to which the gap is shown to have changed."""
    if before == "worse" and after == "worse":
        return "narrowed" if moved == "better" else "remains"
    if before == "worse":
        return "closed" if moved == "better" else "not decided"
    if after == "worse":
        return "opened" if moved == "worse" else "appears"
    return "no gap shown"


def contrast(plus: Sequence[Sequence[float]], minus: Sequence[Sequence[float]], level: float = 0.95) -> Difference:
    """Sum of some means minus sum of others, variances unequal (Welch, 1947; Satterthwaite, 1946): welch for many.

    Args:
        plus, minus: groups of independent values.
        level: of the interval.
    """
    from scipy.stats import t as student

    groups = (*plus, *minus)
    mean = sum(map(fmean, plus)) - sum(map(fmean, minus))
    if min(map(len, groups)) < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    errors = [stdev(values) / math.sqrt(len(values)) for values in groups]
    error = math.hypot(*errors)
    if error == 0.0:
        return Difference(mean, mean, mean, 1.0 if mean == 0.0 else 0.0)
    freedom = 1.0 / sum((one / error) ** 4 / (len(v) - 1) for one, v in zip(errors, groups, strict=True))
    half = float(student.ppf(0.5 + level / 2, freedom)) * error
    return Difference(mean, mean - half, mean + half, float(2.0 * student.sf(abs(mean) / error, freedom)))
