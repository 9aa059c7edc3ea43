"""Variants x initialisations: verdicts follow the results, and equal weights are told from different ones."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from fabricated import trial
from scipy import stats

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.studies.grid import INITS, STANDARD, distinct, grids, label, source_of, split_label
from lstm_jax.studies.rescue import OUTCOMES, contrast, rescues
from lstm_jax.studies.statistics import welch
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import init_network

SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)


def rows(higher: bool = False, spread=SPREAD, **cells: float):
    """Results of "task": ``V_chrono=0.3`` gives V under chrono that mean score, with the same spread everywhere."""
    return [
        trial(mean + offset, task=label("task", init), variant=variant, seed=seed, higher_is_better=higher, chance=1.0)
        for (variant, init), mean in ((name.split("_"), mean) for name, mean in cells.items())
        for seed, offset in enumerate(spread)
    ]


def outcome(higher: bool = False, **cells: float) -> str:
    (grid,) = grids(rows(higher, **cells))
    (rescue,) = rescues(grid)
    return rescue.outcome


def weights(variant: str, init: str):
    network = init_network(jax.random.key(3), ModelConfig(variant, hidden_size=7, **INITS[init]), 2, 3, length=50)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(network)]


def equal(left, right) -> bool:
    return all((a == b).all() for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_initialisations_share_a_source_exactly_when_they_draw_the_same_weights(variant):
    drawn = {init: weights(variant, init) for init in INITS}
    for one in INITS:
        for other in INITS:
            assert equal(drawn[one], drawn[other]) == (source_of(variant, one) == source_of(variant, other))


def test_a_network_without_gates_feels_no_initialisation_and_one_without_forget_gate_no_forget_bias():
    assert {source_of("RNN", init) for init in INITS} == {STANDARD}
    assert [source_of("NFG", init) for init in INITS] == [STANDARD, STANDARD, "chrono", "uniform"]
    assert distinct(("V", "NFG", "RNN"), "bias1") == ("V",)
    assert distinct(("V", "NFG", "RNN"), STANDARD) == ("V", "NFG", "RNN")


@pytest.mark.parametrize("higher", [False, True])
def test_the_mark_of_an_initialisation_flips_when_the_results_flip(higher):
    def verdict(standard, chrono):
        (grid,) = grids(rows(higher, V_standard=standard, V_chrono=chrono))
        return grid.cells["V", "chrono"].verdict

    assert verdict(0.5, 0.2) == ("worse" if higher else "better")
    assert verdict(0.2, 0.5) == ("better" if higher else "worse")
    assert verdict(0.5, 0.5) == ""


def test_a_cell_that_was_not_run_shows_its_twin_and_is_asked_nothing():
    (grid,) = grids(rows(V_standard=0.5, V_bias1=0.4, RNN_standard=0.7, V_chrono=0.3))
    twin = grid.cells["RNN", "chrono"]
    assert twin.source == STANDARD and twin.scores == grid.cells["RNN", STANDARD].scores
    assert twin.difference is None and math.isnan(twin.p) and twin.verdict == ""
    asked = [cell for cell in grid.cells.values() if not math.isnan(cell.p)]
    assert [(cell.variant, cell.init) for cell in asked] == [("V", "bias1"), ("V", "chrono")]


def test_a_cell_that_was_not_run_and_has_no_twin_is_missing():
    (grid,) = grids(rows(V_standard=0.5, NP_standard=0.5, V_chrono=0.4))
    assert ("NP", "chrono") not in grid.cells and ("V", "chrono") in grid.cells


def test_marks_are_corrected_over_initialisations_and_variants():
    def p(**more):
        return grids(rows(V_standard=0.50, V_chrono=0.47, **more))[0].cells["V", "chrono"].p

    alone = p()
    assert p(V_bias1=0.5) == pytest.approx(2 * alone)
    assert p(V_bias1=0.5, NP_standard=0.5, NP_chrono=0.5) == pytest.approx(3 * alone)


def test_every_outcome_appears_when_the_results_say_so():
    same = {"V_standard": 0.5, "V_chrono": 0.2}
    assert outcome(**same, NP_standard=0.9, NP_chrono=0.2) == "closed"
    assert outcome(**same, NP_standard=0.9, NP_chrono=0.3) == "narrowed"
    assert outcome(**same, NP_standard=0.9, NP_chrono=0.6) == "remains"
    assert outcome(**same, NP_standard=0.5, NP_chrono=0.4) == "opened"
    assert outcome(**same, NP_standard=0.5, NP_chrono=0.2) == "no gap shown"
    assert outcome(**same, NP_standard=0.54, NP_chrono=0.215) == "not decided"
    assert outcome(**same, NP_standard=0.515, NP_chrono=0.24) == "appears"
    assert outcome(V_standard=0.2, V_chrono=0.9, NP_standard=0.95, NP_chrono=0.9) == "reference fell"
    assert len(OUTCOMES) == 8


def test_outcomes_follow_the_direction_of_the_metric():
    assert outcome(True, V_standard=0.5, V_chrono=0.9, NP_standard=0.2, NP_chrono=0.9) == "closed"
    assert outcome(True, V_standard=0.5, V_chrono=0.9, NP_standard=0.5, NP_chrono=0.7) == "opened"
    assert outcome(True, V_standard=0.5, V_chrono=0.9, NP_standard=0.2, NP_chrono=0.6) == "remains"


def test_the_best_initialisation_is_chosen_by_validation_and_test_scores_have_no_say():
    cells = {"V_standard": 0.5, "V_bias1": 0.5, "V_chrono": 0.5, "NP_standard": 0.9, "NP_bias1": 0.6, "NP_chrono": 0.4}
    plain = rows(**cells)
    assert rescues(grids(plain)[0])[0].tuned.init == "chrono"
    praised = [
        row._replace(validation=0.1) if (row.variant, row.task) == ("NP", label("task", "bias1")) else row
        for row in plain
    ]
    assert rescues(grids(praised)[0])[0].tuned.init == "bias1"


def test_the_reference_is_compared_under_the_same_initialisation():
    (grid,) = grids(rows(V_standard=0.5, V_chrono=0.2, NP_standard=0.9, NP_chrono=0.3))
    (rescue,) = rescues(grid)
    assert rescue.plain.difference.mean == pytest.approx(0.4) and rescue.tuned.difference.mean == pytest.approx(0.1)
    assert rescue.change.mean == pytest.approx(-0.3)


def test_a_variant_that_feels_no_initialisation_keeps_its_gap():
    (grid,) = grids(rows(V_standard=0.5, V_chrono=0.2, RNN_standard=0.9))
    (rescue,) = rescues(grid)
    assert rescue.tuned.init == STANDARD and rescue.change is None and rescue.outcome == "remains"
    assert rescue.plain == rescue.tuned


def test_a_trial_without_a_score_counts_as_the_worst_of_its_task():
    plain = rows(V_standard=0.5, V_chrono=0.2)
    lost = [
        row._replace(test=math.nan, validation=math.inf, diverged=True) if row == plain[-1] else row for row in plain
    ]
    cell = grids(lost)[0].cells["V", "chrono"]
    assert cell.scores[-1] == 1.0 and cell.diverged == 1 and math.isfinite(cell.validation)


def test_the_order_of_the_rows_of_a_cell_says_nothing():
    made = rows(V_standard=0.5, V_chrono=0.2, NP_standard=0.9, NP_chrono=0.3)
    turned = [row for init in INITS for v in ("V", "NP") for row in made[::-1]
              if (row.task, row.variant) == (label("task", init), v)]  # fmt: skip
    assert grids(made) == grids(turned)


def test_a_single_seed_decides_nothing():
    (grid,) = grids(rows(spread=(0.0,), V_standard=0.5, V_chrono=0.2, NP_standard=0.9, NP_chrono=0.9))
    assert {cell.verdict for cell in grid.cells.values()} == {""}
    assert rescues(grid)[0].outcome == "no gap shown"


def test_a_contrast_of_two_groups_is_the_test_of_welch():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=5), rng.normal(1.0, 3.0, size=9)
    assert contrast((ours,), (theirs,)) == pytest.approx(welch(ours, theirs))
    assert contrast(((1.0, 1.0),), ((2.0, 2.0),)).p == 0.0 and math.isnan(contrast(((1.0,),), ((2.0, 2.0),)).p)


def test_a_contrast_of_four_equal_groups_is_the_classical_one():
    rng = np.random.default_rng(1)
    base = rng.normal(size=8)
    groups = [base + shift for shift in (0.0, 0.3, 1.0, -0.4)]
    found = contrast(groups[:2], groups[2:])
    error = math.sqrt(4 * base.var(ddof=1) / 8)
    assert found.mean == pytest.approx(0.3 - 0.6)
    assert found.p == pytest.approx(2 * stats.t.sf(0.3 / error, 4 * 7))
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 4 * 7) * error)


def test_labels_are_read_as_they_were_written():
    for init in INITS:
        assert split_label(label("adding, long", init)) == ("adding, long", init)
    with pytest.raises(ValueError, match="unknown initialisation 'chron'; did you mean 'chrono'"):
        split_label("adding, chron")
    for text in ("adding", ", chrono"):
        with pytest.raises(ValueError, match="names no initialisation"):
            split_label(text)


def test_results_without_the_reference_or_without_rows_are_refused():
    with pytest.raises(ValueError, match="no result is of the reference 'VV'"):
        grids(rows(V_standard=0.5), reference="VV")
    with pytest.raises(ValueError, match="no rows"):
        grids([])
