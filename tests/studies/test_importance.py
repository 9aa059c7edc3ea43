"""Functional ANOVA against optuna, against averages of the forest's own predictions, and against known functions."""

from __future__ import annotations

import itertools
import math
import sys

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from lstm_jax.names import UsageError
from lstm_jax.studies.importance import Axis, fanova, marginal

AXES = [Axis("a", 0.0, 1.0), Axis("b", -2.0, 2.0), Axis("c", 1.0, 3.0), Axis("d", -5.0, -4.0)]
SQUARE = [Axis("x", -1.0, 1.0), Axis("y", -1.0, 1.0), Axis("z", -1.0, 1.0)]


def draw(seed, count, axes):
    lows, highs = np.array([axis[1:] for axis in axes]).T
    return np.random.default_rng(seed).uniform(lows, highs, (count, len(axes)))


def bumpy(points, seed):
    """Curved, with interactions and noise."""
    first, second, *others = (points - points.mean(axis=0)).T
    return 3 * first + np.sin(3 * second) + 4 * first * second + sum(others) ** 2 + noise(seed, len(points))


def noise(seed, count):
    return 0.3 * np.random.default_rng(seed + 1000).normal(size=count)


def means(shares):
    return {name: share.mean for name, share in shares.items()}


def dense(tree, axes):
    """A tree's predictions on the full grid of its split points, and the widths of the cells of each axis."""
    splits = [np.unique(tree.tree_.threshold[tree.tree_.feature == d]) for d in range(len(axes))]
    edges = [np.concatenate([[axis.low], cut, [axis.high]]) for axis, cut in zip(axes, splits, strict=True)]
    middles = np.stack(np.meshgrid(*[(e[1:] + e[:-1]) / 2 for e in edges], indexing="ij"), axis=-1)
    values = tree.predict(middles.reshape(-1, len(axes))).reshape(middles.shape[:-1])
    return values, [np.diff(e) / (e[-1] - e[0]) for e in edges]


def average_over(values, widths, away):
    for d in away:
        values = np.expand_dims(np.tensordot(values, widths[d], axes=(d, 0)), d)
    return values


def dense_shares(tree, axes):
    """Every share by its definition, up to pairs: an effect is an average less all effects below it."""
    values, widths = dense(tree, axes)
    every = range(len(axes))
    effects = {(): average_over(values, widths, every)}
    for size in (1, 2):
        for kept in itertools.combinations(every, size):
            below = [effects[s] for n in range(size) for s in itertools.combinations(kept, n)]
            effects[kept] = average_over(values, widths, [d for d in every if d not in kept]) - sum(below)
    spread = average_over((values - effects[()]) ** 2, widths, every).item()

    def share(effect):
        squares = np.broadcast_to(effect**2, values.shape)
        return average_over(squares, widths, every).item() / spread

    return {tuple(axes[d].name for d in kept): share(effect) for kept, effect in effects.items() if kept}


@pytest.mark.parametrize(("seed", "count", "trees"), [(0, 200, 16), (1, 30, 8), (2, 60, 64)])
def test_main_effects_are_those_of_optuna(seed, count, trees):
    points = draw(seed, count, AXES)
    scores = bumpy(points, seed)
    distributions = {axis.name: optuna.distributions.FloatDistribution(axis.low, axis.high) for axis in AXES}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    for row, score in zip(points, scores, strict=True):
        params = dict(zip(distributions, map(float, row), strict=True))
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=float(score)))
    theirs = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed).evaluate(study)
    ours = fanova(points, scores, AXES, trees=trees, seed=seed, resamples=0)
    assert means(ours.main) == pytest.approx(theirs, rel=1e-9)
    assert (ours.axes, ours.count) == (tuple(AXES), count)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_shares_are_those_of_the_forest_averaged_over_all_its_cells(size):
    axes = AXES[:size]
    points = draw(3, 25, axes)
    scores = bumpy(points, 3)
    forest = RandomForestRegressor(n_estimators=5, random_state=7).fit(points, scores)
    each = [dense_shares(tree, axes) for tree in forest.estimators_]
    expected = {name: np.mean([shares[name] for shares in each]) for name in each[0]}
    ours = fanova(points, scores, axes, trees=5, seed=7, resamples=0)
    found = {(name,): value for name, value in means(ours.main).items()} | means(ours.pairs)
    assert found == pytest.approx(expected, rel=1e-9)
    assert ours.rest.mean == pytest.approx(1 - sum(expected.values()), abs=1e-12)
    assert size > 2 or ours.rest.mean < 1e-12


