"""Table and figure of the forecasting experiment, from its results alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.analysis.paper import COLUMN_INCHES, new_figure, styled
from lstm_jax.analysis.plots import COLORS
from lstm_jax.analysis.report import DASH, centre, centre_legend, computed_by, markdown, named, sizes, write_both
from lstm_jax.studies.collect import read_table
from lstm_jax.studies.forecasting import FAN, LINEAR, SCORES, ScoreRow
from lstm_jax.studies.forecasts import LEVELS
from lstm_jax.studies.subjects import subject_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INSIDE = "coverage_80"
POINTS: Mapping[str, str] = MappingProxyType({"mse": "MSE", "mae": "MAE"})
DOUBTS: Mapping[str, str] = MappingProxyType({"crps": "CRPS", INSIDE: "inside"})
TRUTH, MEDIAN, LINE, GREY = "#000000", "#0072B2", "#882255", "#999999"
"""What came, a network's median, the linear forecast (no colour of a cell), and other baselines."""
FANS = 2
"""Cells whose samples are shown: the reference, and the first of which something was taken away."""
FAR = 1.3
"""Baselines that come so many times above the worst cell are left to the table."""
BANDS = ("#9ACBEA", "#D9ECF8")
"""One a level, opaque: what the legend shows is what is drawn."""


def publish(folder: Path) -> tuple[Path, Path]:
    """Write ``table.md`` and ``figure.png`` into the folder of the results; returns both paths."""
    with np.load(folder / FAN) as fans:
        figure = forecast_figure(read_table(folder / SCORES, ScoreRow), {name: fans[name] for name in fans.files})
    return write_both(folder, readme_section(folder) + "\n", figure)


def readme_section(folder: Path) -> str:
    """A table a series: squared and absolute error, ranked probability and coverage, by steps ahead."""
    found = read_table(folder / SCORES, ScoreRow)
    parts = []
    for series in dict.fromkeys(row.series for row in found):
        of_series = [row for row in found if row.series == series]
        points, doubts = (_table(of_series, names) for names in (POINTS, DOUBTS))
        title = subject_of(series).title
        parts.append(f"### {title}: how far off\n\n{points}\n\n### {title}: how sure\n\n{doubts}")
    return "\n\n".join([*parts, _legend(found)])


def _table(rows: Sequence[ScoreRow], names: Mapping[str, str]) -> str:
    """A row a model, a column a horizon and a score of ``names``."""
    horizons = sorted({row.horizon for row in rows})
    models = list(dict.fromkeys(row.model for row in rows))

    def of(model: str, horizon: int) -> list[ScoreRow]:
        return [row for row in rows if (row.model, row.horizon) == (model, horizon)]

    lines = []
    for model in models:
        cells = [model, sizes(row.parameters for row in rows if row.model == model)]
        for horizon in horizons:
            for name in names:
                best = float(np.nanmin([_mean(of(other, horizon), name) for other in models]))
                here = of(model, horizon)
                cells.append(_inside(here) if name == INSIDE else _cell(here, name, best))
        lines.append(tuple(cells))
    header = ("model", "numbers learned", *(f"{text} {steps}" for steps in horizons for text in names.values()))
    return markdown(header, lines)


def _inside(rows: Sequence[ScoreRow]) -> str:
    return " / ".join(f"{100 * _mean(rows, name):.0f}" for name in (INSIDE, "coverage_95"))


def _values(rows: Sequence[ScoreRow], name: str) -> list[float]:
    """Those of the seeds that have a score."""
    return [value for row in rows if not math.isnan(value := getattr(row, name))]


def _mean(rows: Sequence[ScoreRow], name: str) -> float:
    values = _values(rows, name)
    return sum(values) / len(values) if values else math.nan


def _cell(rows: Sequence[ScoreRow], name: str, best: float) -> str:
    values = _values(rows, name)
    if not values:
        return DASH
    text = centre(values, "{:.3f}".format)
    return f"**{text}**" if _mean(rows, name) <= best else text


def _legend(found: Sequence[ScoreRow]) -> str:
    count = max(row.windows for row in found)
    seeds = len({row.seed for row in found if row.seed >= 0})
    diverged = sorted({(row.model, row.seed) for row in found if math.isnan(row.mse)})
    lost = f"Diverged, and left out: {', '.join(f'{model} {seed}' for model, seed in diverged)}. " if diverged else ""
    subject = subject_of(found[0].series)
    levels = " and ".join(f"{100 * level:.0f}" for level in LEVELS)
    return (
        f"Test part, deviations of the training {subject.steps}; means over the {subject.steps} ahead"
        f"{subject.besides}; lower is better, bold: best of a column. {count} forecasts. Cells: "
        f"{centre_legend([seeds])}; MSE of the mean, MAE of the median sample. Inside: "
        f"per cent of what came within the central {levels} % intervals. Others: MSE and MAE of their one forecast; "
        "samples: the forecast and each of their errors on validation, in deviations of the known values. "
        f"{lost}({computed_by(found)}). {named(row.model for row in found)}"
    )


