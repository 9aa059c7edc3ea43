"""Pixels: a handwritten digit read one pixel at a time, in order or shuffled, and named after the last one.

    python experiments/09_pixels/run.py                                # the quick preset: 14 x 14 pixels
    python experiments/09_pixels/run.py --preset best                  # V alone, six times as long
    python experiments/09_pixels/run.py --preset curves                # MNIST-1D: eleven cells, five seeds
    python experiments/09_pixels/run.py --variant V NFG --preset full  # two cells on all 784 pixels
    python experiments/09_pixels/run.py --report results/pixels/quick --readme README.md

Sequential and permuted MNIST, the standard split, and MNIST-1D, digits as curves of 40 points. All cells share size,
optimizer, batches and seeds. README.md says more.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.pixel_report import readme_section
from lstm_jax.analysis.report import reference_of
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.report import publish, show_section
from lstm_jax.cli.study import conduct
from lstm_jax.studies.collect import find_results, read_rows
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NAME = "pixels"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU")
ALL_CELLS = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "GRU", "RNN")
IMAGES, CURVES = ("sequential", "permuted"), ("curves", "shuffled curves")
"""What is read, in order and out of it: the pixels of MNIST, the points of MNIST-1D."""


def images(pool: int, batch: int) -> dict[str, DataConfig]:
    """MNIST; ``pool``: side of the squares that are averaged to one pixel."""
    return {order: DataConfig("mnist", {"order": order, "pool": pool}, batch, eval_batch_size=500) for order in IMAGES}


def curves(batch: int) -> dict[str, DataConfig]:
    """MNIST-1D: as many curves as in the published set, and as many more for validation as for the test."""
    sizes = DataConfig("mnist_1d", (), batch, eval_size=1000, eval_batch_size=500, train_size=4000)
    return {label: replace(sizes, options={"shuffled": label == CURVES[1]}) for label in CURVES}


@dataclass(frozen=True)
class Scale:
    """How long one preset takes, and what is read. ``looks``: evaluations on the validation part, of images 10,000."""

    cells: tuple[str, ...]
    seeds: int
    hidden: int
    data: Mapping[str, DataConfig]
    rate: float
    steps: int
    looks: int = 5


SCALES = {
    "smoke": Scale(("V",), 1, hidden=8, data=images(4, 32), rate=0.01, steps=20),
    "quick": Scale(CELLS, 1, hidden=64, data=images(2, 64), rate=0.008, steps=1500),
    "best": Scale(("V",), 1, hidden=64, data=images(2, 64), rate=0.008, steps=9000),
    "whole": Scale(("V",), 1, hidden=128, data=images(1, 64), rate=0.004, steps=9000),
    "full": Scale(CELLS, 5, hidden=256, data=images(1, 128), rate=0.001, steps=60_000),
    "curves": Scale(ALL_CELLS, 5, hidden=32, data=curves(100), rate=0.01, steps=6000, looks=20),
}
"""784, 196 or 49 pixels a digit, 40 points a curve. An epoch of the 50,000 training images is 390 updates of ``full``,
781 of the others but ``smoke``; one of the 4000 curves 40."""


def config(scale: Scale, label: str) -> Config:
    """One run: Adam, gradient norm clipped at 1, cosine, memories of all lengths to begin with (uniform gates)."""
    every = max(scale.steps // (2 * scale.looks), 1)  # one length of chunks, one program
    return Config(
        model=ModelConfig(hidden_size=scale.hidden, gate_init="uniform"),
        optimizer=OptimizerConfig(learning_rate=scale.rate, schedule="cosine"),
        data=scale.data[label],
        train=TrainConfig(steps=scale.steps, log_every=every, eval_every=2 * every, checkpoint_every=2 * every),
    )


def study(preset: str, cells: tuple[str, ...] = ()) -> Study:
    """Every cell, or those that are named, on both orders."""
    scale = SCALES[preset]
    chosen = cells or scale.cells
    tasks = tuple((label, config(scale, label)) for label in scale.data)
    return Study(f"{NAME} ({preset})", tasks, chosen, scale.seeds, reference_of(chosen))


@dataclass(frozen=True)
class Options:
    """Pixels: sequential and permuted MNIST, and MNIST-1D, gates taken away."""

    preset: Literal["smoke", "quick", "best", "whole", "full", "curves"] = "quick"
    """smoke: too short to mean anything; quick: gates, 196 steps a digit; best: V alone, longer; whole: V alone, 784
    steps; full: gates, 784 steps, for accelerators; curves: all cells on MNIST-1D, five seeds."""
    variant: tuple[str, ...] = ()
    """Cells, by their names in `lstm-jax variants`; none: those of the preset."""
    out: Path = Path("results/pixels")
    """Folder of the results; a folder for each preset is made there, finished trials in it are kept."""
    overwrite: bool = False
    """Run finished trials again."""
    report: Path | None = None
    """Only make tables and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table (markers pixels/NAME OF THE FOLDER) is brought up to date."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    folder = options.report or options.out / options.preset
    if options.report is None:
        conduct(study(options.preset, options.variant), folder, options.overwrite)
    else:
        publish(folder, reference_of([row.variant for row in read_rows(find_results(folder))]))
    show_section(readme_section(folder), f"{NAME}/{folder.name}", options.readme if options.report else ())
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
