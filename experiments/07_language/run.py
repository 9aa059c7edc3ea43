"""Language: the next character, by networks that carry their state through the text, gates taken away one at a time.

    python experiments/07_language/run.py                           # the quick preset
    python experiments/07_language/run.py --preset best             # one good network, dynamic evaluation, counts
    python experiments/07_language/run.py --text wikipedia_xml --out results/wikipedia  # another text
    python experiments/07_language/run.py --report results/language/best results/language/quick

Tiny Shakespeare, and in the full preset an excerpt of Wikipedia's XML; truncated back-propagation through time, and
the AWD recipe (locked dropout, weight drop, a mean of the weights). README.md says more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.language_report import MANIFEST, SCORES, readme_section
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.report import run_or_report
from lstm_jax.cli.study import conduct
from lstm_jax.studies.plan import Study
from lstm_jax.train import train_part
from lstm_jax.train.config import Config, DataConfig, DropoutConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import write_json

NAME = "language"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU")
TEXTS = ("tiny_shakespeare", "wikipedia_xml")
LOOKS = 10
"""Evaluations on the validation part in a run."""


@dataclass(frozen=True)
class Scale:
    """How long one preset takes: cells, features of a symbol, updates, windows of so many symbols, streams.

    ``seeds``: 0 trains one network on each text and scores it beside counts; otherwise gates are taken away.
    ``dropout``: of weights before and of outputs after the recurrent layer.
    """

    hidden: int
    embedding: int
    steps: int
    window: int
    streams: int
    seeds: int
    texts: tuple[str, ...] = TEXTS[:1]
    cells: tuple[str, ...] = CELLS
    rate: float = 0.004
    dropout: tuple[float, float] = (0.0, 0.0)


SCALES = {
    "smoke": Scale(8, 4, 4, 20, 8, 1, cells=("V", "GRU")),
    "quick": Scale(96, 32, 2000, 64, 32, 2),
    "best": Scale(512, 64, 3000, 100, 32, 0, cells=("V",), rate=0.002, dropout=(0.2, 0.3)),
    "full": Scale(512, 64, 12_000, 100, 64, 10, TEXTS, rate=0.002, dropout=(0.2, 0.3)),
}


def config(scale: Scale, text: str) -> Config:
    """One run: V, Adam, gradient norm clipped at 1, cosine, a mean of the weights."""
    every = max(scale.steps // LOOKS, 1)  # one length of chunks, one program
    weights, outputs = scale.dropout
    return Config(
        model=ModelConfig(hidden_size=scale.hidden, embedding=scale.embedding),
        optimizer=OptimizerConfig(learning_rate=scale.rate, schedule="cosine", ema=0.99),
        data=DataConfig(text, {"window": scale.window}, scale.streams, eval_batch_size=16),
        train=TrainConfig(steps=scale.steps, log_every=every, eval_every=every, checkpoint_every=every),
        dropout=DropoutConfig(recurrent=weights, outputs=outputs),
    )


def gates(preset: str, cells: tuple[str, ...] = (), texts: tuple[str, ...] = ()) -> Study:
    """Every cell on every text; the first one is the reference."""
    scale = SCALES[preset]
    cells = cells or scale.cells
    tasks = tuple((text, config(scale, text)) for text in texts or scale.texts)
    return Study(f"{NAME} ({preset})", tasks, cells, scale.seeds, cells[0])


@dataclass(frozen=True)
class Options:
    """Language: the next character of tiny Shakespeare and of Wikipedia's XML."""

    preset: Literal["smoke", "quick", "best", "full"] = "quick"
    """smoke: too short to mean anything; quick: gates; best: one good network; full: gates, for accelerators."""
    variant: tuple[str, ...] = ()
    """Cells, the first one being what the others are compared with; by default those of the preset."""
    text: tuple[Literal["tiny_shakespeare", "wikipedia_xml"], ...] = ()
    """Texts; none: those of the preset. Results of others need an --out of their own."""
    out: Path = Path("results/language")
    """Folder of the results; a folder for each preset is made there, what is finished in it is kept."""
    overwrite: bool = False
    """Train again what is there."""
    report: tuple[Path, ...] = ()
    """Only make the report anew from the results in these folders, such as those of best and quick."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date; a folder named as a text has a table of its own."""


def learn(options: Options, out: Path) -> None:
    """A network of each cell on each text, scored beside counts; ``lstm-jax generate`` takes its folder."""
    from lstm_jax.studies.collect import write_table
    from lstm_jax.studies.language import Score, score_counts, score_run
    from lstm_jax.train.machine import describe_machine, use_whole_machine

    use_whole_machine()
    scale, scores = SCALES[options.preset], []
    for text in options.text or scale.texts:
        run = config(scale, text)
        scores += score_counts(run.data)
        for cell in options.variant or scale.cells:
            folder = out / "runs" / f"{text}-{cell}"
            named = replace(run, model=replace(run.model, variant=cell))
            train_part(named, folder, options.overwrite)
            print(f"scoring {folder}", flush=True)
            scores += score_run(folder)
            write_table(out / SCORES, Score, scores)
    write_json(out / MANIFEST, {"command": sys.argv, **describe_machine()})


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))

    def run(folder: Path) -> None:
        if SCALES[options.preset].seeds:
            conduct(gates(options.preset, options.variant, options.text), folder / "gates", options.overwrite)
        else:
            learn(options, folder)

    reported = options.report[0].name if options.report else ""
    run_or_report(options, run, readme_section, f"{NAME}/{reported}" if reported in TEXTS else NAME)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
