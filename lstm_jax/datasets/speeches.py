"""Speeches of Shakespeare's plays: does a king, a queen, a duke or a prince speak? From the words, not from the name.

The speeches of tiny Shakespeare, 7 thousand that differ, up to 3068 bytes: real documents for whoever has no mails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from lstm_jax.datasets.documents import Documents, about, distinct, split_of
from lstm_jax.datasets.record import Dataset, Rows
from lstm_jax.datasets.tiny_shakespeare import TINY_SHAKESPEARE

_SPEECH = re.compile(rb"([^\n:]+):\n(.+)", re.DOTALL)
CROWNED = (b"KING", b"QUEEN", b"DUKE", b"PRINCE")


def documents(rows: Rows) -> Documents:
    """The speeches of a part; class 1 is a title before the speaker's name."""
    (text,), (part,) = rows["text"], rows["part"]
    found = [pair for pair in distinct(_speeches(text.tobytes())) if split_of(pair[0]) == part]
    return Documents([speech for speech, _ in found], np.array([label for _, label in found], np.int32))


def _speeches(text: bytes) -> Iterator[tuple[bytes, int]]:
    for block in text.split(b"\n\n"):
        if spoken := _SPEECH.fullmatch(block.strip()):
            name, speech = spoken.groups()
            yield speech.strip(), int(name.upper().startswith(CROWNED))


def _record(name: str, unit: str, summary: str) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        licence=TINY_SHAKESPEARE.licence,
        features=TINY_SHAKESPEARE.features,
        parse=TINY_SHAKESPEARE.parse,
        stored="tiny_shakespeare",
        **about(documents, unit),
    )


SPEECHES = _record("speeches", "bytes", "7 thousand speeches of Shakespeare, byte by byte: is the speaker crowned?")
SPEECH_WORDS = _record("speech_words", "words", "the same speeches, word by word, each hashed into one of 4096 slots")
