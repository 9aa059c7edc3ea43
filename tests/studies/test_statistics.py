"""Statistics against scipy and against cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from lstm_jax.studies.statistics import holm, mean_interval, welch


@pytest.mark.parametrize("count", [2, 3, 20])
def test_interval_agrees_with_scipy(count):
    values = np.random.default_rng(count).normal(3.0, 2.0, count)
    ours = mean_interval(values, level=0.9)
    low, high = scipy.stats.t.interval(0.9, count - 1, loc=values.mean(), scale=scipy.stats.sem(values))
    np.testing.assert_allclose([ours.mean, ours.low, ours.high], [values.mean(), low, high], rtol=1e-12)
    assert ours.count == count


def test_interval_of_a_case_worked_by_hand():
    # 1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.302653
    ours = mean_interval([1.0, 2.0, 3.0])
    assert ours.low == pytest.approx(2.0 - 4.302652729911275 / math.sqrt(3.0))


def test_interval_covers_the_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [mean_interval(rng.normal(size=4), level=0.8) for _ in range(600)]
    covered = np.mean([interval.low <= 0.0 <= interval.high for interval in intervals])
    assert 0.75 < covered < 0.85


@pytest.mark.parametrize(("first", "second"), [(5, 5), (2, 20), (9, 3)])
def test_welch_agrees_with_scipy(first, second):
    rng = np.random.default_rng(first)
    a, b = rng.normal(0.3, 1.0, first), rng.normal(0.0, 4.0, second)
    theirs = scipy.stats.ttest_ind(a, b, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    ours = welch(a, b)
    np.testing.assert_allclose(
        [ours.mean, ours.p, ours.low, ours.high], [a.mean() - b.mean(), theirs.pvalue, *interval], rtol=1e-10
    )


def test_welch_survives_tiny_numbers():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=6), rng.normal(size=6)
    assert welch(a * 1e-120, b * 1e-120).p == pytest.approx(welch(a, b).p)


def test_groups_without_spread_differ_for_certain_or_not_at_all():
    assert welch([1.0, 1.0], [1.0, 1.0]).p == 1.0
    assert welch([1.0, 1.0], [2.0, 2.0]) == (-1.0, -1.0, -1.0, 0.0)


def test_one_value_gives_no_interval_and_no_p_value():
    assert math.isnan(mean_interval([1.0]).low)
    assert welch([1.0], [2.0, 3.0]).mean == -1.5
    assert math.isnan(welch([1.0], [2.0, 3.0]).p)


def test_holm_of_a_case_worked_by_hand():
    # sorted 0.01 0.02 0.03 0.5, times 4 3 2 1: 0.04 0.06 0.06 0.5, then made monotone
    ours = holm({"a": 0.03, "b": 0.01, "c": 0.5, "d": 0.02})
    assert ours == pytest.approx({"a": 0.06, "b": 0.04, "c": 0.5, "d": 0.06})


def test_holm_lies_between_the_raw_and_the_bonferroni_values():
    raw = dict(zip("abcdefgh", np.random.default_rng(1).uniform(size=8), strict=True))
    corrected = holm(raw)
    for name, p in raw.items():
        assert p <= corrected[name] <= min(1.0, 8 * p)
    order = sorted(raw, key=raw.get)
    assert [corrected[name] for name in order] == sorted(corrected.values())


def test_holm_does_not_count_questions_that_could_not_be_asked():
    ours = holm({"a": 0.02, "b": math.nan, "c": 0.9})
    assert ours["a"] == 0.04 and math.isnan(ours["b"])
    assert holm({}) == {}


@pytest.mark.parametrize("bad", [[], [1.0, math.nan], [1.0, math.inf], [[1.0], [2.0]]])
def test_values_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        mean_interval(bad)
    with pytest.raises(ValueError, match="must be"):
        welch([1.0, 2.0], bad)


def test_a_level_outside_zero_and_one_is_refused():
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
        mean_interval([1.0, 2.0], level=95)
