"""Pictures of what the other files of this room compute: arrays in, ``matplotlib`` figures out.

Colours are those of Okabe and Ito and maps that survive every kind of colour vision and a grey printer; line styles
and direct labels repeat what colours say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.analysis.paper import new_figure, styled

if TYPE_CHECKING:
    from jax.typing import ArrayLike
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)))
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "font.family": "DejaVu Sans",
    "figure.dpi": 130,
}
LETTERS = {
    "z": "block input",
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "r": "reset gate",
    "c": "cell",
    "y": "block output",
}
GATES = ("i", "f", "o", "r")


def plot_gates(
    activations: Mapping[str, ArrayLike],
    sequence: int = 0,
    length: int | None = None,
    events: Mapping[int, str] | None = None,
    width: float = 6.5,
) -> Figure:
    """One heat map a letter, cells over time: gates from 0 (dark) to 1 (light), the rest from negative to positive.

    Args:
        activations: by letter ``(T, B, H)``, as ``record_gates`` returns.
        sequence: which of the B.
        length: steps to show; None for all T.
        events: step -> short label, marked above the top panel and by a line through all.
        width: inches.

    Raises:
        ImportError: without matplotlib.
    """
    present = [letter for letter in LETTERS if letter in activations]
    figure = _figure(width, 0.62 * len(present) + 0.7)
    shown = {letter: np.asarray(activations[letter])[:length, sequence].T for letter in present}
    with styled(STYLE):
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for panel, (letter, values) in zip(axes, shown.items(), strict=True):
            _heat_map(panel, letter, values)
        _mark(axes, events or {}, line_at=-0.5)
    return figure


def plot_traces(
    activations: Mapping[str, ArrayLike],
    sequence: int = 0,
    cell: int = 0,
    events: Mapping[int, str] | None = None,
    width: float = 6.5,
) -> Figure:
    """One cell over time: a line a letter, in the order of the equations.

    Args:
        activations: by letter ``(T, B, H)``, as ``record_gates`` returns.
        sequence: which of the B.
        cell: which of the H.
        events: step -> short label, marked above the top panel and by a line through all.
        width: inches.

    Raises:
        ImportError: without matplotlib.
    """
    present = [letter for letter in LETTERS if letter in activations]
    figure = _figure(width, 0.5 * len(present) + 0.6)
    with styled(STYLE):
        axes = figure.subplots(len(present), 1, sharex=True, squeeze=False)[:, 0]
        for panel, letter in zip(axes, present, strict=True):
            values = np.asarray(activations[letter])[:, sequence, cell]
            color = COLORS[1] if letter in GATES else COLORS[0]
            panel.step(np.arange(values.size), values, where="mid", color=color, lw=1.3)
            panel.fill_between(np.arange(values.size), values, step="mid", color=color, alpha=0.2, lw=0)
            limit = max(1.0, float(np.abs(values).max(initial=0)))
            panel.set_ylim((-0.08, 1.08) if letter in GATES else (-1.08 * limit, 1.08 * limit))
            panel.set_xlim(-0.5, values.size - 0.5)
            panel.set_ylabel(_title(letter), rotation=0, ha="right", va="center", labelpad=6)
            for side in ("top", "right"):
                panel.spines[side].set_visible(False)
        _mark(axes, events or {})
    return figure


def _mark(panels: Sequence[Axes], events: Mapping[int, str], line_at: float = 0.0) -> None:
    """Events as lines through all panels, labels above the top one, and the time axis below the last."""
    for step, label in events.items():
        for panel in panels:
            panel.axvline(step + line_at, color="#333333", lw=0.7, ls=(0, (2, 2)))
        panels[0].annotate(
            label, (step, 1), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
            ha="center", va="bottom", fontsize=7,
        )  # fmt: skip
    panels[-1].set_xlabel("time step")


def _title(letter: str) -> str:
    return f"{LETTERS[letter]} ${letter}$"


def _heat_map(axes: Axes, letter: str, values: np.ndarray) -> None:
    """Cells from bottom to top, steps from left to right."""
    limit = max(1.0, float(np.abs(values).max(initial=0)))
    low, high, colors = (0.0, 1.0, "cividis") if letter in GATES else (-limit, limit, "PuOr_r")
    image = axes.imshow(
        values, aspect="auto", origin="lower", interpolation="nearest", vmin=low, vmax=high, cmap=colors
    )
    axes.set_ylabel(_title(letter), rotation=0, ha="right", va="center", labelpad=4)
    axes.set_yticks([])
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.025, pad=0.01, ticks=[low, high])
    bar.outline.set_linewidth(0.4)
    bar.ax.set_yticklabels([f"{low:.2g}", f"{high:.2g}"], fontsize=6.5)
    bar.ax.tick_params(length=1.5, width=0.4)


def plot_gradient_norms(
    norms: Mapping[str, ArrayLike], ylabel: str = "gradient norm", axes: Axes | None = None, floor: float = 1e-12
) -> Figure:
    """Size of a gradient against the time lag, on a logarithmic axis: median over sequences, quartiles as a band.

    Args:
        norms: label -> ``(lags,)`` or ``(lags, B)``; NaN is left out.
        ylabel: what the numbers are.
        axes: draw into these; None makes a figure of one panel.
        floor: values below are not shown (they are rounding).

    Raises:
        ImportError: without matplotlib.
    """
    with styled(STYLE):
        axes = _one_panel(axes)
        axes.axhline(1.0, color="#BBBBBB", lw=0.8, zorder=0)
        for n, (label, values) in enumerate(norms.items()):
            low, middle, high = _quartiles(np.asarray(values, float))
            middle = np.where(middle >= floor, middle, np.nan)
            color, dash = COLORS[n % len(COLORS)], DASHES[n % len(DASHES)]
            lags = np.arange(middle.size)
            axes.fill_between(lags, np.maximum(low, floor), np.maximum(high, floor), color=color, alpha=0.15, lw=0)
            axes.plot(lags, middle, color=color, ls=dash, lw=1.4, label=label)
        axes.set_yscale("log")
        axes.set_xlabel("time lag (steps)")
        axes.set_ylabel(ylabel)
        _finish(axes)
    return _figure_of(axes)


def plot_learning_curves(
    curves: Mapping[str, ArrayLike],
    ylabel: str = "loss",
    steps: Sequence[int] | None = None,
    chance: float | None = None,
    axes: Axes | None = None,
) -> Figure:
    """A score against training steps: median over trials, quartiles as a band, chance as a dotted line.

    Args:
        curves: label -> ``(K,)`` or ``(K, N)``, K records of N trials.
        ylabel: what the numbers are.
        steps: the K training steps; None counts records.
        chance: what remembering nothing achieves.
        axes: draw into these; None makes a figure of one panel.

    Raises:
        ImportError: without matplotlib.
    """
    with styled(STYLE):
        axes = _one_panel(axes)
        for n, (label, values) in enumerate(curves.items()):
            low, middle, high = _quartiles(np.asarray(values, float))
            at = np.arange(middle.size) if steps is None else np.asarray(steps)
            color, dash = COLORS[n % len(COLORS)], DASHES[n % len(DASHES)]
            axes.fill_between(at, low, high, color=color, alpha=0.15, lw=0)
            axes.plot(at, middle, color=color, ls=dash, lw=1.4, label=label)
        if chance is not None:
            axes.axhline(chance, color="#777777", lw=1.0, ls=":", label="remembers nothing")
        axes.set_xlabel("training step" if steps is not None else "record")
        axes.set_ylabel(ylabel)
        _finish(axes)
    return _figure_of(axes)


def _quartiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(K,)`` or ``(K, N)`` to lower quartile, median, upper quartile ``(K,)``; all-NaN rows stay NaN."""
    values = values if values.ndim == 2 else values[:, None]
    result = np.full((3, values.shape[0]), np.nan)
    present = ~np.isnan(values).all(axis=1)
    result[:, present] = np.nanquantile(values[present], (0.25, 0.5, 0.75), axis=1)
    return result[0], result[1], result[2]


def _finish(axes: Axes) -> None:
    axes.grid(color="#EEEEEE", lw=0.5)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=STYLE["xtick.labelsize"])
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_size(STYLE["axes.labelsize"])
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(_figure_of(axes).axes) == 1 else {}
    axes.legend(frameon=False, handlelength=2.4, **beside)


def _one_panel(axes: Axes | None) -> Axes:
    return _figure(5.6, 2.7).subplots() if axes is None else axes


def _figure_of(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _figure(width: float, height: float) -> Figure:
    with styled(STYLE):
        return new_figure(width, height)
