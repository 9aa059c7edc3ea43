"""Documents: spam or not, from the first words or bytes of mails of very different lengths, gates taken away.

    python experiments/10_documents/run.py                           # the quick preset
    python experiments/10_documents/run.py --preset batching         # how fast: padded, cut, bucketed, packed
    python experiments/10_documents/run.py --data speeches           # no mails at hand: speeches of Shakespeare
    python experiments/10_documents/run.py --report results/documents/quick results/documents/batching

Mails of SpamAssassin, beside the majority, naive Bayes and logistic regression on counts. README.md says more.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.documents_report import MANIFEST, PACE, SCORES, readme_section
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.report import run_or_report
from lstm_jax.cli.study import conduct
from lstm_jax.studies.plan import Study
from lstm_jax.train import train_part
from lstm_jax.train.config import Config, DataConfig, DropoutConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import write_json

NAME = "documents"
CELLS = ("V", "NFG", "NOG", "CIFG", "NP", "GRU")
VIEWS = {
    "mails": {"words": "spam_words", "bytes": "spam_assassin"},
    "reviews": {"words": "imdb_words", "bytes": "imdb_reviews"},
    "speeches": {"words": "speech_words", "bytes": "speeches"},
}
"""What is read, and how: the data set of each."""
LOOKS = 10
"""Evaluations on the validation part in a run."""
WAYS = {
    "padded to the longest": ("random", 1),
    "cut to the longest of the batch": ("random", 4),
    "bucketed": ("bucketed", 4),
    "packed": ("packed", 1),
}
"""Name to ``batching`` and ``cuts`` of a ``DataConfig``."""


@dataclass(frozen=True)
class Scale:
    """How long one preset takes. ``longest`` and ``steps``: of a document, and updates, for each way to read it.

    ``seeds``: of each cell, where gates are taken away. ``cuts``: lengths that batches run at.
    """

    hidden: int
    embedding: int
    longest: dict[str, int]
    steps: dict[str, int]
    seeds: int
    cells: tuple[str, ...] = CELLS
    batch: int = 32
    cuts: int = 4
    rate: float = 0.003


SCALES = {
    "smoke": Scale(8, 4, {"words": 20}, {"words": 6}, 1, ("V", "GRU"), cuts=2),
    "quick": Scale(64, 32, {"words": 512, "bytes": 512}, {"words": 600, "bytes": 1000}, 2),
    "full": Scale(256, 128, {"words": 1024, "bytes": 4096}, {"words": 6000, "bytes": 12_000}, 10, batch=64, cuts=6),
}


def config(scale: Scale, data: str, unit: str) -> Config:
    """One run: V, memory as long as a document to begin with (chrono), Adam, cosine, a mean of the weights."""
    every = max(scale.steps[unit] // LOOKS, 1)  # one length of chunks, one program
    view = {"longest": scale.longest[unit]}
    return Config(
        model=ModelConfig(hidden_size=scale.hidden, embedding=scale.embedding, gate_init="chrono"),
        optimizer=OptimizerConfig(learning_rate=scale.rate, schedule="cosine", ema=0.99),
        data=DataConfig(
            VIEWS[data][unit], view, scale.batch, eval_batch_size=64, cuts=scale.cuts, batching="bucketed"
        ),
        train=TrainConfig(steps=scale.steps[unit], log_every=every, eval_every=every, checkpoint_every=every),
        dropout=DropoutConfig(embedding=0.1, outputs=0.3),
    )


def gates(preset: str, data: str, unit: str, cells: tuple[str, ...] = ()) -> Study:
    """Every cell, reading in one way; the first one is the reference."""
    scale = SCALES[preset]
    cells = cells or scale.cells
    return Study(f"{NAME} ({preset})", ((VIEWS[data][unit], config(scale, data, unit)),), cells, scale.seeds, cells[0])


def ways(data: str) -> dict[str, Config]:
    """The network of ``quick``, reading words in batches that are put together in every way."""
    base = config(SCALES["quick"], data, "words")
    return {
        name: replace(base, data=replace(base.data, batching=batching, cuts=cuts))
        for name, (batching, cuts) in WAYS.items()
    }


@dataclass(frozen=True)
class Options:
    """Documents: mails, spam or not; from the words or from the bytes they begin with."""

    preset: Literal["smoke", "quick", "batching", "full"] = "quick"
    """smoke: too short to mean anything; quick: gates; batching: times only; full: for accelerators."""
    data: Literal["mails", "reviews", "speeches"] = "mails"
    """mails: of SpamAssassin (`lstm-jax data offline spam_assassin`); reviews: TFDS' imdb_reviews, where you have it;
    speeches: of Shakespeare, crowned or not."""
    variant: tuple[str, ...] = ()
    """Cells, the first one being what the others are compared with; by default those of the preset."""
    out: Path = Path("results/documents")
    """Folder of the results; a folder for each preset is made there, what is finished in it is kept."""
    overwrite: bool = False
    """Train again what is there."""
    report: tuple[Path, ...] = ()
    """Only make the report anew from the results in these folders, such as those of quick and batching."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date."""


def learn(options: Options, out: Path) -> str:
    """The first cell, reading in every way, scored beside counts; returns the way that validation likes best."""
    from lstm_jax.studies.collect import write_table
    from lstm_jax.studies.documents import Score, score_counts, score_run
    from lstm_jax.train.machine import describe_machine, use_whole_machine

    use_whole_machine()
    scale = SCALES[options.preset]
    cell = (options.variant or scale.cells)[0]
    print("counting words: naive Bayes, logistic regression", flush=True)
    scores = score_counts(VIEWS[options.data]["words"])
    validation = {}
    for unit in scale.longest:
        run = config(scale, options.data, unit)
        folder = out / "runs" / f"{run.data.name}-{cell}"
        train_part(replace(run, model=replace(run.model, variant=cell)), folder, options.overwrite)
        scores.append(score_run(folder, unit))
        validation[unit] = scores[-1].validation
        write_table(out / SCORES, Score, scores)
    write_json(out / MANIFEST, {"command": sys.argv, **describe_machine()})
    return max(validation, key=validation.__getitem__)


def time_batches(options: Options, out: Path) -> None:
    """Updates a second with batches put together in every way."""
    from lstm_jax.studies.collect import write_table
    from lstm_jax.studies.pace import Pace, measure_pace
    from lstm_jax.train.machine import use_whole_machine

    use_whole_machine()
    write_table(out / PACE, Pace, measure_pace(ways(options.data), chunk=100, rounds=5))


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))

    def run(folder: Path) -> None:
        if options.preset == "batching":
            return time_batches(options, folder)
        unit = learn(options, folder)
        conduct(gates(options.preset, options.data, unit, options.variant), folder / "gates", options.overwrite)

    run_or_report(options, run, readme_section, NAME)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
