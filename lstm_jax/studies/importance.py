"""Which hyperparameters matter: functional ANOVA of a random forest, exact over the boxes of its leaves.

Hutter, Hoos & Leyton-Brown, "An Efficient Approach for Assessing Hyperparameter Importance", ICML 2014. A regression
tree is constant on boxes, so the averages over all other axes that define its main effects and pairwise interactions
are finite sums over leaves: nothing is sampled. Every place between the bounds counts alike, wherever trials lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.names import UsageError, nearest

FEWEST_TRIALS = 10
SLACK = 1e-9  # of an axis: what a logarithm taken elsewhere may round beyond a bound


class Axis(NamedTuple):
    """A hyperparameter that was drawn between ``low`` and ``high``, on the scale that is analysed (log10, say)."""

    name: str
    low: float
    high: float


class VarianceShare(NamedTuple):
    """A share of variance, 0 to 1, with its interval; ``low`` and ``high`` are NaN where nothing was resampled."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """Where the variance of the score over the box of hyperparameters comes from.

    Attributes:
        axes: as given. ``count``: of trials.
        main: by axis, the share that varies with this axis alone.
        pairs: by two axes in the order of ``axes``, the share that varies with both and with neither alone.
        rest: of interactions between three and more axes: 1 less all the others.
    """

    axes: tuple[Axis, ...]
    count: int
    main: dict[str, VarianceShare]
    pairs: dict[tuple[str, str], VarianceShare]
    rest: VarianceShare


def fanova(
    points: np.ndarray,
    scores: np.ndarray,
    axes: Sequence[Axis],
    trees: int = 64,
    seed: int = 0,
    resamples: int = 20,
) -> Importance:
    """Shares of variance of each axis and of each pair of axes, each the mean over the trees of a forest.

    The forest is the one of ``optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)``, and so are the
    main effects; optuna has no pairs. A score that does not vary has shares of 0, the rest included.

    They are shares of what the forest predicts. It also learns noise, which gives every axis and pair a little: read
    a share against the smallest ones, and against an axis that cannot matter.

    Args:
        points: ``(N, D)``, a trial a row, an axis a column, within the bounds of ``axes``. The forest reads them in
            float32 and parts no two that are closer than 1e-7.
        scores: ``(N,)``, finite: clip a diverged trial to the worst score, and say so.
        axes: D of them, names all different.
        trees: of the forest; more of them make the shares less random, not more certain.
        seed: of the forest and of the resamples; equal arguments give equal results.
        resamples: how often to draw N trials with replacement and to grow a forest as large on them. ``low`` and
            ``high`` hold the middle 95 % of how far the shares so found lie from their median, around the share of
            the trials themselves: how far it moves with other trials of the same search, not how far it is from the
            truth. The median is not that share, since a trial that is drawn twice looks like less noise. 0 leaves
            both NaN.

    Raises:
        ValueError: for fewer than 10 trials, shapes that do not fit, numbers that are not finite, points outside
            their axis, an axis without extent, names given twice, trees below 1, resamples below 0.
        ImportError: without scikit-learn.
    """
    points, scores, bounds = _checked(points, scores, axes, trees)
    if resamples < 0:
        raise ValueError(f"resamples must not be negative, got {resamples}")
    found = _shares(_grow(points, scores, bounds, trees, seed), bounds)
    rng = np.random.default_rng(seed)
    again = np.full((max(resamples, 1), len(found)), math.nan)
    for row in range(resamples):
        drawn = rng.integers(len(points), size=len(points))
        forest = _grow(points[drawn], scores[drawn], bounds, trees, int(rng.integers(2**31)))
        again[row] = _shares(forest, bounds)
    low, middle, high = np.quantile(again, [0.025, 0.5, 0.975], axis=0)
    lows, highs = (np.clip(found + (end - middle), 0.0, 1.0) for end in (low, high))
    shares = [VarianceShare(*map(float, row)) for row in zip(found, lows, highs, strict=True)]
    names = [axis.name for axis in axes]
    return Importance(
        axes=tuple(axes),
        count=len(points),
        main=dict(zip(names, shares, strict=False)),
        pairs=dict(zip(combinations(names, 2), shares[len(names) : -1], strict=True)),
        rest=shares[-1],
    )


def marginal(
    points: np.ndarray,
    scores: np.ndarray,
    axes: Sequence[Axis],
    name: str,
    grid: np.ndarray,
    trees: int = 64,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The score that the forest of ``fanova`` predicts along one axis, averaged over all other axes.

    Args:
        points, scores, axes, trees, seed: as for ``fanova``.
        name: of the axis.
        grid: ``(K,)`` places on it.

    Returns:
        Mean and standard deviation over the trees, ``(K,)`` each, in the unit of the scores.

    Raises:
        UsageError: for a name that no axis has; ValueError, ImportError: as ``fanova``, and for places off the axis.
    """
    points, scores, bounds = _checked(points, scores, axes, trees)
    names = [axis.name for axis in axes]
    if name not in names:
        raise UsageError(f"no axis is called {name!r}; {nearest(name, names)}")
    column = names.index(name)
    grid = np.asarray(grid, dtype=np.float64)
    if grid.ndim != 1:
        raise ValueError(f"grid must be a list of places (K,), got shape {grid.shape}")
    _check_inside(grid, axes[column], "grid")
    curves = [_curve(tree, bounds, column, grid) for tree in _grow(points, scores, bounds, trees, seed)]
    return np.mean(curves, axis=0), np.std(curves, axis=0)