def test_shares_agree_with_monte_carlo_integration():
    points = draw(4, 200, AXES)
    scores = bumpy(points, 4)
    forest = RandomForestRegressor(n_estimators=4, random_state=0).fit(points, scores)
    first, second = draw(5, 60_000, AXES), draw(6, 60_000, AXES)

    def shared(tree, columns):
        """Sobol: two places that share these columns and nothing else; how alike are their predictions?"""
        mixed = second.copy()
        mixed[:, columns] = first[:, columns]
        here, there = tree.predict(first), tree.predict(mixed)
        return np.mean((here - here.mean()) * (there - there.mean())) / here.var()

    ours = fanova(points, scores, AXES, trees=4, resamples=0)
    a, b, both = (np.mean([shared(tree, kept) for tree in forest.estimators_]) for kept in ([0], [1], [0, 1]))
    assert ours.main["a"].mean == pytest.approx(a, abs=0.01)
    assert ours.main["b"].mean == pytest.approx(b, abs=0.01)
    assert ours.pairs["a", "b"].mean == pytest.approx(both - a - b, abs=0.02)


def test_a_sum_has_main_effects_in_the_ratio_of_its_variances_and_no_interactions():
    points = draw(0, 600, SQUARE)
    ours = fanova(points, 3 * points[:, 0] + points[:, 1], SQUARE, trees=16, resamples=8)
    assert ours.main["x"].mean == pytest.approx(0.9, abs=0.02)
    assert ours.main["y"].mean == pytest.approx(0.1, abs=0.02)
    assert max(ours.main["z"].mean, ours.rest.mean, *means(ours.pairs).values()) < 0.01
    assert 0.85 < ours.main["x"].low < ours.main["x"].high < 0.95 and 0.0 < ours.main["z"].high < 0.01


def test_a_product_of_two_axes_is_their_interaction():
    points = draw(1, 800, SQUARE)
    ours = fanova(points, points[:, 0] * points[:, 2], SQUARE, trees=16, resamples=0)
    assert ours.pairs["x", "z"].mean > 0.85
    assert max(*means(ours.main).values(), ours.pairs["x", "y"].mean, ours.pairs["y", "z"].mean) < 0.05


def test_a_product_of_three_axes_is_the_rest():
    points = draw(2, 3000, SQUARE)
    ours = fanova(points, np.sign(points).prod(axis=1), SQUARE, trees=8, resamples=0)
    assert ours.rest.mean > 0.85


@pytest.mark.parametrize("level", [0.1, 1e6 + 0.1, 0.0])
def test_a_score_that_does_not_vary_has_no_shares(level):
    points, scores = draw(0, 40, AXES), np.full(40, level)
    ours = fanova(points, scores, AXES, resamples=3)
    assert {*ours.main.values(), *ours.pairs.values(), ours.rest} == {(0.0, 0.0, 0.0)}
    assert len(ours.main) == 4 and len(ours.pairs) == 6
    mean, sd = marginal(points, scores, AXES, "c", [1.0, 2.0, 3.0])
    np.testing.assert_allclose(mean, level, rtol=1e-12)
    np.testing.assert_allclose(sd, 0.0, atol=1e-12 * level)


