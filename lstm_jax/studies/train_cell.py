"""One cell of a study: train its population, give its rows."""

from __future__ import annotations

import functools
from typing import Any

from lstm_jax.studies.collect import Row
from lstm_jax.studies.plan import Cell, Share
from lstm_jax.train.config import DataConfig
from lstm_jax.train.population import Progress, run_population
from lstm_jax.train.source import Problem, load_problem


def train_cell(cell: Cell, share: Share) -> list[Row]:
    """Train one trial a seed and give a row for each, diverged or not."""
    problem = _problem(cell.config.data)

    def report(progress: Progress) -> None:
        share(progress.step / progress.steps)

    result = run_population(cell.config, on_progress=report, problem=problem)
    return [
        Row(
            task=cell.task,
            variant=cell.variant,
            seed=seed,
            metric=result.metric,
            higher_is_better=problem.higher_is_better,
            chance=_chance(cell.config.data),
            test=float(result.test[result.metric][trial]),
            validation=float(result.validation[trial]),
            best_step=int(result.best_step[trial]),
            steps=int(result.steps_run[trial]),
            diverged=bool(result.diverged[trial]),
            parameters=result.parameters,
            seconds=result.seconds / len(result.seeds),
        )
        for trial, seed in enumerate(result.seeds)
    ]


@functools.lru_cache(maxsize=1)
def _problem(data: DataConfig) -> Problem:
    """The variants of a task share its data."""
    return load_problem(data)


@functools.lru_cache(maxsize=8)
def _chance(data: DataConfig) -> float:
    """The metric of the best predictor without memory, on the test set."""
    from lstm_jax.tasks import TASKS

    options: dict[str, Any] = dict(data.options)
    if data.name in TASKS:
        return float(TASKS[data.name](**options).chance)
    from lstm_jax.datasets import chance

    return float(chance(data.name, "test", **options))
