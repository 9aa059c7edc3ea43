"""The figure of a search's best trials: a panel a task, a box a variant, parameter counts behind."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lstm_jax.analysis.paper import CHANCE, COLUMN_INCHES, FONT, SMALL, STYLE, bare, new_figure, styled, title
from lstm_jax.analysis.report import number
from lstm_jax.studies.search import Contender, Search, TaskSearch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BARS = "#EDEDED"
LINE = "#009E73"
FAR, CUT = 6.0, 6.0
"""Boxes whose median is FAR typical distances from the reference's leave the axis; whiskers are cut at CUT of them."""
MARGIN = 0.07
TINT = 0.25


class Published(NamedTuple):
    """A published test score that is verified, drawn as a line."""

    score: float
    source: str


PUBLISHED = {"jsb_chorales": Published(8.45, "LSTM of Bai et al. 2018")}
"""By task. Bai, Kolter & Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling", 2018, table 1: negative log-likelihood in nats a step."""


def best_figure(search: Search) -> Figure:
    """Box plots of the chosen test scores: quartiles, whiskers over the full range, the median a line, the mean a dot.

    One panel is one column of a paper wide, more are two side by side.

    Raises:
        ImportError: without matplotlib.
    """
    columns = min(2, len(search.tasks))
    rows = math.ceil(len(search.tasks) / columns)
    with styled(SMALL):
        figure = new_figure(columns * COLUMN_INCHES, 2.1 * rows + (0.6 if columns == 1 else 0.35))
        grid = figure.subplots(rows, columns, squeeze=False)
        for n, (axes, task) in enumerate(zip(grid.flat, search.tasks, strict=False)):
            _panel(axes, task, search.reference)
            axes.set_title(title(n, len(search.tasks), task.task), pad=3, loc="left")
        for axes in grid.flat[len(search.tasks) :]:
            axes.set_visible(False)
        _legend(figure, search, 2 if columns == 1 else 6)
    return figure


def tint(color: str) -> str:
    """A light, opaque shade of a colour ``#RRGGBB``."""
    parts = (int(color[n : n + 2], 16) for n in (1, 3, 5))
    return "#" + "".join(f"{round(255 - TINT * (255 - part)):02X}" for part in parts)


def _panel(axes: Axes, task: TaskSearch, reference: str) -> None:
    low, high = _limits(task, reference)
    axes.set_ylim(low, high)
    _bars(axes, task)
    for place, contender in enumerate(task.contenders):
        _box(axes, contender, place)
    if task.contenders[0].variant == reference:
        axes.axhline(
            statistics.median(task.contenders[0].scores), color=STYLE[""]["color"], lw=0.7, ls=(0, (4, 2)), zorder=2
        )
    published = PUBLISHED.get(task.task)
    if published is not None and low <= published.score <= high:
        axes.axhline(published.score, color=LINE, lw=0.9, ls=(0, (1, 1)), zorder=2)
    if low <= task.chance <= high:
        axes.axhline(task.chance, color=CHANCE, lw=0.7, ls=(0, (1, 2)), zorder=2)
    names = [contender.variant.replace("_", "\n") for contender in task.contenders]  # CIFG_NOAF is twice as wide
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(task.contenders) - 0.4)
    direction = "higher" if task.higher_is_better else "lower"
    axes.set_ylabel(f"test {task.metric} ({direction} is better)", labelpad=2)
    axes.set_xlabel(_selection(task), labelpad=2)
    bare(axes)
    axes.tick_params(axis="x", length=0)
    if math.isfinite(task.chance):
        axes.set_title(f"chance {task.chance:.4g}", pad=3, loc="right", fontsize=6, color=CHANCE)


def _selection(task: TaskSearch) -> str:
    counts = {(len(contender.chosen), contender.trials) for contender in task.contenders}
    if len(counts) > 1:
        return "the best trials of each by validation"
    ((chosen, trials),) = counts
    return f"the best {chosen} of {trials} trials by validation" if chosen < trials else f"all {trials} trials"


def _limits(task: TaskSearch, reference: str) -> tuple[float, float]:
    """Room for every box that does not cost the others their resolution, and for a published score nearby."""
    medians = [statistics.median(contender.scores) for contender in task.contenders]
    center = medians[0] if task.contenders[0].variant == reference else statistics.median(medians)
    spreads = [float(np.diff(np.quantile(contender.scores, [0.25, 0.75]))[0]) for contender in task.contenders]
    distances = [max(abs(median - center), spread) for median, spread in zip(medians, spreads, strict=True)]
    typical = float(statistics.median(distances)) or 0.01 * abs(center) or 1.0
    near = [
        c.scores for c, median in zip(task.contenders, medians, strict=True) if abs(median - center) <= FAR * typical
    ]
    scores = [score for some in near for score in some if abs(score - center) <= CUT * typical] or [center]
    low, high = min(scores), max(scores)
    published = PUBLISHED.get(task.task)
    if published is not None and low - (high - low) <= published.score <= high + (high - low):
        low, high = min(low, published.score), max(high, published.score)
    margin = MARGIN * (high - low) or 0.01 * abs(center) or 1.0
    return low - margin, high + margin


