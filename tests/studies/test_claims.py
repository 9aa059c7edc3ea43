"""Every verdict on a claim of the Odyssey flips when fabricated results flip."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fabricated import NINE, SPEECH, around, scored, trial

from lstm_jax.studies.claims import CLAIMS, Verdict, judge
from lstm_jax.studies.search import Search, analyse

TIGHT, WIDE = 0.005, 1.5
EQUAL = dict.fromkeys(NINE, 8.5)


def verdict(number: int, search: Search) -> Verdict:
    return judge(search)[number - 1]


def arms(
    music: Mapping[str, float] | None = None,
    speech: Mapping[str, float] | None = None,
    spread: float = TIGHT,
    count: int = 100,
    reference: str = "V",
) -> Search:
    """A search with these mean scores by variant (speech in % of right answers); settings do not vary."""
    rows = [
        row
        for means, scale, changes in ((music or {}, 1.0, {}), (speech or {}, 0.01, SPEECH))
        for name, mean in means.items()
        for row in scored(name, around(scale * mean, count, scale * spread), **changes)
    ]
    return analyse(rows, reference)


def test_the_sixteen_claims_are_there_with_rule_and_status():
    assert [claim.number for claim in CLAIMS] == list(range(1, 17))
    assert {claim.status for claim in CLAIMS} == {"verified", "secondary", "recalled"}
    assert all(claim.rule and claim.published for claim in CLAIMS)


def test_every_verdict_is_one_of_three_and_says_why():
    for found in judge(arms({"V": 8.5})):
        assert found.verdict == "not decided" and found.evidence.endswith(".")


@pytest.mark.parametrize(
    ("music", "spread", "expected"),
    [
        (EQUAL, TIGHT, "confirmed"),
        ({**EQUAL, "NFG": 9.5}, TIGHT, "confirmed"),
        ({**EQUAL, "NP": 8.3}, TIGHT, "contradicted"),
        (EQUAL, WIDE, "not decided"),
        ({name: mean for name, mean in EQUAL.items() if name != "FGR"}, TIGHT, "not decided"),
    ],
)
def test_claim_1_falls_when_one_variant_gains_and_stands_when_all_intervals_exclude_it(music, spread, expected):
    assert verdict(1, arms(music, spread=spread)).verdict == expected


@pytest.mark.parametrize(("number", "variant"), [(2, "NFG"), (3, "NOAF")])
@pytest.mark.parametrize(
    ("music", "speech", "spread", "expected"),
    [
        (9.0, 70.0, TIGHT, "confirmed"),
        (9.0, 80.0, TIGHT, "contradicted"),
        (8.0, 70.0, TIGHT, "contradicted"),
        (8.5, 70.0, TIGHT, "contradicted"),
        (8.6, 79.0, WIDE, "not decided"),
    ],
)
def test_claims_2_and_3_need_a_loss_on_every_task(number, variant, music, speech, spread, expected):
    search = arms({"V": 8.5, variant: music}, {"V": 80.0, variant: speech}, spread)
    found = verdict(number, search)
    assert found.verdict == expected
    tasks = [task.task for task in search.tasks]
    refute = [music < 8.9, speech > 79.5] if expected == "contradicted" else [False, False]
    assert found.against == tuple(task for task, refutes in zip(tasks, refute, strict=True) if refutes)


@pytest.mark.parametrize(("number", "variant", "music"), [(2, "NFG", 9.0), (3, "NOAF", 9.0), (5, "CIFG", 8.5)])
def test_nothing_is_confirmed_on_every_task_where_one_lacks_the_cell(number, variant, music):
    here = {"V": 8.5, variant: music}
    assert verdict(number, arms(here)).verdict == "confirmed"
    assert verdict(number, arms(here, {"V": 80.0})).verdict == "not decided"


@pytest.mark.parametrize(
    ("music", "speech", "expected"),
    [
        (8.5, 70.0, "confirmed"),
        (9.0, 70.0, "contradicted"),
        (8.5, 80.0, "contradicted"),
        (8.5, 85.0, "contradicted"),
        (8.5, None, "not decided"),
        (None, 70.0, "not decided"),
    ],
)
def test_claim_4_needs_a_loss_off_music_and_none_on_music(music, speech, expected):
    means = [
        base if mean is None else base | dict.fromkeys(("NIG", "NOG", "NIAF"), mean)
        for base, mean in (({"V": 8.5}, music), ({"V": 80.0}, speech))
    ]
    assert verdict(4, arms(*means)).verdict == expected


@pytest.mark.parametrize(("number", "variant"), [(5, "CIFG"), (6, "NP")])
@pytest.mark.parametrize(
    ("mean", "spread", "count", "expected"),
    [
        (8.5, TIGHT, 100, "confirmed"),
        (8.2, TIGHT, 100, "confirmed"),
        (8.7, TIGHT, 100, "contradicted"),
        (8.5, WIDE, 100, "not decided"),
        (8.5, TIGHT, 2, "not decided"),
    ],
)
def test_claims_5_and_6_are_not_confirmed_by_lack_of_power(number, variant, mean, spread, count, expected):
    assert verdict(number, arms({"V": 8.5, variant: mean}, None, spread, count)).verdict == expected


@pytest.mark.parametrize(
    ("mean", "told", "expected"), [(88.0, "CIFG -", "confirmed"), (72.0, "CIFG +", "contradicted")]
)
def test_a_higher_accuracy_is_a_gain_and_a_lower_one_a_loss(mean, told, expected):
    found = verdict(5, arms(None, {"V": 80.0, "CIFG": mean}))
    assert found.verdict == expected and told in found.evidence


@pytest.mark.parametrize(
    ("mean", "spread", "expected"),
    [(8.5, TIGHT, "confirmed"), (9.0, TIGHT, "confirmed"), (8.3, TIGHT, "contradicted"), (8.5, WIDE, "not decided")],
)
def test_claim_7_falls_when_full_gate_recurrence_gains(mean, spread, expected):
    found = verdict(7, arms({"V": 8.5, "FGR": mean}, None, spread))
    assert found.verdict == expected and "matched parameter counts was not run" in found.evidence


def test_claims_about_v_are_not_decided_against_another_reference():
    found = judge(arms({**EQUAL, "NFG": 9.5}, reference="NP"))[:7]
    assert {one.verdict for one in found} == {"not decided"}
    assert all("The reference of this analysis is NP" in one.evidence for one in found)


@pytest.mark.parametrize(
    ("best", "count", "expected"),
    [
        (8.38, 3, "confirmed"),
        (8.2, 3, "contradicted"),
        (8.6, 3, "not decided"),
        (8.6, 200, "contradicted"),
    ],
)
def test_claim_8_compares_the_best_trial_by_validation(best, count, expected):
    rows = [row for name in NINE for row in scored(name, [9.0] * count)]
    rows[1] = rows[1]._replace(validation=8.0, test=best)
    rows[2] = rows[2]._replace(validation=8.1, test=7.0)
    found = verdict(8, analyse(rows))
    assert found.verdict == expected and f"{best:.3f}" in found.evidence
    assert found.against == (("jsb_chorales",) if expected == "contradicted" else ())


def test_what_is_only_recalled_is_never_printed_as_a_fact():
    found = verdict(8, analyse([trial(8.4)]))
    assert found.status == "recalled" and found.published.endswith("recalled")
    assert "8.38 (recalled)" in found.evidence and "8.38 nats (recalled)" in found.rule


@pytest.mark.parametrize(
    ("music", "speech", "spread", "expected"),
    [
        ((9.0, 8.5), None, TIGHT, "confirmed"),
        ((9.0, 8.5), (70.0, 80.0), TIGHT, "confirmed"),
        ((9.0, 8.5), (70.0, 70.0), TIGHT, "contradicted"),
        ((9.0, 9.0), None, TIGHT, "contradicted"),
        ((8.5, 9.0), None, TIGHT, "not decided"),
        ((8.5, 8.5), None, TIGHT, "not decided"),
        ((9.0, 8.5), (80.0, 80.0), TIGHT, "not decided"),
        ((9.0, 8.5), (70.0,), TIGHT, "not decided"),
        ((9.0, 8.5), (), TIGHT, "not decided"),
        ((9.0, 8.5), None, WIDE, "not decided"),
        ((9.0,), None, TIGHT, "not decided"),
        ((), None, TIGHT, "not decided"),
    ],
)
def test_claim_16_stands_where_coupled_gates_undo_the_loss_and_falls_where_they_do_not(
    music, speech, spread, expected
):
    names = ("V", "NOAF", "CIFG_NOAF")
    means = dict(zip(names, (8.5, *music), strict=False))
    spoken = None if speech is None else dict(zip(names, (80.0, *speech), strict=False))
    assert verdict(16, arms(means, spoken, spread)).verdict == expected


def test_claim_16_says_when_its_cell_was_not_run():
    absent = "CIFG_NOAF was not run."
    assert absent in verdict(16, arms({"V": 8.5, "NOAF": 9.0})).evidence
    assert absent not in verdict(16, arms({"V": 8.5, "NOAF": 9.0, "CIFG_NOAF": 8.5})).evidence