def forecast_figure(found: Sequence[ScoreRow], fans: Mapping[str, np.ndarray]) -> Figure:
    """Ranked probability against steps ahead, a line a model; below, what the first cells said of one window: what was
    known, what came, median and central intervals of one network's samples, and the linear forecast.

    Raises:
        ImportError: without matplotlib.
    """
    context = int(fans["context"])
    names = [name for name in fans if name != "context" and not name.endswith((" truth", f" {LINEAR}"))]
    series = list(dict.fromkeys(name.split(" ", 1)[0] for name in names))
    cells = list(dict.fromkeys(name.split(" ", 1)[1] for name in names))[:FANS]
    with styled():
        figure = new_figure(COLUMN_INCHES * len(series), 2.9 + 1.2 * len(cells))
        heights = [1.8, *[1.0] * len(cells)]
        panels = figure.subplots(1 + len(cells), len(series), squeeze=False, height_ratios=heights)
        for column, one in zip(panels.T, series, strict=True):
            subject = subject_of(one)
            _lines(column[0], [row for row in found if row.series == one])
            column[0].set_title(f"{subject.title}: how far off, and how sure", pad=3, loc="left")
            column[0].set_xlabel(f"{subject.steps} ahead")
            for axes, cell in zip(column[1:], cells, strict=True):
                _fan(axes, fans[f"{one} {cell}"], fans.get(f"{one} {LINEAR}"), fans[f"{one} truth"], context)
                axes.set_title(f"{cell}: {subject.shown}", pad=3, loc="left")
            column[-1].set_xlabel(f"{subject.steps} from the last known one")
        shown = panels[1, 0].get_legend_handles_labels()
        figure.legend(*shown, loc="outside lower center", frameon=False, ncols=3)
    return figure


def _lines(axes: Axes, rows: Sequence[ScoreRow]) -> None:
    """The mean of the seeds of each model; a baseline that is far above all cells is left to the table."""
    horizons = sorted({row.horizon for row in rows})
    models = dict.fromkeys(row.model for row in rows)
    scores = {
        model: [
            _mean([row for row in rows if (row.model, row.horizon) == (model, ahead)], "crps") for ahead in horizons
        ]
        for model in models
    }
    learned = {row.model for row in rows if row.seed >= 0}
    ceiling = FAR * float(np.nanmax([scores[model] for model in learned]))
    colors, dashes = cycle(COLORS), cycle(("--", ":", "-."))
    for model, values in scores.items():
        if model in learned:
            axes.plot(horizons, values, color=next(colors), linewidth=0.9, marker="o", markersize=2, label=model)
        elif model == LINEAR:
            axes.plot(horizons, values, color=LINE, linewidth=1.1, linestyle="--", label=model)
        elif np.nanmax(values) < ceiling:
            axes.plot(horizons, values, color=GREY, linewidth=0.9, linestyle=next(dashes), label=model)
    axes.set_xscale("log")
    axes.set_xticks(horizons, [str(ahead) for ahead in horizons])
    axes.minorticks_off()
    axes.set_ylabel("CRPS")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.spines[["top", "right"]].set_visible(False)


def _fan(axes: Axes, quantiles: np.ndarray, linear: np.ndarray | None, truth: np.ndarray, context: int) -> None:
    steps = np.arange(len(truth)) - context + 1
    ahead = steps[context:]
    for n, level in reversed(list(enumerate(LEVELS))):
        low, high = quantiles[1 + 2 * n : 3 + 2 * n]
        axes.fill_between(ahead, low, high, color=BANDS[n], linewidth=0, label=f"{100 * level:.0f} % of samples")
    axes.plot(ahead, quantiles[0], color=MEDIAN, linewidth=0.8, label="median")
    if linear is not None:  # earlier runs kept none
        axes.plot(ahead, linear, color=LINE, linewidth=0.8, linestyle="--", label="linear")
    axes.plot(steps, truth, color=TRUTH, linewidth=0.6, label="what came")
    axes.axvline(0, color=TRUTH, linewidth=0.4, linestyle=":")
    low, high = np.quantile([*truth, *quantiles.flat], (0.005, 0.995))  # single steps of a few samples reach far
    axes.set_ylim(min(low, truth.min()) - 0.05, max(high, truth.max()) + 0.05)
    axes.set_ylabel("deviations")
    axes.margins(x=0)
    axes.spines[["top", "right"]].set_visible(False)
