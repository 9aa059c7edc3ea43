"""``lstm-jax tasks``: one line a task."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import tyro

from lstm_jax.cli.dispatch import DONE


@dataclass(frozen=True)
class Options:
    """List the tasks made of random numbers: metric, chance (the best predictor without memory), options."""


def run(arguments: list[str]) -> int:
    """Print the table."""
    tyro.cli(Options, args=arguments, prog="lstm-jax tasks")
    from lstm_jax.cli.console import print_table
    from lstm_jax.tasks import TASKS

    rows = [_row(name, task()) for name, task in TASKS.items()]
    print_table(("task", "metric", "chance", "lag", "what", "options"), rows)
    return DONE


def _row(name: str, task: Any) -> tuple[str, ...]:
    from lstm_jax.analysis.report import number

    options = ", ".join(f"{option.name}={getattr(task, option.name)}" for option in fields(task))
    direction = "↑" if task.higher_is_better else "↓"
    return name, f"{task.metric} {direction}", number(task.chance), str(task.required_lag), task.summary, options
