"""Shares of successes: the exact test agrees with the tables it generalises, and with counting."""

from __future__ import annotations

import itertools
import math

import pytest
from scipy import stats

from lstm_jax.studies.shares import share_of, stratified_exact


def pair(ours: int, theirs: int, trials: int = 5, their_trials: int = 5):
    return share_of(ours, trials), share_of(theirs, their_trials)


@pytest.mark.parametrize("ours", range(5))
@pytest.mark.parametrize("theirs", range(4))
def test_one_stratum_is_fishers_test(ours, theirs):
    found = stratified_exact([pair(ours, theirs, 4, 3)])
    oracle = stats.fisher_exact([[ours, 4 - ours], [theirs, 3 - theirs]]).pvalue
    assert found.p == pytest.approx(oracle)
    assert found.successes == pytest.approx(ours - (ours + theirs) * 4 / 7)


def test_several_strata_agree_with_going_through_all_outcomes():
    strata = [pair(3, 1, 3, 2), pair(2, 0, 3, 3), pair(1, 1, 2, 3)]
    totals = [(a.successes + b.successes, a.trials, b.trials) for a, b in strata]

    def chance(outcome):
        ways = [
            math.comb(n, k) * math.comb(m, s - k) / math.comb(n + m, s)
            for k, (s, n, m) in zip(outcome, totals, strict=True)
        ]
        return math.prod(ways)

    law: dict[int, float] = {}
    for outcome in itertools.product(*(range(min(s, n) + 1) for s, n, _ in totals)):
        law[sum(outcome)] = law.get(sum(outcome), 0.0) + chance(outcome)
    observed = law[6]
    assert sum(law.values()) == pytest.approx(1.0)
    assert stratified_exact(strata).p == pytest.approx(sum(p for p in law.values() if p <= observed * (1 + 1e-9)))


def test_strata_in_which_all_or_none_succeed_say_nothing():
    informative = pair(5, 1)
    assert stratified_exact([informative, pair(5, 5), pair(0, 0)]) == pytest.approx(stratified_exact([informative]))
    assert stratified_exact([pair(5, 5), pair(0, 0)]) == (0.0, 1.0)
    assert stratified_exact([]) == (0.0, 1.0)


def test_evidence_adds_up_over_strata_and_sides_are_symmetric():
    one, two = stratified_exact([pair(4, 1)]), stratified_exact([pair(4, 1), pair(4, 1)])
    assert two.p < one.p and two.successes == 2 * one.successes > 0
    other = stratified_exact([pair(1, 4), pair(1, 4)])
    assert other.p == pytest.approx(two.p) and other.successes == -two.successes


def test_a_share_has_wilsons_interval():
    share = share_of(9, 20)
    assert (share.low, share.high) == pytest.approx((0.2582, 0.6579), abs=1e-4)
    assert share_of(5, 5).low > 0.5 > share_of(0, 5).high and share_of(4, 5).low < 0.5
    with pytest.raises(ValueError, match="successes"):
        share_of(6, 5)
