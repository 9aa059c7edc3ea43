"""The table of the experiment on pixels, from its results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lstm_jax.analysis.report import DASH, MARKS, centre, centre_legend, computed_by, markdown, named, reference_of
from lstm_jax.studies.collect import Row, find_results, read_rows
from lstm_jax.studies.compare import Comparison, Line, compare

PUBLISHED: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "LSTM (Gu, Goel & Ré 2022)": {"sequential": 98.9, "permuted": 95.11},
        "UR-LSTM (Gu et al. 2020)": {"sequential": 99.28, "permuted": 96.96},
        "GRU (Greydanus 2020)": {"curves": 91, "shuffled curves": 57},
        "convolutional (Greydanus 2020)": {"curves": 94, "shuffled curves": 56},
        "three layers, no recurrence (Greydanus 2020)": {"curves": 68, "shuffled curves": 68},
        "people (Greydanus 2020)": {"curves": 96, "shuffled curves": 30},
    }
)
"""Test accuracy in per cent. Of all 784 pixels as "Efficiently Modeling Long Sequences with Structured State Spaces",
2022, prints it in its table 12; of curves as the README of the repository of "Scaling down deep learning", 2020, does
(people on shuffled ones: about)."""


class Wording(NamedTuple):
    """How the legend speaks of what is read."""

    named: str
    published: str
    chance: str


WORDING: Mapping[str, Wording] = MappingProxyType(
    {
        "sequential": Wording("images", "of all 784 pixels", "the most frequent digit"),
        "curves": Wording("curves", "another draw of as many curves", "any digit"),
    }
)
"""By the first task."""


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
    lines += [
        (f"*{name}*", DASH, *(f"*{figures[order]:g}*" for order in orders))
        for name, figures in PUBLISHED.items()
        if set(orders) <= set(figures)
    ]
    lines += [("*chance*", DASH, *(f"*{100 * comparison.chance:.1f}*" for comparison in found))]
    table = markdown(("cell", "numbers learned", *(f"{order}, % right ↑" for order in orders)), lines)
    return f"{table}\n\n{_legend(rows, reference, WORDING[orders[0]])}"


def _size(rows: Sequence[Row], cell: str) -> int:
    return next(row.parameters for row in rows if row.variant == cell)


def _line(comparison: Comparison, cell: str) -> Line | None:
    return next((line for line in comparison.lines if line.variant == cell), None)


def _entry(line: Line | None) -> str:
    """Mean, half of the interval, and the mark of a difference."""
    if line is None:
        return DASH
    return f"{centre([100 * score for score in line.scores], '{:.2f}'.format)} {MARKS[line.verdict]}".strip()


def _legend(rows: Sequence[Row], reference: str, wording: Wording) -> str:
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
        f"Test {wording.named} named rightly: {spread}. Italics: published, {wording.published}; chance: "
        f"{wording.chance}.{lost} {len(rows)} networks of {rows[0].hidden_size} cells, {updates:,} updates each, "
        f"{minutes:.0f} minutes of wall time ({computed_by(rows)}). "
        f"{named(row.variant for row in rows)}"
    )