def _bars(axes: Axes, task: TaskSearch) -> None:
    """Parameter counts on an axis of their own, behind everything."""
    behind = axes.twinx()
    behind.bar(range(len(task.contenders)), [c.parameters / 1e3 for c in task.contenders], 0.86, color=BARS, lw=0)
    behind.set_ylim(0, max(c.parameters for c in task.contenders) / 1e3 * 1.12)
    behind.set_ylabel("thousands of parameters", color=CHANCE, labelpad=3)
    behind.locator_params(axis="y", nbins=4)
    for side in ("top", "left", "bottom"):
        behind.spines[side].set_visible(False)
    behind.spines["right"].set_color("#BBBBBB")
    behind.tick_params(axis="y", colors=CHANCE, labelsize=FONT["xtick.labelsize"], color="#BBBBBB")
    axes.set_zorder(behind.get_zorder() + 1)
    axes.patch.set_visible(False)


def _box(axes: Axes, contender: Contender, place: int) -> None:
    verdict = contender.contrast.verdict if contender.contrast is not None else ""
    color = STYLE[verdict]["color"]
    low, high = axes.get_ylim()
    middle = statistics.median(contender.scores)
    if not low <= middle <= high:
        _beyond(axes, place, middle, color)
        return
    first, third = np.quantile(contender.scores, [0.25, 0.75])
    ends = {"whislo": min(contender.scores), "whishi": max(contender.scores)}
    box = {"q1": first, "q3": third, "med": middle, "mean": contender.interval.mean, "fliers": [], **ends}
    line = {"color": color, "lw": 0.9}
    axes.bxp(
        [box], positions=[place], widths=0.56, showmeans=True, showfliers=False, patch_artist=True, manage_ticks=False,
        boxprops={"facecolor": tint(color), "edgecolor": color, "lw": 0.9}, medianprops={**line, "lw": 1.6},
        whiskerprops=line, capprops=line, zorder=3,
        meanprops={"marker": "o", "ms": 2.6, "mfc": color, "mec": "white", "mew": 0.4},
    )  # fmt: skip
    for end in ends.values():
        if not low <= end <= high:
            edge = low + 0.02 * (high - low) if end < low else high - 0.02 * (high - low)
            axes.plot([place], [edge], marker="v" if end < low else "^", ms=3.5, color=color, zorder=4)


def _beyond(axes: Axes, place: int, median: float, color: str) -> None:
    """An arrow at the edge of the axis for a box that lies outside, with its median."""
    low, high = axes.get_ylim()
    above = median > high
    axes.annotate(
        "", (place, 1.0 if above else 0.0), (place, 0.86 if above else 0.14), xycoords=("data", "axes fraction"),
        arrowprops={"arrowstyle": "-|>", "color": color, "lw": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 6},
    )  # fmt: skip
    axes.annotate(
        f"median {number(median)}", (place, 0.84 if above else 0.16), xycoords=("data", "axes fraction"), rotation=90,
        ha="center", va="top" if above else "bottom", fontsize=6, color=color,
        bbox={"facecolor": "white", "lw": 0, "pad": 0.8},
    )  # fmt: skip


def _legend(figure: Figure, search: Search, columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    reference = search.reference
    labels = {"": "no difference shown", "worse": f"worse than {reference}", "better": f"better than {reference}"}
    verdicts = [c.contrast.verdict for task in search.tasks for c in task.contenders if c.contrast is not None]
    handles: list = [
        Patch(
            facecolor=tint(STYLE[verdict]["color"]), edgecolor=STYLE[verdict]["color"], lw=0.9, label=labels[verdict]
        )
        for verdict in labels
        if verdict in verdicts
    ]
    handles.append(Line2D([], [], color=STYLE[""]["color"], lw=0.7, ls=(0, (4, 2)), label=f"median of {reference}"))
    handles += [
        Line2D([], [], color=LINE, lw=0.9, ls=(0, (1, 1)), label=label) for label in _published(figure, search)
    ]
    handles.append(Patch(color=BARS, lw=0, label="parameters, median"))
    if any(low <= task.chance <= high for task, (low, high) in _scales(figure, search)):
        handles.append(Line2D([], [], color=CHANCE, lw=0.7, ls=(0, (1, 2)), label="chance"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=1.6,
        columnspacing=1.2, handletextpad=0.5, borderpad=0.1,
    )  # fmt: skip


def _published(figure: Figure, search: Search) -> list[str]:
    """Labels of the published scores that are drawn."""
    known = [(PUBLISHED.get(task.task), scale) for task, scale in _scales(figure, search)]
    return [f"{it.source}, {it.score}" for it, (low, high) in known if it is not None and low <= it.score <= high]


def _scales(figure: Figure, search: Search) -> list[tuple[TaskSearch, tuple[float, float]]]:
    """Each task with the ends of its vertical axis; the panels come first among the axes of the figure."""
    return [(task, axes.get_ylim()) for axes, task in zip(figure.axes, search.tasks, strict=False)]
