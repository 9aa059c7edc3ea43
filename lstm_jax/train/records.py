"""The folder of a run: config.json, metrics.csv, manifest.json, summary.json and checkpoints/."""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TextIO

from lstm_jax.train.config import Config, from_json, to_json
from lstm_jax.train.machine import describe_machine

CONFIG, METRICS, MANIFEST, SUMMARY = "config.json", "metrics.csv", "manifest.json", "summary.json"
PARTIAL = ".partial"
"""End of the name of a file that is being written."""
CHECKPOINTS = "checkpoints"
LOCK, TURN = ".lock", ".turn"


class FolderBusyError(RuntimeError):
    """Another process works on the same folder."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make ``folder`` where it lacks and hold its lock; what was made goes again if nothing was put into it.

    The system frees the lock when the process ends, even by kill -9; the file it leaves then means nothing.

    Raises:
        FolderBusyError: another process, or another call in this one, holds the lock.
        FileExistsError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a folder")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    stream = _lock(folder)
    try:
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()  # while the lock is held: see _lock
        stream.close()
        with suppress(OSError):
            for place in made:
                place.rmdir()


def refuse_busy(folder: Path) -> None:
    """Raises FolderBusyError where another process holds the lock of ``folder``; takes none itself."""
    with suppress(FileNotFoundError), (folder / LOCK).open() as stream:
        if not _try_lock(stream, shared=True):
            raise _busy(folder, stream)


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is between the start and the end of such a block for ``folder``."""
    with (folder / TURN).open("a") as stream:
        _try_lock(stream, wait=True)
        yield


def _busy(folder: Path, stream: IO[str]) -> FolderBusyError:
    stream.seek(0)
    holder = stream.read().strip() or "unknown"
    return FolderBusyError(f"{folder} is in use by process {holder}; wait for it or give another folder (--out)")


def _lock(folder: Path) -> IO[str]:
    """The locked file of ``folder``; taken again where its last holder removed it between our open and our lock."""
    while True:
        stream = (folder / LOCK).open("a+")
        if not _try_lock(stream):
            with stream:
                raise _busy(folder, stream)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(stream.fileno()), os.stat(folder / LOCK)):
                return stream
        stream.close()


def _try_lock(stream: IO[str], shared: bool = False, wait: bool = False) -> bool:
    try:
        import fcntl
    except ImportError:  # not a Unix system: no lock
        return True
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # a file system without locks
        return True
    return True


def check_run(path: Path, config: Config, *, resume: bool, overwrite: bool) -> None:
    """Refuse what ``start_run`` must not touch; nothing is written.

    Raises:
        FileExistsError: the folder is not empty and neither ``resume`` nor ``overwrite`` was asked for, or what lies
            in it is no run.
        ValueError: both were asked for, or the run in the folder has another config.
    """
    if resume and overwrite:
        raise ValueError("--resume continues a run and --overwrite discards it: choose one")
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file; a run needs a folder of its own")
    occupied = path.is_dir() and any(not _of_nobody(entry) for entry in path.iterdir())
    if occupied and not (resume or overwrite):
        raise FileExistsError(
            f"{path} is not empty: continue that run with --resume, replace it with --overwrite, or name another "
            "folder (--out)"
        )
    if occupied and not (path / CONFIG).is_file():
        raise FileExistsError(f"{path} is not empty and holds no run ({CONFIG} is missing): name another folder")
    if occupied and resume:
        same_config(path / CONFIG, config)


def _of_nobody(entry: Path) -> bool:
    """The lock, and what a kill left of a file that was being written: no run to be lost with them."""
    return entry.name == LOCK or (entry.name.startswith(".") and entry.name.endswith(PARTIAL))


def start_run(path: Path, config: Config, *, resume: bool) -> None:
    """Make ``path``, which ``check_run`` let pass, the folder of the run ``config``; ``resume`` keeps a run there.

    The config goes last, so that a folder which was left in the middle is still that of a run.
    """
    if resume and (path / CONFIG).is_file():
        return
    path.mkdir(parents=True, exist_ok=True)
    if (path / CHECKPOINTS).exists():
        shutil.rmtree(path / CHECKPOINTS)
    for file in (path / SUMMARY, path / METRICS, path / MANIFEST, *path.glob(f".*{PARTIAL}")):
        file.unlink(missing_ok=True)
    write_atomically(path / CONFIG, to_json(config).encode())


