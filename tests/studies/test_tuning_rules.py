"""Verdicts on claims about hyperparameters flip when shares of variance and marginal curves flip."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from fabricated import SPEECH, drawn, scored

from lstm_jax.studies.claims import Verdict, judge
from lstm_jax.studies.importance import Axis, Importance, VarianceShare
from lstm_jax.studies.search import Search, analyse
from lstm_jax.studies.tuning import Curve, Transfer


def verdict(number: int, search: Search) -> Verdict:
    return judge(search)[number - 1]


def share(mean: float, half: float = 0.005) -> VarianceShare:
    return VarianceShare(mean, mean - half, mean + half)


def shares(rate: float = 0.8, size: float = 0.1, momentum: float = 0.004, noise: float = 0.02, half: float = 0.002):
    """An importance whose interactions are what the four leave."""
    mains = {"learning_rate": rate, "hidden_size": size, "momentum": momentum, "input_noise": noise}
    left = 1.0 - sum(mains.values())
    return Importance(
        axes=tuple(Axis(name, 0.0, 1.0) for name in mains),
        count=1800,
        main={name: share(value, half) for name, value in mains.items()},
        pairs={("learning_rate", "hidden_size"): share(left / 2, half)},
        rest=share(left / 2, half),
    )


def curve(low: float, high: float, mean, sd: float = 0.001) -> Curve:
    """Scores along a hyperparameter; ``mean`` is a function of the way along its axis, from 0 to 1."""
    way = np.linspace(0, 1, 61)
    at = low * (high / low) ** way if low > 0 else high * way
    return Curve(at, np.array([mean(value) for value in way], float), np.full(61, sd))


def valley(place: float, width: float):
    """Scores that are within 1 % of 8.5 in a region, of an axis of unit length, and worse by steps outside."""
    return lambda way: 8.5 if abs(way - place) <= width / 2 else 9.5 + abs(way - place)


@functools.cache
def base() -> tuple[Search, Search]:
    music = analyse([*scored("V", [8.5, 8.6])])
    return music, analyse([*scored("V", [0.8, 0.7], **SPEECH)])


def tuned(speech: bool = False, **changes) -> Search:
    """A search on one task with this analysis of its hyperparameters."""
    search = base()[speech]
    task = search.tasks[0]
    return search._replace(tasks=(task._replace(tuning=task.tuning._replace(**changes)),))


@pytest.mark.parametrize(
    ("rate", "half", "expected"),
    [(0.8, 0.005, "confirmed"), (0.5, 0.005, "contradicted"), (0.68, 0.05, "not decided")],
)
def test_claim_9_compares_the_interval_of_the_rate_with_two_thirds(rate, half, expected):
    search = tuned(score=shares(rate, 0.05, half=half))
    found = verdict(9, search)
    assert found.verdict == expected
    assert found.against == ((search.tasks[0].task,) if expected == "contradicted" else ())


@pytest.mark.parametrize(("number", "rate", "expected"), [(9, 0.8, "confirmed"), (9, 0.5, "contradicted")])
def test_shares_of_few_trials_are_told_and_decide_nothing(number, rate, expected):
    few = replace(shares(rate, 0.05, half=0.005), count=80)
    assert verdict(number, tuned(score=replace(few, count=200))).verdict == expected
    found = verdict(number, tuned(score=few))
    assert found.verdict == "not decided" and "80 trials decide nothing" in found.evidence and found.against == ()


def test_a_task_that_says_nothing_keeps_a_claim_open():
    task = tuned(score=shares(0.8, 0.05, half=0.005)).tasks[0]
    silent = task._replace(task="nottingham", tuning=task.tuning._replace(score=None))
    assert verdict(9, base()[0]._replace(tasks=(task,))).verdict == "confirmed"
    assert verdict(9, base()[0]._replace(tasks=(task, silent))).verdict == "not decided"


@pytest.mark.parametrize(
    ("width", "expected"), [(0.5, "confirmed"), (0.05, "contradicted"), (0.18, "not decided"), (3.0, "confirmed")]
)
def test_claim_10_measures_the_width_of_the_plateau(width, expected):
    search = tuned(curves={"learning_rate": curve(1e-6, 1e-2, valley(0.6, width))})
    assert verdict(10, search).verdict == expected


@pytest.mark.parametrize("width", [0.05, 0.5])
def test_claim_10_is_open_where_the_forest_is_in_doubt(width):
    """A deviation that is more than the margin: a few trials more would turn the verdict."""
    search = tuned(curves={"learning_rate": curve(1e-6, 1e-2, valley(0.6, width), sd=1.5)})
    assert verdict(10, search).verdict == "not decided"


def test_claim_10_says_where_the_best_rate_stands_at_an_end_of_the_range():
    told = [
        verdict(10, tuned(curves={"learning_rate": curve(1e-6, 1e-2, valley(at, 0.01))})) for at in (0.0, 0.5, 1.0)
    ]
    assert ["lower end" in one.evidence for one in told] == [True, False, False]
    assert ["upper end" in one.evidence for one in told] == [False, False, True]


@pytest.mark.parametrize(
    ("importance", "mean", "expected"),
    [
        (shares(), lambda way: 9.0 - 0.5 * way, "confirmed"),
        (shares(), lambda way: 8.5 + 0.5 * way, "contradicted"),
        (shares(size=0.001, noise=0.1), lambda way: 9.0 - 0.5 * way, "contradicted"),
        (shares(rate=0.1, size=0.8), lambda way: 9.0 - 0.5 * way, "contradicted"),
        (shares(half=0.2), lambda way: 9.0 - 0.5 * way, "not decided"),
        (shares(), lambda way: 9.0 - 0.5 * way**9, "not decided"),
    ],
)
def test_claim_11_needs_the_order_of_shares_and_a_curve_that_improves_ever_less(importance, mean, expected):
    search = tuned(score=importance, curves={"hidden_size": curve(20, 200, mean)})
    assert verdict(11, search).verdict == expected


@pytest.mark.parametrize(
    ("score", "time", "half", "expected"),
    [
        (0.002, 0.002, 0.001, "confirmed"),
        (0.1, 0.002, 0.001, "contradicted"),
        (0.002, 0.1, 0.001, "contradicted"),
        (0.002, 0.002, 0.02, "not decided"),
    ],
)
def test_claim_12_needs_momentum_idle_in_score_and_in_time(score, time, half, expected):
    search = tuned(score=shares(momentum=score, half=half), time=shares(momentum=time, half=half))
    assert verdict(12, search).verdict == expected


@pytest.mark.parametrize(
    ("mean", "sd", "expected"),
    [
        (lambda way: 8.5 + 0.5 * way, 0.001, "confirmed"),
        (lambda way: 8.5 - 0.5 * way, 0.001, "contradicted"),
        (lambda way: 8.5, 0.001, "not decided"),
        (lambda way: 8.5 + 0.5 * way, 1.0, "not decided"),
    ],
)
def test_claim_13_looks_at_noise_on_music(mean, sd, expected):
    search = tuned(curves={"input_noise": curve(0, 1, mean, sd)})
    assert verdict(13, search).verdict == expected


def test_claim_13_is_not_decided_without_music():
    search = tuned(speech=True, curves={"input_noise": curve(0, 1, lambda way: 0.8 - 0.2 * way)})
    assert verdict(13, search).verdict == "not decided" and "spoken_digits" in verdict(13, search).evidence
    gained = tuned(speech=True, curves={"input_noise": curve(0, 1, lambda way: 0.7 + 0.2 * way, 0.001)})
    assert verdict(13, gained)[4] == "not decided" and verdict(13, gained).against == ()


@pytest.mark.parametrize(
    ("importance", "expected"),
    [
        (shares(0.8, 0.1), "confirmed"),
        (shares(0.4, 0.1), "contradicted"),
        (shares(0.7, 0.1, half=0.1), "not decided"),
    ],
)
def test_claim_14_adds_up_all_interactions(importance, expected):
    assert verdict(14, tuned(score=importance)).verdict == expected


def transfer(small, large) -> Transfer:
    """Curves of nets whose best rates lie there along the axis: of the trials, then of trials drawn anew."""

    def peaks(places) -> np.ndarray:
        return np.stack(
            [curve(1e-6, 1e-2, lambda way, place=place: 8.5 + 20 * (way - place) ** 2).mean for place in places]
        )

    return Transfer(curve(1e-6, 1e-2, float).at, peaks(small), peaks(large))


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        ([0.5] * 3, [0.5] * 3, "confirmed"),
        ([0.5] * 3, [0.6] * 3, "contradicted"),
        ([0.1] * 3, [0.9] * 3, "contradicted"),
        ([0.5, 0.5, 0.9], [0.5] * 3, "not decided"),  # as the trials are it would be confirmed
        ([0.5, 0.5, 0.6], [0.6] * 3, "not decided"),  # and here contradicted
    ],
)
def test_claim_15_asks_what_the_best_rate_of_small_nets_costs_large_ones(small, large, expected):
    assert verdict(15, tuned(transfer=transfer(small, large))).verdict == expected


def test_claim_15_is_not_decided_by_curves_without_shape():
    flat = transfer([0.5], [0.5])
    flat = flat._replace(small=np.full((3, 61), 8.5), large=np.full((3, 61), 8.5))
    assert verdict(15, tuned(transfer=flat)).verdict == "not decided"


def test_claim_15_is_not_decided_without_trials_drawn_anew():
    assert verdict(15, tuned(transfer=transfer([0.5], [0.5]))).verdict == "not decided"


@pytest.mark.parametrize(("shift", "expected"), [(0.0, "confirmed"), (2.0, "contradicted")])
def test_claim_15_flips_with_trials_and_not_only_with_records(shift, expected):
    """The best rate of nets above 100 cells is another by ``shift`` decades."""

    def score(row) -> float:
        best = -4.0 + (shift if row.hidden_size > 100 else 0.0)
        return 8.0 + abs(np.log10(row.learning_rate) - best)

    rows = drawn("V", 300, score)
    assert verdict(15, analyse(rows, trees=8, resamples=10)).verdict == expected


def test_where_higher_is_better_curves_are_read_the_other_way_round():
    rising = curve(20, 200, lambda way: 0.5 + 0.3 * way)
    assert verdict(11, tuned(speech=True, score=shares(), curves={"hidden_size": rising})).verdict == "confirmed"
    assert verdict(11, tuned(score=shares(), curves={"hidden_size": rising})).verdict == "contradicted"


def test_claims_about_hyperparameters_flip_with_trials_and_not_only_with_records():
    def search(decisive: str) -> Search:
        return analyse(drawn("V", 200, lambda row: 9.0 + np.log10(getattr(row, decisive))), trees=4, resamples=3)

    assert verdict(9, search("learning_rate")).verdict == "confirmed"
    assert verdict(9, search("hidden_size")).verdict == "contradicted"
    assert verdict(12, search("learning_rate")).verdict != "contradicted"
