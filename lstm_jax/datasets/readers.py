"""Reading raw files so that a bad one is named, with what was expected and what to do."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import zlib
from pathlib import Path

from lstm_jax.datasets.record import RawDataError, RawFile

_REMEDY = "remove it or fetch it again, then prepare again"


def read_bytes(path: Path) -> bytes:
    """The content of a file that must not be empty."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RawDataError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from error
    if not content:
        raise RawDataError(f"{path}: is empty; {_REMEDY}")
    return content


def gunzip(path: Path) -> bytes:
    """The content of a file, decompressed when it starts with the gzip mark."""
    content = read_bytes(path)
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RawDataError(f"{path}: truncated or corrupt gzip file ({error}); {_REMEDY}") from error


def bunzip2(path: Path) -> bytes:
    """The content of a file, decompressed when it starts with the bzip2 mark."""
    content = read_bytes(path)
    if not content.startswith(b"BZh"):
        return content
    try:
        return bz2.decompress(content)
    except (OSError, ValueError) as error:  # the latter where the end is missing
        raise RawDataError(f"{path}: truncated or corrupt bzip2 file ({error}); {_REMEDY}") from error


def verify(path: Path, file: RawFile) -> None:
    """Compares the content with the published digest; raises ``RawDataError`` when they differ."""
    content = gunzip(path) if file.name.endswith(".gz") else read_bytes(path)
    if file.digest is None:
        return
    algorithm, _, expected = file.digest.partition(":")
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise RawDataError(
            f"{path}: is not the published {file.name} ({len(content)} bytes of content with {algorithm} {found}, "
            f"expected {expected}); {_REMEDY}"
        )
