"""The figure of a comparison: a panel a task, a row a variant, every seed a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lstm_jax.analysis.paper import CHANCE, COLUMN_INCHES, STYLE, new_figure, styled, title
from lstm_jax.studies.compare import Comparison, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = "#56B4E9"
MAGNITUDES = 30
"""Errors whose largest is this many times the smallest are drawn on a logarithmic axis."""
FAR = 0.5
"""Chance is drawn as a line up to this share of the axis away from it."""
MARGIN = 0.06
BOUNDS = {
    **dict.fromkeys(("accuracy", "wrong"), (0.0, 1.0)),
    **dict.fromkeys(("error", "mse", "nll"), (0.0, math.inf)),
}
"""Where scores can be; intervals are drawn no further (tables state them whole)."""


def forest_figure(comparisons: Sequence[Comparison]) -> Figure:
    """Points for seeds, mean and 95 % interval for each variant, the reference's interval as a band, chance as a line.

    Two panels a row, one column of a paper wide.

    Raises:
        ImportError: without matplotlib.
    """
    variants = list(dict.fromkeys(line.variant for comparison in comparisons for line in comparison.lines))
    columns = min(2, len(comparisons))
    rows = math.ceil(len(comparisons) / columns)
    height = rows * (0.62 + 0.135 * len(variants)) + 0.34
    with styled():
        figure = new_figure(COLUMN_INCHES, height)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        shown = False
        for n, (axes, comparison) in enumerate(zip(grid.flat, comparisons, strict=False)):
            shown |= _panel(axes, comparison, variants)
            axes.set_title(title(n, len(comparisons), comparison.task), pad=3, loc="left")
        for axes in grid.flat[len(comparisons) :]:
            axes.set_visible(False)
        _legend(figure, comparisons, chance=shown)
    return figure


def _panel(axes: Axes, comparison: Comparison, variants: Sequence[str]) -> bool:
    """Draw one task; whether chance is a line in it."""
    lines = {line.variant: line for line in comparison.lines}
    place = {variant: -n for n, variant in enumerate(variants)}
    _scale(axes, comparison)
    reference = lines.get(comparison.reference)
    if reference is not None and not math.isnan(reference.interval.low):
        axes.axvspan(*_drawn(comparison, reference), color=BAND, alpha=0.3, lw=0, zorder=0)
    chance = _chance(axes, comparison)
    _bound(axes, comparison)
    for variant, line in lines.items():
        _line(axes, line, _drawn(comparison, line), place[variant])
    axes.set_yticks(list(place.values()), list(place))
    axes.set_ylim(-len(variants) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        f"{comparison.metric} ({'higher' if comparison.higher_is_better else 'lower'} is better)", labelpad=1
    )
    axes.grid(axis="y", color="#EEEEEE", lw=0.5, zorder=-1)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return chance


def _bound(axes: Axes, comparison: Comparison) -> None:
    """Nothing is drawn where no score can be, but for room for a marker at the very end."""
    least, most = BOUNDS.get(comparison.metric, (-math.inf, math.inf))
    low, high = axes.get_xlim()
    room = 0.03 * (high - low)
    if axes.get_xscale() == "linear":
        axes.set_xlim(max(low, least - room), min(high, most + room))


def _scale(axes: Axes, comparison: Comparison) -> None:
    """Room for all scores and drawn intervals; errors that differ by orders of magnitude get a logarithmic axis."""
    scores = [score for line in comparison.lines for score in line.scores]
    ends = [end for line in comparison.lines for end in _drawn(comparison, line) if not math.isnan(end)]
    if comparison.higher_is_better or min(scores) <= 0 or max(scores) < MAGNITUDES * min(scores):
        axes.locator_params(axis="x", nbins=4, steps=[1, 2, 2.5, 5, 10])
        _limit(axes, min(scores + ends), max(scores + ends))
        return
    # Intervals may reach 0, which no logarithmic axis shows: they are cut at its edge.
    axes.set_xscale("log", nonpositive="clip")
    axes.xaxis.get_major_locator().set_params(numticks=8)  # every decade, where there are not many
    _limit(axes, min(scores), max(scores + ends))
    axes.tick_params(axis="x", which="minor", length=1.5)


def _drawn(comparison: Comparison, line: Line) -> tuple[float, float]:
    """The part of the interval where means can be: a t-interval knows no bounds, an error below 0 does not exist."""
    least, most = BOUNDS.get(comparison.metric, (-math.inf, math.inf))
    low, high = line.interval.low, line.interval.high
    if math.isnan(low):
        return low, high
    return max(low, min(least, *line.scores)), min(high, max(most, *line.scores))


def _limit(axes: Axes, low: float, high: float) -> None:
    """From low to high with a margin that looks the same on every scale."""
    transform = axes.xaxis.get_transform()
    left, right = transform.transform([low, high])
    margin = MARGIN * (right - left) or MARGIN * max(abs(left), 1.0)
    axes.set_xlim(*transform.inverted().transform([left - margin, right + margin]))


def _chance(axes: Axes, comparison: Comparison) -> bool:
    """A dashed line where chance is on or near the axis; far away its value at the edge, at no cost of resolution."""
    if not math.isfinite(comparison.chance):
        return False
    transform = axes.xaxis.get_transform()
    left, right, at = transform.transform([*axes.get_xlim(), comparison.chance])
    place = (at - left) / (right - left)
    if -FAR <= place <= 1 + FAR:
        if not 0 <= place <= 1:
            _limit(axes, min(axes.get_xlim()[0], comparison.chance), max(axes.get_xlim()[1], comparison.chance))
        axes.axvline(comparison.chance, color=CHANCE, lw=0.8, ls=(0, (4, 2)), zorder=1)
        return True
    above = place > 1
    text = f"chance {comparison.chance:.3g} →" if above else f"← chance {comparison.chance:.3g}"
    axes.annotate(
        text, (0.99 if above else 0.01, 0.985), xycoords="axes fraction", ha="right" if above else "left", va="top",
        fontsize=5.5, color=CHANCE,
    )  # fmt: skip
    return False


def _line(axes: Axes, line: Line, interval: tuple[float, float], height: float) -> None:
    style = STYLE[line.verdict]
    # Seeds fan out around the row by their order, so that equal scores stay visible and the figure stays the same.
    count = len(line.scores)
    offsets = [0.5 * ((n + 0.5) / count - 0.5) for n in range(count)]
    heights = [height + offset for offset in offsets]
    axes.scatter(line.scores, heights, s=4, color=style["color"], alpha=0.5, lw=0, zorder=2)
    if not math.isnan(line.interval.low):
        axes.plot(interval, [height] * 2, color=style["color"], lw=1.1, zorder=3)
    axes.plot(
        [line.interval.mean], [height], ls="", ms=3.6, mec="white", mew=0.4, zorder=4,
        color=style["color"], marker=style["marker"],
    )  # fmt: skip


def _legend(figure: Figure, comparisons: Sequence[Comparison], chance: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    reference = comparisons[0].reference
    lines = [line for comparison in comparisons for line in comparison.lines]
    spread = any(math.isfinite(line.interval.low) for line in lines)
    neutral = "mean, no difference shown" if any(len(line.scores) > 1 for line in lines) else "score of one seed"
    labels = {"": neutral, "worse": f"worse than {reference}", "better": f"better than {reference}"}
    present = {line.verdict for line in lines}
    bar = "-" if spread else ""
    handles: list = [
        Line2D([], [], ls=bar, lw=1.1, ms=4, mec="white", mew=0.5, label=labels[verdict], **STYLE[verdict])
        for verdict in labels
        if verdict in present
    ]
    if any(len(line.scores) > 1 for line in lines):
        handles.append(Line2D([], [], ls="", marker="o", ms=2, color=STYLE[""]["color"], alpha=0.5, label="one seed"))
    if spread:
        handles.append(Patch(color=BAND, alpha=0.3, lw=0, label=f"95 % interval of {reference}"))
    if chance:
        handles.append(Line2D([], [], color=CHANCE, lw=0.8, ls=(0, (4, 2)), label="chance"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, handlelength=1.6, columnspacing=1.2,
        handletextpad=0.5, borderpad=0.1,
    )  # fmt: skip
