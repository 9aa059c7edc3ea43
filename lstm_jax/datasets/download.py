"""Fetching raw files from public addresses: seconds to fail, a digest to pass, one rename to arrive."""

from __future__ import annotations

import os
import tempfile
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from lstm_jax.datasets.locate import Source
from lstm_jax.datasets.readers import verify
from lstm_jax.datasets.record import DataNotFoundError, Dataset, RawDataError, RawFile
from lstm_jax.datasets.store import make_folder

CONNECT_SECONDS, READ_SECONDS = 4.0, 15.0


def fetch(dataset: Dataset, data_dir: Path, remedies: str) -> Source:
    """The raw files of a data set from the first address that answers, kept in ``<data_dir>/downloads/<name>/``."""
    folder = make_folder(data_dir / "downloads" / dataset.name)
    paths = tuple(_fetch_one(file, folder, f"data set {dataset.name!r}", remedies) for file in dataset.files)
    return Source("address", dataset.files[0].addresses[0], True, paths)


def _fetch_one(file: RawFile, folder: Path, wanted_by: str, remedies: str) -> Path:
    target, failures = folder / file.name, []
    if target.exists():
        return target
    for address in file.addresses:
        try:
            _download(address, target, file)
            return target
        except (OSError, HTTPException, RawDataError) as error:
            failures.append(f"{address}: {error}")
    raise DataNotFoundError(
        f"{wanted_by} is not at hand, and {file.name} could not be fetched ({'; '.join(failures)}). {remedies}"
    )


def _download(address: str, target: Path, file: RawFile) -> None:
    """Writes into a file beside the target, checks it, and renames it."""
    handle, scratch = tempfile.mkstemp(prefix=".", suffix=target.suffix, dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as out, open_address(address) as answer:
            while block := answer.read(1 << 20):
                out.write(block)
        verify(Path(scratch), file)
        os.replace(scratch, target)
    finally:
        Path(scratch).unlink(missing_ok=True)


def open_address(address: str) -> Any:
    """The answer of an address, or ``OSError`` after ``CONNECT_SECONDS``, name look-up included."""
    outcome: list[Any] = []

    def ask() -> None:
        try:
            outcome.append(urllib.request.urlopen(address, timeout=READ_SECONDS))
        except Exception as error:  # handed to the caller below
            if isinstance(error, HTTPError):
                error.close()  # it holds the connection
            outcome.append(error)

    # A look-up of names has no time limit of its own, so it gets a thread that nobody waits for.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not outcome:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0] if isinstance(outcome[0], OSError) else OSError(str(outcome[0]))
    return outcome[0]
