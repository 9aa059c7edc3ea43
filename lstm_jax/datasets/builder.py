"""The one TFDS builder, made from a record: ``array_record`` files, no TensorFlow.

Only this file touches TFDS. Builders are made, not declared, so that importing the library does not import TFDS; they
are not registered, so that our ``mnist`` does not meet TFDS' own; and a directory is always given, so that
``TFDS_DATA_DIR`` never matters to what is prepared here.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.datasets.record import Dataset, Example, Feature, RawDataError, Rows


def _tfds() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import importlib_resources  # noqa: F401  (TFDS needs it and does not declare it)
            import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            f"data sets need tensorflow-datasets, array-record and importlib_resources ({error}): "
            "pip install 'lstm_jax[data]'"
        ) from error
    return tensorflow_datasets


def _tfds_feature(tfds: ModuleType, feature: Feature) -> Any:
    if feature.dtype is str:
        return tfds.features.Text()
    return tfds.features.Tensor(shape=feature.shape, dtype=feature.dtype)


def make_builder(dataset: Dataset, examples: Mapping[str, Iterable[Example]], data_dir: Path) -> Any:
    """A ``tfds.core.GeneratorBasedBuilder`` that stores ``examples`` in their order under ``data_dir``."""
    tfds: Any = _tfds()

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[misc,call-arg]
        name = dataset.name
        VERSION = tfds.core.Version(dataset.version)

        def _info(self) -> Any:
            columns = {name: _tfds_feature(tfds, feature) for name, feature in dataset.features.items()}
            return tfds.core.DatasetInfo(
                builder=self,
                description=dataset.summary,
                features=tfds.features.FeaturesDict(columns),
                license=dataset.licence,
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {split: self._generate_examples(examples[split]) for split in dataset.splits}

        def _generate_examples(self, part: Iterable[Example]) -> Iterator[tuple[int, Example]]:
            yield from enumerate(part)

    return Builder(data_dir=str(data_dir), file_format="array_record")


def write(dataset: Dataset, examples: Mapping[str, Iterable[Example]], data_dir: Path) -> tuple[Path, dict[str, int]]:
    """Writes the examples; returns the folder that holds them and the size of each split."""
    tfds = _tfds()
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = make_builder(dataset, examples, data_dir)
        builder.download_and_prepare()
    return Path(builder.data_dir), {split: builder.info.splits[split].num_examples for split in dataset.splits}


class DiskRows:
    """The rows of a split, read by their numbers in the order in which they were written; one thread at a time."""

    def __init__(self, dataset: Dataset, folder: Path, split: str) -> None:
        """Opens the files; ``RawDataError`` when they are damaged."""
        self._dataset = dataset
        self._damage = f"prepared data set {dataset.name!r} in {folder} is damaged", "remove it and prepare again"
        if dataset.folder is not None:
            self._damage = unreadable(folder)
        with _readable(*self._damage):
            self._source = _source(folder, dataset.parts.get(split, split))

    def __len__(self) -> int:
        """Rows of the split."""
        return len(self._source)

    def at(self, numbers: Iterable[int]) -> Rows:
        """The rows with these numbers as columns; checks the files' own hashes."""
        with _readable(*self._damage):
            rows = self._source.__getitems__([int(number) for number in numbers])
        features = self._dataset.features
        return {name: [_value(feature, row[name]) for row in rows] for name, feature in features.items()}


def read(dataset: Dataset, folder: Path, split: str) -> Rows:
    """All rows of a split as columns, in the order in which they were written."""
    rows = DiskRows(dataset, folder, split)
    return rows.at(range(len(rows)))


def read_examples(folder: Path, split: str) -> list[Example]:
    """All examples of a split that TFDS itself, or somebody by TFDS, prepared in a folder as ``array_record``.

    Raises:
        RawDataError: another format, which only TensorFlow reads; or damaged.
    """
    with _readable(*unreadable(folder)):
        source = _source(folder, split)
        return list(source.__getitems__(range(len(source))))


def unreadable(folder: Path) -> tuple[str, str]:
    """What is wrong with a folder that TFDS prepared, when it cannot be read, and what to do."""
    return (
        f"{folder}: cannot be read without TensorFlow, or is damaged",
        "prepare it by TFDS with --file_format=array_record",
    )


class Column(NamedTuple):
    """What TFDS says of a column: ``"Text"``, ``"Image"``, ``"Tensor"`` ..., shape, type, and classes (or 0)."""

    kind: str
    shape: tuple[int | None, ...]
    dtype: type[np.generic] | type[str]
    classes: int


class Info(NamedTuple):
    """What TFDS says of a data set that it prepared: columns, and rows of each split."""

    summary: str
    licence: str
    features: Mapping[str, Column]
    splits: Mapping[str, int]


def read_info(folder: Path) -> Info:
    """Of the data set that TFDS prepared in a folder; RawDataError as ``read_examples``."""
    with _readable(f"{folder}: cannot be read as a data set of TFDS", "prepare it again by TFDS"):
        info = _tfds().builder_from_directory(str(folder)).info
        columns = {name: _column(feature) for name, feature in info.features.items()}
        summary = " ".join((info.description or "").split()).partition(". ")[0]
        return Info(summary, info.redistribution_info.license or "", columns, {
            name: split.num_examples for name, split in info.splits.items()
        })  # fmt: skip


def _column(feature: Any) -> Column:
    """Columns of columns have no shape or type of their own here, and nothing reads them."""
    kind = type(feature).__name__
    if isinstance(feature.shape, tuple) and not isinstance(feature.np_dtype, dict):
        dtype, classes = np.dtype(feature.np_dtype).type, feature.num_classes if kind == "ClassLabel" else 0
        return Column(kind, feature.shape, dtype, int(classes or 0))
    return Column(kind, (), np.object_, 0)


def _source(folder: Path, split: str) -> Any:
    """Random access to the examples of a prepared split."""
    return _tfds().builder_from_directory(str(folder)).as_data_source(split=split)


@contextlib.contextmanager
def _readable(what: str, remedy: str) -> Iterator[None]:
    """Whatever goes wrong in reading is ``what``, and ``remedy`` says what to do."""
    _tfds()  # a package that is missing is no damage
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise
    except Exception as error:  # TFDS and array_record raise whatever they stumble over
        raise RawDataError(f"{what} ({error}); {remedy}") from error


def _value(feature: Feature, value: Any) -> Any:
    if feature.dtype is str:
        return value.decode() if isinstance(value, bytes) else str(value)
    return np.asarray(value, feature.dtype)
