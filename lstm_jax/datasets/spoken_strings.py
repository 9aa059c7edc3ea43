"""Spoken digits as speech recognition has them: labels without times, for CTC.

Two views of the clips of ``spoken_digits.py``: single words that are spelled letter by letter, and strings of digits
that one speaker says one after the other. Labels start at 1 (0 is the blank of CTC), zeros stand
behind them; every frame counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from lstm_jax.datasets.record import Rows
from lstm_jax.datasets.sequences import Sequences, padded
from lstm_jax.datasets.spoken_digits import DIGITS, RATE, SPEAKERS, SPOKEN_DIGITS, frames_of, split_of
from lstm_jax.names import nearest

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = "".join(sorted(set("".join(WORDS))))
LONGEST_STRING = 7
GAP_SECONDS = (0.05, 0.4)
GAP_NOISE = 4.0
"""Standard deviation of the white noise between two clips, in quantisation steps: silence of a cheap microphone."""
STRING_SEED = 8000


def spell(digit: int) -> list[int]:
    """The labels of a digit's name, letter by letter."""
    return [1 + LETTERS.index(letter) for letter in WORDS[digit]]


def read_letters(labels: Sequence[int]) -> str:
    """The text of letter labels."""
    return "".join(LETTERS[label - 1] for label in labels)


def read_digits(labels: Sequence[int]) -> str:
    """The text of digit labels."""
    return "".join(str(label - 1) for label in labels)


def view_words(rows: Rows, held_out: str | None) -> Sequences:
    """Clip by clip: the features of ``spoken_digits``, all frames, and the letters of the word.

    Args:
        rows: columns ``waveform (n,)`` int16, ``label``, ``speaker`` and ``index``.
        held_out: a speaker whom training and validation do not hear and to whom the test part belongs alone; None:
            all speakers are in all parts, as officially.
    """
    kept = _clips(rows, held_out)
    waveforms = [rows["waveform"][n] for n in kept]
    return _sequences(waveforms, [spell(rows["label"][n]) for n in kept])


def view_strings(rows: Rows, held_out: str | None) -> Sequences:
    """As many strings as clips: 1 to 7 clips of one speaker, with noise of 0.05 to 0.4 s between them.

    Every number of digits is as frequent as any other; clips of one part only, drawn with replacement. The strings of
    a part are always the same. Every second frame is kept, so a step is 20 ms.

    Args:
        rows: columns ``waveform (n,)`` int16, ``label``, ``speaker`` and ``index``.
        held_out: as in ``view_words``.
    """
    kept = _clips(rows, held_out)
    rng = np.random.RandomState(STRING_SEED + ("train", "validation", "test").index(split_of(rows["index"][kept[0]])))
    of_speaker = {name: [n for n in kept if rows["speaker"][n] == name] for name in SPEAKERS}
    waveforms, labels = [], []
    for n in kept:
        own = of_speaker[rows["speaker"][n]]
        chosen = [own[place] for place in rng.randint(0, len(own), size=rng.randint(1, LONGEST_STRING + 1))]
        waveforms.append(_joined([rows["waveform"][clip] for clip in chosen], rng))
        labels.append([1 + int(rows["label"][clip]) for clip in chosen])
    return _sequences(waveforms, labels, HEARINGS["spoken_strings"].every)


def _clips(rows: Rows, held_out: str | None) -> list[int]:
    """The rows that belong to this part."""
    if held_out is None:
        return list(range(len(rows["label"])))
    if held_out not in SPEAKERS:
        raise ValueError(f"held_out must be None or a speaker, got {held_out!r}; {nearest(str(held_out), SPEAKERS)}")
    pairs = zip(rows["speaker"], rows["index"], strict=True)
    return [n for n, (speaker, index) in enumerate(pairs) if (speaker == held_out) == (split_of(index) == "test")]


def _joined(waveforms: Sequence[np.ndarray], rng: np.random.RandomState) -> np.ndarray:
    """One after the other, with noise in between."""
    parts: list[np.ndarray] = []
    for waveform in waveforms:
        if parts:
            parts.append(rng.normal(0.0, GAP_NOISE, size=round(rng.uniform(*GAP_SECONDS) * RATE)))
        parts.append(waveform.astype(np.float64))
    return np.concatenate(parts)


def _sequences(waveforms: Sequence[np.ndarray], labels: Sequence[Sequence[int]], every: int = 1) -> Sequences:
    inputs, lengths, mask = padded([frames_of(waveform, every) for waveform in waveforms])
    targets = np.zeros((len(labels), max(map(len, labels))), np.int32)
    for row, string in zip(targets, labels, strict=True):
        row[: len(string)] = string
    return Sequences(inputs, targets, lengths, mask)


def most_frequent_string(train: Sequences, test: Sequences) -> float:
    """Share of ``test`` that is not the most frequent string of ``train``."""
    strings, counts = np.unique(train.targets, axis=0, return_counts=True)
    favourite = strings[counts.argmax()]
    width = max(train.targets.shape[1], test.targets.shape[1])
    wide = (np.pad(labels, ((0, 0), (0, width - labels.shape[1]))) for labels in (test.targets, favourite[None]))
    return float(np.not_equal(*wide).any(axis=1).mean())


def unknown(train: Sequences, test: Sequences) -> float:
    """The constant string with the fewest errors is not known; one digit, always the same, has some 0.9 a label."""
    return math.nan


SPOKEN_WORDS = replace(
    SPOKEN_DIGITS,
    name="spoken_words",
    summary="the clips of spoken_digits, spelled letter by letter (CTC)",
    stored=SPOKEN_DIGITS.name,
    view=view_words,
    view_options={"held_out": None},
    output_size=1 + len(LETTERS),
    loss="ctc",
    metric="wrong",
    higher_is_better=False,
    chance=most_frequent_string,
)
SPOKEN_STRINGS = replace(
    SPOKEN_WORDS,
    name="spoken_strings",
    summary="strings of 1 to 7 of the clips of spoken_digits, digit by digit (CTC)",
    view=view_strings,
    by_row=False,
    output_size=1 + DIGITS,
    metric="error",
    chance=unknown,
)


class Hearing(NamedTuple):
    """How a network of one view hears and answers.

    Attributes:
        every: every which frame.
        read: labels as text.
        lexicon: the labels of each text there can be, where they are few.
    """

    every: int
    read: Callable[[Sequence[int]], str]
    lexicon: tuple[tuple[int, ...], ...] = ()

    def candidates(self) -> np.ndarray:
        """The lexicon as ``(L, K)``, zeros behind the labels."""
        table = np.zeros((max(map(len, self.lexicon)), len(self.lexicon)), np.int32)
        for column, labels in enumerate(self.lexicon):
            table[: len(labels), column] = labels
        return table


HEARINGS: Mapping[str, Hearing] = MappingProxyType(
    {
        SPOKEN_WORDS.name: Hearing(1, read_letters, tuple(tuple(spell(digit)) for digit in range(DIGITS))),
        SPOKEN_STRINGS.name: Hearing(2, read_digits),
    }
)
