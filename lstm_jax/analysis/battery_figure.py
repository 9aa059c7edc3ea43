"""How many sequences our trials needed, over the paper's mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lstm_jax.analysis.paper import new_figure
from lstm_jax.studies.battery_results import TrialResult, by_row, ratios

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def battery_figure(found: Sequence[TrialResult]) -> Figure:
    """One line a row: every trial, their mean with its 95 % interval, on a scale where the paper's mean is 1.

    Where some trials did not meet it the mean is hollow and has no interval: those took longer.

    Raises:
        ImportError: without matplotlib.
    """
    listed = ratios(found)
    trials = by_row(found)
    figure = new_figure(9, 1.4 + 0.28 * max(len(listed), 1))
    axes = figure.add_subplot()
    for place, (row, mean, low, high) in enumerate(listed):
        paper = row.published.sequences[-1]
        times = [max(t.met_1, t.met_2) / paper for t in trials[row.name] if t.ended == "met"]
        printed = ":" not in row.name
        colour = "#1f5fa8" if printed else "#999999"
        axes.plot(times, np.full(len(times), place), ".", color=colour, alpha=0.35, markersize=5)
        filled = all(trial.ended == "met" for trial in trials[row.name])
        if np.isfinite(low) and filled:
            axes.plot([max(low, 1e-9), high], [place, place], color=colour, linewidth=2)
        axes.plot([mean], [place], "o", color=colour, markersize=6, fillstyle="full" if filled else "none")
        solved, everyone = len(times), len(trials[row.name])
        axes.annotate(
            f"{solved} of {everyone}", (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8
        )
    axes.axvline(1.0, color="#c0392b", linewidth=1)
    axes.set_xscale("log")
    shown = [time / row.published.sequences[-1] for row, *_ in listed for t in trials[row.name] if (time := t.met_1)]
    axes.set_xlim(left=0.7 * min(shown, default=1.0))  # an interval of few trials may reach below 0
    axes.set_yticks(range(len(listed)), [row.name for row, *_ in listed], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(
        "sequences until the criterion, over the paper's mean (red); right: trials that met it\n"
        "blue: as printed, grey: another choice; hollow: some did not, and took longer\n"
        "left out: guesses, rows that were not solved or whose published mean was not read"
    )
    axes.grid(axis="x", alpha=0.3, which="both")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
