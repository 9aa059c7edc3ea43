"""Trials of a study that share a program: train them, give their rows."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax

from lstm_jax.studies.collect import Row
from lstm_jax.studies.crew import OnRow, OnRunning
from lstm_jax.studies.plan import Trial
from lstm_jax.train.config import DataConfig
from lstm_jax.train.machine import code_label, describe_machine
from lstm_jax.train.objective import BY_SEQUENCE
from lstm_jax.train.records import warn
from lstm_jax.train.slots import Outcome, Running, run_trials, side_by_side, trial_bytes
from lstm_jax.train.source import Problem, load_problem

LOADING = threading.Lock()
"""One worker loads, the others wait: a cache alone lets all of them load what none of them has yet."""


def train_trials(trials: Sequence[Trial], on_row: OnRow, on_running: OnRunning, worker: int = 0) -> None:
    """Train every trial on the local device of that number and give its row as soon as it is done, diverged or not."""
    device = jax.local_devices()[worker]
    problem, configs = _problem(trials[0].config.data), [trial.config for trial in trials]
    slots = side_by_side(configs, problem, [device])
    if slots > 1:
        size = f"{trial_bytes(configs[0], problem) / 2**20:.0f} MiB"
        warn(f"{trials[0].variant}: {slots} of {len(configs)} trials side by side, some {size} each, on {device}")

    def finish(place: int, outcome: Outcome) -> None:
        on_row(trials[place], _row(trials[place], problem, outcome))

    def report(running: list[Running]) -> None:
        on_running([(trials[one.trial], one.step / trials[one.trial].config.train.steps) for one in running])

    with jax.default_device(device):
        run_trials(configs, problem, finish, report, slots, [device])


def _row(trial: Trial, problem: Problem, outcome: Outcome) -> Row:
    config, (commit, device) = trial.config, _where()
    return Row(
        task=trial.task,
        variant=trial.variant,
        seed=config.train.seed,
        hidden_size=config.model.hidden_size,
        learning_rate=config.optimizer.learning_rate,
        momentum=config.optimizer.momentum,
        input_noise=config.data.input_noise,
        metric=problem.metric,
        higher_is_better=problem.higher_is_better,
        chance=_chance(config.data.name, config.data.options_of_test),
        test=outcome.test[problem.metric],
        validation=outcome.validation,
        test_by_sequence=outcome.test[problem.metric + BY_SEQUENCE],
        best_step=outcome.best_step,
        steps=outcome.steps,
        diverged=outcome.diverged,
        parameters=outcome.parameters,
        seconds=round(outcome.seconds, 3),
        commit=commit,
        device=device,
    )


@functools.cache
def _where() -> tuple[str, str]:
    """Commit, and processor or accelerator, that rows carry."""
    machine: dict[str, Any] = describe_machine()
    commit = code_label(machine)
    kind = machine["processor"] if machine["backend"] == "cpu" else machine["device"]
    return commit, f"{machine['devices']} x {kind}"


def _problem(data: DataConfig) -> Problem:
    """The trials of a task share its data, whatever noise they add to it."""
    with LOADING:
        return _loaded(replace(data, input_noise=0.0))


@functools.lru_cache(maxsize=2)  # workers pass from one task to the next one after another
def _loaded(data: DataConfig) -> Problem:
    return load_problem(data)


@functools.lru_cache(maxsize=8)
def _chance(name: str, pairs: tuple[tuple[str, Any], ...]) -> float:
    """The metric of the best guess without memory, of a data set of the best constant one, on the test set."""
    from lstm_jax.tasks import TASKS

    options: dict[str, Any] = dict(pairs)
    if name in TASKS:
        return float(TASKS[name](**options).chance)
    from lstm_jax.datasets import chance

    return float(chance(name, "test", **options))