def test_one_axis_has_all_the_variance():
    points = draw(0, 30, AXES[:1])
    ours = fanova(points, points[:, 0] ** 2, AXES[:1], resamples=0)
    assert ours.main["a"].mean == pytest.approx(1.0) and ours.pairs == {} and ours.rest.mean < 1e-12


@given(st.integers(10, 40), st.integers(1, 4), st.integers(-300, 300), st.booleans(), st.integers(0, 10**6))
@settings(max_examples=15)
def test_shares_add_up_and_have_no_unit(count, size, power, flip, seed):
    points = draw(seed, count, AXES[:size])
    scores = np.random.default_rng(seed).integers(0, 5, count) + 0.5 * (np.arange(count) == 0)
    unit = math.ldexp(-1.0 if flip else 1.0, power)
    ours, other = (fanova(points, s, AXES[:size], trees=3, seed=seed, resamples=0) for s in (scores, scores * unit))
    found = [*means(ours.main).values(), *means(ours.pairs).values(), ours.rest.mean]
    assert min(found) >= 0.0 and sum(found) == pytest.approx(1.0)
    assert found == [*means(other.main).values(), *means(other.pairs).values(), other.rest.mean]


def test_marginals_are_averages_of_the_forest_over_all_other_axes():
    axes = AXES[:3]
    points = draw(8, 40, axes)
    scores = bumpy(points, 8)
    forest = RandomForestRegressor(n_estimators=6, random_state=2).fit(points, scores)
    for column, axis in enumerate(axes):
        grid = np.linspace(axis.low, axis.high, 57)
        curves = []
        for tree in forest.estimators_:
            values, widths = dense(tree, axes)
            curve = average_over(values, widths, [d for d in range(3) if d != column]).ravel()
            ends = axis.low + (axis.high - axis.low) * np.cumsum(widths[column])[:-1]
            curves.append([curve[np.sum(place > ends)] for place in grid])
        mean, sd = marginal(points, scores, axes, axis.name, grid, trees=6, seed=2)
        np.testing.assert_allclose(mean, np.mean(curves, axis=0), rtol=1e-9)
        np.testing.assert_allclose(sd, np.std(curves, axis=0), rtol=1e-9, atol=1e-12)


def test_a_marginal_follows_a_known_curve():
    points = draw(9, 500, SQUARE)
    grid = np.linspace(-0.9, 0.9, 7)
    mean, sd = marginal(points, 1e-9 * (points[:, 0] ** 2 + points[:, 1]), SQUARE, "x", grid)
    np.testing.assert_allclose(mean, 1e-9 * grid**2, atol=1e-10)
    assert (sd < 2e-10).all() and (sd > 0).all()


def test_an_interval_holds_the_share_it_belongs_to_though_drawing_twice_moves_all_shares():
    axes = [Axis(name, -1.0, 1.0) for name in "abcd"]
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = rng.uniform(-1, 1, (60, 4))
        ours = fanova(points, points[:, 0] + rng.normal(size=60), axes, trees=8, seed=seed, resamples=12)
        for share in (*ours.main.values(), *ours.pairs.values(), ours.rest):
            assert 0 <= share.low <= share.mean <= share.high <= 1


def test_equal_arguments_give_equal_results_and_resamples_leave_the_shares_alone():
    points = draw(0, 50, AXES)
    scores = bumpy(points, 0)
    ours = fanova(points, scores, AXES, trees=4, seed=1, resamples=4)
    assert ours == fanova(points, scores, AXES, trees=4, seed=1, resamples=4)
    assert ours != fanova(points, scores, AXES, trees=4, seed=2, resamples=4)
    plain = fanova(points, scores, AXES, trees=4, seed=1, resamples=0)
    assert means(plain.main) == means(ours.main) and means(plain.pairs) == means(ours.pairs)
    assert np.isnan([plain.rest[1:], plain.main["a"][1:], plain.pairs["b", "d"][1:]]).all()


