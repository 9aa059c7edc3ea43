"""What the forecasting experiment can forecast: a series of a data set, its rhythm, and what tables call it all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lstm_jax.names import Registry


@dataclass(frozen=True)
class Subject:
    """One series.

    Attributes:
        name: for the command line.
        data, series: data set, and the series in it; no two subjects share a series' name.
        title, steps, shown: what tables and figures call it, its steps and its last value.
        besides: what a score is a mean over besides steps.
        periods: steps after which it nearly repeats, by name: seasonal naive forecasts.
    """

    name: str
    data: str
    series: str
    title: str
    steps: str
    besides: str
    shown: str
    periods: Mapping[str, int]


_HOURS = MappingProxyType({"day": 24, "week": 168})
_SUN = MappingProxyType({"last": 1, "cycle": 132})
SUBJECTS: dict[str, Subject] = Registry(
    "series to forecast",
    (
        Subject("etth1", "ett", "h1", "ETTh1", "hours", " and all seven values", "oil temperature", _HOURS),
        Subject("etth2", "ett", "h2", "ETTh2", "hours", " and all seven values", "oil temperature", _HOURS),
        Subject("electricity", "electricity", "electricity", "Electricity", "hours", "", "load", _HOURS),
        Subject("sunspots", "sunspots", "sunspots", "Sunspots", "months", "", "sunspots", _SUN),
    ),
)
"""Name -> record. Unknown names raise a KeyError with the nearest one."""


def subject_of(series: str) -> Subject:
    """The subject that a table's series is."""
    return next(subject for subject in SUBJECTS.values() if subject.series == series)
