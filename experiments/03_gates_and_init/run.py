"""Which ablations does a better initialisation rescue?

    python experiments/03_gates_and_init/run.py                          # the quick preset
    python experiments/03_gates_and_init/run.py --preset full
    python experiments/03_gates_and_init/run.py --choose-rates           # how the learning rates were chosen
    python experiments/03_gates_and_init/run.py --report results/gates_and_init/quick --readme README.md

Nine cells of the LSTM, the GRU and the tanh network, each with four ways to start its gates, on two problems of random
numbers and on one of real data. All cells of a task share size, optimizer, batches and seeds; each has the learning
rate that suited it best on other seeds, by validation. A start that sets nothing which a cell has is not run again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.grid_report import readme_section, write_grid_report
from lstm_jax.analysis.report import embed
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.study import conduct
from lstm_jax.names import UsageError
from lstm_jax.studies.collect import Row, read_rows, write_rows
from lstm_jax.studies.grid import INITS, distinct, label, split_label
from lstm_jax.studies.plan import Study
from lstm_jax.studies.rates import at_rate, best_rates, chosen_rates, write_rates
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import MANIFEST, write_atomically, write_json

NAME = "gates_and_init"
VARIANTS = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "GRU", "RNN")
CHOSEN = Path(__file__).with_name("rates.csv")
"""The learning rate of each variant with each start on each task, by --choose-rates."""
CANDIDATES = (0.003, 0.01, 0.03)
OTHER_SEEDS, RATE_SEEDS = 1000, 4
"""First and number of the seeds that choose the rates."""
LOOKS = 8
"""Evaluations on the validation set in a run."""


@dataclass(frozen=True)
class Scale:
    """How long one preset takes: (length, steps) of the problems of random numbers, steps on the digits; 0: left out.

    ``tuned``: learning rates from the file, otherwise the middle candidate for all.
    """

    variants: tuple[str, ...]
    seeds: int
    hidden: int
    batch: int
    adding: tuple[int, int]
    order: tuple[int, int]
    digits: int
    tuned: bool = True


SCALES = {
    "smoke": Scale(("V", "NFG", "RNN"), 2, 8, 8, adding=(20, 16), order=(0, 0), digits=0, tuned=False),
    "quick": Scale(VARIANTS, 6, 16, 16, adding=(80, 400), order=(60, 400), digits=400),
    "full": Scale(VARIANTS, 20, 64, 32, adding=(400, 6000), order=(400, 6000), digits=4000),
}


def tasks(preset: str) -> dict[str, Config]:
    """The tasks of one preset by name; variant and start of the gates are filled in by ``study``."""
    scale = SCALES[preset]
    wanted: Mapping[str, tuple[int, dict[str, int]]] = {
        "adding": (scale.adding[1], {"length": scale.adding[0]}),
        "temporal_order": (scale.order[1], {"length": scale.order[0]}),
        "digits": (scale.digits, {}),
    }
    return {name: task(name, scale, steps, options) for name, (steps, options) in wanted.items() if steps}


def task(name: str, scale: Scale, steps: int, options: dict[str, int]) -> Config:
    """One task: Adam, gradient norm clipped at 1, rate falling to 0 (cosine)."""
    return Config(
        model=ModelConfig(hidden_size=scale.hidden),
        optimizer=OptimizerConfig(learning_rate=CANDIDATES[1], schedule="cosine"),
        data=DataConfig(name, tuple(options.items()), scale.batch, eval_size=400, eval_batch_size=400),
        train=TrainConfig(steps=steps, eval_every=max(steps // LOOKS, 1)),
    )


def started(config: Config, init: str) -> Config:
    """The same run with its gates started in this way."""
    return replace(config, model=replace(config.model, **INITS[init]))


def study(preset: str, init: str, rates: Path = CHOSEN) -> Study:
    """One way to start the gates, with every variant that feels it; the rows of all ways together are the grid."""
    scale = SCALES[preset]
    labelled = tuple((label(name, init), started(config, init)) for name, config in tasks(preset).items())
    variants = distinct(scale.variants, init)
    cells = [(name, variant) for name, _ in labelled for variant in variants]
    own = chosen_rates(rates, cells) if scale.tuned else {}
    rated = tuple((*cell, rate) for cell, rate in own.items())
    return Study(f"{NAME} ({preset}), {init}", labelled, variants, scale.seeds, rates=rated)


def rate_study(preset: str, init: str) -> Study:
    """Every cell at several learning rates, on seeds that the study does not use."""
    pairs = [(name, config, rate) for name, config in tasks(preset).items() for rate in CANDIDATES]
    labelled = tuple(at_rate(label(name, init), started(c, init), rate, OTHER_SEEDS) for name, c, rate in pairs)
    variants = distinct(SCALES[preset].variants, init)
    return Study(f"{NAME} learning rates ({preset}), {init}", labelled, variants, RATE_SEEDS)


def by_start(chosen: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """Chosen rates with task and start in columns of their own."""
    found = []
    for row in chosen:
        task, init = split_label(str(row["task"]))
        found.append({"task": task, "init": init, **{name: row[name] for name in row if name != "task"}})
    return found


def choose_rates(preset: str, out: Path, overwrite: bool, part: str | None) -> Path:
    """Train what ``rate_study`` says and write ``rates.csv``."""
    folder = out / "rates"
    for init in INITS:
        conduct(rate_study(preset, init), folder / init, overwrite, part)
    path = out / CHOSEN.name
    write_rates(path, by_start(best_rates(gather(folder))))
    return path


def gather(out: Path) -> list[Row]:
    """The rows of all starts in one ``results.csv``, and their manifests in one ``manifest.json``."""
    rows = [row for init in INITS for row in read_rows(out / init / "results.csv")]
    write_rows(out / "results.csv", rows)
    write_json(out / MANIFEST, {init: json.loads((out / init / MANIFEST).read_text()) for init in INITS})
    return rows


@dataclass(frozen=True)
class Options:
    """Which ablations does a better initialisation rescue? Eleven cells, four starts of their gates, three tasks."""

    preset: Literal["smoke", "quick", "full"] = "quick"
    """smoke: under a minute, too short to mean anything; quick: half an hour on two busy cores; full: days."""
    out: Path | None = None
    """Folder of the results, by default results/gates_and_init/PRESET; finished trials found there are kept."""
    overwrite: bool = False
    """Run finished trials again."""
    part: str | None = None
    """INDEX/COUNT: run only every COUNT-th trial from INDEX on, where several processes or hosts share OUT."""
    rates: Path = CHOSEN
    """The learning rates, as --choose-rates wrote them."""
    choose_rates: bool = False
    """Instead, train every cell at several learning rates on other seeds; writes OUT/rates.csv."""
    report: Path | None = None
    """Run nothing; make table and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: Markdown files whose section between the markers is brought up to date."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if options.readme and options.report is None:
        raise UsageError("--readme shows the results in a folder: name it with --report")
    out = options.out or Path("results") / NAME / options.preset
    if options.report is not None:
        return report(options.report, options.readme)
    if options.choose_rates:
        path = choose_rates(options.preset, out, options.overwrite, options.part)
        print(f"wrote {path}; every preset reads {CHOSEN.name} beside this script, or what --rates names")
        return 0
    studies = {init: study(options.preset, init, options.rates) for init in INITS}
    for init, of_init in studies.items():
        conduct(of_init, out / init, options.overwrite, options.part)
    gather(out)
    return report(out)


def report(folder: Path, readmes: tuple[Path, ...] = ()) -> int:
    """Table and figure from the results alone; also the sections of READMEs."""
    written = write_grid_report(folder)
    for readme in readmes:
        write_atomically(readme, embed(readme.read_text(), NAME, readme_section(folder)).encode())
    print(f"wrote {', '.join(map(str, [*written, *readmes]))}")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