def test_intervals_hold_the_shares_of_other_searches_and_shrink_with_trials():
    def search(seed, count, resamples):
        points = draw(seed, count, AXES[:2])
        return fanova(points, bumpy(points, seed), AXES[:2], trees=8, resamples=resamples).main["a"]

    few, many = search(0, 40, 30), search(0, 400, 30)
    assert many.high - many.low < 0.7 * (few.high - few.low)
    assert many.low < many.mean < many.high
    typical = np.mean([search(seed, 100, 0).mean for seed in range(100, 130)])
    assert np.mean([i.low <= typical <= i.high for i in (search(seed, 100, 12) for seed in range(10))]) > 0.5


def test_points_that_rounding_moved_beyond_a_bound_are_on_it():
    axes = [Axis("low", -1e3, 0.0), Axis("high", 0.0, 1e3)]
    points = draw(0, 40, axes)
    points[::3], points[1::3] = [0.0, 0.0], [0.0, 1e3]
    scores = np.arange(40.0) % 3
    beyond = points + np.where(np.arange(40)[:, None] % 3 == 1, [9e-7, 9e-7], 0.0)  # another library's logarithm
    assert fanova(beyond, scores, axes, resamples=2) == fanova(points, scores, axes, resamples=2)
    ends = [marginal(beyond, scores, axes, "high", [1e3 + more])[0] for more in (0.0, 9e-7)]
    assert ends[0] == ends[1]


def test_trials_that_no_forest_can_read_are_refused():
    points, scores = draw(0, 12, SQUARE), np.arange(12.0)
    wrong = {
        "at least 10 trials, got 9": (points[:9], scores[:9], SQUARE),
        r"expected points \(N, 3\) and scores \(N,\), got shapes \(12, 3\) and \(11,\)": (points, scores[:11], SQUARE),
        r"got shapes \(12, 2\)": (points[:, :2], scores, SQUARE),
        "scores must be finite, 2 of 12 are not; give": (points, [*scores[:10], math.nan, math.inf], SQUARE),
        "points must lie between -1.0 and 1.0 on axis 'y', got 3": (points + [0, 4, 0], scores, SQUARE),
        "on axis 'z', got nan": (np.where(points == points[3, 2], math.nan, points), scores, SQUARE),
        "a name of its own, got .'x', 'y', 'x'": (points, scores, [*SQUARE[:2], SQUARE[0]]),
        "at least one, .* got ..": (points[:, :0], scores, []),
        "axis 'z' must rise from low to high, got 1.0 to 1.0": (points, scores, [*SQUARE[:2], Axis("z", 1.0, 1.0)]),
    }
    for message, arguments in wrong.items():
        with pytest.raises(ValueError, match=message):
            fanova(*arguments)
        with pytest.raises(ValueError, match=message):
            marginal(*arguments, "x", [0.0])


def test_options_that_mean_nothing_are_refused():
    points, scores = draw(0, 12, SQUARE), np.arange(12.0)
    with pytest.raises(ValueError, match="at least one tree, got trees=0"):
        fanova(points, scores, SQUARE, trees=0)
    with pytest.raises(ValueError, match="resamples must not be negative, got -1"):
        fanova(points, scores, SQUARE, resamples=-1)
    with pytest.raises(UsageError, match="no axis is called 'X'; did you mean 'x'"):
        marginal(points, scores, SQUARE, "X", [0.0])
    with pytest.raises(ValueError, match="grid must lie between -1.0 and 1.0 on axis 'x', got 2.0"):
        marginal(points, scores, SQUARE, "x", [0.0, 2.0])
    with pytest.raises(ValueError, match=r"grid must be a list of places \(K,\), got shape \(\)"):
        marginal(points, scores, SQUARE, "x", 0.0)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ImportError, match=r"pip install 'lstm_jax\[study\]'"):
        fanova(draw(0, 12, SQUARE), np.arange(12.0), SQUARE)
