"""Four-part chorales by J. S. Bach out of the music21 package, as piano rolls on a grid of quarter notes.

The scores (compressed MusicXML) are read by ``zipfile`` and ``ElementTree``; music21 itself is never imported. A
piece counts when it has exactly four parts. Not the canonical JSB split, nor transposed to a common tonic: numbers
are not comparable with those on ``jsb_chorales``.

Split, ours: the SHA-256 of how the melody opens (the intervals of the upper voice over the first six chords) decides,
60 / 20 / 20 % for train / validation / test on average. So a piece that the corpus holds twice, perhaps in two keys,
is never in two parts, nor are two harmonisations of one melody that open alike.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lstm_jax.datasets.piano_rolls import KEYS, LOWEST_PITCH, PREDICTION, ROLL, view
from lstm_jax.datasets.record import Dataset, Example, Feature, PackageFiles, RawDataError

VOICES, OPENING = 4, 6
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SPLIT_OF_FIFTH = ("test", "validation", "train", "train", "train")


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``.mxl`` scores; leaves out those without exactly four parts."""
    parts: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    for path in sorted(paths, key=_natural):
        score = read_score(path)
        if len(score.findall("part")) == VOICES:
            roll = quarter_roll(score, path)
            parts[split_of(roll)].append({"roll": roll, "piece": path.stem})
    if not all(parts.values()):
        sizes = {name: len(part) for name, part in parts.items()}
        raise RawDataError(f"expected the whole corpus of four-part chorales, got too few pieces: {sizes}")
    return parts


def _natural(path: Path) -> list[tuple[int, str]]:
    """bwv9.7 before bwv10.7."""
    return [(int(piece), "") if piece.isdigit() else (0, piece) for piece in re.split(r"(\d+)", path.stem) if piece]


def split_of(roll: np.ndarray) -> str:
    """The part a roll ``(L, 88)`` belongs to: a function of how its melody opens, whatever the key."""
    chords = roll[roll.any(1)][:OPENING]
    melody = [int(np.flatnonzero(chord)[-1]) for chord in chords]
    intervals = np.diff(melody).astype(np.int8).tobytes()
    return _SPLIT_OF_FIFTH[int.from_bytes(hashlib.sha256(intervals).digest()[:8], "big") % len(_SPLIT_OF_FIFTH)]


def read_score(path: Path) -> ElementTree.Element:
    """The ``score-partwise`` element of a compressed MusicXML file."""
    try:
        with zipfile.ZipFile(path) as archive:
            container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
            rootfile = container.find(".//{*}rootfile")
            if rootfile is None:
                raise RawDataError(f"{path}: its META-INF/container.xml names no score")
            return ElementTree.fromstring(archive.read(rootfile.get("full-path", "")))
    except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise RawDataError(
            f"{path}: expected a compressed MusicXML score, but {error}; reinstall the package or fetch it again"
        ) from error


def quarter_roll(score: ElementTree.Element, path: Path) -> np.ndarray:
    """``(L, 88)`` uint8: which keys sound at each quarter note from the beginning; key k is MIDI pitch 21 + k."""
    notes = list(sounding_notes(score))
    if not notes:
        raise RawDataError(f"{path}: expected a score with notes, got none")
    steps = int(max(-(-end // 1) for _, end, _ in notes))
    roll = np.zeros((steps, KEYS), np.uint8)
    for start, end, pitch in notes:
        if not 0 <= pitch - LOWEST_PITCH < KEYS:
            raise RawDataError(f"{path}: MIDI pitch {pitch} is outside the 88 keys")
        roll[int(-(-start // 1)) : int(-(-end // 1)), pitch - LOWEST_PITCH] = 1
    return roll


def sounding_notes(score: ElementTree.Element) -> Iterator[tuple[Fraction, Fraction, int]]:
    """(start, end, MIDI pitch) of every note, times in quarters from the beginning; repeats are not played twice."""
    for part in score.findall("part"):
        now, divisions = Fraction(0), 1
        for measure in part.findall("measure"):
            begin = furthest = now
            onset = now
            for element in measure:
                if element.tag == "attributes":
                    divisions = int(element.findtext("divisions", str(divisions)))
                length = Fraction(element.findtext("duration", "0")) / divisions
                if element.tag == "backup":
                    now -= length
                elif element.tag == "forward":
                    now += length
                elif element.tag == "note":
                    onset = onset if element.find("chord") is not None else now
                    pitch = element.find("pitch")
                    if pitch is not None and length:
                        yield onset, onset + length, midi_pitch(pitch)
                    now = onset + length
                furthest = max(furthest, now)
            now = max(begin, furthest)


def midi_pitch(pitch: ElementTree.Element) -> int:
    """The number of a key: 60 for the middle C."""
    step = _SEMITONES[pitch.findtext("step", "")]
    return 12 * (int(pitch.findtext("octave", "0")) + 1) + step + int(float(pitch.findtext("alter", "0")))


BACH_CHORALES = Dataset(
    name="bach_chorales",
    summary="364 four-part chorales of the music21 corpus, quarter notes: predict the next of 88-key chords",
    licence="music: public domain; scores: as in music21 (BSD-3-Clause code, scores not to be re-shipped)",
    features={"roll": ROLL, "piece": Feature((), str)},
    parse=parse,
    view=view,
    by_row=True,
    pattern="*.mxl",
    package=PackageFiles("music21", "music21/corpus/bach/*.mxl"),
    present_step=9.340,
    **PREDICTION,
)
