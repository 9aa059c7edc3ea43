"""Variants x lengths: what counts as solved, how far a variant gets, and what is compared with what."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fabricated import trial

from lstm_jax.names import UsageError
from lstm_jax.studies.ladder import CRITERIA, axis, base_of, criterion_of, label, ladders, solved, split_label

GOOD, BAD = 0.001, 0.16


def rows(task: str = "adding", seeds: int = 5, **variants: dict[int, int]):
    """``V={20: 5, 50: 1}``: so many of the seeds of V solve adding at T = 20 and at T = 50."""
    return [
        trial(
            GOOD if seed < count else BAD,
            task=label(task, length),
            variant=name,
            seed=seed,
            metric="mse",
            chance=1 / 6,
        )
        for name, by_length in variants.items()
        for length, count in by_length.items()
        for seed in range(seeds)
    ]


def climb(variant: str, made, reference: str = "V"):
    (ladder,) = ladders(made, reference)
    return next(climb for climb in ladder.climbs if climb.variant == variant)


@pytest.mark.parametrize(
    ("task", "metric", "higher", "chance", "just", "missed"),
    [
        ("adding", "mse", False, 1 / 6, 0.0099, 0.01),
        ("copy", "nll", False, 0.5, 0.0499, 0.05),
        ("parity", "accuracy", True, 0.5, 0.991, 0.99),
        ("spike_delays", "mse", False, 0.25, 0.0249, 0.025),
    ],
)
def test_a_score_must_be_better_than_the_criterion_of_its_task(task, metric, higher, chance, just, missed):
    row = trial(task=label(task, 9), metric=metric, higher_is_better=higher, chance=chance)
    assert solved(row._replace(test=just)) and not solved(row._replace(test=missed))
    assert not solved(row._replace(test=float(np.float32(missed)))), "495 of 500 is not above 0.99"
    assert not solved(row._replace(test=math.nan)) and not solved(row._replace(test=missed, validation=just))


def test_a_metric_without_a_criterion_is_refused():
    with pytest.raises(UsageError, match="no criterion for the metric 'bleu'"):
        criterion_of("translation", "bleu")
    assert criterion_of("adding", "mse") == CRITERIA["adding"] != criterion_of("other", "mse")


@pytest.mark.parametrize(
    ("solves", "reach", "breaks"),
    [
        ({20: 5, 50: 5, 100: 5}, 100, None),
        ({20: 5, 50: 3, 100: 2}, 50, 100),
        ({20: 2, 50: 5, 100: 5}, None, 20),  # a longer one alone does not count
        ({20: 5, 50: 0, 100: 5}, 20, 50),
        ({20: 0, 50: 0, 100: 0}, None, 20),
    ],
)
def test_a_task_is_solved_up_to_the_last_length_before_the_first_that_fails(solves, reach, breaks):
    found = climb("V", rows(V=solves))
    assert (found.reach, found.breaks) == (reach, breaks)


def test_half_of_the_seeds_are_enough():
    assert climb("V", rows(seeds=4, V={20: 2, 50: 1})).reach == 20


def test_the_interval_of_the_reach_comes_from_those_of_the_shares():
    found = climb("V", rows(V={20: 5, 50: 4, 100: 1, 200: 0}))
    assert (found.low, found.reach, found.high) == (20, 50, 100)
    sure = climb("V", rows(V={20: 5, 50: 5, 100: 0}))
    assert (sure.low, sure.reach, sure.high) == (50, 50, 50)


def test_lengths_are_in_order_whatever_that_of_the_rows_and_a_missing_one_ends_the_climb():
    made = rows(V={100: 5, 20: 5, 50: 5}, NP={20: 5, 100: 5})
    (ladder,) = ladders(made)
    assert ladder.lengths == (20, 50, 100)
    found = climb("NP", made)
    assert found.reach == 20 and found.breaks is None and set(found.rungs) == {20, 100}


def test_the_verdict_flips_when_the_results_flip():
    high, low = {20: 5, 50: 5, 100: 5}, {20: 5, 50: 0, 100: 0}
    assert climb("RNN", rows(V=high, RNN=low)).verdict == "worse"
    assert climb("RNN", rows(V=low, RNN=high)).verdict == "better"
    same = climb("RNN", rows(V=high, RNN=high))
    assert same.verdict == "" and same.p == 1.0
    reference = climb("V", rows(V=high, RNN=low))
    assert reference.base is None and reference.excess is None and math.isnan(reference.p)


def test_more_variants_make_a_verdict_harder():
    high, low = {20: 5, 50: 5}, {20: 5, 50: 0}
    alone = climb("RNN", rows(V=high, RNN=low))
    among = climb("RNN", rows(V=high, RNN=low, **{name: high for name in ("NP", "NIG", "NOG", "CIFG", "FGR", "GRU")}))
    assert alone.verdict == "worse" and among.verdict == "" and among.p == pytest.approx(7 * alone.p)


def test_a_variant_without_a_length_of_the_reference_is_no_question():
    high, low = {20: 5, 50: 5}, {20: 5, 50: 0}
    made = rows(V=high, RNN=low, NP={100: 5})
    assert math.isnan(climb("NP", made).p) and climb("NP", made).verdict == ""
    assert climb("RNN", made).p == climb("RNN", rows(V=high, RNN=low)).p


def test_another_start_is_compared_with_the_same_variant_and_corrected_apart():
    high, low = {20: 5, 50: 5}, {20: 5, 50: 0}
    made = rows(V=high, NP=low, **{"NP, chrono": high, "V, chrono": high})
    chrono = climb("NP, chrono", made)
    assert chrono.base == "NP" and chrono.verdict == "better"
    assert climb("V, chrono", made).base == "V" and climb("V, chrono", made).verdict == ""
    assert climb("NP", made).p == climb("NP", rows(V=high, NP=low)).p
    assert base_of("NP, chrono", "V") == "NP" and base_of("NP", "V") == "V"


def test_a_trial_without_a_score_is_not_solved_and_counts_as_infinitely_bad():
    made = [row._replace(test=math.nan, diverged=True) for row in rows(V={20: 5})[:3]] + rows(V={20: 5})[3:]
    (rung,) = climb("V", made).rungs.values()
    assert rung.share.successes == 2 and rung.diverged == 3 and rung.median == math.inf


def test_labels_come_apart_again_and_other_ones_are_refused():
    assert split_label(label("temporal_order", 100)) == ("temporal_order", 100)
    for text in ("adding", "adding@", "adding@long"):
        with pytest.raises(UsageError, match="is no task at a length, such as 'adding@100'"):
            split_label(text)
    with pytest.raises(UsageError, match="reference 'VV'; did you mean 'V'"):
        ladders(rows(V={20: 5}), "VV")
    with pytest.raises(ValueError, match="nothing to compare"):
        ladders([])


def test_a_label_can_say_which_other_option_grows_and_the_criterion_stays_that_of_the_task():
    assert label("time_warp", 50, "stretch") == "time_warp.stretch@50" and label("adding", 50, "length") == "adding@50"
    assert split_label("time_warp.stretch@50") == ("time_warp.stretch", 50)
    assert axis("time_warp.stretch") == "stretch" and axis("adding") == "T"
    assert criterion_of("adding.stretch", "mse") == CRITERIA["adding"] != CRITERIA["mse"]
