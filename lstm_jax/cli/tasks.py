"""``lstm-jax tasks``: one line a task; sample sequences of one, in print and as a picture."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lstm_jax.cli.dispatch import DONE, USAGE, complain
from lstm_jax.names import UsageError, nearest

ACTIONS = ("list", "show")
SHOW = "lstm-jax tasks show"


@dataclass(frozen=True)
class Options:
    """List the tasks made of random numbers: metric, chance (the best predictor without memory), what is published.

    `lstm-jax tasks show NAME` prints and draws sample sequences of one.
    """


@dataclass(frozen=True, kw_only=True)
class Show:
    """Print sample sequences of a task: inputs, targets beside them, and the steps that count."""

    count: int = 2
    """Sequences."""
    seed: int = 0
    """Of the sequences."""
    png: Path | None = None
    """Draw them into this file as well."""


@dataclass(frozen=True, kw_only=True)
class ShowNamed(Show):
    """Print sample sequences of a task: inputs, targets beside them, and the steps that count.

    `lstm-jax tasks show NAME --help` lists the options of that task too.
    """

    name: tyro.conf.Positional[str]
    """Name in `lstm-jax tasks`."""


def run(arguments: list[str]) -> int:
    """List, or show."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in ACTIONS:
        complain(f"`lstm-jax tasks` cannot {arguments[0]!r}; {nearest(arguments[0], ACTIONS)}")
        return USAGE
    if arguments[:1] == ["show"]:
        return _show(arguments[1:])
    tyro.cli(Options, args=arguments[1:] if arguments[:1] == ["list"] else arguments, prog="lstm-jax tasks")
    return _list()


def _list() -> int:
    from lstm_jax.cli.console import print_table
    from lstm_jax.tasks import TASKS

    rows = [_row(name, task()) for name, task in TASKS.items()]
    print_table(("task", "metric", "chance", "published", "lag", "what", "options"), rows)
    return DONE


def _row(name: str, task: Any) -> tuple[str, ...]:
    from lstm_jax.analysis.report import number

    published = task.published or "–"
    return name, _metric(task), number(task.chance), published, str(task.required_lag), task.summary, _options(task)


def _metric(task: Any) -> str:
    return f"{task.metric} {'↑' if task.higher_is_better else '↓'}"


def _options(task: Any) -> str:
    return ", ".join(f"{option.name}={getattr(task, option.name)}" for option in fields(task))


def _show(arguments: list[str]) -> int:
    from lstm_jax.tasks import TASKS

    if not arguments or arguments[0].startswith("-"):  # no task whose options could be known
        tyro.cli(ShowNamed, args=arguments, prog=SHOW, config=(tyro.conf.FlagCreatePairsOff,))
        raise UsageError(f"name the task first: {SHOW} NAME [OPTIONS]")
    name, *rest = arguments
    try:
        options: Any = tyro.cli(
            _with_options(TASKS[name]), args=rest, prog=f"{SHOW} {name}", config=(tyro.conf.FlagCreatePairsOff,)
        )
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if options.count < 1 or not 0 <= options.seed < 2**32:
        raise UsageError(f"count must be >= 1 and seed from 0 to 2**32 - 1, got {options.count} and {options.seed}")
    try:
        return _print(options.task, options)
    except OverflowError as error:
        raise UsageError(f"{name} cannot be that large: {error}") from error


def _with_options(kind: type) -> type[Show]:
    """``Show`` with the options of one task."""
    task = "task", Annotated[kind, tyro.conf.arg(name="")], field(default_factory=kind)
    return make_dataclass(
        "Show", [task], bases=(Show,), frozen=True, kw_only=True, namespace={"__doc__": Show.__doc__}
    )


def _print(task: Any, options: Show) -> int:
    import jax

    from lstm_jax.analysis.report import number
    from lstm_jax.analysis.task_text import sequence_text
    from lstm_jax.cli.console import console

    batch = jax.device_get(jax.jit(task.sample, static_argnums=1)(jax.random.key(options.seed), options.count))
    screen = console()

    def say(line: str) -> None:
        screen.print(line, markup=False, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)

    say(f"{task.name}: {task.summary}")
    say(f"{_options(task)}; {_metric(task)}, chance {number(task.chance)}, lag {task.required_lag}")
    for n in range(options.count):
        say(f"\nsequence {n}, {batch.lengths[n]} steps")
        for line in sequence_text(task, batch, n, screen.width):
            say(f"{line}")
    if options.png is not None:
        _draw(task, batch, options.png)
        say(f"\nwrote {options.png}")
    return DONE


def _draw(task: Any, batch: Any, path: Path) -> None:
    from lstm_jax.analysis.paper import save_figure
    from lstm_jax.analysis.task_figure import task_figure

    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(task_figure(task, batch), path)
