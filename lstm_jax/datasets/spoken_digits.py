"""Ten English digits by six speakers, 50 times each, classified frame by frame: the Free Spoken Digit Dataset.

Jackson et al., https://github.com/Jakobovski/free-spoken-digit-dataset (DOI: zenodo.org/badge/latestdoi/61622039).
It stands in for TIMIT, which is not free, in "LSTM: A Search Space Odyssey" (Greff et al., 2017): the same 39 features
a frame and the same kind of answer, but digits instead of phonemes, so no number is comparable.

Split: the index of a clip decides. 0 to 4 is the official test part (300); of the official training part, 5 to 9 is
our validation (300) and 10 to 49 train (2400). All speakers are in all parts.

The prepared rows are the waveforms themselves, for other views. The raw file is packed from the folder ``recordings``
at commit 26eb9aaf76e81b692f806f9140c2d2777410d7a1: ``tarfile`` with a fresh ``TarInfo(f"recordings/{name}")`` for each
WAV file, sorted by name, only its size set. The digest is that of the tar, whatever gzip makes of it.
"""

from __future__ import annotations

import io
import re
import tarfile
import wave
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lstm_jax.datasets.features import FEATURES, Scale, clip_features
from lstm_jax.datasets.readers import gunzip
from lstm_jax.datasets.record import Dataset, Example, Feature, RawDataError, RawFile, Rows
from lstm_jax.datasets.sequences import Sequences, label_each, majority_accuracy

RATE, BITS, CHANNELS = 8000, 16, 1
DIGITS, SPEAKERS, TAKES = 10, ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"), 50
_NAME = re.compile(rf"recordings/(\d)_({'|'.join(SPEAKERS)})_(0|[1-9]\d?)\.wav", re.ASCII)
_REMEDY = "remove it or pack it again, then prepare again"

SCALE = Scale(
    means=(-3.28, -0.48, -2.04, -3.29, -1.61, -1.0, -0.51, -0.62, -0.37, -0.47, -0.68, -0.59, 17.56),
    deviations=(
        *(5.763, 3.902, 2.938, 2.648, 2.439, 1.783, 1.542, 1.329, 1.308, 1.209, 1.153, 1.059, 3.442),
        *(0.943, 0.647, 0.488, 0.484, 0.397, 0.38, 0.321, 0.308, 0.289, 0.273, 0.271, 0.26, 0.48),
        *(0.335, 0.228, 0.18, 0.178, 0.152, 0.149, 0.131, 0.126, 0.119, 0.113, 0.112, 0.108, 0.153),
    ),
)
"""Of the 100,305 frames of the training part, rounded; a network that hears something else is given the same."""

Clip = tuple[int, str, int]
"""Digit, speaker, index."""


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``recordings.tar.gz``; rows are in the order of digit, speaker, index."""
    (path,) = paths
    parts: dict[str, list[Example]] = {"train": [], "validation": [], "test": []}
    for (digit, speaker, index), waveform in sorted(read_clips(path).items(), key=lambda item: item[0]):
        row = {"waveform": waveform, "label": digit, "speaker": speaker, "index": index}
        parts[split_of(index)].append(row)
    return parts


def split_of(index: int) -> str:
    """The part a clip belongs to."""
    return "test" if index < 5 else "validation" if index < 10 else "train"


def read_clips(path: Path) -> dict[Clip, np.ndarray]:
    """All 3000 waveforms ``(n,)`` int16, each exactly once; otherwise ``RawDataError`` names archive and member."""
    clips: dict[Clip, np.ndarray] = {}
    for name, content in _members(path):
        clip = clip_of(name, path)
        if clip in clips:
            raise RawDataError(f"{path}: member {name}: expected each clip once, got it twice; {_REMEDY}")
        clips[clip] = read_wav(content, f"{path}: member {name}")
    missing = sorted({(d, s, i) for d in range(DIGITS) for s in SPEAKERS for i in range(TAKES)} - clips.keys())
    if missing:
        first = "{}_{}_{}.wav".format(*missing[0])
        expected = DIGITS * len(SPEAKERS) * TAKES
        raise RawDataError(f"{path}: expected {expected} clips, got {len(clips)}: {first} is missing; {_REMEDY}")
    return clips


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of everything in the archive but folders."""
    content, name = gunzip(path), "the first"
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                name = member.name
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield name, stream.read()
                elif not member.isdir():
                    raise tarfile.ReadError("it is no plain file")
    except (tarfile.TarError, ValueError, OverflowError) as error:  # the latter for sizes that make no sense
        raise RawDataError(
            f"{path}: expected a whole tar archive, but reading member {name} failed ({error}); {_REMEDY}"
        ) from error


