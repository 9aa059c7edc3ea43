"""Tables and the figure of a comparison: pure functions of results.csv."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_jax.analysis.paper import save_figure
from lstm_jax.cell import SUMMARIES
from lstm_jax.studies.collect import Row, find_results, read_rows, write_atomically
from lstm_jax.studies.compare import Comparison, Line, compare
from lstm_jax.studies.statistics import FEWEST, mean_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DASH = "–"
"""Where there is no number."""
REGRESSION = "logistic regression of the next step on the present one"
CHANCE = "Chance: the best guess without memory; of data sets the best constant one."
MARKS = {"worse": "▼", "better": "▲", "": ""}
HEADER = (
    "variant",
    "parameters",
    "mean",
    "95 % interval",
    "minus reference",
    "95 % interval",
    "p (Holm)",
    "",
    "seeds",
)
_NUMERIC = "|".join(("---", "---:", "---:", ":---:", "---:", ":---:", "---:", "---", "---:"))


def number(value: float) -> str:
    """Four decimals below 1 (scores and errors), four significant figures above; a dash for NaN, ∞ for infinities."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.4g}"


def span(low: float, high: float) -> str:
    """An interval; a dash where there is none."""
    return DASH if math.isnan(low) else f"[{number(low)}, {number(high)}]"