class _Leaves(NamedTuple):
    """A tree: its value on each of L boxes that fill the box of all axes; ``boxes (L, D, 2)``, ``values (L,)``."""

    boxes: np.ndarray
    values: np.ndarray


def _grow(points: np.ndarray, scores: np.ndarray, bounds: np.ndarray, trees: int, seed: int) -> list[_Leaves]:
    try:
        from sklearn.ensemble import RandomForestRegressor
    except ImportError as error:
        raise ImportError("fANOVA needs scikit-learn: pip install 'lstm_jax[study]'") from error

    spread = float(np.ptp(scores))
    if spread == 0.0:  # scikit-learn may split what only rounding tells apart
        return [_Leaves(bounds[None], scores[:1])] * trees
    # A node whose variance is below the rounding of 1 is never split, so tiny scores have to be made larger. A power
    # of two changes no digit, hence no split that the scores as given would have had.
    unit = math.ldexp(1.0, math.frexp(spread)[1])
    # The settings of optuna. Every split may use any axis: trees differ by their bootstrap alone.
    forest = RandomForestRegressor(
        n_estimators=trees, max_depth=64, min_samples_split=2, min_samples_leaf=1, bootstrap=True, random_state=seed
    )
    forest.fit(points, scores / unit)
    return [_leaves(estimator.tree_, bounds, unit) for estimator in forest.estimators_]


def _leaves(tree: Any, bounds: np.ndarray, unit: float) -> _Leaves:
    """The leaves of a fitted ``sklearn.tree._tree.Tree``; boxes are cut one level of nodes at a time."""
    boxes = np.tile(bounds, (tree.node_count, 1, 1))
    inner = tree.children_left >= 0
    parents = np.flatnonzero(inner[:1])
    while parents.size:
        lefts, rights = tree.children_left[parents], tree.children_right[parents]
        boxes[lefts] = boxes[rights] = boxes[parents]
        boxes[lefts, tree.feature[parents], 1] = tree.threshold[parents]
        boxes[rights, tree.feature[parents], 0] = tree.threshold[parents]
        children = np.concatenate([lefts, rights])
        parents = children[inner[children]]
    return _Leaves(boxes[~inner], tree.value[~inner, 0, 0] * unit)


