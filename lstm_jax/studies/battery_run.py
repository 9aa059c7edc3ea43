"""Running rows of the battery: trials side by side on one core, rows side by side on several, stopped and resumed."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.online import guessing, streams, strings, trials
from lstm_jax.online.guessing import GuessProtocol
from lstm_jax.online.material import material
from lstm_jax.online.strings import StringProtocol
from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_results import TrialResult, write_results
from lstm_jax.studies.battery_row import BatteryRow
from lstm_jax.train.machine import code_label, cores, describe_code, describe_machine
from lstm_jax.train.records import write_atomically

LANES = 8
"""Trials are padded to a multiple of this, so that they fill the vector units; the padding repeats the last seed."""
CALL_SECONDS = 4.0
"""Wall time of one call into a compiled loop: how long an interrupt waits, and how often a row is saved."""


class Moment(NamedTuple):
    """Where a row is: sequences seen (streams: on average), trials that have met their last goal, microseconds a trial
    and step.
    """

    row: str
    seen: int
    met: int
    trials: int
    microseconds: float


class Course(NamedTuple):
    """A row on its way: the state of its trials, and what they have cost."""

    state: Any
    steps: int
    seconds: float


def file_of(folder: Path, row: str, suffix: str) -> Path:
    """The file of one row in the folder of a battery."""
    return folder / "rows" / f"{row.replace(':', '+')}{suffix}"


def run_row(
    row: BatteryRow, folder: Path, count: int, over: Callable[[], bool], on_moment: Callable[[Moment], None]
) -> list[TrialResult]:
    """Run the first ``count`` trials of a row, from where it was left, until they are done or ``over()``.

    Args:
        row: what is run.
        folder: of the battery; the state of the row is saved there, so a kill loses a few seconds.
        count: trials; seeds 0 to count - 1.
        over: asked after every call into the compiled loop: whether to leave the rest for another time.
        on_moment: told after every call into the compiled loop.
    """
    seeds = np.minimum(np.arange(-(-count // LANES) * LANES), count - 1)
    begin, advance, stride = _functions(row, seeds)
    course = _load(file_of(folder, row.name, ".npz"), row, count, Course(begin(), 0, 0.0))
    advance(begin(), 0)  # compile outside the clock
    while True:
        met = np.atleast_2d(np.asarray(course.state.met))[-1, :count] > 0
        seen = _seen(course, count)
        cost = course.seconds / max(course.steps, 1) * 1e6
        on_moment(Moment(row.name, int(seen.mean()), int(met.sum()), count, cost))
        if (met | (seen >= row.cap)).all() or over():
            break
        started = time.perf_counter()
        state, steps = advance(course.state, stride)
        steps = int(steps)  # waits for the result
        spent = time.perf_counter() - started
        # Padding repeats a trial: its steps are not counted twice.
        course = Course(state, course.steps + steps * count // len(seeds), course.seconds + spent)
        if spent < CALL_SECONDS / 2:
            stride *= 2
        _save(file_of(folder, row.name, ".npz"), row, count, course)
    return _results(row, seeds, count, course)


class Way(NamedTuple):
    """How trials begin; how they go on for so many sequences (streams: rounds), and the steps that took; the first
    number of these.
    """

    begin: Callable[[], Any]
    advance: Callable[[Any, int], tuple[Any, Any]]
    stride: int


ROUNDS = 2000
"""Of streams in a first call, a step of every trial each."""


def _functions(row: BatteryRow, seeds: np.ndarray) -> Way:
    protocol, numbers = row.protocol, jnp.asarray(seeds)

    def until(state: Any, stride: int) -> jax.Array:
        return jnp.int32(min(row.cap, int(state.seen) + stride))

    if row.streams:

        def read_on(state: Any, rounds: int) -> tuple[Any, int]:
            state, work = streams.advance(protocol, state, numbers, jnp.int32(rounds))
            return state, int(work.learned.sum()) + int(work.tested.sum())

        return Way(lambda: streams.begin(protocol, numbers), read_on, ROUNDS)
    if isinstance(protocol, StringProtocol):
        train, judged = material(protocol.task, protocol.material, seeds, protocol.trials_a_set)
        return Way(
            lambda: strings.begin(protocol, numbers),
            lambda state, stride: strings.advance(protocol, state, numbers, train, judged, until(state, stride)),
            protocol.every,
        )
    way: Any = guessing if isinstance(protocol, GuessProtocol) else trials
    return Way(
        lambda: way.begin(protocol, numbers),
        lambda state, stride: way.advance(protocol, state, numbers, until(state, stride)),
        protocol.every,
    )


def _seen(course: Course, count: int) -> np.ndarray:
    """Sequences that each trial ``(count,)`` has seen: all alike, or at its own pace."""
    seen = np.atleast_1d(np.asarray(course.state.seen))[:count]
    return np.broadcast_to(seen, (count,))


def _save(path: Path, row: BatteryRow, count: int, course: Course) -> None:
    leaves = {f"leaf_{n}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(course))}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, what=np.array(_what(row, count)), **leaves)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stream.getvalue())


def _load(path: Path, row: BatteryRow, count: int, fresh: Course) -> Course:
    if not path.is_file():
        return fresh
    with np.load(path) as saved:
        if str(saved["what"]) != _what(row, count):
            return fresh  # another protocol, number of trials or version of the code: begun anew
        structure = jax.tree.structure(fresh)
        leaves = [saved[f"leaf_{n}"] for n in range(structure.num_leaves)]
    loaded = jax.tree.unflatten(structure, leaves)
    return Course(jax.tree.map(jnp.asarray, loaded.state), int(loaded.steps), float(loaded.seconds))


@cache
def _what(row: BatteryRow, count: int) -> str:
    """What a saved state must agree with: other code may mean other numbers, and a result names one commit."""
    return f"{row.protocol!r} {count} of {LANES} {describe_code()}"


def _results(row: BatteryRow, seeds: np.ndarray, count: int, course: Course) -> list[TrialResult]:
    met = np.atleast_2d(np.asarray(course.state.met))
    scores = [_score(row, seeds, course, goal) for goal in range(len(met))] + [None] * (2 - len(met))
    machine = describe_machine()
    commit = code_label(machine)
    seen, found = _seen(course, count), list[TrialResult]()
    best = np.asarray(course.state.best) if row.streams else np.full(len(seeds), np.nan)
    for n in range(count):
        last = int(met[-1, n])
        values = [_of_trial(score, n, met[goal, n] > 0) if score else (-1, np.nan, np.nan)
                  for goal, score in enumerate(scores)]  # fmt: skip
        wrong, mean, rmse = zip(*values, strict=True)
        ended = "met" if last else "cap" if seen[n] >= row.cap else "stopped"
        times = [int(times[n]) for times in met] + [0] * (2 - len(met))
        found.append(
            TrialResult(
                row.name, int(seeds[n]), last or int(seen[n]), ended, times[0], times[1], wrong[0], wrong[1], mean[0],
                mean[1], rmse[0], rmse[1], round(float(best[n]), 1), 0 if scores[0] is None else TESTED, course.steps,
                round(course.seconds, 2), commit, str(machine["processor"]),
            )
        )  # fmt: skip
    return found


TESTED = 2560


def _score(row: BatteryRow, seeds: np.ndarray, course: Course, goal: int) -> trials.Score | None:
    """Fresh sequences with the weights that met a goal; rows judged by strings or streams have no such test."""
    if row.streams or isinstance(row.protocol, StringProtocol):
        return None
    weights = jax.tree.map(lambda w: w[goal], course.state.reached)
    return jax.device_get(trials.examine(row.protocol, weights, jnp.asarray(seeds), TESTED))


def _of_trial(score: trials.Score, n: int, met: bool) -> tuple[int, float, float]:
    return (int(score.wrong[n]), float(score.mean[n]), float(score.rmse[n])) if met else (-1, np.nan, np.nan)


def run_battery(
    rows: Sequence[BatteryRow],
    folder: Path,
    count: int | None,
    seconds: float | None,
    workers: int | None = None,
) -> Iterator[Moment | list[TrialResult]]:
    """Run rows, as many side by side as there are cores; yields moments, and the results of each row as it ends.

    Each core has a process of its own, pinned to it: a program that sees one core starts no thread pool, whose calls
    take longer than a step of these nets. Rows are begun in the order of their published cost while time is left.

    Args:
        rows: what is run.
        folder: where states and results go.
        count: trials of each row; None: as many as published.
        seconds: wall time after which no row goes on; None: no limit.
        workers: processes, by default one a core.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from queue import Empty

    context = multiprocessing.get_context("spawn")
    moments, places, stop = context.Queue(), context.Queue(), context.Event()
    for core in _core_numbers(workers):
        places.put(core)
    deadline = time.monotonic() + (seconds if seconds is not None else 1e9)
    ordered = sorted(rows, key=lambda row: row.cost)
    number = len(_core_numbers(workers))
    with ProcessPoolExecutor(number, context, initializer=_settle, initargs=(places, moments, stop)) as pool:
        waiting = {pool.submit(_work, row.name, folder, count or row.published.trials, deadline) for row in ordered}
        try:
            while waiting:
                with suppress(Empty):
                    yield moments.get(timeout=0.5)
                for future in [future for future in waiting if future.done()]:
                    waiting.remove(future)
                    if results := future.result():
                        yield results
        finally:  # interrupted, or a row failed: the others save what they have and end
            stop.set()
            pool.shutdown(cancel_futures=True)


def _core_numbers(workers: int | None) -> list[int | None]:
    if not hasattr(os, "sched_getaffinity"):
        return [None] * (workers or cores())
    known = sorted(os.sched_getaffinity(0))
    return [known[n % len(known)] for n in range(workers or len(known))]


class _Ties(NamedTuple):
    """What a worker process has of its parent: where to report, and how it hears that it is to stop."""

    moments: Any
    stop: Any


def _die_with(parent: int) -> None:
    """End this process once its parent is gone: one that was killed says nothing. What was done is saved."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


_ties: _Ties


def _settle(places: Any, moments: Any, stop: Any) -> None:
    """Of each worker process, once: its core, and its ties to the parent."""
    global _ties
    _ties = _Ties(moments, stop)
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    core = places.get()
    if core is not None:
        os.sched_setaffinity(0, {core})
    from lstm_jax.train.machine import use_whole_machine

    use_whole_machine()


def _work(name: str, folder: Path, count: int, deadline: float) -> list[TrialResult]:
    def over() -> bool:
        return _ties.stop.is_set() or time.monotonic() > deadline

    if over():
        return []
    results = run_row(BATTERY[name], folder, count, over, _ties.moments.put)
    write_results(file_of(folder, name, ".csv"), results)
    return results
