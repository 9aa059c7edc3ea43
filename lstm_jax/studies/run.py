"""Running a study so that nothing finished is ever lost: each trial is on disk before the next result is looked at."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from lstm_jax.cell.variants import positive
from lstm_jax.names import UsageError
from lstm_jax.studies.collect import RESULTS, Row, TrialLog, forget, read_log, set_aside, write_rows
from lstm_jax.studies.crew import Crew, Train
from lstm_jax.studies.plan import Study, Trial
from lstm_jax.studies.plan_text import differences, plan_table
from lstm_jax.train.machine import describe_code
from lstm_jax.train.records import (
    LOCK,
    TURN,
    FolderBusyError,
    alone_in,
    in_turn,
    refuse_busy,
    warn,
    write_atomically,
)

CONFIG, PLAN, LOG, PARTS = "config.json", "plan.csv", "trials.jsonl", "parts"
GATHER_SECONDS = 10.0
"""How often ``results.csv`` is gathered while a study runs; the log has every trial at once."""
__all__ = ["WHOLE", "FolderBusyError", "Part", "Progress", "Train", "finished_trials", "origin", "run_study"]


@dataclass(frozen=True)
class Part:
    """Which of the trials of a study one of several processes runs: every ``count``-th, from ``index`` on."""

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        """Refuse a part that does not exist."""
        if not 0 <= self.index < self.count:
            raise UsageError(f"a part is INDEX/COUNT with 0 <= INDEX < COUNT, got {self.index}/{self.count}")

    @classmethod
    def parse(cls, text: str) -> Part:
        """``"0/4"``: the first of four."""
        numbers = text.split("/")
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise UsageError(f"a part is INDEX/COUNT, such as 0/4, got {text!r}")
        return cls(*map(int, numbers))

    def of(self, trials: Sequence[Trial]) -> Sequence[Trial]:
        """Its own of all trials."""
        return trials[self.index :: self.count]

    def folder(self, study: Path) -> Path:
        """Where the log of this part lies."""
        return study if self.count == 1 else study / PARTS / f"{self.index}-of-{self.count}"


WHOLE = Part()


@dataclass(frozen=True)
class Progress:
    """Where a study stands, for those who watch.

    Attributes:
        running: trials under way, each with the done share of its longest possible run, 0 to 1.
        finished, total: trials of this part. ``reused``: those of the finished that an earlier run had left.
        waiting: ``(task, variant)`` of the trials that are neither finished nor running.
        rows: results so far.
        foreign: how many of the reused trials other code than this computed, by its ``origin``.
        workers: groups of trials that run at a time.
    """

    running: tuple[tuple[Trial, float], ...]
    finished: int
    total: int
    reused: int
    waiting: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    foreign: Mapping[str, int] = field(default_factory=dict)
    workers: int = 1


def run_study(
    study: Study,
    folder: Path,
    train: Train | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
    overwrite: bool = False,
    part: Part = WHOLE,
    workers: int | None = None,
) -> list[Row]:
    """Run what is missing of a study and return all its rows: task by task, variant by variant, by rising seed.

    The plan is on disk before the first trial (``config.json``, ``plan.csv``). A finished trial is a line of
    ``trials.jsonl`` under a key made of its whole config, with a checksum; ``results.csv`` is gathered from them. So a
    second call continues where the first was stopped, however it was stopped, and a study that has more variants,
    tasks or seeds than the one in the folder runs what was added. Results that a different study left there are moved
    to ``folder/earlier/``, which is told; its trials stay for a return to it.

    Args:
        study: the tasks, variants and trials.
        folder: where everything is written.
        train: what runs trials that share a program, told the number of its worker; by default ``train_trials``.
        workers: groups of such trials that run at a time, each in a thread of its own; by default one a local device.
            The devices never wait for each other, and every program is compiled once.
        watch: called at every step of progress.
        overwrite: run all trials again.
        part: this process's share of the trials, where several processes or hosts work on one folder; each has a log
            of its own in ``folder/parts/``, all read all logs, and none runs what another has finished.

    Raises:
        FolderBusyError: another process works on the folder, or on this part of it; the whole and parts exclude each
            other.
        FileExistsError: the folder holds something else than a study.
        ValueError: a line of the log does not match its checksum; workers below 1, or more than there are devices.
    """
    folder, workers = Path(folder), None if workers is None else positive("run_study: workers", workers)
    with alone_in(part.folder(folder)):
        for other in sorted(folder.glob(f"{PARTS}/*")) if part == WHOLE else [folder]:
            refuse_busy(other)
        if overwrite:  # now, so that an interrupted run is continued without them
            _forget(study, folder, part)
        with nullcontext() if part == WHOLE else in_turn(folder):  # parts may begin at the same moment
            _set_aside(study, folder)
            write_atomically(folder / CONFIG, study.to_json().encode())
            write_atomically(folder / PLAN, plan_table(study).encode())
        conductor = _Conductor(study, folder, watch, part)
        return conductor.run(*_default_train(workers)) if train is None else conductor.run(train, workers or 1)


def _forget(study: Study, folder: Path, part: Part) -> None:
    """Take the trials of the part out of its log, of the whole out of all logs.

    Raises:
        UsageError: trials of the part lie in logs that are not its own, and that another process may be writing.
    """
    if part == WHOLE:
        for log in _logs(folder):
            forget(log, (trial.key for trial in study.trials()))
        return
    own, keys = part.folder(folder) / LOG, {trial.key for trial in part.of(study.trials())}
    for log in _logs(folder):
        held = 0 if log == own else len(keys & read_log(log).keys())
        if held:
            raise UsageError(
                f"{held} finished trials of part {part.index}/{part.count} lie in {log}; --overwrite them all without "
                "--part, or leave --overwrite out"
            )
    forget(own, keys)


def _set_aside(study: Study, folder: Path) -> None:
    """Move what another study wrote out of the way of this one, wherever it holds trials that this one lacks."""
    path = folder / CONFIG
    if not path.is_file():
        return
    try:
        before = Study.from_json(path.read_text())
    except (ValueError, TypeError) as error:
        raise FileExistsError(
            f"{path} is of something else than a study ({error}); name another folder (--out)"
        ) from error
    kept = {trial.key for trial in before.trials()} <= {trial.key for trial in study.trials()}
    if kept or not any((folder / name).is_file() for name in RESULTS):
        return
    files = [entry for entry in folder.iterdir() if entry.is_file() and entry.name not in (LOCK, TURN, LOG)]
    aside = set_aside(folder, files)
    warn(f"{folder} held another study ({differences(before, study)}); its results are now in {aside}")


def _default_train(workers: int | None) -> tuple[Train, int]:
    import jax

    from lstm_jax.studies.train_trials import train_trials

    devices = len(jax.local_devices())
    if workers is not None and workers > devices:
        raise UsageError(f"workers={workers}: each has a local device of its own, and there are {devices}")
    return train_trials, workers or devices


class _Conductor:
    """The trials of a study that are missing, and what is known of the others."""

    def __init__(self, study: Study, folder: Path, watch: Callable[[Progress], None], part: Part) -> None:
        self.study, self.folder, self.watch, self.code = study, folder, watch, describe_code()
        self.part, self.trials = part, part.of(study.trials())
        found = finished_trials(study, folder)
        origins = Counter(origin(code) for _, code in found.values())
        self.rows = {key: row for key, (row, _) in found.items()}
        self.reused = sum(trial.key in found for trial in self.trials)
        self.foreign = {name: n for name, n in origins.items() if name != origin(self.code)}
        self.order = study.in_order()
        self.gathered: float = 0.0
        self.workers = 1

    def run(self, train: Train, workers: int) -> list[Row]:
        """Everything that is missing, as many programs at a time as there are workers."""
        missing = [trial for trial in self.trials if trial.key not in self.rows]
        groups = _groups(missing, kept_in_order=self.study.block is not None)
        running: dict[int, list[tuple[Trial, float]]] = {}
        self.workers = max(1, min(workers, len(groups)))
        self._tell([])
        with TrialLog(self.part.folder(self.folder) / LOG) as log, Crew(train, groups, workers) as crew:
            try:
                for worker, news in crew:
                    if isinstance(news, list):
                        running[worker] = news
                        self._tell([entry for entries in running.values() for entry in entries])
                        continue
                    trial, row = news
                    log.append(trial.key, row, self.code)
                    self.rows[trial.key] = row
                    if time.monotonic() - self.gathered > GATHER_SECONDS:
                        self._gather()
            finally:
                self._gather()
        self._tell([])
        return list(self._all())

    def _gather(self) -> None:
        path = self.folder / "results.csv"
        if self.part == WHOLE:
            write_rows(path, self._all())
        else:
            with in_turn(self.folder):  # of two parts that read and then write, who read first must not write last
                self.rows |= {key: row for key, (row, _) in finished_trials(self.study, self.folder).items()}
                write_rows(path, self._all())
        self.gathered = time.monotonic()

    def _tell(self, running: list[tuple[Trial, float]]) -> None:
        busy = {trial.key for trial, _ in running}
        waiting = [t for t in self.trials if t.key not in self.rows and t.key not in busy]
        self.watch(
            Progress(
                tuple((trial, share) for trial, share in running if trial.key not in self.rows),
                sum(trial.key in self.rows for trial in self.trials),
                len(self.trials),
                self.reused,
                tuple((trial.task, trial.variant) for trial in waiting),
                self._all(),
                self.foreign,
                self.workers,
            )
        )

    def _all(self) -> tuple[Row, ...]:
        return tuple(self.rows[trial.key] for trial in self.order if trial.key in self.rows)


def _groups(trials: Sequence[Trial], kept_in_order: bool) -> list[list[Trial]]:
    """Trials that one program trains, together, for one worker; where blocks have their turn, neighbours only."""
    if kept_in_order:
        return [list(group) for _, group in groupby(trials, key=_program)]
    together: dict[tuple[Any, ...], list[Trial]] = {}
    for trial in trials:
        together.setdefault(_program(trial), []).append(trial)
    return [*together.values()]


def _program(trial: Trial) -> tuple[Any, ...]:
    """Equal for trials that one program trains, whatever task and variant are called."""
    from lstm_jax.train.parallel import shared_config

    train, data = replace(trial.config.train, seed=0), replace(trial.config.data, input_noise=0.0)
    return shared_config(trial.config), train, data


def _logs(folder: Path) -> list[Path]:
    """The log of the whole and those of parts, as far as they exist."""
    return [path for path in (folder / LOG, *sorted(folder.glob(f"{PARTS}/*/{LOG}"))) if path.is_file()]


def finished_trials(study: Study, folder: Path) -> dict[str, tuple[Row, dict[str, Any]]]:
    """Row and code of the trials that lie finished in the folder, by key."""
    found = {key: content for log in _logs(folder) for key, content in read_log(log).items()}
    return {trial.key: found[trial.key] for trial in study.trials() if trial.key in found}


def origin(record: Mapping[str, Any]) -> str:
    """The code that computed a trial, in words: its commit, or its version where it came without git."""
    if record.get("commit"):
        return f"commit {record['commit'][:12]}{' with changes' if record.get('dirty') else ''}"
    return f"version {record['lstm_jax']}" if record.get("lstm_jax") else "an unknown version"