def _shares(forest: Sequence[_Leaves], bounds: np.ndarray) -> np.ndarray:
    """Mean shares, over the trees that vary at all, of the D axes, of their pairs in order, and of the rest."""
    found = [parts / total for total, parts in (_variances(tree, bounds) for tree in forest) if total > 0.0]
    if not found:
        axes = len(bounds)
        return np.zeros(axes + axes * (axes - 1) // 2 + 1)
    mean = np.mean(found, axis=0)
    return np.append(mean, max(0.0, 1.0 - mean.sum()))


def _variances(tree: _Leaves, bounds: np.ndarray) -> tuple[float, np.ndarray]:
    """Variance of a tree over the box of all axes, and its parts: the D main effects, then the pairs in order."""
    lengths = _lengths(tree, bounds)
    volumes = lengths.prod(axis=1)
    values = tree.values - volumes @ tree.values
    cuts = [_cut(tree, column) for column in range(len(bounds))]
    widths = [np.diff(cut.edges) / (cut.edges[-1] - cut.edges[0]) for cut in cuts]
    effects = [_sums(values * _others(lengths, [column]), [cut]) for column, cut in enumerate(cuts)]
    parts = [width @ effect**2 for width, effect in zip(widths, effects, strict=True)]
    for i, j in combinations(range(len(bounds)), 2):
        both = _sums(values * _others(lengths, [i, j]), [cuts[i], cuts[j]])
        parts.append(widths[i] @ (both - effects[i][:, None] - effects[j]) ** 2 @ widths[j])
    return float(volumes @ values**2), np.array(parts)


def _curve(tree: _Leaves, bounds: np.ndarray, column: int, grid: np.ndarray) -> np.ndarray:
    cut = _cut(tree, column)
    curve = _sums(tree.values * _others(_lengths(tree, bounds), [column]), [cut])
    return curve[np.searchsorted(cut.edges[1:-1], grid)]  # a threshold itself belongs to the left, as in the tree


def _lengths(tree: _Leaves, bounds: np.ndarray) -> np.ndarray:
    """``(L, D)``: the part of each axis that each leaf covers."""
    return (tree.boxes[..., 1] - tree.boxes[..., 0]) / (bounds[:, 1] - bounds[:, 0])


def _others(lengths: np.ndarray, columns: list[int]) -> np.ndarray:
    """``(L,)``: the part of the space of all other axes that each leaf covers."""
    return np.delete(lengths, columns, axis=1).prod(axis=1)


class _Cut(NamedTuple):
    """An axis cut into n cells where leaves begin or end: ``edges (n + 1,)``, and their indices for each leaf."""

    edges: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def _cut(tree: _Leaves, column: int) -> _Cut:
    edges, places = np.unique(tree.boxes[:, column], return_inverse=True)
    return _Cut(edges, *places.reshape(-1, 2).T)


def _sums(weights: np.ndarray, cuts: Sequence[_Cut]) -> np.ndarray:
    """For each cell of one or more axes, the sum of the weights ``(L,)`` of the leaves that cover it.

    Only the corners of the leaves are marked; running sums fill them. Each leaf in each of its cells costs far more.
    """
    sums = np.zeros([len(cut.edges) for cut in cuts])
    for corner in product((False, True), repeat=len(cuts)):
        places = tuple(cut.ends if end else cut.starts for cut, end in zip(cuts, corner, strict=True))
        np.add.at(sums, places, -weights if sum(corner) % 2 else weights)
    for axis in range(len(cuts)):
        sums = sums.cumsum(axis=axis)
    return sums[(slice(-1),) * len(cuts)]  # nothing lies beyond the last edge


def _checked(
    points: np.ndarray, scores: np.ndarray, axes: Sequence[Axis], trees: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points ``(N, D)``, scores ``(N,)`` and bounds ``(D, 2)`` in float64, or an error that says what is wrong."""
    points, scores = np.asarray(points, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    names = [axis.name for axis in axes]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"axes must be at least one, each with a name of its own, got {names}")
    for axis in axes:
        if not (math.isfinite(axis.high - axis.low) and axis.low < axis.high):
            raise ValueError(f"axis {axis.name!r} must rise from low to high, got {axis.low} to {axis.high}")
    if points.ndim != 2 or points.shape[1] != len(axes) or scores.shape != points.shape[:1]:
        raise ValueError(
            f"expected points (N, {len(axes)}) and scores (N,), got shapes {points.shape} and {scores.shape}"
        )
    if len(points) < FEWEST_TRIALS:
        raise ValueError(f"a forest needs at least {FEWEST_TRIALS} trials, got {len(points)}")
    if not np.isfinite(scores).all():
        raise ValueError(
            f"scores must be finite, {np.sum(~np.isfinite(scores))} of {len(scores)} are not; "
            "give a diverged run the worst score, do not leave it out"
        )
    for column, axis in enumerate(axes):
        _check_inside(points[:, column], axis, "points")
    if trees < 1:
        raise ValueError(f"a forest needs at least one tree, got trees={trees}")
    bounds = np.array([(axis.low, axis.high) for axis in axes], dtype=np.float64)
    return np.clip(points, bounds[:, 0], bounds[:, 1]), scores, bounds


def _check_inside(places: np.ndarray, axis: Axis, what: str) -> None:
    slack = SLACK * (axis.high - axis.low)
    outside = places[~((axis.low - slack <= places) & (places <= axis.high + slack))]
    if outside.size:
        raise ValueError(
            f"{what} must lie between {axis.low} and {axis.high} on axis {axis.name!r}, got {outside[0]}; "
            "are both on the same scale?"
        )
