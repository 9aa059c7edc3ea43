"""Tables and figure of variants x lengths: pure functions of results.csv."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from lstm_jax.analysis.report import DASH, MARKS, counts, markdown, named, number, p_value, write_both
from lstm_jax.studies.collect import find_results, read_rows
from lstm_jax.studies.grid import SEPARATOR
from lstm_jax.studies.ladder import Climb, Criterion, Ladder, Rung, axis, ladders


def write_ladder_report(folder: Path, out: Path | None = None, reference: str = "V") -> tuple[Path, Path]:
    """Write ``table.md`` and ``figure.png`` from the results in a folder alone; returns both paths.

    Raises:
        FileNotFoundError, ValueError: where results are missing or unreadable; ImportError: without matplotlib.
    """
    from lstm_jax.analysis.ladder_figure import ladder_figure

    found = ladders(read_rows(find_results(folder)), reference)
    return write_both(out or find_results(folder).parent, full_table(found), ladder_figure(found))


def readme_section(folder: Path, reference: str = "V") -> str:
    """What a README shows between its markers: the lengths that every variant solves; of one length, how well."""
    found = ladders(read_rows(find_results(folder)), reference)
    return goal_table(found) if all(len(ladder.lengths) == 1 for ladder in found) else summary(found, "###")


def full_table(found: Sequence[Ladder]) -> str:
    """The content of ``table.md``: the summary, then every length of every task."""
    details = [f"## {_title(ladder)}\n\n{_details(ladder)}" for ladder in found]
    key = "Each length: seeds that solved it of all, [Wilson's 95 % interval of their share], median test score."
    return "# Results\n\n" + "\n\n".join([summary(found, "##"), *details, key]) + "\n"


def summary(found: Sequence[Ladder], level: str) -> str:
    """Up to which length each variant solves each task, and what other starts do; ``level``: Markdown of headings."""
    sections = [f"{level} Solved up to\n\n{reach_table(found)}"]
    if any(_starts(ladder) for ladder in found):
        sections.append(f"{level} Starts of the gates\n\n{start_table(found)}")
    return "\n\n".join([*sections, _legend(found)])


def reach_table(found: Sequence[Ladder]) -> str:
    """One row a variant, one column a task: the longest length solved, its interval, marked where it differs."""
    climbs = [{climb.variant: climb for climb in ladder.climbs} for ladder in found]
    variants = dict.fromkeys(variant for by_variant in climbs for variant in by_variant if SEPARATOR not in variant)
    return _reaches(found, variants)


def start_table(found: Sequence[Ladder]) -> str:
    """The same for the variants that were started in several ways, each marked against its usual start."""
    ladders_ = [ladder for ladder in found if _starts(ladder)]
    started = [climb for ladder in ladders_ for climb in _starts(ladder)]
    variants = dict.fromkeys(name for climb in started for name in (climb.base, climb.variant) if name is not None)
    together = sorted(variants, key=lambda name: list(variants).index(name.partition(SEPARATOR)[0]))
    return _reaches(ladders_, together)


def goal_table(found: Sequence[Ladder]) -> str:
    """Tasks of one length each: one row a variant, the seeds that solved it and their median score."""
    climbs = [{climb.variant: climb.rungs[ladder.lengths[0]] for climb in ladder.climbs} for ladder in found]
    rows = [
        (name, *(_goal(by_variant.get(name)) for by_variant in climbs))
        for name in dict.fromkeys(name for by_variant in climbs for name in by_variant)
    ]
    header = ("variant", *(f"{ladder.task}, {axis(ladder.task)} = {ladder.lengths[0]}" for ladder in found))
    solved = "; ".join(_title(ladder) for ladder in found)
    chances = ", ".join(f"{ladder.task} {number(ladder.chance)}" for ladder in found)
    legend = f"Seeds that solved it of all, and the median test score. Solved: {solved}. Chance: {chances}."
    return f"{markdown(header, rows)}\n\n{legend}"


def _goal(rung: Rung | None) -> str:
    if rung is None:
        return DASH
    return f"{rung.share.successes} of {rung.share.trials}, {_median(rung)}"


def _median(rung: Rung) -> str:
    return number(rung.median) if math.isfinite(rung.median) else "no score"


def _starts(ladder: Ladder) -> list[Climb]:
    return [climb for climb in ladder.climbs if SEPARATOR in climb.variant]


def _reaches(found: Sequence[Ladder], variants: Iterable[str]) -> str:
    climbs = [{climb.variant: climb for climb in ladder.climbs} for ladder in found]
    rows = [
        (name, *(_entry(by_variant.get(name), ladder) for by_variant, ladder in zip(climbs, found, strict=True)))
        for name in variants
    ]
    return markdown(("variant", *(ladder.task for ladder in found)), rows)


def _entry(climb: Climb | None, ladder: Ladder) -> str:
    return DASH if climb is None else f"{reach_text(climb, ladder)} {MARKS[climb.verdict]}".strip()


def reach_text(climb: Climb, ladder: Ladder) -> str:
    """The length solved up to, and its interval where that holds another length."""
    if ladder.lengths[0] not in climb.rungs:
        return DASH
    reach, low, high = (_length(value, ladder) for value in (climb.reach, climb.low, climb.high))
    return reach if low == high else f"{reach} [{low}, {high}]"


def _length(reach: int | None, ladder: Ladder) -> str:
    if reach is None:
        return f"< {ladder.lengths[0]}"
    return f"≥ {reach}" if reach == ladder.lengths[-1] else str(reach)


def criterion_text(metric: str, higher_is_better: bool, criterion: Criterion) -> str:
    """``mse < 0.01``, or a share of chance."""
    return (
        f"{metric} {'>' if higher_is_better else '<'} {criterion.bound:g}{' x chance' if criterion.of_chance else ''}"
    )


def _title(ladder: Ladder) -> str:
    return f"{ladder.task}: {criterion_text(ladder.metric, ladder.higher_is_better, ladder.criterion)}"


def _details(ladder: Ladder) -> str:
    header = ("variant", "cells", "parameters", *(f"{axis(ladder.task)} = {length}" for length in ladder.lengths))
    rows = [_detail(climb, ladder) for climb in ladder.climbs]
    diverged = [
        f"{climb.variant} at {length} {rung.diverged}"
        for climb in ladder.climbs
        for length, rung in climb.rungs.items()
        if rung.diverged
    ]
    note = f"\n\nStopped by NaN or infinity (they count with their score): {', '.join(diverged)}." if diverged else ""
    return markdown((*header, "breaks down at", "solved more", "than", "p (Holm)"), rows) + note


def _detail(climb: Climb, ladder: Ladder) -> tuple[str, ...]:
    first = next(iter(climb.rungs.values()))
    rungs = [_rung(climb.rungs.get(length)) for length in ladder.lengths]
    compared = (DASH, DASH, DASH)
    if climb.excess is not None and climb.base is not None:
        compared = (
            f"{climb.excess.successes:+.3g}",
            climb.base,
            f"{p_value(climb.p)} {MARKS[climb.verdict]}".strip(),
        )
    breaks = DASH if climb.breaks is None else str(climb.breaks)
    return climb.variant, str(first.hidden_size), f"{first.parameters:,}", *rungs, breaks, *compared


def _rung(rung: Rung | None) -> str:
    if rung is None:
        return DASH
    share = rung.share
    return f"{share.successes}/{share.trials} [{share.low:.2f}, {share.high:.2f}], {_median(rung)}"


def _legend(found: Sequence[Ladder]) -> str:
    rungs = [rung for ladder in found for climb in ladder.climbs for rung in climb.rungs.values()]
    seeds, sizes = ({rung.share.trials for rung in rungs}, {rung.parameters for rung in rungs})
    reference = found[0].reference
    solved = "; ".join(f"{ladder.task}: {_title(ladder).partition(': ')[2]}" for ladder in found)
    others = any(axis(ladder.task) != "T" for ladder in found)
    grown = " (or value of the option after the dot)" if others else ""
    text = (
        f"The largest length T of the ladder{grown} that at least half of {counts(seeds)} seeds solve, and all "
        "shorter ones too; <: not even the shortest; ≥: the longest that was tried. In brackets what Wilson's 95 % "
        "intervals of the shares leave open. Solved: test score at the step with the best validation score; "
        f"{solved}. ▼ fewer, "
        f"▲ more trials solved than {reference} over all lengths (exact test, stratified by length, two-sided, 5 %, "
        f"Holm-corrected over the variants of a task). Parameters: {counts(sizes)}."
    )
    cells = named(climb.variant for ladder in found for climb in ladder.climbs)
    if not any(_starts(ladder) for ladder in found):
        return f"{text} {cells}"
    return f"{text} Starts of the gates: ▼ ▲ against the same variant with its usual start, corrected apart. {cells}"
