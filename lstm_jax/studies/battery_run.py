"""Running a row of the battery: trials side by side in one compiled loop, stopped and resumed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.online import guessing, streams, strings, trials
from lstm_jax.online.guessing import GuessProtocol
from lstm_jax.online.material import material
from lstm_jax.online.strings import StringProtocol
from lstm_jax.studies.battery_results import TrialResult
from lstm_jax.studies.battery_row import BatteryRow
from lstm_jax.studies.collect import set_aside
from lstm_jax.train.machine import code_label, describe_code, describe_machine
from lstm_jax.train.records import warn, write_atomically

LANES = 8
"""Trials are padded to a multiple of this, so that they fill the vector units."""
WIDE = 64
"""More trials than this take turns in loops of their own: beyond it XLA's machine code is half as fast (measured)."""
NARROW = 16
"""The loop of a row with more trials than ``LANES`` never becomes narrower: XLA adds some sums of 8 lanes in another
order, and what a trial does should not depend on when those beside it were done. From here on few rows see a
difference, in the last bit, and none of those with as many trials as published."""
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
    """A row on its way: the state of its trials, and what they have cost, in steps and processor time."""

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
    fresh = Course(_module(row).begin(row.protocol, jnp.arange(count)), 0, 0.0)
    course = _load(file_of(folder, row.name, ".npz"), row, count, fresh)
    loop, stride = None, ROUNDS if row.streams else row.protocol.every
    while True:
        met, seen = _met(course)[-1] > 0, _seen(course, count)
        cost = course.seconds / max(course.steps, 1) * 1e6
        on_moment(Moment(row.name, int(seen.mean()), int(met.sum()), count, cost))
        live = np.flatnonzero(~met & (seen < row.cap))
        if not len(live) or over():
            break
        if loop is None or 2 * lane_count(len(live), count) <= loop.width:
            loop = _Loop(row, live, count)  # trials that are done take no more of its time
            loop.advance(course.state, 0)  # compile outside the clock
        started, busy = time.perf_counter(), time.process_time()
        state, steps = loop.advance(course.state, stride)
        spent, busy = time.perf_counter() - started, time.process_time() - busy
        course = Course(state, course.steps + steps, course.seconds + busy)
        if spent < CALL_SECONDS / 2:
            stride *= 2
        _save(file_of(folder, row.name, ".npz"), row, count, course)
    return _results(row, count, course)