def clip_of(name: str, path: Path) -> Clip:
    """Digit, speaker and index, out of a member's name."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[3]) >= TAKES:
        raise RawDataError(
            f"{path}: member {name}: expected a name recordings/DIGIT_SPEAKER_INDEX.wav with a digit 0 to 9, "
            f"a speaker out of {', '.join(SPEAKERS)}, and an index 0 to {TAKES - 1}; {_REMEDY}"
        )
    return int(match[1]), match[2], int(match[3])


def read_wav(content: bytes, where: str, remedy: str = _REMEDY) -> np.ndarray:
    """The samples ``(n,)`` int16 of a WAV file of 8 kHz, mono, 16 bit; ``where`` and ``remedy`` go into errors."""
    try:
        with wave.open(io.BytesIO(content)) as wav:
            promised = wav.getnframes()
            found = (wav.getframerate(), wav.getnchannels(), 8 * wav.getsampwidth())
            samples = wav.readframes(promised)
    except (wave.Error, EOFError, RuntimeError) as error:  # the last when a chunk is longer than the file
        raise RawDataError(f"{where}: expected a WAV file, got {len(content)} bytes ({error!r}); {remedy}") from error
    if found != (RATE, CHANNELS, BITS):
        expected = f"expected {RATE} Hz, {CHANNELS} channel, {BITS} bit"
        raise RawDataError(f"{where}: {expected}, got {found[0]} Hz, {found[1]} channels, {found[2]} bit; {remedy}")
    if not samples or len(samples) * 8 != promised * BITS:
        raise RawDataError(
            f"{where}: expected one sample or more and as many as its header promises ({promised}), "
            f"got {len(samples) * 8 / BITS:g}; {remedy}"
        )
    return np.frombuffer(samples, "<i2").astype(np.int16)


def frames_of(waveform: np.ndarray, every: int = 1) -> np.ndarray:
    """What a network hears of one waveform ``(n,)`` at 8 kHz: ``(F, 39)`` in units of ``SCALE``."""
    return clip_features(waveform, RATE, SCALE)[::every]


def view(rows: Rows, longest: int | None) -> Sequences:
    """39 features a frame (``features.py``), in units of ``SCALE``; every frame counts.

    The target is the digit at every frame, those before a voice is heard included, where a causal network can only
    guess.

    Args:
        rows: columns ``waveform (n,)`` int16 and ``label``.
        longest: keep no more than this many frames of a clip, from its beginning, and drop no clip; None keeps all.
            Most have about 40, of 10 ms each, and the longest 226. The frames that are kept do not change. The test
            part is cut as well, so accuracies compare under one ``longest`` only.
    """
    if longest is not None and (type(longest) is not int or longest < 1):
        raise ValueError(f"spoken_digits: longest must be None or a number of frames, 1 or more, got {longest!r}")
    clips = [frames_of(waveform)[:longest] for waveform in rows["waveform"]]
    return label_each(clips, rows["label"])


SPOKEN_DIGITS = Dataset(
    name="spoken_digits",
    summary="3000 spoken digits by six speakers, 39 features every 10 ms, classified at every frame",
    licence="CC BY-SA 4.0 (Zohar Jackson and contributors)",
    features={
        "waveform": Feature((None,), np.int16),
        "label": Feature((), np.int32),
        "speaker": Feature((), str),
        "index": Feature((), np.int32),
    },
    parse=parse,
    view=view,
    by_row=True,
    view_options={"longest": None},
    input_size=FEATURES,
    output_size=DIGITS,
    loss="softmax",
    metric="accuracy",
    higher_is_better=True,
    chance=majority_accuracy,
    files=(RawFile("recordings.tar.gz", "sha256:9cbd40a399fee10d4611dc8ffe6de219695fd804a62dfb43373f183715b43877"),),
)
