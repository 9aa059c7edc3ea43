"""Evenly spaced series of numbers: how their files are read, how they are cut into windows, and the view of these.

Every such data set has the same columns: one row a series, K values a step, all steps up to the end of the part; the
step in which the part begins, the number of training steps, which the scale follows from, and what a step is. What is
predicted lies in its part; the steps before it, which a forecast is made from, may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstm_jax.datasets.readers import gunzip
from lstm_jax.datasets.record import Example, Feature, RawDataError, Rows
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.names import nearest

SMALLEST_SPREAD = 0.05
"""Deviations of a context below this, in units of the training steps, count as this: a load may stand still."""
_REMEDY = "remove it or fetch it again, then prepare again"

Series = tuple[datetime, np.ndarray]
"""The first step, and the values ``(n, K)`` of every step from there on."""


# -- time


@dataclass(frozen=True)
class Clock:
    """What a step is.

    Attributes:
        step: its name.
        read: a date as files write it.
        after: the date so many steps after a first one.
        calendar: ``(n, D)`` float32 of n steps from a first one on: what is known of the future in advance.
        turns: D.
    """

    step: str
    read: Callable[[str], datetime]
    after: Callable[[datetime, int], datetime]
    calendar: Callable[[datetime, int], np.ndarray]
    turns: int


def day_and_week(first: datetime, count: int) -> np.ndarray:
    """``(count, 4)`` float32: sine and cosine of the hour of the day and of the week, from that hour on."""
    hours = first.hour + np.arange(count)
    angles = 2 * np.pi * np.stack([hours / 24, (24 * first.weekday() + hours) / 168], axis=1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def no_calendar(first: datetime, count: int) -> np.ndarray:
    """``(count, 0)``: nothing is known in advance."""
    return np.zeros((count, 0), np.float32)


def months_after(first: datetime, count: int) -> datetime:
    """The same day so many months later."""
    years, month = divmod(first.month - 1 + count, 12)
    return first.replace(year=first.year + years, month=month + 1)


HOUR = Clock("hour", datetime.fromisoformat, lambda first, n: first + timedelta(hours=n), day_and_week, 4)
MONTH = Clock("month", lambda text: datetime.strptime(text, "%Y-%m"), months_after, no_calendar, 0)
CLOCKS = {clock.step: clock for clock in (HOUR, MONTH)}


# -- files


def features(channels: int) -> dict[str, Feature]:
    """The columns on disk, of K ``channels``."""
    return {
        "series": Feature((), str),
        "values": Feature((None, channels), np.float32),
        "begin": Feature((), np.int32),
        "train": Feature((), np.int32),
        "step": Feature((), str),
        "first": Feature((), str),
    }


def parts(read: Mapping[str, Series], clock: Clock, ends: Mapping[str, int]) -> Mapping[str, Iterator[Example]]:
    """A row of each part for each series; ``ends``: the step before which each part ends, the next begins there."""
    begins = dict(zip(ends, (0, *ends.values()), strict=False))

    def rows(part: str) -> Iterator[Example]:
        for series, (first, values) in read.items():
            fixed = {"train": ends["train"], "step": clock.step, "first": first.isoformat()}
            yield {"series": series, "values": values[: ends[part]], "begin": begins[part], **fixed}

    return {part: rows(part) for part in ends}


def shares(count: int) -> dict[str, int]:
    """Where parts of 70, 10 and 20 % of ``count`` steps end, as the literature rounds them."""
    train, test = int(0.7 * count), int(0.2 * count)
    return {"train": train, "validation": count - test, "test": count}


def read_series(path: Path, header: Sequence[str], clock: Clock, least: int) -> Series:
    """A CSV file of dates and numbers, whole and without a gap, of ``least`` steps or more.

    Raises:
        RawDataError: names the file, the step, and what was expected.
    """
    text = gunzip(path).decode("utf-8", errors="replace").replace('"', "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    expected, numbers = ",".join(header), len(header) - 1
    if not lines or lines[0] != expected:
        raise RawDataError(
            f"{path}: expected the columns {expected!r}, got {lines[0][:80] if lines else ''!r}; {_REMEDY}"
        )
    values = np.empty((len(lines) - 1, numbers), np.float32)
    first: datetime | None = None
    for n, line in enumerate(lines[1:]):
        date, *cells = line.split(",")
        try:
            when = clock.read(date)
            values[n] = np.array(cells, np.float32).reshape(numbers)
        except ValueError as error:
            raise RawDataError(
                f"{path}: {clock.step} {n}: expected a date and {numbers} number{'s' * (numbers > 1)}, got {line!r}; "
                f"{_REMEDY}"
            ) from error
        first = first or when
        if when != clock.after(first, n) or not np.isfinite(values[n]).all():
            raise RawDataError(
                f"{path}: {clock.step} {n}: expected the {clock.step} after the last and no gap, got {line!r}; "
                f"{_REMEDY}"
            )
    if first is None or len(values) < least:
        raise RawDataError(f"{path}: expected {least} {clock.step}s or more, got {len(values)}; {_REMEDY}")
    return first, values


# -- windows


class Windows(NamedTuple):
    """N windows of what was known (C steps) and what is to be forecast (F steps), in units of the training steps.

    Attributes:
        context: C.
        values: ``(N, C + F, K)``.
        dates: ``(N, C + F, D)`` calendar.
        level, spread: ``(N, 1, K)`` mean and deviation of each context, channel by channel: what a forecast is made
            relative to, so that levels which have drifted since training do not matter.
    """

    context: int
    values: np.ndarray
    dates: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    def relative(self, values: np.ndarray) -> np.ndarray:
        """Values ``(N, ..., K)`` relative to the context."""
        return (values - self.level) / self.spread

    def absolute(self, values: np.ndarray) -> np.ndarray:
        """Values relative to the context ``(N, F, K)`` in units of the training steps."""
        return values * self.spread + self.level


def windows(rows: Rows, series: str, context: int, horizon: int, every: int) -> Windows:
    """The windows whose horizon lies in the part that ``rows`` are of, one every ``every`` steps; see ``view``."""
    for name, value, least in (("context", context, 2), ("horizon", horizon, 1), ("every", every, 1)):
        if type(value) is not int or value < least:
            raise ValueError(f"windows: {name} must be an integer >= {least}, got {value!r}")
    row = row_of(rows, series)
    values = scaled(row)
    starts = window_starts(len(values), int(row["begin"]), context, horizon, every)
    places = starts[:, None] + np.arange(context + horizon)
    known = values[places[:, :context]]
    level, spread = known.mean(1, keepdims=True), np.maximum(known.std(1, keepdims=True), SMALLEST_SPREAD)
    dates = CLOCKS[row["step"]].calendar(datetime.fromisoformat(row["first"]), len(values))[places]
    return Windows(context, values[places], dates, level, spread)


def row_of(rows: Rows, series: str) -> dict[str, Any]:
    """The row of one series."""
    if series not in rows["series"]:
        raise ValueError(f"windows: no series {series!r}; {nearest(str(series), rows['series'])}")
    place = rows["series"].index(series)
    return {name: column[place] for name, column in rows.items()}


def scaled(row: Mapping[str, Any]) -> np.ndarray:
    """The values of a row in units of the training steps: mean 0, deviation 1 there."""
    values = np.asarray(row["values"], np.float64)
    train = values[: int(row["train"])]
    return ((values - train.mean(0)) / train.std(0)).astype(np.float32)


def window_starts(steps: int, begin: int, context: int, horizon: int, every: int) -> np.ndarray:
    """First steps of the windows whose horizon lies in ``begin`` to ``steps``, the context wherever it may."""
    first, last = max(begin - context, 0), steps - context - horizon
    if last < first:
        raise ValueError(f"windows: a part of {steps - begin} steps has no window of {context} + {horizon}")
    return np.arange(first, last + 1, every)


def view(rows: Rows, series: str, context: int, horizon: int, every: int) -> Sequences:
    """Windows of ``context + horizon`` steps, each scaled by its own context; predict the next step.

    Values are those of ``windows``, relative to the context. Inputs ``(T, K + D)``: the values of a step, and the
    calendar of the step after it, which is predicted (a calendar is known in advance).
    Targets ``(T, K)``: the values of the next step; those of the horizon count. T is ``context + horizon - 1``.

    Args:
        rows: columns as ``features`` says.
        series: one of those in the rows.
        context: steps that a forecast is made from, 2 or more.
        horizon: steps that are forecast, 1 or more.
        every: steps from one window to the next.
    """
    cut = windows(rows, series, context, horizon, every)
    values = cut.relative(cut.values)
    inputs = np.concatenate([values[:, :-1], cut.dates[:, 1:]], axis=2)
    steps = inputs.shape[1]
    mask = np.broadcast_to(np.arange(steps) >= context - 1, inputs.shape[:2])
    return Sequences(inputs, values[:, 1:], np.full(len(inputs), steps, np.int32), mask)


def last_value(train: Sequences, test: Sequences) -> float:
    """Nats a number of a normal distribution around the step before, as wide as the errors in training."""
    errors = [
        (part.inputs[:, :, : part.targets.shape[2]] - part.targets)[part.loss_mask].astype(np.float64)
        for part in (train, test)
    ]
    variance = (errors[0] ** 2).mean(0)
    return float((0.5 * np.log(2 * np.pi * variance) + 0.5 * errors[1] ** 2 / variance).mean())


def forecast(channels: int, clock: Clock, **window: Any) -> dict[str, Any]:
    """What the records of all such data sets share: view, head and metric; ``window``: defaults of the view."""
    return {
        "features": features(channels),
        "view": view,
        "view_options": window,
        "input_size": channels + clock.turns,
        "output_size": 3 * channels,
        "loss": "student_t",
        "metric": "nll",
        "higher_is_better": False,
        "chance": last_value,
    }