def same_config(path: Path, config: Config) -> None:
    """Raises ValueError, naming what differs, unless the file at ``path`` holds this config."""
    before, now = json.loads(to_json(read_file(path, from_json))), json.loads(to_json(config))
    changed = [
        f"{room}.{name}: {before[room][name]!r} became {now[room][name]!r}"
        for room in now
        for name in now[room]
        if before[room][name] != now[room][name]
    ]
    if changed:
        raise ValueError(
            f"cannot resume {path.parent}, its config differs: {'; '.join(changed)}. `--resume` alone, without these "
            "options, continues with the folder's own settings"
        )


def warn(text: str) -> None:
    """A line on the standard error stream."""
    print(text, file=sys.stderr, flush=True)


def read_file(path: Path, read: Callable[[str], Any]) -> Any:
    """What ``read`` makes of the text of a file; its errors name the file."""
    try:
        return read(path.read_text())
    except (ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} cannot be read: {error}; restore it, or start again (--overwrite)")


def read_circumstances(path: Path) -> dict[str, Any]:
    """What a manifest says; one that cannot be read is set aside with a warning: no run depends on what it tells."""
    if not path.is_file():
        return {}
    try:
        return read_mapping(path.read_text())
    except (ValueError, TypeError) as error:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        warnings.warn(f"{path} cannot be read: {error}; set aside as {aside.name}, begun anew", stacklevel=3)
        return {}


def read_mapping(text: str) -> dict[str, Any]:
    """A JSON object; a ValueError or TypeError where it is none."""
    return dict(json.loads(text))


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that a reader, or a crash, sees the old content or the new one, never a part."""
    # Not by the process alone: those of several hosts or containers may have one number.
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}{PARTIAL}")
    with partial.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(partial, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """JSON, indented; not-a-number is refused, say None."""
    write_atomically(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


@dataclass
class Manifest:
    """The circumstances of a run, written at its start, at each checkpoint and at its end, whatever ends it."""

    path: Path
    seeds: Sequence[int]
    resumed_at: int | None = None
    data_version: str | None = None

    def __post_init__(self) -> None:
        """Start the clock, and keep what earlier sittings of the same run wrote."""
        self._clock = time.perf_counter()
        before = {} if self.resumed_at is None else read_circumstances(self.path)
        self._sittings = before.get("sittings", [])
        self._now: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "from_step": self.resumed_at or 0,
            "data_version": self.data_version,
            **describe_machine(),
        }
        self.write("running")

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Say how the run ended, where it did not end by itself."""
        if kind is not None:
            self.write("diverged" if issubclass(kind, FloatingPointError) else "failed")

    def write(self, status: str) -> None:
        """``status``: running, done, interrupted, diverged, failed."""
        self._now |= {"wall_seconds": round(time.perf_counter() - self._clock, 3)}
        content = {"status": status, "seeds": list(self.seeds), "sittings": [*self._sittings, self._now]}
        write_json(self.path, content)


class MetricsFile:
    """metrics.csv: one row for each trial and chunk of steps; what a kill finds written stays.

    Numbers have nine digits, which is all of a float32. Nothing in it depends on the clock, so the file of a resumed
    run is that of the run that never stopped.
    """

    def __init__(self, path: Path, columns: Sequence[str], last_step: int) -> None:
        """Open ``path`` for rows after ``last_step``; later rows, and a torn last line, are dropped."""
        self.columns = ("step", "seed", *columns)
        rows = [row for row in _rows(path) if len(row) == len(self.columns)]
        strange = next((row for row in rows if not row[0].isdecimal()), None)
        if strange is not None:
            raise ValueError(f"{path} has a row that begins with {strange[0]!r}, expected the number of a step")
        kept = [row for row in rows if int(row[0]) <= last_step]
        write_atomically(path, "".join(",".join(row) + "\n" for row in [self.columns, *kept]).encode())
        self._file: TextIO = path.open("a")

    def __enter__(self) -> MetricsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, step: int, seed: int, values: Mapping[str, float]) -> None:
        """One row; columns without a value stay empty."""
        numbers = (f"{float(values[name]):.9g}" if name in values else "" for name in self.columns[2:])
        print(step, seed, *numbers, sep=",", file=self._file, flush=True)

    def sync(self) -> None:
        """Have the rows so far survive a loss of power too."""
        os.fsync(self._file.fileno())


def _rows(path: Path) -> list[list[str]]:
    content = path.read_bytes() if path.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    try:
        return [row for row in csv.reader(whole.decode().splitlines()[1:]) if row]
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from error