def counts(values: Iterable[int]) -> str:
    """``5``, or ``5 to 50`` where they differ."""
    low, *_, high = 2 * sorted(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def p_value(p: float) -> str:
    """Three decimals; a dash for NaN."""
    if math.isnan(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def write_report(folder: Path, out: Path | None = None, reference: str = "V") -> tuple[Path, Path]:
    """Write ``table.md`` and ``figure.png`` from the results in a folder alone; returns both paths.

    Raises:
        FileNotFoundError, ValueError: where results are missing or unreadable; ImportError: without matplotlib.
    """
    from lstm_jax.analysis.forest import forest_figure

    comparisons = compare(read_rows(find_results(folder)), reference)
    out = out or find_results(folder).parent
    return write_both(out, full_table(comparisons), forest_figure(comparisons))


def write_both(out: Path, table: str, figure: Figure) -> tuple[Path, Path]:
    """Write ``table.md`` and ``figure.png`` into a folder, which is made where there is none; returns both paths."""
    out.mkdir(parents=True, exist_ok=True)
    paths = out / "table.md", out / "figure.png"
    write_atomically(paths[0], table.encode())
    save_figure(figure, paths[1])
    return paths


def full_table(comparisons: Sequence[Comparison]) -> str:
    """The content of ``table.md``: the overview, then one section with all numbers for each task."""
    sections = [f"## Overview\n\n{overview(comparisons)}"]
    sections += [_section(comparison) for comparison in comparisons]
    return "# Results\n\n" + "\n\n".join(sections) + "\n"


def overview(comparisons: Sequence[Comparison]) -> str:
    """One Markdown row a variant and one column a task: mean ± half of the 95 % interval, marked where it differs.

    Beside it the numbers that a variant learns, from the task with the fewest to that with the most.
    """
    variants = list(dict.fromkeys(line.variant for comparison in comparisons for line in comparison.lines))
    columns = [overview_column(comparison, variants) for comparison in comparisons]
    titles = [
        f"{comparison.task} ({comparison.metric} {'↑' if comparison.higher_is_better else '↓'})"
        for comparison in comparisons
    ]
    learned = {
        name: sizes(line.parameters for comparison in comparisons for line in comparison.lines if line.variant == name)
        for name in variants
    }
    rows = [("variant", "parameters", *titles), ("---", "---:", *["---:"] * len(titles))]
    rows += [(name, learned[name], *(column[name] for column in columns)) for name in variants]
    rows += [("*chance*", DASH, *(f"*{number(comparison.chance)}*" for comparison in comparisons))]
    regressed = [present_step(comparison.task) for comparison in comparisons]
    if any(score is not None for score in regressed):
        rows += [(f"*{REGRESSION}*", DASH, *(DASH if score is None else f"*{number(score)}*" for score in regressed))]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reference = comparisons[0].reference
    shown = centre_legend(len(line.scores) for comparison in comparisons for line in comparison.lines)
    return (
        f"{table}\n\n↑ higher is better, ↓ lower is better; {shown}. ▼ worse, ▲ better than {reference}: Welch's "
        f"test, two-sided, 5 %, Holm-corrected over the variants of a task. {CHANCE} {named(variants)}"
    )


def sizes(counts: Iterable[int]) -> str:
    """How many numbers are learned, or the fewest and the most; a dash for none."""
    ends = sorted(set(counts))
    return " to ".join(f"{size:,}" for size in dict.fromkeys((ends[0], ends[-1]))) if ends[-1] else DASH


def present_step(task: str) -> float | None:
    """What a data set to be continued gives without memory, see ``Dataset``; None for all others."""
    from lstm_jax.datasets import DATASETS

    return DATASETS[task].present_step if task in DATASETS else None


def named(variants: Iterable[str]) -> str:
    """What each variant is, in a sentence; names that the library does not have, starts say, are left out."""
    known = [f"{name}: {SUMMARIES[name]}" for name in dict.fromkeys(variants) if name in SUMMARIES]
    return f"Cells: {'; '.join(known)}." if known else ""


def overview_column(comparison: Comparison, variants: Sequence[str]) -> dict[str, str]:
    """Text of one task's column by variant; a dash where a variant was not run."""
    lines = {line.variant: line for line in comparison.lines}
    return {name: _overview_entry(lines[name]) if name in lines else DASH for name in variants}


def _overview_entry(line: Line) -> str:
    return f"{centre(line.scores)} {MARKS[line.verdict]}".strip()


def centre(scores: Sequence[float], text: Callable[[float], str] = number) -> str:
    """Mean ± half of its interval; of fewer than three scores these themselves, of which an interval says nothing."""
    interval = mean_interval(scores)
    if math.isnan(interval.low):
        return " / ".join(map(text, scores))
    return f"{text(interval.mean)} ± {text((interval.high - interval.low) / 2)}"


def centre_legend(counts: Iterable[int]) -> str:
    """What ``centre`` shows, where tasks and variants have these numbers of seeds."""
    seen = sorted(counts)
    least, most = seen[0], seen[-1]
    if most < FEWEST:
        return "one seed" if most == 1 else f"the scores of {most} seeds"
    few = "" if least >= FEWEST else f" (fewer than {FEWEST}: their scores)"
    seeds = f"{most}" if least == most else f"{least} to {most}"
    return f"mean ± half of the 95 % t-interval over {seeds} seeds{few}"


def _section(comparison: Comparison) -> str:
    direction = "higher is better" if comparison.higher_is_better else "lower is better"
    head = f"## {comparison.task}\n\nTest {comparison.metric}, {direction}; chance {number(comparison.chance)}."
    header = [name.replace("reference", comparison.reference) for name in HEADER]
    rows = [" | ".join(header), _NUMERIC, *(" | ".join(cells) for cells in table_cells(comparison))]
    diverged = [f"{line.variant} {line.diverged}" for line in comparison.lines if line.diverged]
    note = f"\n\nStopped by NaN or infinity (they count with their score): {', '.join(diverged)}." if diverged else ""
    return head + "\n\n" + "\n".join(f"| {row} |" for row in rows) + note


def table_cells(comparison: Comparison) -> list[tuple[str, ...]]:
    """The numbers of one task as text, a row a variant, under ``HEADER``; terminal and Markdown tables share it."""
    return [_cells(line) for line in comparison.lines]


def _cells(line: Line) -> tuple[str, ...]:
    difference, between = DASH, DASH
    if line.difference is not None:
        rounding = 1e-6 * abs(line.interval.mean)  # scores are float32
        difference = "0" if abs(line.difference.mean) < rounding else f"{line.difference.mean:+.3g}"
        between = span(line.difference.low, line.difference.high)
    verdict = f"{MARKS[line.verdict]} {line.verdict}".strip()
    return (
        line.variant,
        f"{line.parameters:,}",
        number(line.interval.mean),
        span(line.interval.low, line.interval.high),
        difference,
        between,
        p_value(line.p),
        verdict,
        str(line.interval.count),
    )


def readme_section(folder: Path, reference: str = "V") -> str:
    """What a README shows between its markers: the overview of the results in a folder."""
    return overview(compare(read_rows(find_results(folder)), reference))


def show_parts(folders: Sequence[Path], parts: Mapping[str, tuple[str, Callable[[Path], str]]]) -> str:
    """What folders hold of an experiment of several parts, each part under its title.

    Args:
        folders: of results, such as those of several presets.
        parts: by title, the file or folder in it that a part is made from, and how it is made from the folder.

    Raises:
        FileNotFoundError: none of the parts is there.
    """
    found = [
        f"### {title}\n\n{make(folder)}"
        for title, (needed, make) in parts.items()
        for folder in folders
        if (folder / needed).exists()
    ]
    if not found:
        named, missing = ", ".join(map(str, folders)), ", ".join(f"no {needed}" for needed, _ in parts.values())
        raise FileNotFoundError(f"{named} holds no results: {missing}; run it first")
    return "\n\n".join(found)


def reference_of(cells: Iterable[str]) -> str:
    """What the others are compared with: V where it is one of them, else the first cell."""
    cells = list(cells)
    return "V" if "V" in cells else cells[0]


def what_it_took(rows: Sequence[Row]) -> str:
    """How many networks, how long, and on what."""
    minutes = sum(row.seconds for row in rows) / 60
    return f"{len(rows)} networks, {minutes:.0f} minutes of one core ({computed_by(rows)})."


def computed_by(rows: Iterable[Any]) -> str:
    """Every ``device`` of the rows, with each ``commit`` whose code ran on it."""
    commits: dict[str, set[str]] = {}
    for row in rows:
        commits.setdefault(row.device, set()).add(row.commit)
    return "; ".join(
        f"{device}, commit{'s' if len(found) > 1 else ''} {', '.join(sorted(found))}"
        for device, found in sorted(commits.items())
    )


def embed(text: str, name: str, section: str) -> str:
    """The text with the section put between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``.

    A README is stale exactly when embedding the current section changes it.

    Raises:
        ValueError: unless the two markers stand there once each, in this order.
    """
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1 or text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the text must hold the markers {begin} and {end} once each, in this order")
    return pattern.sub(lambda _: f"{begin}\n{section}\n{end}", text)


def embed_those(text: str, sections: Mapping[str, str]) -> str:
    """``embed`` for each name whose first marker stands in the text.

    Raises:
        ValueError: if none does, or as ``embed``.
    """
    found = [name for name in sections if f"<!-- begin: {name} -->" in text] or list(sections)
    for name in found:
        text = embed(text, name, sections[name])
    return text


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; all columns but the first ``left`` are numbers, aligned to the right."""
    rule = [*["---"] * left, *["---:"] * (len(header) - left)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
