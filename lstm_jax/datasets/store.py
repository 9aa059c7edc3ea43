"""Prepared data sets on disk, and raw files out of packages: whole and checked, or not there at all.

A data set is written into a folder of its own and moved to its place by one rename, which either happens or does not:
a process that is killed leaves only a hidden folder that nobody reads, and of two processes the first one wins.
``prepared.json``, written last, says where the data came from and how large every file is.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lstm_jax.datasets import builder
from lstm_jax.datasets.record import Dataset, Example, RawDataError

MANIFEST = "prepared.json"
_STALE_SECONDS = 24 * 3600


def prepared_folder(dataset: Dataset, data_dir: Path) -> Path:
    """Where the prepared data set stands, in TFDS' own layout: ``<data_dir>/<name>/<version>``."""
    return data_dir / dataset.name / dataset.version


def read_manifest(folder: Path) -> dict[str, Any]:
    """What ``prepared.json`` says: source, split sizes, and the bytes of every file."""
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def problem_with(folder: Path) -> str | None:
    """None when the folder holds a whole prepared data set, otherwise what is wrong with it."""
    if not folder.exists():
        return "not prepared"
    try:
        files = read_manifest(folder)["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"damaged: {folder / MANIFEST} cannot be read ({error})"
    for name, size in files.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            return f"damaged: {path} has {found} bytes, expected {size}"
    return None


def make_folder(folder: Path) -> Path:
    """The folder, made when missing and found writable; the error otherwise says what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise OSError(
            f"data cannot be written into {folder} ({error.strerror or error}); "
            "name another folder: data_dir=FOLDER, --data-dir FOLDER or LSTM_JAX_DATA_DIR"
        ) from error


def write_prepared(dataset: Dataset, examples: Mapping[str, Iterable[Example]], data_dir: Path, source: str) -> Path:
    """Writes the examples and moves the whole folder to its place; returns that place."""
    target = prepared_folder(dataset, data_dir)
    examples = {split: _not_empty(examples[split], dataset, split) for split in dataset.splits}
    scratch = Path(tempfile.mkdtemp(prefix=".preparing-", dir=make_folder(target.parent)))
    _remove_stale(target.parent)
    try:
        folder, sizes = builder.write(dataset, examples, scratch)
        _move(folder, target, {"name": dataset.name, "version": dataset.version, "source": source, "splits": sizes})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def raw_folder(dataset: Dataset, data_dir: Path) -> Path:
    """Where raw files that were taken out of a package stand."""
    return data_dir / "packages" / dataset.name


@contextlib.contextmanager
def writing_raw(dataset: Dataset, data_dir: Path, source: str) -> Iterator[Path]:
    """An empty folder to put the raw files into; it is moved to its place unless an error leaves the block."""
    target = raw_folder(dataset, data_dir)
    scratch = Path(tempfile.mkdtemp(prefix=".preparing-", dir=make_folder(target.parent)))
    _remove_stale(target.parent)
    try:
        folder = scratch / dataset.name  # the scratch folder itself is for nobody else to read
        folder.mkdir()
        yield folder
        if target.exists() and problem_with(target) is not None:
            os.rename(target, scratch / "damaged")
        _move(folder, target, {"name": dataset.name, "source": source})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _not_empty(examples: Iterable[Example], dataset: Dataset, split: str) -> Iterator[Example]:
    """The same examples, once the first of them was seen."""
    stream = iter(examples)
    for first in stream:
        return itertools.chain([first], stream)
    raise RawDataError(
        f"the raw files of data set {dataset.name!r} hold no example for {split!r}, expected one or more"
    )


def _move(folder: Path, target: Path, manifest: Mapping[str, Any]) -> None:
    """Adds ``prepared.json``, then one rename; when another process was first, its result stays."""
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "files": files}, indent=1) + "\n", encoding="utf-8")
    try:
        os.rename(folder, target)
    except OSError:
        if problem_with(target) is not None:
            raise


def _remove_stale(folder: Path) -> None:
    """Removes what killed processes left behind a day or more ago."""
    for path in folder.glob(".preparing-*"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue
