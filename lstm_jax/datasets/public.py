"""TFDS' own data sets by their names, ``tfds:NAME[/CONFIG][:VERSION]``, where the user has prepared them.

Texts, images and series of one class each. They are read where TFDS keeps them (``TFDS_DATA_DIR``, or
``~/tensorflow_datasets``) and not prepared again, so they must lie there as ``array_record``, which is read without
TensorFlow: ``tfds build NAME --file_format=array_record``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.datasets import documents
from lstm_jax.datasets.builder import Column, read_info
from lstm_jax.datasets.record import SPLITS, DataNotFoundError, Dataset, Feature, RawDataError, Rows
from lstm_jax.datasets.sequences import Sequences, label_last, majority_accuracy, padded
from lstm_jax.names import UsageError

PREFIX, TFDS_DIR = "tfds:", "TFDS_DATA_DIR"
INFO = "dataset_info.json"
_VERSION = re.compile(r"\d+\.\d+\.\d+")


def is_public(name: object) -> bool:
    """Whether it is the name of a data set of TFDS."""
    return isinstance(name, str) and name.startswith(PREFIX)


def public(name: str) -> Dataset:
    """The record of the data set of this name, made of what TFDS says of it.

    Raises:
        DataNotFoundError: TFDS' folder does not hold it; UsageError: it is not one text, image or series a class.
    """
    named = os.environ.get(TFDS_DIR)
    root = Path(named).expanduser() if named else Path.home() / "tensorflow_datasets"
    return _record(name, newest(root, name))


def newest(root: Path, name: str) -> Path:
    """The folder of a data set in TFDS' folder: of the newest version, or the named; without CONFIG, the only one."""
    wanted, _, version = name.removeprefix(PREFIX).partition(":")
    base = root / wanted
    folders = [path.parent for path in [*base.glob(f"*/{INFO}"), *base.glob(f"*/*/{INFO}")]]
    found = [path for path in folders if _VERSION.fullmatch(path.name) and version in ("", path.name)]
    if not wanted or not found:
        raise DataNotFoundError(
            f"data set {name!r}: expected {base}/{version or 'VERSION'}/{INFO}; prepare it with TFDS (tfds build "
            f"{wanted.partition('/')[0] or 'NAME'} --file_format=array_record), or name TFDS' folder by {TFDS_DIR}"
        )
    configs = sorted({str(path.parent.relative_to(root)) for path in found})
    if len(configs) > 1:
        raise UsageError(
            f"data set {name!r} is there in several forms; name one: {', '.join(PREFIX + c for c in configs)}"
        )
    return max(found, key=lambda path: [int(part) for part in path.name.split(".")])


@lru_cache(maxsize=32)
def _record(name: str, folder: Path) -> Dataset:
    info = read_info(folder)
    labels = [column for column, feature in info.features.items() if feature.classes]
    kinds = {column: _kind(feature) for column, feature in info.features.items()}
    contents = [(column, kind) for column, kind in kinds.items() if column not in labels and kind is not None]
    if len(labels) != 1 or len(contents) != 1:
        raise UsageError(
            f"data set {name!r}: expected one class and one text, image or series a row, got "
            f"{', '.join(f'{column} ({_said(feature)})' for column, feature in sorted(info.features.items()))}"
        )
    (label,), ((content, (make, width, options)),) = labels, contents
    feature = info.features[content]
    kept = Feature(feature.shape, str if feature.kind == "Text" else feature.dtype)
    return Dataset(
        name=name,
        summary=info.summary,
        licence=info.licence or "as TFDS has it",
        features={content: kept, label: Feature((), np.int32)},
        parse=_never,
        view=partial(_view, make, content, label, info.features[label].classes),
        view_options=options,
        by_row=True,
        input_size=width,
        output_size=info.features[label].classes,
        loss="softmax",
        metric="accuracy",
        higher_is_better=True,
        chance=majority_accuracy,
        version=folder.name,
        folder=folder,
        parts=_parts(name, info.splits),
    )


def _never(paths: Any) -> Any:
    raise AssertionError(f"{paths}: data sets of TFDS are read where they lie")


def _parts(name: str, splits: Mapping[str, int]) -> dict[str, str]:
    """Ours in TFDS' language: a part for validation is taken from the end of training where there is none."""
    test = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or test is None:
        raise UsageError(f"data set {name!r}: expected the parts train and test or validation, got {[*splits]}")
    if test == "test" and "validation" in splits:
        return {split: split for split in SPLITS}
    if splits["train"] < 10:
        raise UsageError(f"data set {name!r}: {splits['train']} rows for training leave none for validation")
    return {"train": "train[:90%]", "validation": "train[90%:]", "test": test}


Make = Callable[[list, np.ndarray, dict[str, Any]], Sequences]
"""From the contents of rows, their classes, and the options of the view."""


def _said(column: Column) -> str:
    return f"{column.kind} of shape {column.shape}" if column.shape else column.kind


def _kind(column: Column) -> tuple[Make, int, dict[str, Any]] | None:
    """How a column becomes sequences, how wide a step of them is, and the options; None: it does not."""
    shape = column.shape
    if column.kind == "Text":
        return _texts, documents.UNITS["bytes"][0], {"longest": documents.LONGEST["bytes"]}
    if column.kind == "Image" and len(shape) == 3 and None not in shape and column.dtype is np.uint8:
        return _images, int(shape[2] or 0), {}
    if column.kind == "Tensor" and len(shape) == 2 and shape[1] is not None:
        return _series, shape[1], {}
    return None


def _view(make: Make, content: str, label: str, classes: int, rows: Rows, **options: Any) -> Sequences:
    """The class of each row at its last step.

    Raises:
        RawDataError: a row without a class, as in test parts whose answers are kept back.
    """
    labels = np.asarray(rows[label], np.int32)
    odd = labels[(labels < 0) | (labels >= classes)]
    if len(odd):
        raise RawDataError(
            f"column {label!r}: expected a class from 0 to {classes - 1} in every row, got {odd[0]} in {len(odd)} of "
            f"{len(labels)}: a part without answers can be neither learned nor judged"
        )
    return make(rows[content], labels, options)


def _texts(texts: list, labels: np.ndarray, options: dict[str, Any]) -> Sequences:
    """Byte by byte (UTF-8)."""
    found = documents.Documents([text.encode() for text in texts], labels)
    return documents.view(lambda rows: found, "bytes", {}, **options)


def _images(images: list, labels: np.ndarray, options: dict[str, Any]) -> Sequences:
    """Pixel by pixel, row by row, in [0, 1]."""
    pixels = np.stack(images).astype(np.float32) / 255
    return label_last(pixels.reshape(len(images), -1, pixels.shape[-1]), labels.tolist())


def _series(series: list, labels: np.ndarray, options: dict[str, Any]) -> Sequences:
    """As they are."""
    inputs, lengths, _ = padded([np.asarray(row, np.float32) for row in series])
    last = np.arange(inputs.shape[1])[None] == lengths[:, None] - 1
    return Sequences(inputs, np.where(last, labels[:, None], 0).astype(np.int32), lengths, last)
