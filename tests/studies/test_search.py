"""A search is analysed by rules that its report states: selection, worst scores, tests, hyperparameters."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import scipy.stats
from fabricated import SPEECH, around, drawn, scored, trial

from lstm_jax.studies.compare import compare, worst_score
from lstm_jax.studies.grid import grids
from lstm_jax.studies.search import Search, analyse, is_search, reselected_difference, select
from lstm_jax.studies.statistics import bootstrap_difference
from lstm_jax.studies.tuning import HYPERPARAMETERS, tune

NEVER = {"test": math.nan, "validation": math.inf, "test_by_sequence": math.nan, "diverged": True, "best_step": 0}


def contenders(search: Search, task: int = 0) -> dict:
    return {contender.variant: contender for contender in search.tasks[task].contenders}


def test_trials_are_selected_by_validation_and_not_by_test():
    rows = [trial(float(n), seed=n, test=float(100 - n)) for n in range(30)]
    assert [row.validation for row in select(rows)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    line = contenders(analyse(rows))["V"]
    assert line.scores == (100.0, 99.0, 98.0, 97.0, 96.0)
    assert line.interval.mean == 98.0


def test_where_higher_is_better_the_highest_validation_scores_are_selected():
    rows = [trial(n / 30, seed=n, **SPEECH) for n in range(30)]
    assert [row.seed for row in select(rows)] == [29, 28, 27, 26, 25]


@pytest.mark.parametrize(("count", "chosen"), [(1, 1), (2, 2), (5, 5), (8, 5), (50, 5), (51, 6), (200, 20)])
def test_a_tenth_is_selected_but_five_where_there_are_as_many(count, chosen):
    assert len(select(scored("V", range(count)))) == chosen


def test_a_trial_that_was_never_validated_is_selected_last():
    rows = [trial(seed=0, **NEVER), trial(seed=1, validation=math.nan), *scored("V", [9.0] * 5)[2:], trial(seed=7)]
    assert [row.seed for row in select(rows)] == [2, 3, 4, 7, 0]


def test_equal_validation_scores_are_selected_by_seed():
    rows = scored("V", [9.0] * 20)
    random.Random(0).shuffle(rows)
    assert [row.seed for row in select(rows)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("chance", "higher", "worst"), [(11.0, False, 12.0), (13.0, False, 13.0), (math.nan, True, 8.0), (0.1, True, 0.1)]
)
def test_the_worst_score_is_the_worst_finite_test_score_or_chance(chance, higher, worst):
    rows = [trial(test=test, chance=chance, higher_is_better=higher) for test in (8.0, 12.0, math.nan)]
    assert worst_score(rows) == worst


@pytest.mark.parametrize("judge", [compare, analyse, grids])
def test_a_score_that_nobody_knows_is_refused_and_never_the_perfect_one(judge):
    rows = [trial(seed=seed, task="mine, standard", chance=math.nan, **NEVER) for seed in range(3)]
    with pytest.raises(ValueError, match="mine, standard: no trial has a test score, and neither is chance known"):
        judge(rows)


def test_a_trial_without_a_score_counts_as_the_worst_and_is_never_dropped():
    rows = [*scored("V", [9.0, 9.1]), *scored("NFG", [9.0, 12.0]), trial(variant="NFG", seed=2, **NEVER)]
    line = contenders(analyse(rows))["NFG"]
    assert line.scores == (9.0, 12.0, 12.0)
    assert (line.trials, line.diverged, line.unscored) == (3, 1, 1)
    assert math.isnan(line.by_sequence)


def test_a_trial_that_was_stopped_after_a_validation_keeps_its_score():
    rows = [*scored("V", [9.0, 9.1]), trial(variant="NFG", test=9.5, diverged=True), trial(variant="NFG", seed=1)]
    line = contenders(analyse(rows))["NFG"]
    assert sorted(line.scores) == [9.0, 9.5] and (line.diverged, line.unscored) == (1, 0)


def test_a_variant_whose_trials_all_diverged_is_compared_and_loses():
    rows = scored("V", around(9.0, 30, 0.1)) + [trial(variant="NOAF", seed=seed, **NEVER) for seed in range(30)]
    search = analyse(rows, trees=4, resamples=2)
    line = contenders(search)["NOAF"]
    assert set(line.scores) == {11.0} and line.contrast.verdict == "worse"
    assert search.tasks[0].tuning.untimed == 30


def test_a_search_in_which_everything_diverged_still_gives_an_analysis():
    rows = [row for name in ("V", "NP") for row in drawn(name, 20, lambda _: 0.0)]
    search = analyse([row._replace(**NEVER) for row in rows], trees=4, resamples=2)
    assert contenders(search)["NP"].contrast.verdict == ""
    assert search.tasks[0].tuning.score is None and search.tasks[0].tuning.time is None


def test_two_trials_a_variant_are_compared_without_an_analysis_of_hyperparameters():
    search = analyse(drawn("V", 2, lambda row: 9.0) + drawn("NP", 2, lambda row: 9.0 + row.input_noise))
    line = contenders(search)["NP"]
    assert len(line.chosen) == 2 and math.isfinite(line.contrast.p)
    assert search.tasks[0].tuning.score is None and dict(search.tasks[0].tuning.curves) == {}


def test_one_trial_a_variant_gives_a_difference_and_no_p_value():
    contrast = contenders(analyse([trial(), trial(9.5, variant="NP")]))["NP"].contrast
    assert contrast.bootstrap.mean == 0.5 and math.isnan(contrast.p) and contrast.verdict == ""


def test_the_tests_are_those_of_scipy_on_the_selected_and_on_all():
    ours, theirs = around(9.0, 40, 0.2), around(9.1, 40, 0.2)
    contrast = contenders(analyse(scored("V", theirs) + scored("NP", ours)))["NP"].contrast
    chosen = scipy.stats.ttest_ind(sorted(ours)[:5], sorted(theirs)[:5], equal_var=False)
    assert contrast.welch.p == pytest.approx(chosen.pvalue)
    ranks = scipy.stats.mannwhitneyu(ours, theirs, method="asymptotic")
    assert contrast.ranks.p == pytest.approx(ranks.pvalue)
    assert contrast.bootstrap.low < contrast.welch.mean < contrast.bootstrap.high
    assert contrast.effect.g * contrast.welch.mean > 0


def test_p_values_are_corrected_over_the_variants_of_a_task():
    rows = scored("V", around(9.0, 5, 0.1)) + scored("NP", around(9.17, 5, 0.1))
    alone = contenders(analyse(rows))["NP"].contrast
    others = [row for name in ("NIG", "NOG", "FGR") for row in scored(name, around(9.0, 5, 0.1))]
    among = contenders(analyse(rows + others))["NP"].contrast
    elsewhere = contenders(analyse(rows + [row._replace(task="nottingham") for row in rows + others]))["NP"].contrast
    assert alone.p == alone.welch.p and among.p == pytest.approx(4 * alone.p)
    assert elsewhere.p == alone.p
    assert (alone.verdict, among.verdict) == ("worse", "")


def test_the_interval_of_a_difference_knows_that_the_trials_were_chosen():
    rng = np.random.default_rng(0)
    searches = [[scored(name, rng.normal(9.0, 0.1, 60)) for name in ("V", "NP")] for _ in range(200)]
    again = [reselected_difference(ours, theirs, 11.0, draws=300) for theirs, ours in searches]
    plain = [
        bootstrap_difference(*([row.test for row in select(rows)] for rows in (ours, theirs)), draws=300)
        for theirs, ours in searches
    ]
    missed = [sum(not found.low <= 0 <= found.high for found in intervals) / 200 for intervals in (again, plain)]
    assert missed[0] < 0.1 < 0.15 < missed[1]
    assert [found.mean for found in again] == pytest.approx([found.mean for found in plain])


def test_a_small_p_value_alone_is_no_verdict():
    # Six good trials a side, chosen all: another search might as well have found four or nine.
    ours, theirs = ([best + n / 500 for n in range(6)] + [9.0] * 54 for best in (8.0, 8.01))
    contrast = contenders(analyse(scored("V", theirs) + scored("NP", ours)))["NP"].contrast
    assert contrast.p < 0.05 and contrast.reselected.low < 0 < contrast.reselected.high and contrast.verdict == ""


def test_verdicts_flip_with_the_results_and_with_the_direction_of_the_metric():
    def verdict(mean: float, **changes) -> str:
        rows = scored("V", around(0.5, 5, 0.01), **changes) + scored("NP", around(mean, 5, 0.01), **changes)
        return contenders(analyse(rows))["NP"].contrast.verdict

    assert [verdict(0.9), verdict(0.1), verdict(0.5)] == ["worse", "better", ""]
    assert [verdict(0.9, **SPEECH), verdict(0.1, **SPEECH)] == ["better", "worse"]


def test_parameters_and_sequence_means_are_those_of_the_selected():
    rows = [
        trial(float(n), seed=n, parameters=1000 * n, test_by_sequence=n + 0.5, test=float(n)) for n in range(1, 51)
    ]
    line = contenders(analyse(rows))["V"]
    assert (line.parameters, line.by_sequence) == (3000.0, 3.5)


def test_the_order_of_rows_changes_nothing():
    rows = [row for name in ("NP", "RNN", "V", "own") for row in drawn(name, 12, lambda row: row.input_noise)]
    shuffled = random.Random(1).sample(rows, len(rows))
    ours, theirs = (analyse(some, trees=4, resamples=2) for some in (rows, shuffled))
    assert list(contenders(ours)) == ["V", "NP", "RNN", "own"]
    assert ours.rows == theirs.rows and ours.tasks[0].contenders == theirs.tasks[0].contenders
    assert ours.tasks[0].tuning.score == theirs.tasks[0].tuning.score


def test_a_task_without_the_reference_has_no_differences():
    search = analyse([*scored("V", [1.0, 2.0]), *scored("NP", [1.0, 2.0], task="other")])
    assert [task.task for task in search.tasks] == ["jsb_chorales", "other"]
    assert contenders(search, 1)["NP"].contrast is None


def test_an_unknown_reference_and_no_rows_are_refused():
    with pytest.raises(ValueError, match="no result is of the reference 'VV'; did you mean 'V'"):
        analyse([trial()], reference="VV")
    with pytest.raises(ValueError, match="nothing to analyse"):
        analyse([])


def test_a_search_varies_hyperparameters_within_a_variant_and_a_repeated_run_does_not():
    same = scored("V", [1.0, 2.0]) + scored("NP", [1.0, 2.0], learning_rate=0.1)
    assert not is_search(same)
    assert not is_search([row._replace(input_noise=math.nan) for row in same])
    assert is_search([*same, trial(seed=9, momentum=0.5)])


def test_the_hyperparameter_that_decides_the_score_owns_its_variance():
    for name in HYPERPARAMETERS:
        scale = HYPERPARAMETERS[name].scale
        rows = drawn("V", 60, lambda row, name=name, scale=scale: 9.0 + float(scale(getattr(row, name))))
        tuning = tune(rows, [row.test for row in rows], trees=4, resamples=2)
        shares = {other: share.mean for other, share in tuning.score.main.items()}
        assert max(shares, key=shares.get) == name and shares[name] > 0.8


def test_only_hyperparameters_that_vary_are_axes():
    rows = [row._replace(momentum=0.5, hidden_size=20) for row in drawn("V", 40, lambda row: row.input_noise)]
    tuning = tune(rows, [row.test for row in rows], trees=4, resamples=2)
    assert tuning.names == ("learning_rate", "input_noise") == tuple(tuning.score.main)
    assert set(tuning.curves) == set(tuning.names) and tuning.transfer is None


def test_scores_worse_than_chance_count_as_chance_and_are_counted():
    rows = drawn("V", 40, lambda row: 10.0 if row.input_noise < 0.5 else 1e9)
    exploded = sum(row.test > 11 for row in rows)
    tuning = tune(rows, [row.test for row in rows], trees=4, resamples=2)
    assert set(tuning.responses) == {10.0, 11.0} and tuning.clipped == exploded
    unknown = tune([row._replace(chance=math.nan) for row in rows], [row.test for row in rows], trees=4, resamples=2)
    assert max(unknown.responses) == 1e9 and unknown.clipped == 0


def test_training_time_is_shared_among_the_trials_that_were_validated():
    rows = [row._replace(best_step=round(1000 * row.momentum)) for row in drawn("V", 80, lambda row: row.input_noise)]
    rows[3] = rows[3]._replace(**NEVER, steps=10**9)
    tuning = tune(rows, [row.test if math.isfinite(row.test) else 11.0 for row in rows], trees=4, resamples=2)
    assert tuning.untimed == 1 and tuning.time.count == 79
    assert tuning.time.main["momentum"].mean > 0.8


def test_marginal_curves_are_in_the_units_of_the_hyperparameter():
    rows = drawn("V", 60, lambda row: 9.0 - row.momentum)
    curve = tune(rows, [row.test for row in rows], trees=4, resamples=2).curves["momentum"]
    momenta = [row.momentum for row in rows]
    np.testing.assert_allclose([curve.at.min(), curve.at.max()], [min(momenta), max(momenta)])
    np.testing.assert_allclose(curve.mean, 9.0 - curve.at, atol=0.1)
    assert (curve.sd >= 0).all()


def test_variants_with_thirty_trials_have_shares_of_their_own():
    rows = drawn("V", 30, lambda row: row.input_noise) + drawn("NP", 29, lambda row: row.input_noise)
    tuning = tune(rows, [row.test for row in rows], trees=4, resamples=2)
    assert list(tuning.variants) == ["V"] and tuning.score.count == 59
