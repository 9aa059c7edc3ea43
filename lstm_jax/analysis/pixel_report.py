"""The table of the experiment on pixels, from its results alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lstm_jax.analysis.report import DASH, MARKS, centre, centre_legend, computed_by, markdown, named, reference_of
from lstm_jax.studies.collect import Row, find_results, read_rows
from lstm_jax.studies.compare import Comparison, Line, compare

PUBLISHED = (
    ("LSTM (Gu, Goel & Ré 2022)", {"sequential": 98.9, "permuted": 95.11}),
    ("UR-LSTM (Gu et al. 2020)", {"sequential": 99.28, "permuted": 96.96}),
)
"""Test accuracy in per cent of all 784 pixels, both as "Efficiently Modeling Long Sequences with Structured State
Spaces", 2022, prints them in its table 12."""


def readme_section(folder: Path) -> str:
    """Test accuracy of every cell in per cent, a column an order, and what was published.

    Raises:
        FileNotFoundError: nothing was run there.
    """
    rows = read_rows(find_results(folder))
    reference = reference_of([row.variant for row in rows])
    found = compare(rows, reference)
    orders = [comparison.task for comparison in found]
    cells = list(dict.fromkeys(line.variant for comparison in found for line in comparison.lines))
    lines = [(cell, f"{_size(rows, cell):,}", *(_entry(_line(one, cell)) for one in found)) for cell in cells]
    lines += [(f"*{name}*", DASH, *(f"*{figures[order]:g}*" for order in orders)) for name, figures in PUBLISHED]
    lines += [("*chance*", DASH, *(f"*{100 * comparison.chance:.1f}*" for comparison in found))]
    table = markdown(("cell", "numbers learned", *(f"{order}, % right ↑" for order in orders)), lines)
    return f"{table}\n\n{_legend(rows, reference)}"


def _size(rows: Sequence[Row], cell: str) -> int:
    return next(row.parameters for row in rows if row.variant == cell)


def _line(comparison: Comparison, cell: str) -> Line | None:
    return next((line for line in comparison.lines if line.variant == cell), None)


def _entry(line: Line | None) -> str:
    """Mean, half of the interval, and the mark of a difference."""
    if line is None:
        return DASH
    return f"{centre([100 * score for score in line.scores], '{:.2f}'.format)} {MARKS[line.verdict]}".strip()


def _legend(rows: Sequence[Row], reference: str) -> str:
    seeds = len({row.seed for row in rows})
    spread = (
        f"{centre_legend([seeds])}; ▼ worse, ▲ better than {reference}: Welch's test, "
        "two-sided, 5 %, Holm-corrected over the cells of an order"
        if seeds > 1
        else "one seed, so small gaps say nothing"
    )
    diverged = [f"{row.task} {row.variant} {row.seed}" for row in rows if row.diverged]
    lost = f" Stopped by NaN or infinity (they count with their score): {', '.join(diverged)}." if diverged else ""
    updates = max(row.steps for row in rows)
    minutes = sum(row.seconds for row in rows) / 60
    return (
        f"Test images named rightly: {spread}. Italics: published, of all 784 pixels; chance: the most frequent "
        f"digit.{lost} {len(rows)} networks of {rows[0].hidden_size} cells, {updates:,} updates each, "
        f"{minutes:.0f} minutes of wall time ({computed_by(rows)}). "
        f"{named(row.variant for row in rows)}"
    )
