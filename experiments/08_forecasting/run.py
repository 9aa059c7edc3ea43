"""Forecasting: many hours at once, with doubts, against the baselines that embarrass deep networks.

    python experiments/08_forecasting/run.py                          # the quick preset
    python experiments/08_forecasting/run.py --report results/forecasting/quick --readme README.md

ETTh1 and ETTh2, standard split. Cells of the LSTM with a Student t head read the past and draw samples of the future;
naive, drift and linear forecasts stand beside them, whoever wins.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.forecast_report import publish, readme_section
from lstm_jax.analysis.report import embed
from lstm_jax.cli.dispatch import guarded
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import write_atomically

NAME = "forecasting"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU", "RNN")


@dataclass(frozen=True)
class Scale:
    """How long one preset takes. ``horizons``: hours ahead; a network learns one length, is asked for all."""

    cells: tuple[str, ...]
    seeds: int
    hidden: int
    steps: int
    series: tuple[str, ...] = ("h1", "h2")
    context: int = 168
    learned: int = 96
    horizons: tuple[int, ...] = (24, 96, 336, 720)
    samples: int = 100
    every: int = 23


SCALES = {
    "smoke": Scale(("V", "RNN"), 1, 4, 4, ("h1",), 24, 12, (6, 12), 5, 300),
    "quick": Scale(CELLS, 3, 40, 400, ("h1",), samples=50),
    "full": Scale(CELLS, 10, 128, 4000, context=336, samples=500, every=1),
}
"""``every``: hours between forecasts; 23 meets every hour of the day and costs little."""


def config(scale: Scale, series: str, cell: str) -> Config:
    """All seeds of one cell on one transformer."""
    every = max(scale.steps // 10, 1)
    window = {"series": series, "context": scale.context, "horizon": scale.learned, "every": 5}
    return Config(
        model=ModelConfig(cell, scale.hidden),
        optimizer=OptimizerConfig(learning_rate=0.01, schedule="cosine"),
        data=DataConfig("ett", window, batch_size=32, eval_batch_size=128),
        train=TrainConfig(
            trials=scale.seeds, steps=scale.steps, log_every=every, eval_every=every, checkpoint_every=every
        ),
    )


@dataclass(frozen=True)
class Options:
    """Forecasting: cells with a Student t head against naive, drift and linear forecasts."""

    preset: Literal["smoke", "quick", "full"] = "quick"
    """smoke: does everything work?; quick: see README.md; full: for accelerators."""
    out: Path = Path("results/forecasting")
    """Folder of the results; a folder for each preset is made there, trained networks in it are kept."""
    overwrite: bool = False
    """Train again what is there."""
    report: Path | None = None
    """Only make table and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if options.report is None:
        from lstm_jax.studies.forecasting import Plan, run

        scale, folder = SCALES[options.preset], options.out / options.preset
        configs = {(series, cell): config(scale, series, cell) for series in scale.series for cell in scale.cells}
        plan = Plan(configs, scale.context, scale.horizons, scale.samples, scale.every)
        run(plan, folder, options.overwrite)
        publish(folder)
    else:
        folder = options.report
        publish(folder)
        for path in options.readme:
            write_atomically(path, embed(path.read_text(), NAME, readme_section(folder)).encode())
    print(readme_section(folder))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
