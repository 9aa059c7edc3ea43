"""Whole documents of very different lengths, each of one of two classes: as bytes, or as words hashed into slots.

The class counts at the last step that is read. Documents are cut after ``longest`` steps; those that say the same in
letters are one document, and a document's part of the split is a function of its letters alone: no text is in two.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.datasets.record import SPLITS, Feature, Rows
from lstm_jax.datasets.sequences import Sequences, majority_accuracy

FEATURES = {"text": Feature((None,), np.uint8), "label": Feature((), np.int32)}
SLOTS = 4096
LONGEST = {"bytes": 1000, "words": 256}
SHARES = {"train": 70, "validation": 15, "test": 15}
"""Per cent of the documents in each part."""

_WORD = re.compile(rb"[a-z']+|[0-9]+|[\x80-\xff]+|[^\sa-z0-9'\x80-\xff]+")


class Documents(NamedTuple):
    """N documents: their bytes, and the class of each ``(N,)`` int32, 0 or 1."""

    texts: list[bytes]
    labels: np.ndarray


def stored_documents(rows: Rows) -> Documents:
    """The documents of rows that hold one each, in the columns of ``FEATURES``."""
    return Documents([text.tobytes() for text in rows["text"]], np.array(rows["label"], np.int32))


def letters(text: bytes) -> bytes:
    """What makes two documents the same: their letters a to z in a row, and nothing between them."""
    return re.sub(rb"[^a-z]", b"", text.lower())


def split_of(text: bytes) -> str:
    """The part of the split that a document belongs to, from a hash of its letters."""
    place = int.from_bytes(hashlib.sha256(letters(text)).digest()[:8]) % 100
    ends = np.cumsum([SHARES[split] for split in SPLITS])
    return SPLITS[int(np.searchsorted(ends, place, side="right"))]


def distinct(pairs: Iterable[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """The first document of each that say the same in letters; those without a letter are left out."""
    seen: dict[bytes, tuple[bytes, int]] = {}
    for text, label in pairs:
        seen.setdefault(letters(text), (text, label))
    return [pair for key, pair in seen.items() if key]


def words(text: bytes) -> list[bytes]:
    """Words in lower case, numbers, and runs of anything else but blanks, in the order of the text."""
    return _WORD.findall(text.lower())


def as_bytes(text: bytes, longest: int) -> np.ndarray:
    """The first bytes of a document as numbers ``(n,)``."""
    return np.frombuffer(text[:longest], np.uint8).astype(np.int32)


def as_words(text: bytes, longest: int) -> np.ndarray:
    """The first words of a document, each as the slot that its checksum falls into, ``(n,)``."""
    return np.array([zlib.crc32(word) % SLOTS for word in words(text)[:longest]], np.int32)


UNITS: dict[str, tuple[int, Callable[[bytes, int], np.ndarray]]] = {
    "bytes": (256, as_bytes),
    "words": (SLOTS, as_words),
}
"""What a step is: how many different ones there are, and how a document becomes their numbers."""


def view(documents: Callable[[Rows], Documents], unit: str, rows: Rows, longest: int) -> Sequences:
    """Symbols ``(N, T)`` of each document, T at most ``longest``; its class counts at its last step."""
    if type(longest) is not int or longest < 1:
        raise ValueError(f"documents: longest must be an integer >= 1, got {longest!r}")
    texts, labels = documents(rows)
    numbers = [UNITS[unit][1](text, longest) for text in texts]
    lengths = np.array([len(row) for row in numbers], np.int32)
    steps = np.arange(lengths.max(initial=1))
    inputs = np.zeros((len(numbers), len(steps)), np.int32)
    for place, row in zip(inputs, numbers, strict=True):
        place[: len(row)] = row
    last = steps[None, :] == lengths[:, None] - 1
    return Sequences(inputs, np.where(last, labels[:, None], 0).astype(np.int32), lengths, last)


def about(documents: Callable[[Rows], Documents], unit: str) -> dict[str, Any]:
    """What the records of all documents share."""
    return {
        "view": partial(view, documents, unit),
        "view_options": {"longest": LONGEST[unit]},
        "input_size": UNITS[unit][0],
        "output_size": 2,
        "loss": "softmax",
        "metric": "accuracy",
        "higher_is_better": True,
        "chance": majority_accuracy,
    }
