"""The tables of a search report as text: what was run, the best trials, shares of variance, claims."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from lstm_jax.analysis.page import Table
from lstm_jax.analysis.report import DASH, MARKS, number, p_value, span
from lstm_jax.studies.claims import Verdict
from lstm_jax.studies.importance import Importance, VarianceShare
from lstm_jax.studies.search import Contender, Search, TaskSearch
from lstm_jax.studies.tuning import HYPERPARAMETERS

BEST_HEADER = (
    "variant",
    "parameters",
    "mean",
    "95 % interval",
    "minus reference",
    "95 % interval",
    "p (Holm)",
    "",
    "best by validation",
)
BEST_COLUMNS = "lrrrrrrlr"
COUNTS = {"trials": "trials", "diverged": "diverged", "unscored": "no score"}


def run_table(search: Search) -> Table:
    """How many trials of each variant on each task there are, were stopped, and never had a score."""
    variants = list(dict.fromkeys(contender.variant for task in search.tasks for contender in task.contenders))
    header = ("variant", *(f"{title}, {task.task}" for task in search.tasks for title in COUNTS.values()))
    every = [(task, what) for task in search.tasks for what in COUNTS]
    rows = [(variant, *(_count(task, what, variant) for task, what in every)) for variant in variants]
    rows.append(("all", *(_count(task, what) for task, what in every)))
    return Table(header, "l" + "r" * (len(header) - 1), tuple(rows))


def _count(task: TaskSearch, what: str, variant: str | None = None) -> str:
    """Of one variant, or of all; a dash where the variant was not run."""
    found = [getattr(contender, what) for contender in task.contenders if variant in (None, contender.variant)]
    return str(sum(found)) if found else DASH


def overview_table(search: Search) -> Table:
    """A row a variant, a column a task: mean of the chosen trials less that of the reference, its interval, a mark."""
    variants = list(dict.fromkeys(contender.variant for task in search.tasks for contender in task.contenders))
    cells = [{contender.variant: _overview(contender) for contender in task.contenders} for task in search.tasks]
    rows = [(variant, *(by_variant.get(variant, DASH) for by_variant in cells)) for variant in variants]
    header = ("variant", *(f"{task.task} {'↑' if task.higher_is_better else '↓'}" for task in search.tasks))
    return Table(header, "l" + "r" * len(search.tasks), tuple(rows))


def _overview(contender: Contender) -> str:
    """Of the reference its mean; of others the difference, its interval and the mark of the verdict."""
    if contender.contrast is None:
        return number(contender.interval.mean)
    return " ".join((*_difference(contender), MARKS[contender.contrast.verdict])).strip()


def best_table(task: TaskSearch, reference: str) -> Table:
    """The chosen trials of each variant on one task against the reference: the short table."""
    header = tuple(name.replace("reference", reference) for name in BEST_HEADER)
    return Table(header, BEST_COLUMNS, tuple(best_cells(task)))


def best_cells(task: TaskSearch) -> list[tuple[str, ...]]:
    """The numbers under ``BEST_HEADER``, a row a variant; terminal and report share them."""
    return [_best_cells(contender) for contender in task.contenders]


def _difference(contender: Contender) -> tuple[str, str]:
    """The mean less that of the reference, and its interval."""
    contrast = contender.contrast
    if contrast is None:
        return DASH, DASH
    rounding = 1e-6 * abs(contender.interval.mean)  # scores are float32
    difference = "0" if abs(contrast.welch.mean) < rounding else f"{contrast.welch.mean:+.3g}"
    return difference, span(contrast.reselected.low, contrast.reselected.high)


def _best_cells(contender: Contender) -> tuple[str, ...]:
    interval, contrast = contender.interval, contender.contrast
    p, verdict = DASH, ""
    if contrast is not None:
        p, verdict = p_value(contrast.p), f"{MARKS[contrast.verdict]} {contrast.verdict}".strip()
    return (
        contender.variant,
        f"{contender.parameters:,.0f}",
        number(interval.mean),
        span(interval.low, interval.high),
        *_difference(contender),
        p,
        verdict,
        number(contender.chosen[0].test),
    )


def detail_table(task: TaskSearch) -> Table:
    """What the short table leaves out: other averages, intervals and tests of the same trials, all trials by rank."""
    header = (
        "variant",
        "median",
        "mean by sequence",
        "95 % of the chosen alone",
        "p (Welch, raw)",
        "Hedges g",
        "95 % interval",
        "p (ranks, all trials)",
        "superiority",
        "updates to the best",
    )
    return Table(header, "l" + "r" * (len(header) - 1), tuple(_detail_cells(c) for c in task.contenders))


def _detail_cells(contender: Contender) -> tuple[str, ...]:
    compared: tuple[str, ...] = (DASH,) * 6
    if (contrast := contender.contrast) is not None:
        effect, ranks = contrast.effect, contrast.ranks
        alone, between = span(*contrast.bootstrap[1:]), span(effect.low, effect.high)
        raw, by_ranks = p_value(contrast.welch.p), p_value(ranks.p)
        compared = (alone, raw, number(effect.g), between, by_ranks, f"{ranks.superiority:.2f}")
    updates = statistics.median(row.best_step for row in contender.chosen)
    return (
        contender.variant,
        number(statistics.median(contender.scores)),
        number(contender.by_sequence),
        *compared,
        f"{updates:,.0f}",
    )


def winner_table(task: TaskSearch) -> Table:
    """The best trial of each variant by validation, with its hyperparameters."""
    names = [name for name in HYPERPARAMETERS if name in task.tuning.names]
    labels = [HYPERPARAMETERS[name].label for name in names]
    header = ("variant", "seed", "validation", "test", "test by sequence", *labels)
    rows = []
    for contender in task.contenders:
        best = contender.chosen[0]
        scores = (number(value) for value in (_known(best.validation), best.test, best.test_by_sequence))
        rows.append((contender.variant, str(best.seed), *scores, *(_setting(getattr(best, name)) for name in names)))
    return Table(header, "l" + "r" * (len(header) - 1), tuple(rows))


def _known(value: float) -> float:
    """NaN for what a trial that was never validated says."""
    return value if math.isfinite(value) else math.nan


def _setting(value: float) -> str:
    return str(value) if isinstance(value, int) else number(value)


def shares_table(task: TaskSearch) -> Table:
    """Shares of the variance of score and of training time: hyperparameters alone, pairs, the rest."""
    header = ("part", "of the score (%)", "95 % interval", "of the training time (%)", "95 % interval")
    score, time = _parts(task.tuning.score), _parts(task.tuning.time)
    rows = [(part, *_share(score.get(part)), *_share(time.get(part))) for part in {**score, **time}]
    return Table(header, "lrrrr", tuple(rows))


def _parts(shares: Importance | None) -> dict[str, VarianceShare]:
    """Shares by the words of the table; none where there was nothing to share."""
    if shares is None:
        return {}
    mains = {HYPERPARAMETERS[name].label: share for name, share in shares.main.items()}
    pairs = {f"{HYPERPARAMETERS[a].label} × {HYPERPARAMETERS[b].label}": s for (a, b), s in shares.pairs.items()}
    rest = {"three or more together": shares.rest} if len(shares.main) > 2 else {}
    return {**mains, **pairs, **rest}


def variants_table(task: TaskSearch) -> Table:
    """Main effects on the score, variant by variant."""
    labels = [HYPERPARAMETERS[name].label for name in task.tuning.names]
    header = ("variant", *(text for label in labels for text in (f"{label} (%)", "95 % interval")))
    rows = tuple(
        (variant, *(cell for name in task.tuning.names for cell in _share(shares.main[name])))
        for variant, shares in task.tuning.variants.items()
    )
    return Table(header, "l" + "r" * (len(header) - 1), rows)


def _share(share: VarianceShare | None) -> tuple[str, str]:
    if share is None:
        return DASH, DASH
    interval = DASH if math.isnan(share.low) else f"[{100 * share.low:.1f}, {100 * share.high:.1f}]"
    return f"{100 * share.mean:.1f}", interval


def claims_table(verdicts: Sequence[Verdict]) -> Table:
    """Each claim, what was published and how well that is known, the verdict, our numbers."""
    header = ("#", "claim", "published", "known by", "here", "evidence")
    rows = [(str(v.number), v.claim, v.published, v.status, _here(v), v.evidence) for v in verdicts]
    return Table(header, "rlllll", tuple(rows))


def verdicts_table(verdicts: Sequence[Verdict]) -> Table:
    """Each claim, what was published, and the verdict."""
    rows = tuple((str(v.number), v.claim, v.published, _here(v)) for v in verdicts)
    return Table(("#", "claim", "published", "here"), "rlll", rows)


def _here(verdict: Verdict) -> str:
    """The verdict, and which tasks contradict."""
    return f"{verdict.verdict} on {' and '.join(verdict.against)}" if verdict.against else verdict.verdict
