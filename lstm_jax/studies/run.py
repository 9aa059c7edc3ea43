"""Running a study so that nothing finished is ever lost: cell by cell, each written before the next begins."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from lstm_jax.studies.collect import Row, load_cell, save_cell, write_rows
from lstm_jax.studies.plan import Cell, Study
from lstm_jax.train.records import write_atomically

Share = Callable[[float], None]
Train = Callable[[Cell, Share], list[Row]]


class FolderBusyError(RuntimeError):
    """Another process works on the same folder."""


@dataclass(frozen=True)
class Progress:
    """Where a study stands, for those who watch.

    Attributes:
        cell: the current cell; None when all are finished.
        share: done part of that cell, 0 to 1.
        finished, total: cells. ``reused``: those of the finished that an earlier run had left.
        waiting: tasks of the cells that come after the current one.
        rows: results so far; a new list only when a cell was finished.
    """

    cell: Cell | None
    share: float
    finished: int
    total: int
    reused: int
    waiting: tuple[str, ...]
    rows: tuple[Row, ...]


def run_study(
    study: Study,
    folder: Path,
    train: Train | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
    overwrite: bool = False,
) -> list[Row]:
    """Run what is missing of a study and return all its rows, in the order of ``study.cells()``.

    A finished cell lies in ``folder/cells/`` under a name made of its whole config, with a checksum; ``results.csv``
    is gathered from them after each. So a second call continues where the first was stopped, however it was stopped,
    and a changed setting runs exactly the cells that it changes.

    Args:
        study: the tasks, variants and seeds.
        folder: where ``results.csv``, ``config.json`` and ``cells/`` are written.
        train: what runs one cell; by default ``train_cell``.
        watch: called at every step of progress.
        overwrite: run all cells again.

    Raises:
        FolderBusyError: another process works on the folder; ValueError: a cell's file does not match its checksum.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        write_atomically(folder / "config.json", study.to_json().encode())
        return _run_cells(study, folder, train or _default_train(), watch, overwrite)


def _default_train() -> Train:
    from lstm_jax.studies.train_cell import train_cell

    return train_cell


def _run_cells(
    study: Study, folder: Path, train: Train, watch: Callable[[Progress], None], overwrite: bool
) -> list[Row]:
    cells = study.cells()
    found = {} if overwrite else finished_cells(study, folder)
    rows = dict(found)
    missing = [cell for cell in cells if cell.key not in found]
    for n, cell in enumerate(missing):
        waiting = tuple(other.task for other in missing[n + 1 :])
        share = partial(
            _report, watch, Progress(cell, 0.0, len(rows), len(cells), len(found), waiting, _all(cells, rows))
        )
        share(0.0)
        rows[cell.key] = train(cell, share)
        save_cell(cell_path(folder, cell), rows[cell.key], {"key": cell.key})
        write_rows(folder / "results.csv", _all(cells, rows))
    gathered = _all(cells, rows)
    write_rows(folder / "results.csv", gathered)
    watch(Progress(None, 0.0, len(rows), len(cells), len(found), (), gathered))
    return list(gathered)


def _report(watch: Callable[[Progress], None], progress: Progress, share: float) -> None:
    watch(replace(progress, share=share))


def cell_path(folder: Path, cell: Cell) -> Path:
    """Where the cell lies once it is finished."""
    return folder / "cells" / f"{cell.key}.json"


def finished_cells(study: Study, folder: Path) -> dict[str, list[Row]]:
    """Rows of the cells that lie finished in the folder, by key."""
    loaded = {cell.key: load_cell(cell_path(folder, cell)) for cell in study.cells()}
    return {key: content[0] for key, content in loaded.items() if content is not None}


def _all(cells: list[Cell], rows: dict[str, list[Row]]) -> tuple[Row, ...]:
    """Rows of the finished cells in the order of the plan."""
    return tuple(row for cell in cells for row in rows.get(cell.key, ()))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when the process ends, even by kill -9."""
    stream = (folder / ".lock").open("a+")
    try:
        if not _try_lock(stream):
            stream.seek(0)
            raise FolderBusyError(
                f"{folder} is in use by process {stream.read().strip() or 'unknown'}; wait for it or give another "
                "folder (--out)"
            )
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
    finally:
        stream.close()


def _try_lock(stream: IO[str]) -> bool:
    try:
        import fcntl
    except ImportError:  # not a Unix system: no lock, as before
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
