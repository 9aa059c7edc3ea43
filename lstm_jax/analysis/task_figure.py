"""Sample sequences of a task as images: inputs, targets, and the steps that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.analysis.paper import new_figure, styled
from lstm_jax.analysis.plots import STYLE
from lstm_jax.analysis.task_text import is_one_hot, symbol_names
from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = "cividis"
NOTHING = "#EEEEEE"
"""Where nothing is asked."""
NAMED = 12
"""Rows up to this many carry their names."""
WIDTH = 6.5
ROW_INCHES, LEAST_INCHES, MOST_INCHES = 0.11, 0.16, 1.8


def task_figure(task: Task, batch: Batch) -> Figure:
    """Three panels a sequence, steps from left to right: inputs, targets (grey where none counts), counted steps.

    Classes are drawn as one-hot rows. A colour bar stands beside what is not all 0 and 1.

    Raises:
        ImportError: without matplotlib.
    """
    images = [image for n in range(len(np.asarray(batch.lengths))) for image in _images(task, batch, n)]
    heights = [float(np.clip(ROW_INCHES * len(values), LEAST_INCHES, MOST_INCHES)) for _, values, _ in images]
    with styled(STYLE):
        figure = new_figure(WIDTH, sum(heights) + 0.09 * len(images) + 0.75)
        figure.get_layout_engine().set(h_pad=0.02)
        panels = figure.subplots(len(images), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (title, values, names) in zip(panels, images, strict=True):
            _image(axes, title, values, names)
        for axes in panels[:-1]:
            axes.tick_params(axis="x", length=0)
        panels[0].set_title(f"{task.name}: {task.summary}", loc="left", pad=4)
        panels[-1].set_xlabel("time step")
    return figure


def _images(task: Task, batch: Batch, n: int) -> list[tuple[str, np.ndarray, tuple[str, ...]]]:
    """Title, values ``(rows, T)`` and names of the rows of each panel; NaN where there is nothing."""
    inside = np.arange(batch.inputs.shape[0]) < np.asarray(batch.lengths)[n]
    counted = np.asarray(batch.loss_mask)[:, n]
    inputs, targets = np.asarray(batch.inputs)[:, n], np.asarray(batch.targets)[:, n]
    one_hot = is_one_hot(inputs[inside])
    rows = symbol_names(task, task.input_size) if one_hot else tuple(str(k) for k in range(task.input_size))
    if task.loss == "softmax":
        targets = np.eye(task.output_size)[targets]
    return [
        (f"input {n}", np.where(inside, inputs.T, np.nan), rows),
        ("target", np.where(counted, targets.T, np.nan), symbol_names(task, task.output_size)),
        ("counted", np.where(inside, counted, np.nan)[None], ("",)),
    ]


def _image(axes: Axes, title: str, values: np.ndarray, names: tuple[str, ...]) -> None:
    from matplotlib import colormaps

    present = values[~np.isnan(values)]
    bits = set(present.tolist()) <= {0.0, 1.0}
    low, high = (0.0, 1.0) if bits else (present.min(), present.max())
    colours = colormaps[COLOURS].with_extremes(bad=NOTHING)
    image = axes.imshow(values, aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap=colours)
    axes.set_ylabel(title, rotation=0, ha="right", va="center", labelpad=6)
    axes.set_yticks(range(len(names)) if 1 < len(names) <= NAMED else [])
    if 1 < len(names) <= NAMED:
        axes.set_yticklabels(names, fontsize=5.5)
    axes.tick_params(axis="y", length=0, pad=2)
    axes.spines[:].set_visible(False)
    if not bits:
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, ticks=[low, high])
        bar.outline.set_visible(False)
        bar.ax.set_yticklabels([f"{low:.2g}", f"{high:.2g}"], fontsize=6)
        bar.ax.tick_params(length=1.5, width=0.4)
