"""What all figures share: sizes, fonts, colours and titles as in a paper, and how a figure becomes a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lstm_jax.train.records import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN_INCHES = 3.5
# Okabe and Ito's colours, told apart by every kind of colour vision; markers repeat what colours say.
STYLE = {
    "worse": {"color": "#D55E00", "marker": "v"},
    "better": {"color": "#0072B2", "marker": "^"},
    "": {"color": "#333333", "marker": "o"},
}
CHANCE = "#666666"
FONT = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "font.family": "DejaVu Sans",
}
SMALL = {**FONT, "ytick.labelsize": 6.5, "ytick.major.size": 2.5, "ytick.major.width": 0.6}
"""For figures whose vertical axes carry numbers."""


def styled(settings: Mapping[str, Any] = FONT) -> AbstractContextManager[None]:
    """Settings of matplotlib while a figure is drawn.

    Raises:
        ImportError: without matplotlib, naming the extra to install.
    """
    return _matplotlib().rc_context(dict(settings))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches.

    Raises:
        ImportError: without matplotlib, naming the extra to install.
    """
    return _matplotlib().figure.Figure(figsize=(width, height), layout="constrained")


def _matplotlib() -> ModuleType:
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise ImportError("figures need matplotlib: pip install 'lstm_jax[plot]'") from error
    return matplotlib


def title(place: int, count: int, task: str) -> str:
    """A task's name with the letter of its panel, where there are several."""
    letter = f"{'abcdefghijklmnopqrstuvwxyz'[place % 26]}  " if count > 1 else ""
    return f"{letter}{task.replace('_', ' ')}"


def bare(axes: Axes) -> None:
    """No frame above and to the right; ticks keep their size when they are drawn later."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=FONT["xtick.labelsize"])


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the figure alone (no date, no software version)."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=400, metadata={"Software": None})
    write_atomically(path, content.getvalue())
