"""Electricity transformers: six power loads and the oil temperature of two of them, every hour for two years.

Zhou et al., "Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting", 2021, ETTh1 and ETTh2.
Split as in that paper and since: 12 / 4 / 4 months of 30 days; values are scaled with mean and deviation of the
training hours. ``series.py`` cuts the windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lstm_jax.datasets.record import Dataset, Example, RawFile
from lstm_jax.datasets.series import HOUR, forecast, parts, read_series

CHANNELS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
"""High, middle and low load, useful and useless (reactive), and the oil temperature."""
SERIES = ("h1", "h2")
"""The two transformers."""
MONTH = 30 * 24
ENDS = {"train": 12 * MONTH, "validation": 16 * MONTH, "test": 20 * MONTH}
"""The hour before which each part ends; it begins where the one before ends."""


def parse(paths: Sequence[Path]) -> Mapping[str, Iterator[Example]]:
    """Reads both CSV files."""
    header = ("date", *CHANNELS)
    read = {name: read_series(path, header, HOUR, ENDS["test"]) for name, path in zip(SERIES, paths, strict=True)}
    return parts(read, HOUR, ENDS)


_ADDRESS = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_DIGESTS = {
    "ETTh1": "sha256:f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    "ETTh2": "sha256:a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
}
ETT = Dataset(
    name="ett",
    summary="two years of two power transformers, hour by hour: predict the next of seven values",
    licence="CC BY-ND 4.0 (Haoyi Zhou and others)",
    parse=parse,
    files=tuple(RawFile(f"{name}.csv.gz", digest, (f"{_ADDRESS}{name}.csv",)) for name, digest in _DIGESTS.items()),
    version="1.1.0",
    **forecast(len(CHANNELS), HOUR, series="h1", context=168, horizon=24, every=24),
)
