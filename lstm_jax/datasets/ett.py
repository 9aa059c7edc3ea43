"""Electricity transformers: six power loads and the oil temperature of two of them, every hour for two years.

Zhou et al., "Informer: Beyond Efficient Transformer for Long Sequence Time-Series Forecasting", 2021, ETTh1 and ETTh2.
Split as in that paper and since: 12 / 4 / 4 months of 30 days; values are scaled with mean and deviation of the
training hours. What is predicted lies in its part; the hours before it, which a forecast is made from, may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.datasets.readers import gunzip
from lstm_jax.datasets.record import Dataset, Example, Feature, RawDataError, RawFile, Rows
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.names import nearest

CHANNELS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
"""High, middle and low load, useful and useless (reactive), and the oil temperature."""
SERIES = ("h1", "h2")
"""The two transformers."""
MONTH = 30 * 24
ENDS = {"train": 12 * MONTH, "validation": 16 * MONTH, "test": 20 * MONTH}
"""The hour before which each part ends; it begins where the one before ends."""
CALENDAR = 4
_HEADER = ",".join(("date", *CHANNELS))
_REMEDY = "remove it or fetch it again, then prepare again"


def parse(paths: Sequence[Path]) -> Mapping[str, Iterator[Example]]:
    """Reads both CSV files; a part has a row for each: all hours up to its end, and the hour in which it begins."""
    read = {series: read_hours(path) for series, path in zip(SERIES, paths, strict=True)}
    begins = dict(zip(ENDS, (0, *ENDS.values()), strict=False))

    def rows(part: str) -> Iterator[Example]:
        for series, (first, values) in read.items():
            start = {"weekday": first.weekday(), "hour": first.hour}
            yield {"series": series, "values": values[: ENDS[part]], "begin": begins[part], **start}

    return {part: rows(part) for part in ENDS}


def read_hours(path: Path) -> tuple[datetime, np.ndarray]:
    """The first hour, and the values ``(n, 7)`` float32 of every hour from there on; a gap is an error."""
    lines = gunzip(path).decode("utf-8", errors="replace").split()  # a date holds a blank: two words a line
    if not lines or lines[0] != _HEADER:
        raise RawDataError(
            f"{path}: expected the columns {_HEADER!r}, got {lines[0][:80] if lines else ''!r}; {_REMEDY}"
        )
    days, rest = lines[1::2], lines[2::2]
    if len(days) != len(rest):
        raise RawDataError(f"{path}: hour {len(rest)}: expected a date and 7 numbers, got {days[-1]!r}; {_REMEDY}")
    if len(rest) < ENDS["test"]:
        raise RawDataError(f"{path}: expected {ENDS['test']} hours or more, got {len(rest)}; {_REMEDY}")
    values = np.empty((len(rest), len(CHANNELS)), np.float32)
    first: datetime | None = None
    for n, (day, line) in enumerate(zip(days, rest, strict=True)):
        hour, *cells = line.split(",")
        try:
            when = datetime.fromisoformat(f"{day} {hour}")
            values[n] = np.array(cells, np.float32)
        except ValueError as error:
            raise RawDataError(f"{path}: hour {n}: expected a date and 7 numbers, got {line!r}; {_REMEDY}") from error
        first = first or when
        if when != first + timedelta(hours=n) or not np.isfinite(values[n]).all():
            raise RawDataError(f"{path}: hour {n}: expected the hour after the last and no gap, got {when}; {_REMEDY}")
    assert first is not None
    return first, values


def calendar(weekday: int, hour: int, count: int) -> np.ndarray:
    """``(count, 4)`` float32: sine and cosine of the hour of the day and of the week, from that hour on."""
    hours = hour + np.arange(count)
    angles = 2 * np.pi * np.stack([hours / 24, (24 * weekday + hours) / 168], axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def scaled(row: Mapping[str, np.ndarray]) -> np.ndarray:
    """The hours of a row in units of the training hours: mean 0, deviation 1 there."""
    values = np.asarray(row["values"], np.float64)
    train = values[: ENDS["train"]]
    return ((values - train.mean(0)) / train.std(0)).astype(np.float32)


def view(rows: Rows, series: str, context: int, horizon: int, every: int) -> Sequences:
    """Windows of ``context + horizon`` hours, one hour a step, each scaled by its own context; predict the next hour.

    Values are those of ``windows``, relative to the context. Inputs ``(T, 11)``: the seven values of an hour, and the
    calendar of the hour after it, which is predicted (a calendar is known in advance).
    Targets ``(T, 7)``: the values of the next hour; those of the horizon count. T is ``context + horizon - 1``.

    Args:
        rows: columns ``series``, ``values (n, 7)``, ``begin``, ``weekday``, ``hour``.
        series: the transformer, ``"h1"`` or ``"h2"``.
        context: hours that a forecast is made from, 2 or more.
        horizon: hours that are forecast, 1 or more.
        every: hours from one window to the next.
    """
    cut = windows(rows, series, context, horizon, every)
    values = cut.relative(cut.values)
    inputs = np.concatenate([values[:, :-1], cut.dates[:, 1:]], axis=2)
    steps = inputs.shape[1]
    mask = np.broadcast_to(np.arange(steps) >= context - 1, inputs.shape[:2])
    return Sequences(inputs, values[:, 1:], np.full(len(inputs), steps, np.int32), mask)


class Windows(NamedTuple):
    """N windows of what was known (C hours) and what is to be forecast (F hours), in units of the training hours.

    Attributes:
        context: C.
        values: ``(N, C + F, 7)``.
        dates: ``(N, C + F, 4)`` calendar.
        level, spread: ``(N, 1, 7)`` mean and deviation of each context, channel by channel: what a forecast is made
            relative to, so that levels which have drifted since training do not matter.
    """

    context: int
    values: np.ndarray
    dates: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    def relative(self, values: np.ndarray) -> np.ndarray:
        """Values ``(N, ..., 7)`` relative to the context."""
        return (values - self.level) / self.spread

    def absolute(self, values: np.ndarray) -> np.ndarray:
        """Values relative to the context ``(N, F, 7)`` in units of the training hours."""
        return values * self.spread + self.level


def windows(rows: Rows, series: str, context: int, horizon: int, every: int) -> Windows:
    """The windows whose horizon lies in the part that ``rows`` are of, one every ``every`` hours; see ``view``."""
    for name, value, least in (("context", context, 2), ("horizon", horizon, 1), ("every", every, 1)):
        if type(value) is not int or value < least:
            raise ValueError(f"ett: {name} must be an integer >= {least}, got {value!r}")
    row = row_of(rows, series)
    values = scaled(row)
    starts = window_starts(len(values), int(row["begin"]), context, horizon, every)
    places = starts[:, None] + np.arange(context + horizon)
    known = values[places[:, :context]]
    level, spread = known.mean(1, keepdims=True), np.maximum(known.std(1, keepdims=True), SMALLEST_SPREAD)
    dates = calendar(int(row["weekday"]), int(row["hour"]), len(values))[places]
    return Windows(context, values[places], dates, level, spread)


def row_of(rows: Rows, series: str) -> dict[str, Any]:
    """The row of one transformer."""
    if series not in rows["series"]:
        raise ValueError(f"ett: no series {series!r}; {nearest(str(series), rows['series'])}")
    place = rows["series"].index(series)
    return {name: column[place] for name, column in rows.items()}


SMALLEST_SPREAD = 0.05
"""Deviations of a context below this, in units of the training hours, count as this: a load may stand still."""


def window_starts(hours: int, begin: int, context: int, horizon: int, every: int) -> np.ndarray:
    """First hours of the windows whose horizon lies in ``begin`` to ``hours``, the context wherever it may."""
    first, last = max(begin - context, 0), hours - context - horizon
    if last < first:
        raise ValueError(f"ett: a part of {hours - begin} hours has no window of {context} + {horizon}")
    return np.arange(first, last + 1, every)


def last_value(train: Sequences, test: Sequences) -> float:
    """Nats a number of a normal distribution around the hour before, as wide as the errors in training."""
    errors = [
        (part.inputs[:, :, : len(CHANNELS)] - part.targets)[part.loss_mask].astype(np.float64)
        for part in (train, test)
    ]
    variance = (errors[0] ** 2).mean(0)
    return float((0.5 * np.log(2 * np.pi * variance) + 0.5 * errors[1] ** 2 / variance).mean())


_ADDRESS = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_DIGESTS = {
    "ETTh1": "sha256:f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
    "ETTh2": "sha256:a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b",
}
ETT = Dataset(
    name="ett",
    summary="two years of two power transformers, hour by hour: predict the next of seven values",
    licence="CC BY-ND 4.0 (Haoyi Zhou and others)",
    features={
        "series": Feature((), str),
        "values": Feature((None, len(CHANNELS)), np.float32),
        "begin": Feature((), np.int32),
        "weekday": Feature((), np.int32),
        "hour": Feature((), np.int32),
    },
    parse=parse,
    view=view,
    view_options={"series": "h1", "context": 168, "horizon": 24, "every": 24},
    input_size=len(CHANNELS) + CALENDAR,
    output_size=3 * len(CHANNELS),
    loss="student_t",
    metric="nll",
    higher_is_better=False,
    chance=last_value,
    files=tuple(RawFile(f"{name}.csv.gz", digest, (f"{_ADDRESS}{name}.csv",)) for name, digest in _DIGESTS.items()),
)
