"""The same run for N trials in one program: seeds, rates, momenta and noise differ, the program does not.

A trial that diverges or stops early freezes alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.train.config import Config
from lstm_jax.train.network import Network, count_parameters
from lstm_jax.train.objective import divide, loss_name
from lstm_jax.train.parallel import build_program, check_alone, devices_for
from lstm_jax.train.program import Program, begin, to_host, validate
from lstm_jax.train.source import Problem, load_problem
from lstm_jax.train.step import Hyper, TrainState, default_hyper
from lstm_jax.train.trials import Trials, final_scores


@dataclass(frozen=True)
class Progress:
    """What is known at an evaluation; arrays are ``(N,)``, curves end here."""

    step: int
    steps: int
    loss: np.ndarray
    validation: np.ndarray
    active: np.ndarray
    seconds: float


@dataclass(frozen=True)
class PopulationResult:
    """What N trials gave; arrays have a leading axis N unless said otherwise.

    Attributes:
        seeds: of the trials; ``hypers``: their values.
        metric: the name that ``validation`` and the curve are about.
        test: every metric on the test set, of the parameters at the best validation; NaN for a trial without one.
        validation: best value of ``metric`` on the validation set; ``best_step``: where.
        curve_steps: ``(E,)`` steps at which there was an evaluation; ``curve`` ``(N, E)`` validation, ``loss``
            ``(N, E)`` mean training loss since the one before (NaN once a trial has stopped).
        steps_run: updates done; ``diverged``: a loss or gradient was not finite.
        params: ``Network`` at the best validation.
        parameters: numbers learned by one trial.
        seconds: wall time of all trials, compilation included; ``first_chunk_seconds`` holds the compilation.
    """

    seeds: tuple[int, ...]
    hypers: Hyper
    metric: str
    test: dict[str, np.ndarray]
    validation: np.ndarray
    best_step: np.ndarray
    curve_steps: np.ndarray
    curve: np.ndarray
    loss: np.ndarray
    steps_run: np.ndarray
    diverged: np.ndarray
    params: Network
    parameters: int
    seconds: float
    first_chunk_seconds: float


def stack_hypers(config: Config, count: int, hypers: Sequence[Hyper] | Hyper | None) -> Hyper:
    """Values of ``count`` trials as arrays ``(count,)``: given for each trial, or those of the config for all."""
    if isinstance(hypers, Hyper):
        stacked = Hyper(*(jnp.asarray(value, jnp.float32) for value in hypers))
    else:
        rows = [default_hyper(config)] * count if hypers is None else hypers
        stacked = Hyper(*(jnp.asarray(column, jnp.float32) for column in zip(*rows, strict=True)))
    if any(column.shape != (count,) for column in stacked):
        shapes = [column.shape for column in stacked]
        raise ValueError(f"hypers must hold one value for each of the {count} seeds, got shapes {shapes}")
    return stacked


def run_population(
    config: Config,
    seeds: Sequence[int] | None = None,
    hypers: Sequence[Hyper] | Hyper | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    problem: Problem | None = None,
) -> PopulationResult:
    """Train one trial for each seed, in memory; the trial with seed s is the same whatever stands beside it.

    Args:
        config: the run; its ``train.seed`` and ``train.trials`` give the seeds unless ``seeds`` does.
        seeds: one for each trial, below 2**32.
        hypers: learning rate, momentum and noise of each trial (a list of ``Hyper``, or one of arrays ``(N,)``).
        on_progress: called after each evaluation.
        problem: what ``load_problem(config.data)`` gives, to load data once for several calls.

    Returns:
        The results; the test set is touched once, after the last step, with the parameters of the best validation.
    """
    start = time.perf_counter()
    problem = load_problem(config.data) if problem is None else problem
    seeds = tuple(range(config.train.seed, config.train.seed + config.train.trials) if seeds is None else seeds)
    _check_seeds(seeds)
    check_alone(config, len(seeds))
    stacked = stack_hypers(config, len(seeds), hypers)
    loudest = float(stacked.input_noise.max())
    problem.check_noise(loudest)
    config = replace(config, data=replace(config.data, input_noise=loudest))
    program = build_program(config, problem.loss, devices_for(config, len(seeds)))
    problem = program.place(problem)
    trials = begin(program, problem, seeds, stacked)
    curve: list[Progress] = []
    while (step := curve[-1].step if curve else 0) < config.train.steps and (not curve or curve[-1].active.any()):
        trials, progress = _to_next_evaluation(config, program, problem, trials, step)
        curve.append(_first(progress, len(seeds), time.perf_counter() - start))
        if on_progress is not None:
            on_progress(curve[-1])
    return _result(program, problem, trials, curve, (seeds, stacked, start))


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise ValueError("run_population needs at least one seed, got none")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**32:
            raise ValueError(f"run_population: seeds must be whole numbers from 0 to 2**32 - 1, got {seed!r}")


def _to_next_evaluation(
    config: Config, program: Program, problem: Problem, trials: Trials, step: int
) -> tuple[Trials, Progress]:
    stop = min((step // config.train.eval_every + 1) * config.train.eval_every, config.train.steps)
    longest = min(config.train.eval_every, config.train.steps)
    state, metrics = program.advance(trials.state, problem, jnp.int32(step), stop - step, longest)
    trials, validation = validate(program, problem, Trials(state, trials.best), config.train.patience)
    refuse_divergence(config, trials.state)
    loss, values = divide(metrics[loss_name(problem.loss)]), divide(validation[problem.metric])
    seen = [np.asarray(array) for array in (loss, values, trials.state.active)]
    return trials, Progress(stop, config.train.steps, seen[0], seen[1], seen[2], seconds=0.0)


def _first(progress: Progress, count: int, seconds: float) -> Progress:
    """Without the trials that only fill a device."""
    arrays = {name: getattr(progress, name)[:count] for name in ("loss", "validation", "active")}
    return replace(progress, seconds=seconds, **arrays)


def refuse_divergence(config: Config, state: TrainState) -> None:
    """Under ``nan_policy="raise"``, say which seed and step was not finite: with the config, enough to replay it."""
    if config.train.nan_policy == "raise" and np.asarray(state.diverged).any():
        row = int(np.argmax(np.asarray(state.diverged)))
        seed, step = int(state.seed[row]), int(state.step[row])
        raise FloatingPointError(
            f"the loss or its gradient is not finite: seed {seed}, step {step}. Batch and weights are functions of "
            "both; lower the learning rate, set clip_norm, or choose nan_policy 'stop' or 'skip'"
        )


def _result(
    program: Program, problem: Problem, trials: Trials, curve: list[Progress], run: tuple[Any, Hyper, float]
) -> PopulationResult:
    seeds, hypers, start = run
    count = len(seeds)
    tested = program.evaluate(trials.best.params, problem.test, problem.cuts)
    state, best, test = to_host((trials.state, trials.best, tested), count)
    return PopulationResult(
        seeds=seeds,
        hypers=jax.tree.map(np.asarray, hypers),
        metric=problem.metric,
        test=final_scores(best, test),
        validation=best.value,
        best_step=best.step,
        curve_steps=np.array([progress.step for progress in curve]),
        curve=np.stack([progress.validation for progress in curve], axis=1),
        loss=np.stack([progress.loss for progress in curve], axis=1),
        steps_run=state.step,
        diverged=state.diverged,
        params=best.params,
        parameters=count_parameters(best.params) // count,
        seconds=time.perf_counter() - start,
        first_chunk_seconds=curve[0].seconds,
    )
