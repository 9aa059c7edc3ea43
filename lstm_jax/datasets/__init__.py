"""Real data as the same ``Batch`` that tasks give: TFDS builders and readers, without TensorFlow.

A data set is looked for, in this order, in a prepared folder (``data_dir``, ``LSTM_JAX_DATA_DIR``, or the user's
cache), among raw files in a folder the user names (``raw_dir`` or ``LSTM_JAX_RAW_DIR``), inside an installed package
or among the files that ``lstm-jax data offline`` took out of one, and at its public address.
"""

from __future__ import annotations

from lstm_jax.datasets.access import Description, chance, describe, load, prepare, rows, sources
from lstm_jax.datasets.locate import Source
from lstm_jax.datasets.offline import fetch_packages
from lstm_jax.datasets.reader import Reader, open_reader
from lstm_jax.datasets.record import DataNotFoundError, Dataset, RawDataError
from lstm_jax.datasets.registry import DATASETS
from lstm_jax.datasets.sequences import Sequences, take

__all__ = [
    "DATASETS",
    "DataNotFoundError",
    "Dataset",
    "Description",
    "RawDataError",
    "Reader",
    "Sequences",
    "Source",
    "chance",
    "describe",
    "fetch_packages",
    "load",
    "open_reader",
    "prepare",
    "rows",
    "sources",
    "take",
]
