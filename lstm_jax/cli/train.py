"""``lstm-jax train``: one network, or several trials of it, in a folder of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from lstm_jax.cli.dispatch import DONE, USAGE, complain
from lstm_jax.names import UsageError
from lstm_jax.train.config import Config, from_json, to_json

if TYPE_CHECKING:
    from lstm_jax.train.loop import Summary


@dataclass(frozen=True)
class Options:
    """Train one network, or several trials of it (--train.trials) in one program."""

    run: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    config: Path | None = None
    """Settings from a JSON file (what --print-config prints, or the config.json of a run); options win over it."""
    out: Path = Path("runs/latest")
    """Folder of the run: config.json, metrics.csv, manifest.json, summary.json, checkpoints."""
    resume: bool = False
    """Continue the run in the folder from its newest checkpoint, with the settings that lie there."""
    overwrite: bool = False
    """Discard the run in the folder."""
    from_disk: bool = False
    """Leave the training data on disk and read ahead of what is learned: for sets that do not fit on the device."""
    quiet: bool = False
    """No progress, only the result."""
    print_config: bool = False
    """Print the settings as JSON, run nothing."""
    dry_run: bool = False
    """Print settings, parameter count and shapes, run nothing."""


def run(arguments: list[str]) -> int:
    """Parse and train."""
    defaults = _defaults(arguments)
    flags = (tyro.conf.FlagCreatePairsOff,)
    options = tyro.cli(Options, args=arguments, prog="lstm-jax train", default=defaults, config=flags)
    if options.resume and options.overwrite:
        complain("--resume continues a run and --overwrite discards it: choose one")
        return USAGE
    if options.print_config:
        print(to_json(options.run), end="")
        return DONE
    if options.dry_run:
        print(to_json(options.run), end="")
        _describe(options.run)
        return DONE
    return _train(options)


def _defaults(arguments: list[str]) -> Options:
    """Where the other options start from: the file of ``--config``, or with ``--resume`` that of the folder's run."""
    import argparse

    early = argparse.ArgumentParser(prog="lstm-jax train", add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=lambda path: None if path == "None" else Path(path))
    early.add_argument("--out", type=Path, default=Options.out)
    for flag in ("--resume", "--overwrite"):
        early.add_argument(flag, action="store_true")
    if {"-h", "--help"} & set(arguments):
        return Options()
    given = early.parse_known_args(arguments)[0]
    own = _own_config(given.out) if given.resume and not given.overwrite else None
    path = given.config or own
    if path is None:
        return Options()
    try:
        return Options(run=from_json(path.read_text()), config=given.config)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: {error}") from error


def _own_config(folder: Path) -> Path:
    """Settings of the run in ``folder``, which must be there."""
    path = folder / "config.json"
    if not path.is_file():
        raise UsageError(
            f"{folder} holds no run to resume ({path.name} is missing): give its folder with --out, or leave out "
            "--resume to start one"
        )
    return path


def _train(options: Options) -> int:
    from lstm_jax.train.loop import train
    from lstm_jax.train.machine import use_whole_machine

    use_whole_machine()
    summary = train(
        options.run,
        options.out,
        resume=options.resume,
        overwrite=options.overwrite,
        progress=not options.quiet,
        from_disk=options.from_disk,
    )
    if summary.test:
        _show(summary)
    print(f"in {options.out}")
    return summary.exit_code


def _show(summary: Summary) -> None:
    from lstm_jax.analysis.report import number
    from lstm_jax.cli.console import print_table

    def text(value: float | None) -> str:
        return number(math.nan if value is None else value)

    header = ("seed", f"validation {summary.metric}", "at step", *(f"test {name}" for name in summary.test), "")
    rows = [
        (
            str(seed),
            text(summary.validation[n]),
            str(summary.best_step[n]),
            *(text(values[n]) for values in summary.test.values()),
            "diverged" if summary.diverged[n] else "",
        )
        for n, seed in enumerate(summary.seeds)
    ]
    print_table(header, rows, f"{summary.parameters:,} parameters", right=True)


def _describe(config: Config) -> None:
    """Parameter count and shapes, without drawing a weight."""
    import jax

    from lstm_jax.cli.console import print_table
    from lstm_jax.train.network import init_network
    from lstm_jax.train.source import load_problem

    problem = load_problem(config.data)
    sizes = problem.input_size, problem.output_size, problem.length
    network = jax.eval_shape(lambda: init_network(jax.random.key(0), config.model, *sizes))
    leaves = jax.tree_util.tree_leaves_with_path(network)
    rows = [(jax.tree_util.keystr(path), str(leaf.shape), f"{math.prod(leaf.shape):,}") for path, leaf in leaves]
    total = sum(math.prod(leaf.shape) for _, leaf in leaves)
    batch = f"batch (T, B, I) = ({problem.length}, {config.data.batch_size}, {problem.input_size})"
    print_table(("array", "shape", "parameters"), [*rows, ("total", "", f"{total:,}")], batch)
