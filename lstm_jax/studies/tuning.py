"""What the hyperparameters of a random search did: shares of variance and marginal curves on one task."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.studies.collect import Row
from lstm_jax.studies.importance import Axis, Importance, fanova, marginal

FEW = 30
"""Fewer trials than this tell nothing about four hyperparameters."""
SMALL, LARGE = 50, 100
"""Nets with fewer cells are small, with more large: is the best rate of the ones that of the others?"""
PLACES = 61
"""Of a marginal curve."""
SMOOTHER = 4
"""Curves come from so many times the trees: they are looked at, and need a single forest."""


class Hyperparameter(NamedTuple):
    """How one is analysed and named; ``scale`` takes its values to the axis, ``unscale`` back."""

    name: str
    label: str
    scale: Callable[[np.ndarray], np.ndarray]
    unscale: Callable[[np.ndarray], np.ndarray]


def _power(values: np.ndarray) -> np.ndarray:
    return 10.0**values


HYPERPARAMETERS = {
    "learning_rate": Hyperparameter("learning_rate", "learning rate", np.log10, _power),
    "hidden_size": Hyperparameter("hidden_size", "hidden size", np.log10, _power),
    "momentum": Hyperparameter("momentum", "momentum", lambda m: np.log10(1.0 - m), lambda a: 1.0 - 10.0**a),
    "input_noise": Hyperparameter("input_noise", "input noise", np.asarray, np.asarray),
}
"""The four of the Odyssey, by column of the results, as they were drawn: three log-uniform, the noise uniform."""


class Curve(NamedTuple):
    """A score along one hyperparameter, averaged over all others: its values, mean and standard deviation, (K,)."""

    at: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


class Transfer(NamedTuple):
    """Scores along the learning rate of nets below ``SMALL`` cells and of nets above ``LARGE``.

    Attributes:
        at: (K,) rates.
        small, large: (1 + resamples, K), averaged over all else; first of the trials, then of as many drawn anew.
    """

    at: np.ndarray
    small: np.ndarray
    large: np.ndarray


class Tuning(NamedTuple):
    """The hyperparameters on one task, all variants together.

    Attributes:
        names: of those that vary, in the order of ``HYPERPARAMETERS``.
        responses: the score of each trial as it was analysed, in the order of the rows: no worse than chance.
        clipped: how many trials were worse than chance, or had no score. ``untimed``: were never validated.
        score, time: shares of variance of the responses, and of the updates until the best validation (without the
            untimed); None where fewer than 30 trials, or nothing varies.
        variants: shares of variance of the responses of each variant with 30 trials.
        curves: by name, of the responses.
        transfer: from small nets to large ones; None below 30 trials of either.
    """

    names: tuple[str, ...]
    responses: tuple[float, ...]
    clipped: int
    untimed: int
    score: Importance | None
    time: Importance | None
    variants: Mapping[str, Importance]
    curves: Mapping[str, Curve]
    transfer: Transfer | None


def varied(rows: Sequence[Row]) -> tuple[str, ...]:
    """Names of the hyperparameters with more than one value in these rows."""
    values = {name: {getattr(row, name) for row in rows} for name in HYPERPARAMETERS}
    return tuple(name for name, found in values.items() if len([value for value in found if math.isfinite(value)]) > 1)


def tune(rows: Sequence[Row], scores: Sequence[float], trees: int, resamples: int) -> Tuning:
    """Analyse one task; the variant is left out of the axes, so what variants differ by is noise here.

    Scores worse than chance count as chance: a few trials that exploded would own all variance. Axes reach from the
    lowest to the highest value that was tried.

    Args:
        rows: trials of one task. ``scores``: finite, one a row.
        trees, resamples: of each forest, see ``importance.fanova``.
    """
    names = varied(rows)
    responses, clipped = _clip(rows, scores)
    points = _points(rows, names)
    axes = [Axis(name, float(column.min()), float(column.max())) for name, column in zip(names, points.T, strict=True)]

    def shares(chosen: np.ndarray, values: np.ndarray) -> Importance | None:
        if not _enough(chosen, values, axes):
            return None
        return fanova(points[chosen], values[chosen], axes, trees=trees, resamples=resamples)

    def curve(name: str, chosen: np.ndarray) -> Curve | None:
        if name not in names or not _enough(chosen, responses, axes):
            return None
        axis = axes[names.index(name)]
        grid = np.linspace(axis.low, axis.high, PLACES)
        mean, sd = marginal(points[chosen], responses[chosen], axes, name, grid, trees=SMOOTHER * trees)
        return Curve(HYPERPARAMETERS[name].unscale(grid), mean, sd)

    def transfer() -> Transfer | None:
        groups = [np.flatnonzero(cells < SMALL), np.flatnonzero(cells > LARGE)]
        if "learning_rate" not in names or not all(_enough(group, responses, axes) for group in groups):
            return None
        axis, rng = axes[names.index("learning_rate")], np.random.default_rng(0)
        grid = np.linspace(axis.low, axis.high, PLACES)
        small, large = (
            [
                marginal(points[chosen], responses[chosen], axes, axis.name, grid, trees=SMOOTHER * trees)[0]
                for chosen in [group, *rng.choice(group, (resamples, group.size))]
            ]
            for group in groups
        )
        return Transfer(HYPERPARAMETERS[axis.name].unscale(grid), np.stack(small), np.stack(large))

    everyone = np.arange(len(rows))
    steps = np.array([row.best_step for row in rows], dtype=np.float64)
    timed = np.flatnonzero([math.isfinite(row.validation) for row in rows])
    cells = np.array([row.hidden_size for row in rows])
    variants = {
        name: shares(np.flatnonzero([row.variant == name for row in rows]), responses) for name in _variants(rows)
    }
    curves = {name: curve(name, everyone) for name in names}
    return Tuning(
        names=names,
        responses=tuple(responses.tolist()),
        clipped=clipped,
        untimed=len(rows) - len(timed),
        score=shares(everyone, responses),
        time=shares(timed, steps),
        variants={name: found for name, found in variants.items() if found is not None},
        curves={name: found for name, found in curves.items() if found is not None},
        transfer=transfer(),
    )


def _clip(rows: Sequence[Row], scores: Sequence[float]) -> tuple[np.ndarray, int]:
    """Scores (N,) no worse than chance, and how many trials that changed or had no score."""
    values = np.asarray(scores, dtype=np.float64)
    clipped = values
    if math.isfinite(rows[0].chance):
        clipped = (np.maximum if rows[0].higher_is_better else np.minimum)(values, rows[0].chance)
    changed = (clipped != values) | ~np.isfinite([row.test for row in rows])
    return clipped, int(changed.sum())


def _points(rows: Sequence[Row], names: Sequence[str]) -> np.ndarray:
    """``(N, D)``: each trial on the axes of the varied hyperparameters."""
    columns = [HYPERPARAMETERS[name].scale(np.array([getattr(row, name) for row in rows], float)) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))


def _variants(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.variant for row in rows))


def _enough(chosen: np.ndarray, values: np.ndarray, axes: Sequence[Axis]) -> bool:
    """Whether these trials can say something: enough of them, along some axis, about something that varies."""
    return bool(axes) and len(chosen) >= FEW and float(np.ptp(values[chosen])) > 0.0
