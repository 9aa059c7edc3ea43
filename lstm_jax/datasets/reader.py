"""A split that stays on disk: rows are read by their numbers when they are asked for, for sets larger than memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.datasets import builder
from lstm_jax.datasets.access import Folder, prepare
from lstm_jax.datasets.record import Dataset
from lstm_jax.datasets.registry import DATASETS, stored
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.names import UsageError

BLOCK = 256
"""Rows that ``survey`` holds in memory at a time."""
TELL_SECONDS = 5.0


class Survey(NamedTuple):
    """What all rows have to be known for: ``lengths (N,)``, and the most steps of inputs, of targets and of masks."""

    lengths: np.ndarray
    inputs: int
    targets: int
    loss_mask: int


@dataclass(frozen=True, eq=False)
class Reader:
    """The rows of one split under the view of its data set; ``open_reader`` makes it.

    Attributes:
        dataset: whose view it is; ``options``: of the view.
        rows: what random access to the disk goes through.
        survey: what rows are padded to, so that every batch has one shape.
    """

    dataset: Dataset
    options: Mapping[str, Any]
    rows: builder.DiskRows
    survey: Survey

    def __len__(self) -> int:
        """Rows of the split."""
        return len(self.rows)

    def read(self, numbers: Sequence[int] | np.ndarray) -> Sequences:
        """The rows with these numbers, in this order, repeated ones too; padded as the whole split in memory is."""
        part = seen(self.dataset, self.options, self.rows, numbers)

        def wide(array: np.ndarray, width: int) -> np.ndarray:
            return np.pad(array, [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)])

        inputs, targets, loss_mask = map(wide, (part.inputs, part.targets, part.loss_mask), self.survey[1:])
        return Sequences(inputs, targets, part.lengths, loss_mask)


def seen(
    dataset: Dataset, options: Mapping[str, Any], rows: builder.DiskRows, numbers: Sequence[int] | np.ndarray
) -> Sequences:
    """Some of the rows as the view shows them, padded to the longest among them.

    Raises:
        UsageError: the view leaves rows out, or makes several of one.
    """
    part = dataset.view(rows.at(numbers), **options)
    if len(part.lengths) != len(numbers):
        raise UsageError(
            f"data set {dataset.name!r}: its view made {len(part.lengths)} sequences of {len(numbers)} rows under "
            f"{dict(options)}; read from disk, every row must be one: change the options, or keep the data in memory"
        )
    return part


def survey(
    dataset: Dataset, options: Mapping[str, Any], rows: builder.DiskRows, tell: Callable[[str], None]
) -> Survey:
    """One pass over a split, a block at a time; nothing but sizes is kept. ``tell`` hears how far it is."""
    sizes, told = [], time.monotonic()
    for first in range(0, len(rows), BLOCK):
        part = seen(dataset, options, rows, range(first, min(first + BLOCK, len(rows))))
        sizes.append((part.lengths, *(array.shape[1] for array in (part.inputs, part.targets, part.loss_mask))))
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            tell(f"{dataset.name}: measured {first + len(part.lengths)} of {len(rows)} rows on disk")
    lengths, *widths = zip(*sizes, strict=True)
    return Survey(np.concatenate(lengths), *map(max, widths))


def open_reader(
    name: str,
    split: str,
    raw_dir: Folder = None,
    data_dir: Folder = None,
    tell: Callable[[str], None] = print,
    **view: Any,
) -> Reader:
    """A split on disk, prepared and surveyed; ``view`` as for ``load``, with whose rows its own agree to the bit.

    Raises:
        UsageError: the view of the data set is not made row by row.
        DataNotFoundError, RawDataError: as ``prepare``.
    """
    dataset = DATASETS[name]
    dataset.check_split(split)
    if not dataset.by_row:
        able = ", ".join(sorted(other for other, record in DATASETS.items() if record.by_row))
        raise UsageError(
            f"data set {name!r} is made of all its rows together and cannot be read from disk row by row; keep it in "
            f"memory, or take one of {able}"
        )
    options = dataset.options(**view)
    rows = builder.DiskRows(stored(name), prepare(name, raw_dir, data_dir), split)
    return Reader(dataset, options, rows, survey(dataset, options, rows, tell))