def lane_count(trials: int, of: int) -> int:
    """How wide the loop of so many trials is, in a row that began with ``of`` of them."""
    return max(-(-trials // LANES) * LANES, min(NARROW, -(-of // LANES) * LANES))


def _module(row: BatteryRow) -> Any:
    if row.streams:
        return streams
    return {StringProtocol: strings, GuessProtocol: guessing}.get(type(row.protocol), trials)


class _Part(NamedTuple):
    """Trials in one compiled loop: ``lanes (L,)``, which of the row, which are their seeds too; ``places``: the same,
    padded to the width of the loop by copies that count as done; what strings they read.
    """

    lanes: np.ndarray
    places: np.ndarray
    material: tuple[Any, ...]


class _Loop:
    """Some trials of a row, ``WIDE`` side by side and then the next.

    Args:
        row: theirs.
        lanes: ``(L,)`` which of its trials.
        of: how many it began with.
    """

    def __init__(self, row: BatteryRow, lanes: np.ndarray, of: int) -> None:
        self.row, self.parts = row, list[_Part]()
        for some in np.array_split(lanes, -(-len(lanes) // WIDE)):
            places = np.resize(some, lane_count(len(some), of))
            self.parts.append(_Part(some, places, _material(row, places)))
        self.width = sum(len(part.places) for part in self.parts)

    def advance(self, state: Any, stride: int) -> tuple[Any, int]:
        """Go on for so many sequences (streams: rounds).

        Args:
            state: of all trials of the row.
            stride: how far.

        Returns:
            The state of all trials, these further; the steps that they took.
        """
        after, steps = state, 0
        for part in self.parts:
            some, taken = self._part_advanced(part, state, stride)
            after, steps = jax.tree.map(partial(_put_back, part.lanes), after, some), steps + int(taken)
        return after, steps

    def _part_advanced(self, part: _Part, state: Any, stride: int) -> tuple[Any, Any]:
        some, protocol, seeds = _picked(part, state), self.row.protocol, jnp.asarray(part.places)
        if self.row.streams:
            some, work = streams.advance(protocol, some, seeds, jnp.int32(stride))
            return some, work.learned.sum() + work.tested.sum()
        until = jnp.int32(min(self.row.cap, int(state.seen) + stride))
        return _module(self.row).advance(protocol, some, seeds, *part.material, until)


def _material(row: BatteryRow, seeds: np.ndarray) -> tuple[Any, ...]:
    if not isinstance(row.protocol, StringProtocol):
        return ()
    return material(row.protocol.task, row.protocol.material, seeds, row.protocol.trials_a_set)


def _picked(part: _Part, state: Any) -> Any:
    """Arrays that the loop may overwrite; those of all trials end in N."""
    some = jax.tree.map(lambda leaf: jnp.array(leaf[..., part.places] if jnp.ndim(leaf) else leaf), state)
    return some._replace(met=some.met.at[..., len(part.lanes) :].set(1))


def _put_back(lanes: np.ndarray, old: jax.Array, new: jax.Array) -> jax.Array:
    """The sequences seen by all trials that still learn are those of the part that went farthest."""
    return old.at[..., lanes].set(new[..., : len(lanes)]) if old.ndim else jnp.maximum(old, new)


ROUNDS = 2000
"""Of streams in a first call, a step of every trial each."""


def _met(course: Course) -> np.ndarray:
    """``(G, N)``: sequences until each goal was met, 0 where it is not."""
    return np.atleast_2d(np.asarray(course.state.met))


def _seen(course: Course, count: int) -> np.ndarray:
    """Sequences that each trial ``(count,)`` has seen: all alike, or at its own pace."""
    return np.broadcast_to(np.asarray(course.state.seen), (count,))


def _save(path: Path, row: BatteryRow, count: int, course: Course) -> None:
    leaves = {f"leaf_{n}": np.asarray(leaf) for n, leaf in enumerate(jax.tree.leaves(course))}
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, what=np.array(_what(row, count)), **leaves)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, stream.getvalue())


def _load(path: Path, row: BatteryRow, count: int, fresh: Course) -> Course:
    """Where a row was left; what cannot be continued is set aside with its results, and the row begins anew."""
    if not path.is_file():
        return fresh
    structure = jax.tree.structure(fresh)
    try:
        with np.load(path) as saved:
            same = str(saved["what"]) == _what(row, count)
            leaves = [saved[f"leaf_{n}"] for n in range(structure.num_leaves)] if same else []
        why = "" if same else "is of another protocol, number of trials or version of the code"
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        why = "is damaged"
    if why:
        aside = set_aside(path.parent, [file for file in (path, path.with_suffix(".csv")) if file.is_file()])
        warn(f"{path} {why}: now in {aside}, the row begins anew")
        return fresh
    loaded = jax.tree.unflatten(structure, leaves)
    return Course(jax.tree.map(jnp.asarray, loaded.state), int(loaded.steps), float(loaded.seconds))


@cache
def _what(row: BatteryRow, count: int) -> str:
    """What a saved state must agree with: other code may mean other numbers, and a result names one commit."""
    return f"{row.protocol!r} {count} {describe_code()}"


def _results(row: BatteryRow, count: int, course: Course) -> list[TrialResult]:
    met = _met(course)
    scores = [_score(row, count, course, goal) for goal in range(len(met))] + [None] * (2 - len(met))
    machine = describe_machine()
    commit = code_label(machine)
    seen, found = _seen(course, count), list[TrialResult]()
    best = np.asarray(course.state.best) if row.streams else np.full(count, np.nan)
    for n in range(count):
        last = int(met[-1, n])
        values = [_of_trial(score, n, met[goal, n] > 0) if score else (-1, np.nan, np.nan)
                  for goal, score in enumerate(scores)]  # fmt: skip
        wrong, mean, rmse = zip(*values, strict=True)
        ended = "met" if last else "cap" if seen[n] >= row.cap else "stopped"
        times = [int(times[n]) for times in met] + [0] * (2 - len(met))
        found.append(
            TrialResult(
                row.name, n, last or int(seen[n]), ended, times[0], times[1], wrong[0], wrong[1], mean[0],
                mean[1], rmse[0], rmse[1], round(float(best[n]), 1), 0 if scores[0] is None else TESTED, course.steps,
                round(course.seconds, 2), commit, str(machine["processor"]),
            )
        )  # fmt: skip
    return found


TESTED = 2560


def _score(row: BatteryRow, count: int, course: Course, goal: int) -> trials.Score | None:
    """Fresh sequences with the weights that met a goal; rows judged by strings or streams have no such test."""
    if row.streams or isinstance(row.protocol, StringProtocol):
        return None
    lanes = np.resize(np.arange(count), lane_count(count, count))
    weights = jax.tree.map(lambda w: w[goal][..., lanes], course.state.reached)
    return jax.device_get(trials.examine(row.protocol, weights, jnp.asarray(lanes), TESTED))


def _of_trial(score: trials.Score, n: int, met: bool) -> tuple[int, float, float]:
    return (int(score.wrong[n]), float(score.mean[n]), float(score.rmse[n])) if met else (-1, np.nan, np.nan)
