"""Texts, byte by byte: one file, cut into parts; predict the next symbol, the state carried from window to window.

Prepared rows are the bytes themselves. What they stand for (``Dataset.symbols``) is fixed in the record, so that a
trained network needs no data to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.datasets.record import Example, Feature, RawDataError, Rows
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.names import nearest

PARTS = {
    "90/5/5": {"train": (0.0, 0.9), "validation": (0.9, 0.95), "test": (0.95, 1.0)},
    "90/10": {"train": (0.0, 0.9), "validation": (0.9, 1.0), "test": (0.9, 1.0)},
}
"""Begin and end of each part, as shares of the text. ``"90/10"`` has no test part of its own: its validation part
stands for it, as published figures on tiny Shakespeare do, so its test score is the best of what was looked at."""

FEATURES = {"text": Feature((None,), np.uint8), "part": Feature((), str)}
OPTIONS = {"parts": "90/5/5", "window": 100}
LEAST = 100
_REMEDY = "remove it or fetch it again, then prepare again"


def examples(content: bytes, symbols: bytes, path: Path) -> Mapping[str, list[Example]]:
    """The whole text for each part; ``view`` cuts it, so that one prepared text serves every way to cut it.

    Raises:
        RawDataError: too short, or a byte that is no symbol; names the file and the place.
    """
    text = np.frombuffer(content, np.uint8)
    if len(text) < LEAST:
        raise RawDataError(f"{path}: expected a text of {LEAST} bytes or more, got {len(text)}; {_REMEDY}")
    foreign = np.flatnonzero(~np.isin(text, np.frombuffer(symbols, np.uint8)))
    if len(foreign):
        found = content[foreign[0] : foreign[0] + 1]
        raise RawDataError(
            f"{path}: byte {foreign[0]}: expected one of {len(symbols)} symbols, got {found!r}; {_REMEDY}"
        )
    return {part: [{"text": text, "part": part}] for part in PARTS["90/5/5"]}


def encode(content: bytes, symbols: bytes) -> np.ndarray:
    """The numbers of the symbols, ``(n,)`` int32.

    Raises:
        ValueError: a byte that is no symbol.
    """
    place = np.full(256, -1, np.int32)
    place[np.frombuffer(symbols, np.uint8)] = np.arange(len(symbols))
    numbers = place[np.frombuffer(content, np.uint8)]
    if len(numbers) and numbers.min() < 0:
        first = int(np.argmin(numbers))
        raise ValueError(f"byte {first}, {content[first : first + 1]!r}, is none of the {len(symbols)} symbols known")
    return numbers


def view(symbols: bytes, rows: Rows, parts: str, window: int) -> Sequences:
    """Windows of ``window`` symbols that follow each other without a gap, each step predicting the next symbol.

    The first symbol of a part is only read, never predicted; the last window may be shorter.

    Args:
        symbols: what the bytes are looked up in.
        rows: columns ``text (n,)`` uint8 and ``part``.
        parts: a name in ``PARTS``.
        window: steps, 1 or more.
    """
    if parts not in PARTS:
        raise ValueError(f"texts: no way to cut {parts!r}; {nearest(str(parts), PARTS)}")
    if type(window) is not int or window < 1:
        raise ValueError(f"texts: window must be an integer >= 1, got {window!r}")
    (text,), (part,) = rows["text"], rows["part"]
    begin, end = (int(share * len(text)) for share in PARTS[parts][part])
    numbers = encode(text[begin:end].tobytes(), symbols)
    count = len(numbers) - 1
    padded = -(-count // window) * window

    def windows(array: np.ndarray) -> np.ndarray:
        return np.pad(array, (0, padded - count)).reshape(-1, window)

    mask = windows(np.ones(count, bool))
    return Sequences(windows(numbers[:-1]), windows(numbers[1:]), mask.sum(1).astype(np.int32), mask)


def unigram(train: Sequences, test: Sequences) -> float:
    """Nats a symbol of ``test`` under the frequencies of ``train``, each symbol counted once more than it occurs."""
    counts = [np.bincount(part.targets[part.loss_mask], minlength=256) for part in (train, test)]
    known = counts[0] + (counts[0] + counts[1] > 0)
    used = counts[1] > 0
    return float(-(counts[1][used] * np.log(known[used] / known.sum())).sum() / counts[1].sum())


def about(symbols: bytes) -> dict[str, Any]:
    """What the records of all texts share."""
    return {
        "features": FEATURES,
        "view": partial(view, symbols),
        "view_options": OPTIONS,
        "input_size": len(symbols),
        "output_size": len(symbols),
        "loss": "softmax",
        "metric": "nll",
        "higher_is_better": False,
        "chance": unigram,
        "symbols": symbols,
    }
