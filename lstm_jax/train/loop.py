"""Training with a folder: rows, checkpoints and a summary on disk; interrupted and resumed without a trace."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.names import UsageError
from lstm_jax.train import records
from lstm_jax.train.checkpoint import checkpoint_name, load_checkpoint, save_checkpoint, set_aside_after
from lstm_jax.train.config import Config, TrainConfig, to_json
from lstm_jax.train.disk import feeding
from lstm_jax.train.interrupt import Interrupt
from lstm_jax.train.network import count_parameters
from lstm_jax.train.objective import divide, loss_name, metric_names
from lstm_jax.train.parallel import build_program, check_alone, devices_for
from lstm_jax.train.population import refuse_divergence, stack_hypers
from lstm_jax.train.program import begin, check_fits, restore, to_host, validate
from lstm_jax.train.progress import Reporter
from lstm_jax.train.records import CHECKPOINTS, CONFIG, MANIFEST, SUMMARY, Manifest, MetricsFile
from lstm_jax.train.source import DATA, Problem, data_version, load_problem, stream
from lstm_jax.train.step import Metrics
from lstm_jax.train.trials import Trials, final_scores

DIVERGED_EXIT_CODE = 3


@dataclass(frozen=True)
class Summary:
    """What a run gave; lists have one entry for each trial, None where a number is not finite.

    Attributes:
        seeds: of the trials.
        metric: what ``validation`` is about: its best value, reached at ``best_step``.
        test: every metric on the test set with the parameters of the best validation; empty if interrupted, None for a
            trial that had no validation.
        steps_run: updates done; ``diverged``: a loss or gradient was not finite.
        parameters: numbers learned by one trial.
        exit_code: 0 done, 3 every trial diverged, 130 or 143 interrupted with a checkpoint saved.
    """

    seeds: list[int]
    metric: str
    validation: list[float | None]
    best_step: list[int]
    test: dict[str, list[float | None]]
    steps_run: list[int]
    diverged: list[bool]
    parameters: int
    exit_code: int

    @property
    def interrupted(self) -> bool:
        """Stopped by a signal; a checkpoint is saved, and the same call with ``resume=True`` goes on."""
        return self.exit_code > 128


def train(
    config: Config,
    directory: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
    from_disk: bool = False,
) -> Summary:
    """Run ``config`` in ``directory``: config.json, metrics.csv, manifest.json, summary.json, checkpoints/.

    A run that was killed continues with ``resume=True`` and ends with the same bytes as one that never stopped.
    SIGTERM and Ctrl-C save a checkpoint after the current chunk of ``log_every`` steps and return; another one, once
    Python has seen the first, exits at once.

    Args:
        config: the run; ``train.trials`` > 1 runs several seeds in one program.
        directory: a folder of its own.
        resume: continue from the newest intact checkpoint; start anew where there is none.
        overwrite: discard the run in the folder.
        progress: a bar on a terminal, plain lines elsewhere.
        from_disk: the training data stay on disk and are read ahead (``disk.py``), for sets that do not fit on the
            device. The numbers are those of data in memory, and a run may be resumed either way.

    Raises:
        FileExistsError: the folder is not empty, and neither ``resume=True`` nor ``overwrite=True`` was given.
        FolderBusyError: another process works in the folder.
        ValueError: unknown names, impossible values, another config in the folder.
        FloatingPointError: a trial diverged under ``nan_policy="raise"``.
    """
    path, last = Path(directory), config.train.steps
    seeds = list(range(config.train.seed, config.train.seed + config.train.trials))
    with Interrupt() as interrupt, records.alone_in(path):
        # -- the folder, the data, the program
        records.check_run(path, config, resume=resume, overwrite=overwrite)
        if resume and (path / SUMMARY).is_file():
            return records.read_file(path / SUMMARY, lambda text: Summary(**json.loads(text)))
        check_alone(config, len(seeds))
        data_key = one_order(config, from_disk)
        problem = load_problem(config.data, from_disk)
        wasted, longest = problem.wasted_share(data_key), longest_chunk(config.train)
        program = build_program(config, problem.loss, devices_for(config, len(seeds)))
        problem = program.place(problem)

        # -- the start: new, or where the newest intact checkpoint stands; what was wrong so far has left no trace
        trials = begin(program, problem, seeds, stack_hypers(config, len(seeds), None))
        check_fits(config, problem, trials)
        records.start_run(path, config, resume=resume)
        found = load_checkpoint(path / CHECKPOINTS, to_host(trials, len(seeds)), records.warn) if resume else None
        if found is not None:
            records.same_config(path / CHECKPOINTS / checkpoint_name(found[0]) / CONFIG, config)
            set_aside_after(path / CHECKPOINTS, found[0])
        step, trials = (0, trials) if found is None else (found[0], restore(program, found[1], len(seeds)))
        saved = None if found is None else step

        with (
            Manifest(path / MANIFEST, seeds, step, data_version(config.data)) as manifest,
            Reporter(last, step, config.data.batch_size * len(seeds), progress) as reporter,
            MetricsFile(path / records.METRICS, columns(problem.loss), step) as file,
            feeding(problem, data_key, partial(next_stop, config.train), last, program.place) as fed,
        ):
            # -- chunk by chunk
            if wasted:
                reporter.note(f"{wasted:.1%} of the steps computed in an epoch are padding")
            while step < last and not interrupt and np.asarray(trials.state.active).any():
                running = np.asarray(trials.state.active)
                stop = next_stop(config.train, step)
                state, sums = program.advance(trials.state, fed(step), jnp.int32(step), stop - step, longest)
                trials, step, validation = Trials(state, trials.best), stop, None
                refuse_divergence(config, state)
                if step % config.train.eval_every == 0 or step == last:
                    trials, validation = validate(program, problem, trials, config.train.patience)
                rows = table(sums, validation)
                for n, seed in enumerate(seeds):
                    if running[n]:
                        file.append(step, seed, {name: column[n] for name, column in rows.items()})
                reporter.step(step, describe(problem, rows, running))
                if step % config.train.checkpoint_every == 0 or step == last:
                    file.sync()  # no checkpoint is on disk before the rows that led to it
                    saved = save(path, step, trials, config)
                    manifest.write("running")  # with the time so far, for the case of a kill

            # -- the end: leave with everything saved, or look at the test set for the first and only time
            if saved != step:
                file.sync()
                save(path, step, trials, config)
            if interrupt:
                manifest.write("interrupted")
                reporter.say(f"interrupted; step {step} is saved in {path}: continue with --resume")
                return summarise(problem, trials, seeds, None, interrupt.exit_code)
            tested = program.evaluate(trials.best.params, problem.test, problem.cuts)
            summary = summarise(problem, trials, seeds, tested, 0)
            records.write_json(path / SUMMARY, asdict(summary))
            manifest.write("diverged" if summary.exit_code else "done")
            return summary


def train_part(config: Config, directory: str | Path, overwrite: bool) -> Summary:
    """As ``train``, one network of several: what is there is kept or gone on with, unless ``overwrite``.

    Raises:
        KeyboardInterrupt: a signal came, which is meant for the whole.
    """
    summary = train(config, directory, resume=not overwrite, overwrite=overwrite)
    if summary.interrupted:
        raise KeyboardInterrupt
    return summary


def one_order(config: Config, from_disk: bool) -> jax.Array:
    """The key of the order in which rows are read; on disk they are read once for all trials."""
    if from_disk and config.train.trials > 1 and config.train.data_seed is None:
        raise UsageError(
            f"{config.train.trials} trials would read the disk each in an order of its own; give all the same with "
            "train.data_seed, or keep the data in memory"
        )
    seed = config.train.seed if config.train.data_seed is None else config.train.data_seed
    return stream(seed, DATA)


def next_stop(config: TrainConfig, step: int) -> int:
    """Where the chunk after ``step`` ends: the next row, evaluation, checkpoint, or the last step."""
    return min(config.steps, *((step // period + 1) * period for period in _periods(config)))


def longest_chunk(config: TrainConfig) -> int:
    """Steps that no chunk exceeds."""
    return min(config.steps, *_periods(config))


def _periods(config: TrainConfig) -> tuple[int, ...]:
    return config.log_every, config.eval_every, config.checkpoint_every


def save(path: Path, step: int, trials: Trials, config: Config) -> int:
    """A checkpoint of the real trials, without those that only fill a device."""
    tree = to_host(trials, config.train.trials)
    save_checkpoint(path / CHECKPOINTS, step, tree, to_json(config), config.train.keep)
    return step


def columns(loss: str) -> list[str]:
    """Columns of metrics.csv after step and seed."""
    names = metric_names(loss)
    return [f"train_{name}" for name in (*names, "grad_norm")] + [f"validation_{name}" for name in names]


def table(training: Metrics, validation: Metrics | None) -> dict[str, np.ndarray]:
    """Column name to values ``(N,)``."""
    rows = {f"train_{name}": np.asarray(divide(mean)) for name, mean in training.items()}
    return rows | {f"validation_{name}": np.asarray(divide(mean)) for name, mean in (validation or {}).items()}


def describe(problem: Problem, rows: dict[str, np.ndarray], running: np.ndarray) -> str:
    """Means over the running trials, for a line of progress."""
    shown = (f"train_{loss_name(problem.loss)}", f"validation_{problem.metric}")
    values = {name: rows[name][: len(running)][running] for name in shown if name in rows}
    known = {name: column[~np.isnan(column)] for name, column in values.items()}  # whoever ended on the way has none
    return "  ".join(f"{name.replace('_', ' ')} {c.mean() if c.size else np.nan:.4g}" for name, c in known.items())


def summarise(problem: Problem, trials: Trials, seeds: list[int], tested: Metrics | None, exit_code: int) -> Summary:
    """The numbers of the real trials, on the host."""
    state, best, test = to_host((trials.state, trials.best, tested or {}), len(seeds))
    all_diverged = exit_code == 0 and bool(state.diverged.all())
    return Summary(
        seeds=seeds,
        metric=problem.metric,
        validation=_finite(best.value),
        best_step=best.step.tolist(),
        test={name: _finite(values) for name, values in final_scores(best, test).items()},
        steps_run=state.step.tolist(),
        diverged=state.diverged.tolist(),
        parameters=count_parameters(best.params) // len(seeds),
        exit_code=DIVERGED_EXIT_CODE if all_diverged else exit_code,
    )


def _finite(values: np.ndarray) -> list[Any]:
    return [float(value) if math.isfinite(value) else None for value in values]
