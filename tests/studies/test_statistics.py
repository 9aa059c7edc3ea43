"""Statistics against scipy and against cases worked by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from lstm_jax.studies.statistics import (
    Waits,
    bootstrap_difference,
    hedges_g,
    holm,
    log_rank,
    mean_interval,
    rank_test,
    welch,
)

NUMBERS = st.lists(st.integers(-4, 4).map(float), min_size=1, max_size=9)


def mean_gap(a, b, axis=-1):
    return a.mean(axis=axis) - b.mean(axis=axis)


def corrected_gap(a, b, axis=-1):
    n, m = a.shape[axis], b.shape[axis]
    pooled = ((n - 1) * a.var(axis=axis, ddof=1) + (m - 1) * b.var(axis=axis, ddof=1)) / (n + m - 2)
    correction = scipy.special.gamma((n + m - 2) / 2) / scipy.special.gamma((n + m - 3) / 2) / ((n + m - 2) / 2) ** 0.5
    return correction * mean_gap(a, b, axis) / pooled**0.5


@pytest.mark.parametrize("count", [3, 4, 20])
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


def test_two_values_give_a_mean_and_no_interval_of_it():
    assert mean_interval([1.0, 2.0]).mean == 1.5
    assert math.isnan(mean_interval([1.0, 2.0]).low) and not math.isnan(mean_interval([1.0, 2.0, 2.0]).low)


def test_one_value_gives_no_interval_and_no_p_value():
    assert math.isnan(mean_interval([1.0]).low)
    assert welch([1.0], [2.0, 3.0]).mean == -1.5
    assert math.isnan(welch([1.0], [2.0, 3.0]).p)
    np.testing.assert_equal(bootstrap_difference([1.0], [2.0, 3.0]), (-1.5, math.nan, math.nan))
    assert np.isnan(hedges_g([2.0, 3.0], [1.0])).all()


@pytest.mark.parametrize(("ours", "statistic"), [(bootstrap_difference, mean_gap), (hedges_g, corrected_gap)])
@pytest.mark.parametrize(("first", "second"), [(20, 20), (9, 31)])
def test_bootstrap_agrees_with_scipy(ours, statistic, first, second):
    rng = np.random.default_rng(first)
    a, b = rng.gamma(2.0, 1.0, first), rng.normal(1.0, 2.0, second)
    theirs = scipy.stats.bootstrap(
        (a, b), statistic, n_resamples=40_000, method="percentile", confidence_level=0.9, rng=rng
    )
    found = ours(a, b, level=0.9, draws=40_000)
    assert found[0] == pytest.approx(statistic(a, b))
    np.testing.assert_allclose(found[1:], theirs.confidence_interval, atol=0.05 * theirs.standard_error)


def test_bootstrap_of_a_case_that_can_be_enumerated():
    a, b = [0.0, 1.0, 5.0], [2.0, 2.5]
    every = [np.mean(x) - np.mean(y) for x in itertools.product(a, repeat=3) for y in itertools.product(b, repeat=2)]
    low, high = np.quantile(every, [0.15, 0.85], method="inverted_cdf")
    assert bootstrap_difference(a, b, level=0.7) == pytest.approx((-0.25, low, high))


def test_bootstrap_of_many_values_is_the_normal_interval():
    rng = np.random.default_rng(4)
    a, b = rng.normal(1.0, 1.0, 3000), rng.normal(0.0, 3.0, 2500)
    reach = 1.96 * math.sqrt(a.var() / 3000 + b.var() / 2500)
    found = bootstrap_difference(a, b, draws=4000)
    np.testing.assert_allclose([found.low, found.high], found.mean + reach * np.array([-1, 1]), atol=0.05 * reach)


@pytest.mark.parametrize("ours", [bootstrap_difference, hedges_g])
def test_bootstrap_is_a_function_of_its_seed(ours):
    a, b = np.random.default_rng(5).normal(size=(2, 12))
    assert ours(a, b) == ours(a, b, seed=0)
    assert ours(a, b)[0] == ours(a, b, seed=1)[0] and ours(a, b)[1:] != ours(a, b, seed=1)[1:]


def test_hedges_g_of_cases_worked_by_hand():
    # gap -2, pooled variance 1/2, correction for 2 degrees of freedom 1 / gamma(1/2)
    assert hedges_g([1.0, 2.0], [3.0, 4.0]).g == pytest.approx(-2.0 / math.sqrt(0.5) / math.sqrt(math.pi))
    # gap 1, pooled variance 8/3, correction for 3 degrees of freedom gamma(3/2) / sqrt(3/2) = 0.7236013
    assert hedges_g([0.0, 2.0, 4.0], [1.0, 1.0]).g == pytest.approx(0.7236012545582676 / math.sqrt(8.0 / 3.0))
    # the approximation that textbooks print, for 20 + 20
    a, b = np.random.default_rng(6).normal(size=(2, 20))
    pooled = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    assert hedges_g(a, b).g == pytest.approx((a.mean() - b.mean()) / pooled * (1 - 3 / (4 * 38 - 1)), rel=1e-4)


def test_hedges_g_has_no_bias_where_the_plain_one_has():
    rng = np.random.default_rng(7)
    found = [hedges_g(rng.normal(1.0, 1.0, 3), rng.normal(0.0, 1.0, 3), draws=1).g for _ in range(3000)]
    assert np.mean(found) == pytest.approx(1.0, abs=0.08)  # without correction 1.25


@given(st.sampled_from([-1e200, -3.0, 1e-200, 0.5, 1e170]), st.integers(0, 50))
def test_hedges_g_has_no_unit(unit, seed):
    a, b = np.random.default_rng(seed).normal(size=(2, 7))
    g, low, high = hedges_g(a, b, draws=50)
    expected = (g, low, high) if unit > 0 else (-g, -high, -low)
    np.testing.assert_allclose(hedges_g(a * unit, b * unit, draws=50), expected, rtol=1e-9)


def test_an_effect_without_spread_is_none_or_infinite():
    assert hedges_g([0.1] * 3, [0.1] * 4) == (0.0, 0.0, 0.0)
    assert hedges_g([0.0, 0.0], [0.0, 0.0]) == (0.0, 0.0, 0.0)
    assert hedges_g([0.1] * 3, [0.3] * 7) == (-math.inf, -math.inf, -math.inf)  # means that rounding moves
    found = hedges_g([3.0, 4.0], [1.0, 2.0])
    assert math.isfinite(found.g) and math.isfinite(found.low) and found.high == math.inf


@given(NUMBERS, NUMBERS)
def test_rank_test_agrees_with_counting_pairs(ours, theirs):
    wins = np.mean([(a > b) + (a == b) / 2 for a in ours for b in theirs])
    found = rank_test(ours, theirs)
    assert found.superiority == pytest.approx(wins)
    # The normal approximation, from its definition: ties take from the variance, half a pair from the distance.
    n, m, both = len(ours), len(theirs), len(ours) + len(theirs)
    ties = sum(t**3 - t for t in ((ours + theirs).count(x) for x in set(ours + theirs)))
    variance = n * m / 12 * (both + 1 - ties / (both * (both - 1)))
    far = abs(wins - 0.5) * n * m - 0.5
    p = min(1.0, math.erfc(far / math.sqrt(2.0 * variance))) if variance > 0 else 1.0
    assert found.p == pytest.approx(p)
    assert rank_test(theirs, ours) == pytest.approx((found.p, 1.0 - found.superiority))


def test_rank_test_sees_the_order_only():
    a, b = np.random.default_rng(8).normal(size=(2, 30))
    assert rank_test(np.exp(5 * a), np.exp(5 * b)) == rank_test(a, b)
    assert rank_test([7.0, 7.0], [7.0]) == (1.0, 0.5)
    assert rank_test(a + 9.0, b).superiority == 1.0 and rank_test(a + 9.0, b).p < 1e-9


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
    for compare in (bootstrap_difference, hedges_g, rank_test):
        with pytest.raises(ValueError, match="reference values must be"):
            compare([1.0, 2.0], bad)


def test_a_level_outside_zero_and_one_is_refused():
    for values in ([1.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
            mean_interval(values, level=95)
    for compare in (welch, bootstrap_difference, hedges_g):
        with pytest.raises(ValueError, match="level must lie between 0 and 1, got 95"):
            compare([1.0, 1.0], [1.0, 1.0], level=95)


def test_a_bootstrap_without_draws_is_refused():
    for compare in (bootstrap_difference, hedges_g):
        with pytest.raises(ValueError, match="at least one draw, got draws=0"):
            compare([1.0, 2.0], [1.0, 2.0], draws=0)


def mantel(some: Waits, others: Waits) -> float:
    """The log-rank test from its definition."""
    groups = [[(t, True) for t in group.done] + [(t, False) for t in group.given_up] for group in (some, others)]
    everybody = groups[0] + groups[1]
    surplus = variance = 0.0
    for time in sorted({t for t, done in everybody if done}):
        at_risk, of_some = (sum(t >= time for t, _ in group) for group in (everybody, groups[0]))
        events = sum(done and t == time for t, done in everybody)
        share = of_some / at_risk
        surplus += sum(done and t == time for t, done in groups[0]) - events * share
        variance += events * share * (1 - share) * (at_risk - events) / max(at_risk - 1, 1)
    return math.erfc(abs(surplus) / math.sqrt(2 * variance))


@given(*[st.lists(st.integers(1, 9), min_size=size, max_size=6) for size in (2, 0, 0, 2)])
def test_log_rank_is_mantels_test_whoever_is_given_up_when(done, given_up, others_done, others_given_up):
    some, others = Waits(done, given_up), Waits(others_done, others_given_up)
    assume(min(done) < max(others_done + others_given_up))  # otherwise nobody is left to compare with
    assert log_rank(some, others) == pytest.approx(mantel(some, others), abs=1e-9)
    assert log_rank(others, some) == pytest.approx(mantel(some, others), abs=1e-9)


def test_log_rank_of_groups_in_which_nothing_happened_says_nothing():
    assert math.isnan(log_rank(Waits([], [5, 5]), Waits([], [5])))
    assert math.isnan(log_rank(Waits([9], []), Waits([], [3, 3]))), "nobody was left to compare with"


@pytest.mark.parametrize("value", [1 / 6, 0.1, 1e-30, 3e38])
@pytest.mark.parametrize(("ours", "theirs"), [(6, 20), (3, 10), (7, 7)])
def test_equal_scores_are_equal_however_many(value, ours, theirs):
    """NumPy's mean of equal numbers rounds, by another amount for another count."""
    assert welch([value] * ours, [value] * theirs) == (0.0, 0.0, 0.0, 1.0)
    assert mean_interval([value] * theirs) == (value, value, value, theirs)
    assert bootstrap_difference([value] * ours, [value] * theirs).mean == 0.0
