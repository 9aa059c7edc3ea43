"""The data sets by name. A new one is a file with a parser and a record, and a line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lstm_jax.cell.variants import nearest
from lstm_jax.datasets.bach_chorales import BACH_CHORALES
from lstm_jax.datasets.digits import DIGITS
from lstm_jax.datasets.jsb_chorales import JSB_CHORALES
from lstm_jax.datasets.mnist import MNIST
from lstm_jax.datasets.record import Dataset


class _Registry(Mapping[str, Dataset]):
    """A mapping whose errors suggest the nearest name."""

    def __init__(self, *records: Dataset) -> None:
        self._records = {record.name: record for record in records}

    def __getitem__(self, name: str) -> Dataset:
        if name not in self._records:
            raise KeyError(f"unknown data set {name!r}; {nearest(name, self._records)}")
        return self._records[name]

    def __contains__(self, name: object) -> bool:
        return name in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)


DATASETS: Mapping[str, Dataset] = _Registry(DIGITS, BACH_CHORALES, JSB_CHORALES, MNIST)
