"""Up to which length is a task learned, and where does each cell break down?

    python experiments/05_long_dependencies/run.py                          # the quick preset
    python experiments/05_long_dependencies/run.py --choose-rates           # how the learning rates were chosen
    python experiments/05_long_dependencies/run.py --report results/long_dependencies/quick --readme README.md

Nine cells of the LSTM, the tanh network, the GRU and the IRNN climb a ladder of lengths on each task. All have the
same number of parameters (as nearly as whole cells allow), the same steps, batches and seeds, and each has the
learning rate that suited it best on other seeds, by validation. On copy and adding, V and NP also start with chrono
and with uniform gates. When a task counts as solved is written in lstm_jax/studies/ladder.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.ladder_report import readme_section, write_ladder_report
from lstm_jax.analysis.report import embed
from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.study import conduct
from lstm_jax.names import UsageError, nearest
from lstm_jax.studies.budget import matched_size
from lstm_jax.studies.collect import Row, find_results, read_rows, write_rows
from lstm_jax.studies.ladder import LENGTH, label
from lstm_jax.studies.plan import Study
from lstm_jax.studies.rates import at_rate, best_rates, chosen_rates, write_rates
from lstm_jax.tasks import TASKS
from lstm_jax.train.checks import Option
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.records import MANIFEST, write_atomically, write_json

NAME = "long_dependencies"
NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
MODELS: Mapping[str, ModelConfig] = {
    **{name: ModelConfig(name) for name in (*NINE, "GRU", "RNN")},
    "IRNN": ModelConfig("RELU", initializer="irnn"),
    **{
        f"{name}, {start}": ModelConfig(name, gate_init=start)
        for name in ("V", "NP")
        for start in ("chrono", "uniform")
    },
}
"""Every entrant; where nothing else is said, forget gates start with a bias of 1."""
STARTS = tuple(name for name in MODELS if ", " in name)
CELLS = tuple(name for name in MODELS if name not in STARTS)
AUTOMATA = ("even_pairs", "cycle_navigation", "modular_arithmetic", "bucket_sort")
"""Tasks of a finite machine, learned from short strings; parity, the first of them, is in ``quick`` and ``goals``."""
CHOSEN = Path(__file__).with_name("rates.csv")
"""The learning rate of each entrant on each task, by --choose-rates."""
CANDIDATES = (0.003, 0.01, 0.03)
OTHER_SEEDS, RATE_SEEDS = 1000, 3
"""First and number of the seeds that choose the rates."""
LOOKS = 10
"""Evaluations on the validation set in a run."""


@dataclass(frozen=True)
class Ladder:
    """One task: its lengths, the steps of a run at every length, its other options.

    ``grows``: the option that the lengths are values of. ``learned``: the length of training, where it is shorter than
    the one that is tested; ``tested``: further options of the test. ``rate``: of learning, where no file says it.
    """

    lengths: tuple[int, ...]
    steps: int
    options: Mapping[str, Option] = field(default_factory=dict)
    grows: str = LENGTH
    learned: int | None = None
    tested: Mapping[str, Option] = field(default_factory=dict)
    rate: float = CANDIDATES[1]


@dataclass(frozen=True)
class Scale:
    """How long one preset takes. ``parameters``: of every network; ``tuned``: learning rates from the file, otherwise
    those of the ladders; ``started``: tasks on which other starts of the gates are tried.
    """

    ladders: Mapping[str, Ladder]
    seeds: int
    parameters: int
    batch: int
    eval_size: int = 500
    variants: tuple[str, ...] = tuple(MODELS)
    tuned: bool = True
    started: tuple[str, ...] = ("copy", "adding")


SCALES = {
    "smoke": Scale({"adding": Ladder((4, 8), 20)}, 2, 200, 8, 100, variants=("V", "RNN"), tuned=False),
    "quick": Scale(
        {
            "adding": Ladder((25, 75, 150), 800), "copy": Ladder((5, 15, 40), 2500, {"remember": 3, "symbols": 4}),
            "temporal_order": Ladder((20, 50, 100), 800), "parity": Ladder((5, 15, 40), 1500),
        },
        seeds=5, parameters=1500, batch=16,
    ),
    "modern": Scale(
        {
            "variable_copy": Ladder((5, 15, 40), 2500, {"remember": 3, "symbols": 4}),
            "selective_copy": Ladder((16, 48, 144), 6000, {"remember": 4, "symbols": 4}),
            **{task: Ladder((5, 15, 50), 800, {"length": 250}, "stretch") for task in ("time_warp", "time_padding")},
            "delayed_xor": Ladder((10, 30, 100), 1500), "anbmbman": Ladder((5, 10, 20), 1500),
            "mackey_glass": Ladder((84, 168, 336), 800, {"length": 200}, "horizon"),
            "lorenz": Ladder((20, 40, 80), 800, {"length": 200}, "horizon"),
        },
        seeds=5, parameters=1500, batch=16, tuned=False, started=("variable_copy",),
    ),
    "goals": Scale(
        {
            "copy": Ladder((500,), 60_000, rate=0.005), "adding": Ladder((750,), 8000),
            "anbncn": Ladder((120,), 6000, learned=40, tested={"shortest": 41}),
            "parity": Ladder((500,), 4000, learned=40, tested={"shortest": 500}),
        },
        seeds=5, parameters=20_000, batch=16, tuned=False, variants=("V", "V, chrono", "V, uniform"),
        started=("copy", "adding", "anbncn", "parity"),
    ),
    "tracking": Scale(
        {
            **{task: Ladder((500,), 4000, learned=40, tested={"shortest": 500}) for task in AUTOMATA},
            "group_words": Ladder((500,), 4000, learned=40),
        },
        seeds=5, parameters=6000, batch=16, tuned=False, variants=CELLS, started=(),
    ),
    "timing": Scale(
        {task: Ladder((200,), 12_000) for task in ("timed_spikes", "spike_delays", "periodic")},
        seeds=10, parameters=113, batch=8, tuned=False, variants=NINE, started=(),
    ),
    "default": Scale(
        {
            "adding": Ladder((50, 100, 200, 400), 4000), "copy": Ladder((10, 30, 100, 300), 6000),
            "temporal_order": Ladder((50, 100, 200, 400), 4000), "parity": Ladder((10, 20, 40, 80), 6000),
            "selective_copy": Ladder((32, 64, 128, 256), 6000, {"remember": 8, "symbols": 8}),
        },
        seeds=5, parameters=6000, batch=32, eval_size=1000,
    ),
    "full": Scale(
        {
            "adding": Ladder((100, 200, 400, 750, 1500, 3000, 5000), 20_000),
            "copy": Ladder((50, 100, 200, 500, 1000, 2000), 40_000),
            "variable_copy": Ladder((50, 100, 200, 500, 1000, 2000), 40_000),
            "selective_copy": Ladder((64, 256, 1024, 4096), 40_000),
            "temporal_order": Ladder((100, 200, 400, 800, 1600), 20_000, {"relevant": 3}),
            "delayed_xor": Ladder((50, 100, 200, 400, 800), 20_000),
            "parity": Ladder((20, 40, 100, 200, 500), 40_000), "anbncn": Ladder((10, 20, 40, 80, 160), 20_000),
        },
        seeds=20, parameters=20_000, batch=64, eval_size=2000,
    ),
}  # fmt: skip


def entrants(preset: str, task: str) -> tuple[str, ...]:
    """Who climbs this task's ladder."""
    return tuple(name for name in SCALES[preset].variants if name not in STARTS or task in SCALES[preset].started)


