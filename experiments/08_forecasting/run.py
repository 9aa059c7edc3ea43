"""Forecasting: many hours at once, with doubts, against the baselines that embarrass deep networks.

    python experiments/08_forecasting/run.py                                  # the quick preset: ETTh1
    python experiments/08_forecasting/run.py --data sunspots electricity
    python experiments/08_forecasting/run.py --report results/forecasting/quick/etth1 --readme README.md

ETTh1 and ETTh2 (standard split), the mean load of 321 clients, the spots on the sun. Cells of the LSTM with a Student
t head read the past and draw samples of the future; naive, drift and linear forecasts stand beside them, whoever wins.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.forecast_report import publish, readme_section
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.report import show_section
from lstm_jax.studies.subjects import SUBJECTS, Subject
from lstm_jax.train.checks import Option
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NAME = "forecasting"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU", "RNN")


@dataclass(frozen=True)
class Window:
    """What is known and what is asked, in steps of the data.

    ``learned``: steps ahead that a network learns; it is asked for all ``horizons``. ``every``: from one forecast to
    the next. ``apart``: from one window to the next in training.
    """

    context: int
    learned: int
    horizons: tuple[int, ...]
    every: int
    apart: int


HOURS = Window(168, 96, (24, 96, 336, 720), 23, 5)
"""23 meets every hour of the day and costs little."""
MONTHS = Window(264, 36, (12, 36, 72, 132), 1, 1)
"""Two cycles of the sun are known, one is asked."""


@dataclass(frozen=True)
class Scale:
    """How long one preset takes; ``windows`` by what a step is called."""

    cells: tuple[str, ...]
    seeds: int
    hidden: int
    steps: int
    samples: int
    data: tuple[str, ...]
    windows: Mapping[str, Window]


SCALES = {
    "smoke": Scale(
        *(("V", "RNN"), 1, 4, 4, 5, ("etth1",)),
        {"hours": Window(24, 12, (6, 12), 300, 5), "months": Window(24, 12, (6, 12), 40, 1)},
    ),
    "quick": Scale(CELLS, 3, 40, 400, 50, ("etth1",), {"hours": HOURS, "months": MONTHS}),
    "full": Scale(
        *(CELLS, 10, 128, 4000, 500, tuple(SUBJECTS)),
        {"hours": replace(HOURS, context=336, every=1), "months": MONTHS},
    ),
}


def config(scale: Scale, subject: Subject, cell: str) -> Config:
    """All seeds of one cell on one series."""
    every, of = max(scale.steps // 10, 1), scale.windows[subject.steps]
    window: dict[str, Option] = {
        "series": subject.series,
        "context": of.context,
        "horizon": of.learned,
        "every": of.apart,
    }
    return Config(
        model=ModelConfig(cell, scale.hidden),
        optimizer=OptimizerConfig(learning_rate=0.01, schedule="cosine"),
        data=DataConfig(subject.data, window, batch_size=32, eval_batch_size=128),
        train=TrainConfig(
            trials=scale.seeds, steps=scale.steps, log_every=every, eval_every=every, checkpoint_every=every
        ),
    )


@dataclass(frozen=True)
class Options:
    """Forecasting: cells with a Student t head against naive, drift and linear forecasts."""

    preset: Literal["smoke", "quick", "full"] = "quick"
    """smoke: does everything work?; quick: see README.md; full: for accelerators."""
    data: tuple[Literal["etth1", "etth2", "electricity", "sunspots"], ...] = ()
    """Series to forecast, one after the other; none: etth1, and all of them with full."""
    out: Path = Path("results/forecasting")
    """Folder of the results; PRESET/SERIES is made there, trained networks in it are kept."""
    overwrite: bool = False
    """Train again what is there."""
    report: Path | None = None
    """Only make table and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date."""


def compare(scale: Scale, subject: Subject, folder: Path, overwrite: bool) -> None:
    """Train, forecast and publish one series."""
    from lstm_jax.studies.forecasting import Plan, run

    window = scale.windows[subject.steps]
    configs = {cell: config(scale, subject, cell) for cell in scale.cells}
    run(Plan(subject, configs, window.context, window.horizons, scale.samples, window.every), folder, overwrite)


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    folders = [options.report] if options.report else []
    if not folders:
        scale = SCALES[options.preset]
        for name in options.data or scale.data:
            folders.append(options.out / options.preset / name)
            compare(scale, SUBJECTS[name], folders[-1], options.overwrite)
    for folder in folders:
        publish(folder)
        part = f"{NAME}/{folder.name}" if folder.name in SUBJECTS else NAME
        show_section(readme_section(folder), part, options.readme if options.report else ())
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
