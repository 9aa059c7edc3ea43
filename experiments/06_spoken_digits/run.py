"""Speech: what is said, without being told when (CTC), by networks whose gates are taken away one at a time.

    python experiments/06_spoken_digits/run.py                           # the quick preset
    python experiments/06_spoken_digits/run.py --preset best             # good networks, speakers never heard
    python experiments/06_spoken_digits/run.py --preset best --unheard words strings  # strings of theirs as well
    python experiments/06_spoken_digits/run.py --report results/spoken_digits/best results/spoken_digits/quick

Single words spelled letter by letter, and strings of 1 to 7 digits, on the official split of the Free Spoken Digit
Dataset and on speakers that were never heard. All cells share size, optimizer, batches and seeds. README.md says more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.speech_report import MANIFEST, READINGS, readme_section
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.report import run_or_report
from lstm_jax.cli.study import conduct
from lstm_jax.datasets.spoken_digits import SPEAKERS
from lstm_jax.studies.plan import Study
from lstm_jax.train import train_part
from lstm_jax.train.config import Config, DataConfig, DropoutConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import write_json

NAME = "spoken_digits"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU")
VIEWS = {"words": "spoken_words", "strings": "spoken_strings"}
LOOKS = 10
"""Evaluations on the validation part in a run."""


@dataclass(frozen=True)
class Scale:
    """How long one preset takes: cells a direction, layers, steps of a run in each view.

    ``seeds``: 0 trains one network of each view and writes down what it reads, and one without each of the speakers
    in ``unheard``; otherwise gates are taken away. ``dropout``: of outputs, between the layers and before the readout.
    """

    hidden: int
    steps: dict[str, int]
    seeds: int
    cells: tuple[str, ...] = CELLS
    unheard: tuple[str, ...] = SPEAKERS
    layers: int = 2
    batch: int = 32
    cuts: int = 2
    dropout: float = 0.0


SCALES = {
    "smoke": Scale(8, {"words": 6, "strings": 2}, 1, ("V", "GRU"), SPEAKERS[:1], layers=1, batch=16, cuts=1),
    "best": Scale(64, {"words": 6000, "strings": 1500}, 0, dropout=0.3),
    "quick": Scale(32, {"words": 800, "strings": 300}, 2, unheard=()),
    "full": Scale(128, {"words": 10_000, "strings": 12_000}, 10, dropout=0.3),
}


def config(scale: Scale, view: str, held_out: str | None = None) -> Config:
    """One run: both directions, Adam, gradient norm clipped at 1, cosine, noise on the features."""
    steps = scale.steps[view]
    every = max(steps // LOOKS, 1)  # one length of chunks, one program
    options = {} if held_out is None else {"held_out": held_out}
    return Config(
        model=ModelConfig(hidden_size=scale.hidden, num_layers=scale.layers, bidirectional=True),
        optimizer=OptimizerConfig(learning_rate=0.01, schedule="cosine"),
        data=DataConfig(VIEWS[view], tuple(options.items()), scale.batch, 1.0, eval_batch_size=100, cuts=scale.cuts),
        train=TrainConfig(steps=steps, log_every=every, eval_every=every, checkpoint_every=every),
        dropout=DropoutConfig(between=scale.dropout, outputs=scale.dropout),
    )


def gates(preset: str) -> Study:
    """Every cell on both views, official split."""
    scale = SCALES[preset]
    tasks = tuple((view, config(scale, view)) for view in VIEWS)
    return Study(f"{NAME} ({preset})", tasks, scale.cells, scale.seeds)


def unheard(preset: str, views: tuple[str, ...] = ("words",)) -> Study:
    """V, once for each speaker and view: trained on what the others say, tested on what this one says."""
    scale = SCALES[preset]
    tasks = tuple((f"{view}, {name}", config(scale, view, name)) for view in views for name in scale.unheard)
    return Study(f"{NAME}, unheard speakers ({preset})", tasks, ("V",), 1)


@dataclass(frozen=True)
class Options:
    """Speech: spoken digits as words and as strings, without times (CTC)."""

    preset: Literal["smoke", "best", "quick", "full"] = "quick"
    """smoke: too short to mean anything; best: one good network, speakers never heard; quick: gates; full: gates and
    speakers, for accelerators."""
    out: Path = Path("results/spoken_digits")
    """Folder of the results; a folder for each preset is made there, finished trials in it are kept."""
    unheard: tuple[Literal["words", "strings"], ...] = ("words",)
    """Views that are also read to speakers who were never heard (best, full, smoke): words, strings."""
    overwrite: bool = False
    """Run finished trials again."""
    report: tuple[Path, ...] = ()
    """Only make the report anew from the results in these folders, such as those of best and quick."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date."""


def listen(preset: str, out: Path, overwrite: bool) -> None:
    """One network of each view, and what it reads in the test part; ``lstm-jax transcribe`` takes its folder."""
    from lstm_jax.studies.collect import write_table
    from lstm_jax.studies.readings import Reading, read_part
    from lstm_jax.train.machine import describe_machine

    readings = []
    for view in VIEWS:
        folder = out / "runs" / view
        train_part(config(SCALES[preset], view), folder, overwrite)
        readings += read_part(folder, "test", view)
    write_table(out / READINGS, Reading, readings)
    write_json(out / MANIFEST, {"command": sys.argv, **describe_machine()})


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))

    def run(folder: Path) -> None:
        if SCALES[options.preset].seeds:
            conduct(gates(options.preset), folder / "gates", options.overwrite)
        else:
            listen(options.preset, folder, options.overwrite)
        if options.unheard and SCALES[options.preset].unheard:
            conduct(unheard(options.preset, options.unheard), folder / "unheard", options.overwrite)

    run_or_report(options, run, readme_section, NAME)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