def run_of(preset: str, task: str, length: int) -> Config:
    """One task at one length: Adam, gradient norm clipped at 1, rate falling to 0 (cosine)."""
    scale, ladder = SCALES[preset], SCALES[preset].ladders[task]
    options = {ladder.grows: ladder.learned or length, **ladder.options}
    tested = {ladder.grows: length, **ladder.tested} if ladder.learned else {}
    size = scale.eval_size
    return Config(
        optimizer=OptimizerConfig(learning_rate=ladder.rate, schedule="cosine"),
        data=DataConfig(task, options, scale.batch, eval_size=size, eval_batch_size=size, test_options=tested),
        train=TrainConfig(steps=ladder.steps, eval_every=ladder.steps // LOOKS),
    )


def model_of(name: str, config: Config, parameters: int) -> ModelConfig:
    """An entrant's network with as nearly so many parameters as it can have."""
    task = TASKS[config.data.name](**dict(config.data.options))
    size = matched_size(MODELS[name].variant, task.input_size, task.output_size, parameters)
    return replace(MODELS[name], hidden_size=size)


def study(preset: str, task: str, rates: Path = CHOSEN) -> Study:
    """The ladder of one task: every entrant at every length."""
    scale, names = SCALES[preset], entrants(preset, task)
    ladder = scale.ladders[task]
    runs = {label(task, length, ladder.grows): run_of(preset, task, length) for length in ladder.lengths}
    cells = [(task, name) for name in names]
    own = chosen_rates(rates, cells, ladder.rate) if scale.tuned else {}
    return Study(
        f"{NAME} ({preset}), {task}",
        tuple(runs.items()),
        names,
        scale.seeds,
        rates=tuple((name, variant, rate) for name in runs for (_, variant), rate in own.items()),
        models=tuple(
            (name, variant, model_of(variant, config, scale.parameters))
            for name, config in runs.items()
            for variant in names
        ),
    )


def rate_study(preset: str, task: str) -> Study:
    """Every entrant at several learning rates and the middle length, on seeds that the study does not use."""
    scale, names = SCALES[preset], entrants(preset, task)
    lengths = scale.ladders[task].lengths
    config = run_of(preset, task, lengths[(len(lengths) - 1) // 2])
    runs = dict(at_rate(task, config, rate, OTHER_SEEDS) for rate in CANDIDATES)
    models = tuple((name, variant, model_of(variant, config, scale.parameters)) for name in runs for variant in names)
    return Study(f"{NAME} learning rates ({preset}), {task}", tuple(runs.items()), names, RATE_SEEDS, models=models)


def choose_rates(preset: str, tasks: Iterable[str], out: Path, overwrite: bool, part: str | None) -> Path:
    """Train what ``rate_study`` says and write ``rates.csv``."""
    folders = [out / "rates" / task for task in tasks]
    for folder in folders:
        conduct(rate_study(preset, folder.name), folder, overwrite, part)
    rows = best_rates(row for folder in folders for row in read_rows(find_results(folder)))
    path = out / CHOSEN.name
    write_rates(path, rows)
    return path


def gather(preset: str, out: Path) -> list[Row]:
    """The rows of all tasks run so far in one ``results.csv``, their manifests in one ``manifest.json``."""
    tasks = [task for task in SCALES[preset].ladders if (out / task / MANIFEST).is_file()]
    rows = [row for task in tasks for row in read_rows(out / task / "results.csv")]
    write_rows(out / "results.csv", rows)
    write_json(out / MANIFEST, {task: json.loads((out / task / MANIFEST).read_text()) for task in tasks})
    return rows


@dataclass(frozen=True)
class Options:
    """Up to which length is a task learned? Twelve cells of equal size on ladders of lengths."""

    preset: Literal["smoke", "quick", "modern", "goals", "tracking", "timing", "default", "full"] = "quick"
    """smoke: means nothing; quick: an hour on two cores; modern: eight tasks more; goals: V at great lengths;
    tracking: finite machines at lengths never learned; timing: what peepholes are for; default: half a day; full."""
    tasks: tuple[str, ...] = ()
    """Only these tasks of the preset; the report shows all that were run."""
    out: Path | None = None
    """Folder of the results, by default results/long_dependencies/PRESET; finished trials found there are kept."""
    overwrite: bool = False
    """Run finished trials again."""
    part: str | None = None
    """INDEX/COUNT: run only every COUNT-th trial from INDEX on, where several processes or hosts share OUT."""
    rates: Path = CHOSEN
    """The learning rates, as --choose-rates wrote them."""
    choose_rates: bool = False
    """Instead, train every entrant at several learning rates on other seeds; writes OUT/rates.csv."""
    report: Path | None = None
    """Run nothing; make table and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: Markdown files whose section between the markers is brought up to date."""
    name: str = NAME
    """Name of these markers."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if options.readme and options.report is None:
        raise UsageError("--readme shows the results in a folder: name it with --report")
    if options.report is not None:
        return report(options.report, options.readme, options.name)
    out = options.out or Path("results") / NAME / options.preset
    tasks = wanted(options.preset, options.tasks)
    if options.choose_rates:
        path = choose_rates(options.preset, tasks, out, options.overwrite, options.part)
        print(f"wrote {path}; every preset reads {CHOSEN.name} beside this script, or what --rates names")
        return 0
    plans = {task: study(options.preset, task, options.rates) for task in tasks}  # all, before the first one runs
    for task, plan in plans.items():
        conduct(plan, out / task, options.overwrite, options.part)
    gather(options.preset, out)
    return report(out)


def wanted(preset: str, tasks: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks to run, all of the preset where none is named."""
    known = SCALES[preset].ladders
    for task in set(tasks) - set(known):
        raise UsageError(f"the preset {preset} has no task {task!r}; {nearest(task, known)}")
    return tasks or tuple(known)


def report(folder: Path, readmes: tuple[Path, ...] = (), name: str = NAME) -> int:
    """Table and figure from the results alone; also the sections of READMEs."""
    written = write_ladder_report(folder)
    for readme in readmes:
        write_atomically(readme, embed(readme.read_text(), name, readme_section(folder)).encode())
    print(f"wrote {', '.join(map(str, [*written, *readmes]))}")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
