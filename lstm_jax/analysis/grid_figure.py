"""The figure of variants x initialisations: a panel a task, a row a variant, a column an initialisation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lstm_jax.analysis.forest import FAR, MAGNITUDES
from lstm_jax.analysis.paper import COLUMN_INCHES, FONT, new_figure, styled, title
from lstm_jax.analysis.report import DASH, MARKS
from lstm_jax.studies.grid import Cell, Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap, Normalize
    from matplotlib.figure import Figure

COLOURS = "viridis"
"""Even to the eye, in grey and for every kind of colour vision; the bright end is the better one in every panel."""
MISSING = "#EEEEEE"
ROW_INCHES = 0.185
REST_INCHES = 1.0
"""Height of title, names of the initialisations, colour bar and legend."""
APART = 0.22
"""Room between the reference and the others, in rows."""
NUMBER = 6.3
BRIGHT = 0.25
"""Relative luminance above which text is dark."""


def grid_figure(found: Sequence[Grid]) -> Figure:
    """Mean test scores as colour and number, ▲ and ▼ where a start differs from the standard one of its variant.

    Equal weights are one broad cell: they were run once. Errors that differ by orders of magnitude have logarithmic
    colours. One panel is one column of a paper wide, two or three are two columns wide.

    Raises:
        ImportError: without matplotlib.
    """
    columns = 2 if len(found) in (2, 4) else min(3, len(found))
    rows = math.ceil(len(found) / columns)
    variants = max(len(grid.variants) for grid in found)
    width = COLUMN_INCHES * min(2, columns)
    with styled({**FONT, "hatch.linewidth": 0.4}):
        figure = new_figure(width, rows * (REST_INCHES + ROW_INCHES * variants))
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03)
        panels = figure.subplots(rows, columns, squeeze=False)
        for n, (axes, grid) in enumerate(zip(panels.flat, found, strict=False)):
            _panel(figure, axes, grid)
            if n % columns and grid.variants == found[n - 1].variants:
                axes.set_yticklabels([])
            axes.set_title(title(n, len(found), grid.task), pad=4, loc="left")
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        legend = (";\n" if columns == 1 else "; ").join(_legend(found))
        figure.supxlabel(legend, fontsize=FONT["legend.fontsize"], color="#333333")
    return figure


def _panel(figure: Figure, axes: Axes, grid: Grid) -> None:
    from matplotlib.cm import ScalarMappable

    norm, colours = _scale(grid)
    for row, variant in enumerate(grid.variants):
        for first, count, cell in _runs(grid, variant):
            _cell(
                axes, (first, _height(row)), count, cell, None if cell is None else colours(norm(cell.interval.mean))
            )
    axes.set_xlim(0, len(grid.inits))
    axes.set_ylim(_height(len(grid.variants)), 0)
    axes.set_xticks([n + 0.5 for n in range(len(grid.inits))], grid.inits)
    axes.set_yticks([_height(row) + 0.5 for row in range(len(grid.variants))], grid.variants)
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        ScalarMappable(norm, colours), ax=axes, location="bottom", aspect=32, pad=0.02, fraction=0.05
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6, length=2, width=0.5, pad=1.5)
    bar.ax.minorticks_off()
    direction = "higher is better" if grid.higher_is_better else "lower is better"
    chance = f"; chance {grid.chance:.3g}" if math.isfinite(grid.chance) else ""
    bar.set_label(f"test {grid.metric} ({direction}{chance})", labelpad=1.5, fontsize=6.5)


def _height(row: int) -> float:
    """Where a row begins, counted from the top."""
    return row + (APART if row else 0.0)


def _runs(grid: Grid, variant: str) -> Iterator[tuple[int, int, Cell | None]]:
    """Column, number of columns and cell of each cell to draw: neighbours with the same runs are one."""
    cells = [grid.cells.get((variant, init)) for init in grid.inits]
    first = 0
    for n in range(1, len(cells) + 1):
        before, now = cells[first], cells[n] if n < len(cells) else None
        if n == len(cells) or before is None or now is None or now.source != before.source:
            yield first, n - first, before
            first = n


def _cell(axes: Axes, corner: tuple[float, float], count: int, cell: Cell | None, colour: Any) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, count, 1, facecolor=colour or MISSING, edgecolor="white", lw=0.9))
    ink = "black" if colour is None or luminance(colour) > BRIGHT else "white"
    text = DASH if cell is None else f"{short(cell.interval.mean)} {MARKS[cell.verdict]}".strip()
    middle = corner[0] + count / 2, corner[1] + 0.52
    axes.text(*middle, text, ha="center", va="center", fontsize=NUMBER, color=ink)


def luminance(colour: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.1)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def short(value: float) -> str:
    """Two decimals from 0.1 on, two significant figures below: what fits into a cell."""
    if abs(value) >= 0.1 or value == 0:
        return f"{value:.2f}" if abs(value) < 10 else f"{value:#.3g}"
    if abs(value) >= 1e-3:
        return f"{value:#.2g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}e{int(power)}"


def _scale(grid: Grid) -> tuple[Normalize, Colormap]:
    """From the worst to the best score, or to a chance that is near: linear, logarithmic for errors far apart."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize

    means = [cell.interval.mean for cell in grid.cells.values()]
    low, high = min(means), max(means)
    if abs(grid.chance - min(max(grid.chance, low), high)) <= FAR * (high - low):
        low, high = min(low, grid.chance), max(high, grid.chance)
    colours = colormaps[COLOURS if grid.higher_is_better else f"{COLOURS}_r"]
    if not grid.higher_is_better and low > 0 and high > MAGNITUDES * low:
        return LogNorm(low, high), colours
    return Normalize(low, high if high > low else low + 1.0), colours


def _legend(found: Sequence[Grid]) -> list[str]:
    """What the marks and the broad cells mean, as far as there are any."""
    shown = {cell.verdict for grid in found for cell in grid.cells.values()}
    words = {"better": "▲ better", "worse": "▼ worse"}
    marks = ", ".join(text for verdict, text in words.items() if verdict in shown)
    parts = [f"{marks} than the standard start of the same variant"] if marks else []
    if any(cell.source != cell.init for grid in found for cell in grid.cells.values()):
        parts.append("broad cells: equal weights, run once")
    return parts
