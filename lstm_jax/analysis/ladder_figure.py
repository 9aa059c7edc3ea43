"""The heat map of variants x lengths: a panel a task, a row a variant, a column a length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lstm_jax.analysis.grid_figure import APART, BRIGHT, COLOURS, MISSING, NUMBER, ROW_INCHES, luminance
from lstm_jax.analysis.ladder_report import criterion_text
from lstm_jax.analysis.paper import COLUMN_INCHES, FONT, new_figure, styled, title
from lstm_jax.analysis.report import DASH, MARKS
from lstm_jax.studies.grid import SEPARATOR
from lstm_jax.studies.ladder import Climb, Ladder, axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REST_INCHES = 0.55
"""Height of title and lengths of one row of panels."""
FOOT_INCHES = 0.75
"""Height of colour bar and legend."""
FRONTIER = "#D55E00"
WIDE = 34
"""Letters of a title that fit above a panel."""


def ladder_figure(found: Sequence[Ladder]) -> Figure:
    """The share of seeds that solved each length as colour and count; a line where each variant breaks down.

    ▲ and ▼ beside a row: more or fewer trials solved than the reference; than the usual start of the same variant in
    the rows below the gap. One panel is one column of a paper wide, two or three are two columns wide.

    Raises:
        ImportError: without matplotlib.
    """
    columns = 2 if len(found) in (2, 4) else min(3, len(found))
    most = [max(len(ladder.climbs) for ladder in found[n : n + columns]) for n in range(0, len(found), columns)]
    heights = [REST_INCHES + ROW_INCHES * (variants + 2 * APART) for variants in most]
    size = COLUMN_INCHES * min(2, columns), sum(heights) + FOOT_INCHES
    with styled():
        figure = new_figure(*size)
        figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.03)
        panels = figure.subplots(len(most), columns, squeeze=False, height_ratios=heights)
        for n, (axes, ladder) in enumerate(zip(panels.flat, found, strict=False)):
            _panel(axes, ladder, most[n // columns])
            criterion = criterion_text(ladder.metric, ladder.higher_is_better, ladder.criterion)
            name = title(n, len(found), ladder.task)
            gap = "\n" if len(name + criterion) > WIDE else " "
            axes.set_title(f"{name}:{gap}{criterion}", pad=4, loc="left")
        for axes in panels.flat[len(found) :]:
            axes.set_visible(False)
        _foot(figure, panels, found)
    return figure


def _panel(axes: Axes, ladder: Ladder, most: int) -> None:
    heights = _heights(ladder.climbs)
    for climb, height in zip(ladder.climbs, heights, strict=True):
        _row(axes, climb, ladder.lengths, height)
    axes.set_xlim(0, len(ladder.lengths) + 0.35)
    axes.set_ylim(most + 2 * APART, 0)
    axes.set_xticks([n + 0.5 for n in range(len(ladder.lengths))], [f"{length}" for length in ladder.lengths])
    axes.set_yticks([height + 0.5 for height in heights], [climb.variant for climb in ladder.climbs])
    axes.tick_params(length=0, pad=2)
    axes.xaxis.tick_top()
    axes.annotate(
        axis(ladder.task),
        (0, 1),
        (-4, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=6.5,
    )
    axes.spines[:].set_visible(False)


def _heights(climbs: Sequence[Climb]) -> list[float]:
    """Where each row begins, counted from the top: the reference, the others, and other starts stand apart."""
    first = next((n for n, climb in enumerate(climbs) if SEPARATOR in climb.variant), len(climbs))
    return [n + APART * (n > 0) + APART * (n >= first) for n in range(len(climbs))]


def _row(axes: Axes, climb: Climb, lengths: Sequence[int], height: float) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    for n, length in enumerate(lengths):
        rung = climb.rungs.get(length)
        share = None if rung is None else rung.share.successes / rung.share.trials
        colour = None if share is None else colormaps[COLOURS](share)
        axes.add_patch(Rectangle((n, height), 1, 1, facecolor=colour or MISSING, edgecolor="white", lw=0.9))
        ink = "black" if colour is None or luminance(colour) > BRIGHT else "white"
        text = DASH if rung is None else f"{rung.share.successes}/{rung.share.trials}"
        place = n + 0.5, height + 0.52
        axes.text(*place, text, ha="center", va="center", fontsize=NUMBER, color=ink)
    if lengths[0] in climb.rungs:
        edge = 0 if climb.reach is None else lengths.index(climb.reach) + 1
        axes.plot([edge, edge], [height + 0.04, height + 0.96], color=FRONTIER, lw=1.8, clip_on=False, zorder=3)
    axes.text(len(lengths) + 0.08, height + 0.52, MARKS[climb.verdict], va="center", fontsize=NUMBER)


def _foot(figure: Figure, panels: Sequence[Sequence[Axes]], found: Sequence[Ladder]) -> None:
    """One colour bar for all, and what lines and marks mean, as far as there are any."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    scale = ScalarMappable(Normalize(0, 1), COLOURS)
    bar = figure.colorbar(scale, ax=panels, location="bottom", aspect=40, pad=0.02, shrink=0.6, fraction=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6, length=2, width=0.5, pad=1.5)
    bar.set_label("share of seeds that solved it", labelpad=1.5, fontsize=6.5)
    shown = {climb.verdict for ladder in found for climb in ladder.climbs}
    words = {"better": "▲ more", "worse": "▼ fewer"}
    marks = ", ".join(text for verdict, text in words.items() if verdict in shown)
    parts = ["line: solved up to here"]
    if marks:
        parts.append(f"{marks} solved than {found[0].reference}")
        if any(SEPARATOR in climb.variant for ladder in found for climb in ladder.climbs):
            parts.append("below the gap: than the same cell with the usual start")
    legend = (";\n" if len(found) == 1 else "; ").join(parts)
    figure.supxlabel(legend, fontsize=FONT["legend.fontsize"], color="#333333")
