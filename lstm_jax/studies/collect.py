"""Results as files: one row for each (task, variant, seed), and finished cells that survive any kill."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lstm_jax.train.records import write_atomically

RESULTS = ("results.csv", "results.csv.gz")


class Row(NamedTuple):
    """One trained network.

    Attributes:
        task, variant, seed: what was run; the three name a row.
        metric: name of the score; ``higher_is_better`` its direction; ``chance`` its value without any memory (NaN
            where nobody knows it).
        test, validation: the score at the step with the best validation score; NaN if there never was one.
        best_step, steps: that step, and all steps taken.
        diverged: a NaN or infinity stopped this trial. Its row stays.
        parameters: learned numbers, readout included.
        seconds: wall time of the cell (all its seeds together, compilation included) divided by its seeds.
    """

    task: str
    variant: str
    seed: int
    metric: str
    higher_is_better: bool
    chance: float
    test: float
    validation: float
    best_step: int
    steps: int
    diverged: bool
    parameters: int
    seconds: float


def _flag(text: str) -> bool:
    return {"True": True, "False": False}[text]


_PARSERS: dict[str, Callable] = {
    "seed": int,
    "higher_is_better": _flag,
    "chance": float,
    "test": float,
    "validation": float,
    "best_step": int,
    "steps": int,
    "diverged": _flag,
    "parameters": int,
    "seconds": float,
}


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV in one atomic step; a name that ends in ``.gz`` is compressed (same bytes for same rows)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    content = text.getvalue().encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_rows(path: Path) -> list[Row]:
    """Read what ``write_rows`` wrote.

    Raises:
        FileNotFoundError: with the folder looked at; ValueError: naming the line, the column and what stood there.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}; a study writes them there, or name another folder")
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in Row._fields if name not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{path}: columns {missing} are missing; expected {', '.join(Row._fields)}")
    rows = [_row(path, line, record) for line, record in enumerate(reader, start=2)]
    if not rows:
        raise ValueError(f"{path} holds no row yet; run the study first")
    _refuse_twins(path, rows)
    return rows


def find_results(folder: Path) -> Path:
    """``results.csv`` or ``results.csv.gz`` in a folder; a path to a file is taken as it is."""
    folder = Path(folder)
    if folder.is_file():
        return folder
    for name in RESULTS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"no {' or '.join(RESULTS)} in {folder}; give the folder that a study wrote (--out)")


def _row(path: Path, line: int, record: Mapping[str, str]) -> Row:
    values = {}
    for name in Row._fields:
        try:
            values[name] = _PARSERS.get(name, str)(record[name])
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}, line {line}: column {name!r} cannot be read from {record[name]!r}") from None
    return Row(**values)


def _refuse_twins(path: Path, rows: Sequence[Row]) -> None:
    seen = set()
    for row in rows:
        name = (row.task, row.variant, row.seed)
        if name in seen:
            raise ValueError(f"{path}: {row.task}, {row.variant}, seed {row.seed} stands there twice")
        seen.add(name)


def save_cell(path: Path, rows: Sequence[Row], record: Mapping[str, object]) -> None:
    """Write a finished cell with the SHA-256 of its content; it exists whole or not at all."""
    content = {"record": dict(record), "rows": [row._asdict() for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"sha256": _digest(content), **content}, indent=1).encode())


def load_cell(path: Path) -> tuple[list[Row], dict] | None:
    """Rows and record of a finished cell, or None where there is none.

    Raises:
        ValueError: when the content does not match its checksum.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        claimed = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError):
        content, claimed = None, "unreadable"
    if claimed != _digest(content):
        raise ValueError(f"{path} does not match its checksum: the file was changed; delete it to run this cell again")
    return [Row(**row) for row in content["rows"]], content["record"]


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
