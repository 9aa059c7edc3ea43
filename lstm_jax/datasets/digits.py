"""Handwritten digits of 8 x 8 pixels, read pixel by pixel: the small real data set that needs no download.

Split, ours: a fixed stratified permutation; 30 of each class are test, 30 validation, the rest (1197) train. The
1797 images are the test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, 1998).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lstm_jax.datasets.readers import gunzip
from lstm_jax.datasets.record import Dataset, Example, Feature, PackageFiles, RawDataError, RawFile, Rows
from lstm_jax.datasets.sequences import Sequences, label_last, majority_accuracy

HELD_OUT_PER_CLASS = 30


def split_of(labels: np.ndarray) -> np.ndarray:
    """0 train, 1 validation, 2 test for each row: stratified, fixed for ever (RandomState's stream is frozen)."""
    order = np.random.RandomState(1797).permutation(len(labels))
    part = np.zeros(len(labels), np.int32)
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        part[of_class[:HELD_OUT_PER_CLASS]] = 2
        part[of_class[HELD_OUT_PER_CLASS : 2 * HELD_OUT_PER_CLASS]] = 1
    return part


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``digits.csv.gz``: 64 pixels of 0 to 16 and the label on each line."""
    (path,) = paths
    lines = gunzip(path).decode("ascii", errors="replace").split()
    try:
        table = np.array([[int(float(value)) for value in line.split(",")] for line in lines], np.int64)
    except ValueError as error:
        raise RawDataError(f"{path}: expected lines of 65 numbers separated by commas: {error}") from error
    if table.shape != (1797, 65) or table.min() < 0 or table[:, :-1].max() > 16 or table[:, -1].max() > 9:
        raise RawDataError(f"{path}: expected 1797 lines of 64 pixels (0 to 16) and a digit, got {table.shape}")
    part = split_of(table[:, -1])
    return {
        name: [{"image": row[:-1].reshape(8, 8).astype(np.uint8), "label": int(row[-1])} for row in table[part == n]]
        for n, name in enumerate(("train", "validation", "test"))
    }


def view(rows: Rows) -> Sequences:
    """64 steps of one pixel, from 0 to 1, row by row; the class counts at the last step."""
    images = np.stack(rows["image"]).astype(np.float32) / 16
    return label_last(images.reshape(len(images), 64, 1), rows["label"])


DIGITS = Dataset(
    name="digits",
    summary="1797 handwritten digits of 8 x 8 pixels, read pixel by pixel, classified at the last",
    licence="BSD-3-Clause (scikit-learn); data: UCI, CC BY 4.0",
    features={"image": Feature((8, 8), np.uint8), "label": Feature((), np.int32)},
    parse=parse,
    view=view,
    by_row=True,
    input_size=1,
    output_size=10,
    loss="softmax",
    metric="accuracy",
    higher_is_better=True,
    chance=majority_accuracy,
    files=(RawFile("digits.csv.gz"),),
    package=PackageFiles("scikit-learn", "sklearn/datasets/data/digits.csv.gz"),
)
