"""Running a study so that nothing finished is ever lost: cell by cell, each written before the next begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from lstm_jax.studies.collect import RESULTS, Row, load_cell, save_cell, write_rows
from lstm_jax.studies.plan import Cell, Share, Study, differences
from lstm_jax.train.machine import describe_code
from lstm_jax.train.records import LOCK, FolderBusyError, alone_in, warn, write_atomically

Train = Callable[[Cell, Share], list[Row]]

CONFIG = "config.json"
__all__ = ["FolderBusyError", "Progress", "Train", "cell_path", "finished_cells", "origin", "run_study"]


@dataclass(frozen=True)
class Progress:
    """Where a study stands, for those who watch.

    Attributes:
        cell: the current cell; None when all are finished.
        share: done part of that cell, 0 to 1.
        finished, total: cells. ``reused``: those of the finished that an earlier run had left.
        waiting: tasks of the cells that come after the current one.
        rows: results so far; a new list only when a cell was finished.
        foreign: how many of the reused cells other code than this computed, by its ``origin``.
    """

    cell: Cell | None
    share: float
    finished: int
    total: int
    reused: int
    waiting: tuple[str, ...]
    rows: tuple[Row, ...]
    foreign: Mapping[str, int] = field(default_factory=dict)


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
    and a study that has more variants or tasks than the one in the folder runs what was added. Results that a
    different study left there are moved to ``folder/earlier/``, which is told; its cells stay for a return to it.

    Args:
        study: the tasks, variants and seeds.
        folder: where ``results.csv``, ``config.json`` and ``cells/`` are written.
        train: what runs one cell; by default ``train_cell``.
        watch: called at every step of progress.
        overwrite: run all cells again.

    Raises:
        FolderBusyError: another process works on the folder.
        FileExistsError: the folder holds something else than a study.
        ValueError: a cell's file does not match its checksum.
    """
    folder = Path(folder)
    with alone_in(folder):
        if overwrite:
            for cell in study.cells():  # now, so that an interrupted run is continued without them
                cell_path(folder, cell).unlink(missing_ok=True)
        _set_aside(study, folder)
        write_atomically(folder / CONFIG, study.to_json().encode())
        return _run_cells(study, folder, train or _default_train(), watch)


def _set_aside(study: Study, folder: Path) -> None:
    """Move what another study wrote out of the way of this one, wherever it holds cells that this one lacks."""
    path = folder / CONFIG
    if not path.is_file():
        return
    try:
        before = Study.from_json(path.read_text())
    except (ValueError, TypeError) as error:
        raise FileExistsError(
            f"{path} is of something else than a study ({error}); name another folder (--out)"
        ) from error
    kept = {cell.key for cell in before.cells()} <= {cell.key for cell in study.cells()}
    if kept or not any((folder / name).is_file() for name in RESULTS):
        return
    aside = next(place for n in count(1) if not (place := folder / "earlier" / str(n)).exists())
    aside.mkdir(parents=True)
    for file in (entry for entry in folder.iterdir() if entry.is_file() and entry.name != LOCK):
        file.rename(aside / file.name)
    warn(f"{folder} held another study ({differences(before, study)}); its results are now in {aside}")


def _default_train() -> Train:
    from lstm_jax.studies.train_cell import train_cell

    return train_cell


def _run_cells(study: Study, folder: Path, train: Train, watch: Callable[[Progress], None]) -> list[Row]:
    cells, code = study.cells(), describe_code()
    found = finished_cells(study, folder)
    rows = {key: content[0] for key, content in found.items()}
    origins = Counter(origin(content[1]) for content in found.values())
    foreign = {name: n for name, n in origins.items() if name != origin(code)}
    missing = [cell for cell in cells if cell.key not in found]
    for n, cell in enumerate(missing):
        waiting = tuple(other.task for other in missing[n + 1 :])
        now = Progress(cell, 0.0, len(rows), len(cells), len(found), waiting, _all(cells, rows), foreign)
        share = partial(_report, watch, now)
        share(0.0)
        rows[cell.key] = train(cell, share)
        save_cell(cell_path(folder, cell), rows[cell.key], {"key": cell.key, **code})
        write_rows(folder / "results.csv", _all(cells, rows))
    gathered = _all(cells, rows)
    write_rows(folder / "results.csv", gathered)
    watch(Progress(None, 0.0, len(rows), len(cells), len(found), (), gathered, foreign))
    return list(gathered)


def _report(watch: Callable[[Progress], None], progress: Progress, share: float) -> None:
    watch(replace(progress, share=share))


def cell_path(folder: Path, cell: Cell) -> Path:
    """Where the cell lies once it is finished."""
    return folder / "cells" / f"{cell.key}.json"


def finished_cells(study: Study, folder: Path) -> dict[str, tuple[list[Row], dict[str, Any]]]:
    """Rows and record of the cells that lie finished in the folder, by key."""
    loaded = {cell.key: load_cell(cell_path(folder, cell)) for cell in study.cells()}
    return {key: content for key, content in loaded.items() if content is not None}


def origin(record: Mapping[str, Any]) -> str:
    """The code that computed a cell, in words: its commit, or its version where it came without git."""
    if record.get("commit"):
        return f"commit {record['commit'][:12]}{' with changes' if record.get('dirty') else ''}"
    return f"version {record['lstm_jax']}" if record.get("lstm_jax") else "an unknown version"


def _all(cells: list[Cell], rows: dict[str, list[Row]]) -> tuple[Row, ...]:
    """Rows of the finished cells in the order of the plan."""
    return tuple(row for cell in cells for row in rows.get(cell.key, ()))
