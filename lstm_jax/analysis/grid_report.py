"""Tables and figure of variants x initialisations: pure functions of results.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lstm_jax.analysis.report import (
    DASH,
    MARKS,
    centre,
    centre_legend,
    markdown,
    named,
    number,
    p_value,
    span,
    write_both,
)
from lstm_jax.studies.collect import find_results, read_rows
from lstm_jax.studies.grid import Cell, Grid, grids
from lstm_jax.studies.rescue import FELL, OUTCOMES, Gap, Rescue, rescues
from lstm_jax.studies.statistics import Difference

DETAILS = (
    "variant",
    "initialisation",
    "mean",
    "95 % interval",
    "minus standard",
    "95 % interval",
    "p (Holm)",
    "seeds",
)


def write_grid_report(folder: Path, out: Path | None = None, reference: str = "V") -> tuple[Path, Path]:
    """Write ``table.md`` and ``figure.png`` from the results in a folder alone; returns both paths.

    Raises:
        FileNotFoundError, ValueError: where results are missing or unreadable; ImportError: without matplotlib.
    """
    from lstm_jax.analysis.grid_figure import grid_figure

    found = grids(read_rows(find_results(folder)), reference)
    return write_both(out or find_results(folder).parent, full_table(found), grid_figure(found))


def readme_section(folder: Path, reference: str = "V") -> str:
    """What a README shows between its markers: who is rescued, and the grid of every task."""
    return summary(grids(read_rows(find_results(folder)), reference), "###")


def full_table(found: Sequence[Grid]) -> str:
    """The content of ``table.md``: the summary, then every difference with its p-value."""
    details = [f"## {grid.task}: every cell\n\n{_details(grid)}" for grid in found]
    return "# Results\n\n" + "\n\n".join([summary(found, "##"), *details]) + "\n"


def summary(found: Sequence[Grid], level: str) -> str:
    """Who is rescued where, then for each task its grid and its gaps; ``level`` is the Markdown of the headings."""
    reference = found[0].reference
    sections = [f"{level} Rescued?\n\n{overview(found)}"]
    for grid in found:
        direction = "higher is better ↑" if grid.higher_is_better else "lower is better ↓"
        head = f"{level} {grid.task} ({grid.metric}, {direction}; chance {number(grid.chance)})"
        sections.append(f"{head}\n\n{grid_table(grid)}\n\n{gaps_table(grid)}")
    return "\n\n".join([*sections, _legend(found, reference)])


def overview(found: Sequence[Grid]) -> str:
    """One row a variant, one column a task: the outcome, and the variant's best initialisation there."""
    results = [{rescue.variant: rescue for rescue in rescues(grid)} for grid in found]
    variants = dict.fromkeys(variant for by_variant in results for variant in by_variant)
    header = ("variant", *(grid.task for grid in found))
    rows = [
        (variant, *(_outcome(by_variant.get(variant), grid) for by_variant, grid in zip(results, found, strict=True)))
        for variant in variants
    ]
    shown = {rescue.outcome for by_variant in results for rescue in by_variant.values()}
    reference = found[0].reference
    meanings = [f"*{_named(name, reference)}*: {OUTCOMES[name]}" for name in OUTCOMES if name in shown]
    key = "; ".join(meanings).replace("the reference", reference)
    text = (
        f"The gap to {reference} under the standard initialisation (before) and under the variant's best one, in "
        f"brackets (after; {reference} has the same)."
    )
    return markdown(header, rows, left=len(header)) + f"\n\n{text}{f' {key}.' if key else ''}"


def _outcome(rescue: Rescue | None, grid: Grid) -> str:
    return DASH if rescue is None else f"{_named(rescue.outcome, grid.reference)} ({_best(rescue, grid)})"


def _named(outcome: str, reference: str) -> str:
    return outcome.replace("reference", reference) if outcome == FELL else outcome


def _best(rescue: Rescue, grid: Grid) -> str:
    """The best initialisation; "only one" for what feels none of those that were run."""
    felt = {cell.source for (variant, _), cell in grid.cells.items() if variant == rescue.variant}
    return "only one" if len(felt) == 1 < len(grid.inits) else rescue.tuned.init


def grid_table(grid: Grid) -> str:
    """Variants x initialisations: mean ± half of the 95 % interval, marked where it differs from the standard one."""
    rows = [(variant, *(_entry(grid.cells.get((variant, init))) for init in grid.inits)) for variant in grid.variants]
    return markdown(("variant", *grid.inits), rows)


def _entry(cell: Cell | None) -> str:
    if cell is None:
        return DASH
    if cell.source != cell.init:
        return f"= {cell.source}"
    return f"{centre(cell.scores)} {MARKS[cell.verdict]}".strip()


def gaps_table(grid: Grid) -> str:
    """For each variant its gap to the reference under the standard and under its best initialisation."""
    reference = grid.reference
    header = ("variant", f"minus {reference}, standard", "best", f"minus {reference}, best", "change", "")
    rows = [
        (
            rescue.variant,
            _gap(rescue.plain),
            _best(rescue, grid),
            _gap(rescue.tuned),
            DASH if rescue.change is None else _difference(rescue.change),
            _named(rescue.outcome, reference),
        )
        for rescue in rescues(grid)
    ]
    return markdown(header, rows)


def _gap(gap: Gap) -> str:
    return f"{_difference(gap.difference)} {MARKS[gap.verdict]}".strip()


def _difference(difference: Difference) -> str:
    return f"{difference.mean:+.3g} {span(difference.low, difference.high).replace(DASH, '')}".strip()


def _details(grid: Grid) -> str:
    rows = [_detail(cell) for cell in grid.cells.values() if cell.source == cell.init]
    diverged = [f"{c.variant} {c.init} {c.diverged}" for c in grid.cells.values() if c.diverged and c.source == c.init]
    note = f"\n\nStopped by NaN or infinity (they count with their score): {', '.join(diverged)}." if diverged else ""
    return markdown(DETAILS, rows) + note


def _detail(cell: Cell) -> tuple[str, ...]:
    compared = (DASH, DASH)
    if cell.difference is not None:
        compared = f"{cell.difference.mean:+.3g}", span(cell.difference.low, cell.difference.high)
    interval = cell.interval
    own = (cell.variant, cell.init, number(interval.mean), span(interval.low, interval.high))
    return *own, *compared, f"{p_value(cell.p)} {MARKS[cell.verdict]}".strip(), str(interval.count)


def _legend(found: Sequence[Grid], reference: str) -> str:
    shown = centre_legend(cell.interval.count for grid in found for cell in grid.cells.values())
    return (
        f"Grids: {shown}; ▲ better, ▼ worse than the standard initialisation of the same variant (Welch, two-sided, "
        "5 %, Holm over initialisations x variants of a task); *= standard*: it sets no bias that this variant "
        "owns, so the weights are the same. "
        f"Gaps: difference of means with its 95 % interval (uncorrected); ▲ better, ▼ worse than {reference} (Welch, "
        "two-sided, 5 %, Holm over the variants of a task). Best: by mean validation score. Change: the second gap "
        f"minus the first. {named(variant for grid in found for variant in grid.variants)}"
    )
