"""Results as files: one row for each (task, variant, seed), and a log of finished trials that survives any kill."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeVar, get_type_hints

from lstm_jax.train.records import write_atomically

Record = TypeVar("Record")
RESULTS = ("results.csv", "results.csv.gz")
TRUTH = {"True": True, "False": False}


class Row(NamedTuple):
    """One trained network.

    Attributes:
        task, variant, seed: what was run; the three name a row.
        hidden_size, learning_rate, momentum, input_noise: the settings that a search may vary.
        metric: name of the score; ``higher_is_better`` its direction; ``chance`` its value without learning (NaN
            where nobody knows it).
        test, validation: the score at the step with the best validation score; if there never was one test is NaN and
            validation infinitely bad.
        test_by_sequence: the test score with each sequence counted once, by its own mean.
        best_step, steps: that step, and all steps taken.
        diverged: a NaN or infinity stopped this trial. Its row stays.
        parameters: learned numbers, readout included.
        seconds: its share of the wall time, compilation included.
        commit, device: the code and the machine that computed it.
    """

    task: str
    variant: str
    seed: int
    hidden_size: int
    learning_rate: float
    momentum: float
    input_noise: float
    metric: str
    higher_is_better: bool
    chance: float
    test: float
    validation: float
    test_by_sequence: float
    best_step: int
    steps: int
    diverged: bool
    parameters: int
    seconds: float
    commit: str
    device: str


def _table_bytes(kind: type[NamedTuple], rows: Iterable[tuple]) -> bytes:
    """Records of one kind as CSV, a column a field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(kind._fields)
    writer.writerows(rows)
    return text.getvalue().encode()


def _parse_table(text: str, kind: Callable[..., Record], name: str = "table") -> list[Record]:
    """The records, whose fields are texts, numbers and truth values, as ``write_table`` wrote them.

    Raises:
        ValueError: for a missing column, and for what cannot be read: ``name``, line, column and what stood there.
    """
    kinds = get_type_hints(kind)
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in kinds if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"{name}: columns {missing} are missing; expected {', '.join(kinds)}")

    def value(column: str, found: str | None) -> object:
        try:
            if found is None:  # a line that ends too early
                raise ValueError
            return TRUTH[found] if kinds[column] is bool else kinds[column](found)
        except (ValueError, KeyError):
            where = f"{name}, line {reader.line_num}"
            raise ValueError(f"{where}: column {column!r} cannot be read from {found!r}") from None

    return [kind(**{column: value(column, record[column]) for column in kinds}) for record in reader]


def write_table(path: Path, kind: type[NamedTuple], rows: Iterable[tuple]) -> None:
    """Write records of one kind as CSV in one atomic step, into a folder that is made where there is none.

    A name that ends in ``.gz`` is compressed, to the same bytes for the same rows.
    """
    content = _table_bytes(kind, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_table(path: Path, kind: Callable[..., Record]) -> list[Record]:
    """Read what ``write_table`` wrote.

    Raises:
        FileNotFoundError: with the path looked at; ValueError: naming the file, and line and column where it can.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}; run the experiment first, or name another folder")
    content = path.read_bytes()
    try:  # a spreadsheet may have put a mark in front
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except (EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    return _parse_table(text, kind, str(path))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """``write_table`` of trained networks."""
    write_table(path, Row, rows)


def read_rows(path: Path) -> list[Row]:
    """``read_table`` of trained networks, of which there is one at least and each stands there once.

    Raises:
        FileNotFoundError, ValueError: as ``read_table``; ValueError also for no row and for two of the same trial.
    """
    path = Path(path)
    rows = read_table(path, Row)
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


def _refuse_twins(path: Path, rows: Sequence[Row]) -> None:
    seen = set()
    for row in rows:
        name = (row.task, row.variant, row.seed)
        if name in seen:
            raise ValueError(f"{path}: {row.task}, {row.variant}, seed {row.seed} stands there twice")
        seen.add(name)


class TrialLog:
    """Finished trials in one file that only grows: a line each, with the SHA-256 of its content.

    What a kill left half written is dropped; every line before it is whole.
    """

    def __init__(self, path: Path) -> None:
        """Open ``path`` for more; what stands there is not checked, ``read_log`` does that."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes() if path.is_file() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_atomically(path, whole)
        self._file = path.open("ab")

    def __enter__(self) -> TrialLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, key: str, row: Row, code: Mapping[str, object]) -> None:
        """One finished trial, on disk before this returns."""
        self._file.write(_line(key, row, code))
        self._file.flush()
        os.fsync(self._file.fileno())


def read_log(path: Path) -> dict[str, tuple[Row, dict[str, object]]]:
    """Row and code of each finished trial by its key; a last line without its end does not count.

    Raises:
        ValueError: when a line does not match its checksum.
    """
    if not path.is_file():
        return {}
    content = path.read_bytes()
    found = {}
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            record = json.loads(line)
            claimed = record.pop("sha256")
        except (ValueError, KeyError, AttributeError, TypeError):
            record, claimed = None, "unreadable"
        if claimed != _digest(record):
            raise ValueError(
                f"{path}, line {number} does not match its checksum: the file was changed; delete the line to run "
                "this trial again"
            )
        found[record["key"]] = Row(**record["row"]), record["code"]
    return found


def forget(path: Path, keys: Iterable[str]) -> None:
    """Drop trials from the log, in one atomic step."""
    gone, found = set(keys), read_log(path)
    kept = {key: content for key, content in found.items() if key not in gone}
    if len(kept) < len(found):
        write_atomically(path, b"".join(_line(key, row, code) for key, (row, code) in kept.items()))


def _line(key: str, row: Row, code: Mapping[str, object]) -> bytes:
    record = {"key": key, "row": row._asdict(), "code": dict(code)}
    return json.dumps({"sha256": _digest(record), **record}).encode() + b"\n"


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def set_aside(folder: Path, files: Iterable[Path]) -> Path:
    """Move files out of the way into the first free ``folder/earlier/1``, ``2`` ..., which is returned."""
    aside = next(place for n in count(1) if not (place := folder / "earlier" / str(n)).exists())
    aside.mkdir(parents=True)
    for file in files:
        file.rename(aside / file.name)
    return aside
