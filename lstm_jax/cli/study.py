"""``lstm-jax study``: run what is missing of a study, then table and figure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lstm_jax.cli.dispatch import DONE
from lstm_jax.cli.pairs import hyphened
from lstm_jax.names import UsageError
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, DataConfig

if TYPE_CHECKING:
    from lstm_jax.studies.collect import Row
    from lstm_jax.studies.run import Part, Progress

VARIED = {
    "--model.variant": "name the variants with --variants",
    "--data.name": "name the tasks with --tasks",
    "--train.trials": "give their number with --seeds",
}
"""Settings of a run that a study varies, and what to give instead."""
BESIDE_A_PLAN = ("--plan", "--out", "--overwrite", "--no-overwrite", "--part", "--dry-run", "--no-dry-run")


@dataclass(frozen=True)
class Options:
    """Train several variants on several tasks, same settings and seeds for all, and compare them."""

    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    tasks: tuple[str, ...] = ("adding",)
    """Names in `lstm-jax tasks` or `lstm-jax data list`; a study of one of them may set its --data.options."""
    variants: tuple[str, ...] = ("V", "NFG", "RNN")
    """Names in `lstm-jax variants`."""
    seeds: int = 5
    """Trials of each variant on each task, with seeds from --train.seed on."""
    reference: str = "V"
    """The variant that the others are compared with."""
    plan: Path | None = None
    """A study as JSON (the config.json of an earlier one), in place of all settings of a study."""
    out: Path = Path("results/study")
    """Folder of results.csv, tables, figures, config.json and manifest.json; finished trials there are kept."""
    overwrite: bool = False
    """Run finished trials again."""
    part: str | None = None
    """INDEX/COUNT: every COUNT-th trial from INDEX on, where processes share OUT; auto: as jax.distributed says."""
    dry_run: bool = False
    """Print the study as JSON, run nothing."""


def run(arguments: list[str]) -> int:
    """Parse and conduct."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax study", config=(tyro.conf.FlagCreatePairsOff,))
    _refuse_varied(arguments, options)
    study = _study(options)
    if options.dry_run:
        print(study.to_json(), end="")
        return DONE
    conduct(study, options.out, options.overwrite, options.part)
    return DONE


def _study(options: Options) -> Study:
    if options.plan is not None:
        return _planned(options.plan)
    named = {task: replace(options.config.data, name=task) for task in options.tasks}
    if len(named) > 1 and (options.config.data.options or options.config.data.test_options):
        raise UsageError(
            "--data.options and --data.test-options belong to one task; give several tasks their options in a --plan"
        )
    tasks = tuple((task, replace(options.config, data=_data(data))) for task, data in named.items())
    return Study(options.out.name or "study", tasks, options.variants, options.seeds, options.reference)


def _refuse_varied(arguments: list[str], options: Options) -> None:
    """What the study sets itself, cell by cell, or a plan says, is not silently replaced when it was asked for."""
    given = {hyphened(argument.partition("=")[0]) for argument in arguments if argument.startswith("--")}
    if options.plan is not None and (more := given - set(BESIDE_A_PLAN)):
        raise UsageError(
            f"--plan {options.plan} is the whole study, got {', '.join(sorted(more))} too; leave them out"
        )
    for option, instead in VARIED.items():
        if option in given:
            raise UsageError(f"a study sets {option} itself; {instead}")


def _planned(path: Path) -> Study:
    try:
        return Study.from_json(path.read_text())
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _data(data: DataConfig) -> DataConfig:
    """The same record, after a check that task or data set exists."""
    from lstm_jax.datasets import DATASETS
    from lstm_jax.names import nearest
    from lstm_jax.tasks import TASKS

    if data.name not in TASKS and data.name not in DATASETS:
        raise UsageError(f"unknown task {data.name!r}; {nearest(data.name, [*TASKS, *DATASETS])}")
    return data


def conduct(study: Study, out: Path, overwrite: bool = False, part: str | None = None) -> list[Row]:
    """Run what is missing of a study with the whole machine, write everything, print the comparison.

    ``part``: ``"INDEX/COUNT"`` where several processes share the folder, or ``"auto"``, the part of this process under
    ``jax.distributed``.
    """
    from lstm_jax.cli.console import StudyWatch, clock, console
    from lstm_jax.cli.report import publish
    from lstm_jax.studies.manifest import StudyManifest
    from lstm_jax.studies.run import run_study
    from lstm_jax.train.machine import describe_machine, use_whole_machine
    from lstm_jax.train.records import MANIFEST

    use_whole_machine()
    share = _part(part)
    machine = describe_machine()
    manifest = StudyManifest(out / MANIFEST, study, machine, share)
    screen = console()
    size = (
        (len(study.tasks), "task"),
        (len(study.variants), "variant"),
        (study.seeds, "trial" if study.search else "seed"),
    )
    sizes = " x ".join(_counted(*part) for part in size)
    screen.print(f"{study.name}: {sizes} on {machine['devices']} x {machine['device']}, into {out}", markup=False)
    with StudyWatch(screen) as watch, manifest:

        def seen(progress: Progress) -> None:
            watch(progress)
            manifest(progress)

        rows = run_study(study, out, watch=seen, overwrite=overwrite, part=share)
    took = f"{clock(manifest.seconds)} for {_counted(watch.finished_here, 'trial')}"
    if len(rows) < len(study.trials()):
        others = f"all parts together have finished {len(rows)} of {len(study.trials())} trials"
        screen.print(
            f"{took}. Wrote {out / 'results.csv'}; {others}: `lstm-jax report {out}` reports them", markup=False
        )
        return rows
    written = [out / "results.csv", *publish(out, study.reference)]
    screen.print(f"{took}. Wrote {', '.join(map(str, written))}", markup=False)
    return rows


def _part(text: str | None) -> Part:
    """What ``--part`` asks for; ``auto`` joins the other processes of a cluster before JAX computes anything."""
    import jax

    from lstm_jax.studies.run import WHOLE, Part

    if text != "auto":
        return WHOLE if text is None else Part.parse(text)
    if not jax.distributed.is_initialized():
        jax.distributed.initialize()
    return Part(jax.process_index(), jax.process_count())


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
