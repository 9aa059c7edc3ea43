"""What "LSTM: A Search Space Odyssey" claims, and what a search of ours says to each: data here, rules beside it.

Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, IEEE TNNLS 28(10), 2017 (arXiv 1503.04069). Its full text was
not at hand: ``status`` says how we know what it claims.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lstm_jax.studies import rules, tuning_rules
from lstm_jax.studies.rules import Decision
from lstm_jax.studies.search import Search

TOO_FEW = f" Fewer than {tuning_rules.ENOUGH} trials of a task decide nothing."

ABSENT = "TIMIT and IAM are licensed and were not run: what the paper says about these two is not decided here."


class Claim(NamedTuple):
    """One claim of the paper.

    Attributes:
        published: what the paper reports. ``status``: how we know that: ``"verified"`` (read in its abstract),
            ``"secondary"`` (summaries by others) or ``"recalled"`` (from memory, unseen).
        rule: when it counts as confirmed and when as contradicted; else it is not decided.
        decide: that rule as a function.
        limits: what of the claim no result of ours can decide.
    """

    number: int
    claim: str
    published: str
    status: str
    rule: str
    decide: Callable[[Search], Decision]
    limits: str = ""


class Verdict(NamedTuple):
    """``verdict`` is ``"confirmed"``, ``"contradicted"`` or ``"not decided"``; ``evidence`` a sentence of numbers.

    ``against``: the tasks that contradict; one is enough.
    """

    number: int
    claim: str
    published: str
    status: str
    verdict: str
    evidence: str
    rule: str
    against: tuple[str, ...]


def judge(search: Search) -> list[Verdict]:
    """A verdict on each of the claims, in their order."""
    verdicts = []
    for claim in CLAIMS:
        decision = claim.decide(search)
        evidence = f"{decision.evidence} {claim.limits}".strip()
        verdicts.append(Verdict(*claim[:4], decision.verdict, evidence, claim.rule, decision.against))
    return verdicts


CLAIMS = (
    Claim(
        1,
        "no variant beats V significantly",
        "on none of three data sets",
        "verified",
        "Confirmed if all eight variants were run on every task, none is significantly better than V, and every "
        "interval excludes a gain of more than 1 %; contradicted if one is significantly better on any task.",
        rules.nothing_gains(rules.EIGHT),
    ),
    Claim(
        2,
        "removing the forget gate hurts",
        "significant on all three data sets",
        "secondary",
        "Confirmed if NFG is significantly worse on every task; contradicted if on any task it is not and is "
        "significantly better or its interval excludes a loss of more than 1 %.",
        rules.hurts("NFG"),
    ),
    Claim(
        3,
        "removing the output activation hurts",
        "significant on all three data sets",
        "secondary",
        "As claim 2, for NOAF.",
        rules.hurts("NOAF"),
    ),
    Claim(
        4,
        "NIG, NOG and NIAF hurt on continuous supervised data, not on music",
        "significant on TIMIT and IAM, not on JSB",
        "secondary",
        "Confirmed if for all three every interval on music excludes a loss of more than 1 % and every other task "
        "shows a significant loss; contradicted if one loses significantly on music, or elsewhere does not and is "
        "significantly better or has an interval that excludes a loss of more than 1 %.",
        rules.hurts_off_music(("NIG", "NOG", "NIAF")),
        "Every task that is not music stands in for TIMIT and IAM.",
    ),
    Claim(
        5,
        "coupling the gates costs nothing",
        "CIFG not different; slightly better best result on JSB",
        "secondary",
        "Confirmed if on every task CIFG is not significantly worse and its interval excludes a loss of more than 1 % "
        "(a gain costs nothing either); contradicted if it is significantly worse on any.",
        rules.costs_nothing("CIFG"),
    ),
    Claim(
        6,
        "peepholes can go",
        "NP not different; slightly better on IAM",
        "secondary",
        "As claim 5, for NP.",
        rules.costs_nothing("NP"),
    ),
    Claim(
        7,
        "full gate recurrence brings nothing",
        "no gain for 9 N² weights",
        "secondary",
        "Confirmed if on every task FGR is not significantly better and its interval excludes a gain of more than "
        "1 %; contradicted if it is significantly better on any.",
        rules.nothing_gains(("FGR",)),
        "A comparison at matched parameter counts was not run.",
    ),
    Claim(
        8,
        "the best results",
        "TIMIT 29.6 % (CIFG), IAM 9.26 % (NP), JSB 8.38 nats (NIAF): all recalled",
        "recalled",
        "Of all trials on JSB Chorales the best by validation: confirmed if its test score is within 1 % of 8.38 nats "
        "(recalled), whatever its variant; contradicted if it is better than that, or worse after all nine searches "
        "of 200 trials.",
        rules.best_result(8.38, "recalled"),
        "The other two figures are of data not run here; which average over steps the paper printed is not known.",
    ),
    Claim(
        9,
        "the learning rate dominates",
        "more than two thirds of the variance",
        "secondary",
        "Confirmed if on every task the interval of its main effect lies above 2/3; contradicted if one lies below."
        + TOO_FEW,
        tuning_rules.rate_dominates(2 / 3),
    ),
    Claim(
        10,
        "there is a broad plateau of good learning rates",
        "about 1e-4 to 1e-3 in one summary; best near or outside the searched range on IAM and JSB",
        "secondary",
        "Width of the region around the best rate where the marginal score stays within 1 % of its best: confirmed if "
        "it spans a decade or more on every task, contradicted if half a decade or less on any, in both cases also if "
        "every other place were a standard deviation of the forest worse, or better.",
        tuning_rules.plateau(confirmed=1.0, contradicted=0.5),
    ),
    Claim(
        11,
        "size matters second; larger is better with diminishing returns",
        "roughly linear in log N",
        "secondary",
        "Confirmed if on every task the main effect of size lies below that of the rate and above the others, "
        "intervals apart, the largest nets beat the smallest by more than both standard deviations of the forest, and "
        "a cell gains more in the lower half of log N than in the upper; contradicted if on any task the order of two "
        "intervals, or the smallest and the largest nets, is reversed as clearly." + TOO_FEW,
        tuning_rules.size_is_second,
    ),
    Claim(
        12,
        "momentum does not matter",
        "below 1 % of variance, in score and time",
        "secondary",
        "Confirmed if on every task the intervals of its main effect lie below 1 %, of score and of training time; "
        "contradicted if one lies above." + TOO_FEW,
        tuning_rules.momentum_is_idle(0.01),
    ),
    Claim(
        13,
        "input noise rarely helps",
        "helps a little on TIMIT at 0.2 to 0.5; harms on IAM and JSB",
        "secondary",
        "Marginal score on music: confirmed if the best noise gains less than 1 % over almost none, one standard "
        "deviation of the forest included, and the most noise loses more than both standard deviations; contradicted "
        "if the best noise gains more than 1 % and more than both standard deviations.",
        tuning_rules.noise_rarely_helps,
    ),
    Claim(
        14,
        "hyperparameters hardly interact",
        "virtually independent (abstract: verified); 5 to 20 % of variance, rate with size little (secondary)",
        "verified",
        "Interactions of two and more: confirmed if on every task the interval of their share lies below 20 %, "
        "contradicted if one lies above. The interval adds up the ends of the parts, hence is wide." + TOO_FEW,
        tuning_rules.hardly_interact(0.2),
    ),
    Claim(
        15,
        "the learning rate can be tuned on a small net",
        "follows from claim 14",
        "secondary",
        "Marginal curves of the rate, nets below 50 cells against above 100, with intervals from trials drawn anew: "
        "confirmed if on every task the interval of their rank correlation is above 0.8 and that of what the small "
        "nets' best rate costs large nets below 1 %; contradicted if one lies below 0.5, or above 1 %.",
        tuning_rules.small_nets_tell,
    ),
    Claim(
        16,
        "NOAF fails because the unbounded cell state reaches the output",
        "coupled gates, as in the GRU, bound it",
        "secondary",
        "Confirmed if on every task NOAF is significantly worse and CIFG_NOAF, which couples the gates as well, "
        "is not, with an interval that excludes a loss of more than 1 %; contradicted if both are on any.",
        rules.rescued("NOAF", "CIFG_NOAF"),
        "How large the cell states became was not kept.",
    ),
)
"""Claims 1 to 16. Losses, gains and their ``reselected`` intervals are in % of the mean of V's chosen trials; a
difference that is not significant confirms nothing by itself: its interval has to exclude 1 %, with ten trials a side
or more."""
