"""Learning rates chosen by validation, on seeds that the study itself does not use."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lstm_jax.names import UsageError
from lstm_jax.studies.collect import Row
from lstm_jax.studies.grid import label
from lstm_jax.train.config import Config
from lstm_jax.train.records import warn, write_atomically

AT = " at "
"""Stands between a task and a learning rate where rates are tried."""


def at_rate(task: str, config: Config, rate: float, seed: int) -> tuple[str, Config]:
    """The same run at another learning rate, on seeds from ``seed`` on, and what its rows call the task."""
    optimizer, train = replace(config.optimizer, learning_rate=rate), replace(config.train, seed=seed)
    return f"{task}{AT}{rate}", replace(config, optimizer=optimizer, train=train)


def best_rates(rows: Iterable[Row]) -> list[dict[str, object]]:
    """For each task and variant the rate with the best mean validation score, beside the scores of all.

    Args:
        rows: of runs whose tasks are called as ``at_rate`` calls them.
    """
    scores: dict[tuple[str, str], dict[float, list[float]]] = {}
    better = {}
    for row in rows:
        task, _, rate = row.task.rpartition(AT)
        better[task] = max if row.higher_is_better else min
        scores.setdefault((task, row.variant), {}).setdefault(float(rate), []).append(row.validation)
    chosen = []
    for (task, variant), by_rate in scores.items():
        means = {rate: sum(values) / len(values) for rate, values in by_rate.items()}
        best = better[task](means, key=means.__getitem__)
        shown = {f"validation at {rate}": f"{mean:.6g}" for rate, mean in means.items()}
        chosen.append({"task": task, "variant": variant, "rate": best, **shown})
    return chosen


def write_rates(path: Path, chosen: Sequence[Mapping[str, object]]) -> None:
    """The choice as CSV, for ``rates.csv`` beside an experiment."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, chosen[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(chosen)
    write_atomically(path, stream.getvalue().encode())


def chosen_rates(
    path: Path, cells: Sequence[tuple[str, str]], default: float | None = None
) -> dict[tuple[str, str], float]:
    """What ``write_rates`` wrote for these cells of a study.

    Args:
        path: the CSV; a column ``init`` beside the task makes it a task with that start, ``grid.label``.
        cells: ``(task, variant)``.
        default: for tasks that the file says nothing about, which is told; None: they are refused.

    Raises:
        UsageError: there is no such file, or a cell is missing in it.
    """
    if not path.is_file():
        raise UsageError(f"no learning rates at {path}; --choose-rates makes them, --rates names another file")
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    found = {
        (label(row["task"], row["init"]) if "init" in row else row["task"], row["variant"]): float(row["rate"])
        for row in rows
    }
    if default is not None:
        for task in dict.fromkeys(task for task, _ in cells if task not in {known for known, _ in found}):
            warn(f"{path} has no learning rates for {task}: {default} for all; --choose-rates makes them")
            found |= {cell: default for cell in cells if cell[0] == task}
    if missing := [f"{variant} on {task}" for task, variant in cells if (task, variant) not in found]:
        raise UsageError(f"{path} has no learning rate for {'; '.join(missing[:3])}; --choose-rates makes them")
    return {cell: found[cell] for cell in cells}
