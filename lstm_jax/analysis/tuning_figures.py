"""Figures of what the hyperparameters of a search did: marginal curves over the trials, and shares of variance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.analysis.paper import CHANCE, COLUMN_INCHES, SMALL, bare, new_figure, styled, title
from lstm_jax.studies.importance import Importance
from lstm_jax.studies.search import Search, TaskSearch
from lstm_jax.studies.tuning import HYPERPARAMETERS, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVE, TRIALS = "#0072B2", "#777777"
COLORS = {"learning_rate": "#0072B2", "hidden_size": "#E69F00", "momentum": "#009E73", "input_noise": "#CC79A7"}
PAIRS, REST = "#777777", "#D5D5D5"
INK = 12.0
"""Points are the fainter, the more there are."""
READABLE = 0.05
"""Shares above it have room for their number."""
SIZES = (10, 20, 50, 100, 200, 500, 1000, 2000)
MOMENTA = (0.0, 0.5, 0.9, 0.99, 0.999)


def hyper_figure(search: Search) -> Figure | None:
    """A row a task, a column a hyperparameter: every trial a point, the marginal score with a band of one sd.

    None where no task has a curve.

    Raises:
        ImportError: without matplotlib.
    """
    tasks = [task for task in search.tasks if task.tuning.curves]
    names = [name for name in HYPERPARAMETERS if any(name in task.tuning.curves for task in tasks)]
    if not tasks:
        return None
    with styled(SMALL):
        figure = new_figure(2 * COLUMN_INCHES, 1.5 * len(tasks) + 0.35)
        grid = figure.subplots(len(tasks), len(names), squeeze=False, sharey="row")
        for n, (panels, task) in enumerate(zip(grid, tasks, strict=True)):
            for axes, name in zip(panels, names, strict=True):
                _panel(axes, search, task, name)
            direction = "higher" if task.higher_is_better else "lower"
            panels[0].set_ylabel(f"test {task.metric}\n({direction} is better)", labelpad=2)
            panels[0].set_title(title(n, len(tasks), task.task), pad=3, loc="left")
        for axes, name in zip(grid[-1], names, strict=True):
            axes.set_xlabel(HYPERPARAMETERS[name].label, labelpad=2)
        _hyper_legend(figure, tasks)
    return figure


def _panel(axes: Axes, search: Search, task: TaskSearch, name: str) -> None:
    rows = [row for row in search.rows if row.task == task.task]
    places = [_shown(name, getattr(row, name)) for row in rows]
    alpha = min(0.8, INK / math.sqrt(len(rows)))
    axes.scatter(places, task.tuning.responses, s=2.5, color=TRIALS, alpha=alpha, lw=0, zorder=1)
    if math.isfinite(task.chance):
        axes.axhline(task.chance, color=CHANCE, lw=0.7, ls=(0, (4, 2)), zorder=2)
    curve = task.tuning.curves.get(name)
    if curve is not None:
        _curve(axes, curve, [_shown(name, float(value)) for value in curve.at])
    _scale(axes, name, places)
    bare(axes)


def _curve(axes: Axes, curve: Curve, places: list[float]) -> None:
    low, high = curve.mean - curve.sd, curve.mean + curve.sd
    axes.fill_between(places, low, high, color=CURVE, alpha=0.35, lw=0, zorder=3)
    axes.plot(places, curve.mean, color=CURVE, lw=1.3, zorder=4)


def _shown(name: str, value: float) -> float:
    """Where a value stands on the drawn axis: momentum by what is lacking to 1, logarithmic and rising."""
    return -math.log10(1.0 - value) if name == "momentum" else value


def _scale(axes: Axes, name: str, places: Sequence[float]) -> None:
    if name == "momentum":
        axes.set_xticks([_shown(name, value) for value in MOMENTA], [f"{value:g}" for value in MOMENTA])
    if name in ("learning_rate", "hidden_size"):
        axes.set_xscale("log")
        axes.tick_params(axis="x", which="minor", length=0, labelbottom=False)
    if name == "hidden_size":
        axes.set_xticks(SIZES, [str(size) for size in SIZES])
    # Limits come last: ticks beyond them would widen the axis.
    transform = axes.xaxis.get_transform()
    low, high = transform.transform([min(places), max(places)])
    axes.set_xlim(*transform.inverted().transform([low - 0.03 * (high - low), high + 0.03 * (high - low)]))


def _hyper_legend(figure: Figure, tasks: list[TaskSearch]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list = [
        Line2D([], [], ls="", marker="o", ms=2.5, color=TRIALS, label="trial, all variants"),
        Line2D([], [], color=CURVE, lw=1.3, label="marginal mean of the forest"),
        Patch(color=CURVE, alpha=0.35, lw=0, label="± 1 sd over its trees"),
    ]
    if any(math.isfinite(task.chance) for task in tasks):
        handles.append(Line2D([], [], color=CHANCE, lw=0.7, ls=(0, (4, 2)), label="chance; worse trials stand here"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=4, frameon=False, handlelength=1.6, columnspacing=1.4,
        handletextpad=0.5, borderpad=0.1,
    )  # fmt: skip


def importance_figure(search: Search) -> Figure | None:
    """Shares of variance as stacked bars, one of the score and one of the training time for each task.

    None where no task has shares.

    Raises:
        ImportError: without matplotlib.
    """
    tasks = [task for task in search.tasks if task.tuning.score is not None or task.tuning.time is not None]
    if not tasks:
        return None
    bars = [
        (task, what, shares)
        for task in tasks
        for what, shares in (("score", task.tuning.score), ("training time", task.tuning.time))
        if shares is not None
    ]
    with styled(SMALL):
        figure = new_figure(COLUMN_INCHES, 0.23 * len(bars) + 0.13 * len(tasks) + 0.75)
        axes = figure.subplots()
        places, at, before = [], 0.0, None
        for task, _, shares in bars:
            if task is not before:
                at -= 0.62 if before is not None else 0.0
                axes.text(0.0, at + 0.5, task.task.replace("_", " "), fontsize=7, ha="left", va="bottom")
            _stack(axes, shares, at)
            places.append(at)
            at, before = at - 1.0, task
        axes.set_yticks(places, [what for _, what, _ in bars])
        axes.set_ylim(at + 0.5, 1.05)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of variance (%)", labelpad=2)
        bare(axes)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        _importance_legend(figure, [name for name in HYPERPARAMETERS if any(name in s.main for _, _, s in bars)])
    return figure


def parts(shares: Importance) -> Mapping[str, float]:
    """Mean shares by part: the hyperparameters alone, ``"pairs"`` together, the ``"rest"``."""
    mains = {name: share.mean for name, share in shares.main.items()}
    return {**mains, "pairs": sum(share.mean for share in shares.pairs.values()), "rest": shares.rest.mean}


def _stack(axes: Axes, shares: Importance, at: float) -> None:
    from matplotlib.colors import to_rgb

    left = 0.0
    for name, share in parts(shares).items():
        color = _color(name)
        axes.barh([at], [100 * share], 0.8, left=left, color=color, edgecolor="white", lw=0.5)
        if share >= READABLE:
            dark = np.dot(to_rgb(color), (0.299, 0.587, 0.114)) < 0.55
            axes.text(
                left + 50 * share, at, f"{100 * share:.0f}", fontsize=6, ha="center", va="center",
                color="white" if dark else "black",
            )  # fmt: skip
        left += 100 * share


def _color(name: str) -> str:
    return {**COLORS, "pairs": PAIRS, "rest": REST}[name]


def _importance_legend(figure: Figure, names: list[str]) -> None:
    from matplotlib.patches import Patch

    labels = {name: HYPERPARAMETERS[name].label for name in names}
    labels |= {"pairs": "pairs of them", "rest": "three or more"}
    handles = [Patch(color=_color(name), lw=0, label=label) for name, label in labels.items()]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, handlelength=1.2, columnspacing=1.2,
        handletextpad=0.5, borderpad=0.1,
    )  # fmt: skip
