"""The data sets by name. A new one is a file with a parser and a record, and a line here."""

from __future__ import annotations

from lstm_jax.cell.variants import nearest
from lstm_jax.datasets.bach_chorales import BACH_CHORALES
from lstm_jax.datasets.digits import DIGITS
from lstm_jax.datasets.jsb_chorales import JSB_CHORALES
from lstm_jax.datasets.mnist import MNIST
from lstm_jax.datasets.record import Dataset


class UnknownDatasetError(KeyError):
    """A KeyError that prints its sentence instead of a quoted key."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Datasets(dict[str, Dataset]):
    def __missing__(self, name: object) -> Dataset:
        raise UnknownDatasetError(f"unknown data set {name!r}; {nearest(str(name), self)}")


DATASETS: dict[str, Dataset] = _Datasets(
    {record.name: record for record in (DIGITS, BACH_CHORALES, JSB_CHORALES, MNIST)}
)
"""Name -> record. Unknown names raise a KeyError with the nearest one."""
