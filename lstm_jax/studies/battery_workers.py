"""Rows of the battery side by side: a process a core, which ends with the one that began it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_results import TrialResult
from lstm_jax.studies.battery_row import BatteryRow
from lstm_jax.studies.battery_run import Moment, file_of, run_row
from lstm_jax.studies.collect import write_table
from lstm_jax.train.machine import cores

ONE_PROGRAM = "xla_cpu_small_while_loop_byte_threshold=1000000000"
"""XLA makes one machine program of a loop whose arrays are smaller than this. By default that is about a kilobyte, and
in a larger loop each operation is a call of its own, which takes as long as the arithmetic of these nets. XLA reads it
from the environment only, so it holds for a whole process.
"""


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


def compiler_flags(given: str) -> str:
    """The ``XLA_FLAGS`` of a worker; who gives such options wins."""
    option = "--xla_backend_extra_options="
    return given if option in given else f"{given} {option}{ONE_PROGRAM}".strip()


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
    """Of each worker process, before JAX computes anything: its core, how XLA compiles loops, ties to the parent."""
    global _ties
    _ties = _Ties(moments, stop)
    threading.Thread(target=_die_with, args=(os.getppid(),), daemon=True).start()
    core = places.get()
    if core is not None:
        os.sched_setaffinity(0, {core})
    os.environ["XLA_FLAGS"] = compiler_flags(os.environ.get("XLA_FLAGS", ""))
    from lstm_jax.train.machine import use_whole_machine

    use_whole_machine()


def _work(name: str, folder: Path, count: int, deadline: float) -> list[TrialResult]:
    def over() -> bool:
        return _ties.stop.is_set() or time.monotonic() > deadline

    if over():
        return []
    results = run_row(BATTERY[name], folder, count, over, _ties.moments.put)
    write_table(file_of(folder, name, ".csv"), TrialResult, results)
    return results
