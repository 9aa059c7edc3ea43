"""A comparison of forecasts: train every cell, let it and the baselines forecast the test part, score them all."""

from __future__ import annotations

import io
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax.datasets import rows
from lstm_jax.datasets.series import Windows, windows
from lstm_jax.studies.collect import write_table
from lstm_jax.studies.forecasts import (
    LEVELS,
    Score,
    baselines,
    fit_linear,
    merged,
    quantile,
    sample_forward,
    score_samples,
    shorter,
    with_errors,
)
from lstm_jax.studies.subjects import Subject
from lstm_jax.train import load_run, train_part
from lstm_jax.train.config import Config
from lstm_jax.train.loop import Summary
from lstm_jax.train.machine import code_label, describe_machine, use_whole_machine
from lstm_jax.train.records import MANIFEST, write_atomically, write_json

SCORES, FAN = "scores.csv", "fan.npz"
NOTHING = Score(math.nan, math.nan, math.nan, (math.nan, math.nan))
LINEAR = "linear"
SAMPLE_SEED = 0
SHOWN_WINDOW, SHOWN_CHANNEL, SHOWN_STEPS = 40, -1, 240
"""What the figure shows: one window of the test part, the last value, so many steps ahead at most."""
SHARES = (0.5, *((1 + sign * level) / 2 for level in LEVELS for sign in (-1, 1)))
"""Quantiles that it shows: the median, then both ends of each central interval."""


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        subject: the series.
        configs: of each cell; several trials of one are its seeds.
        context: steps that every forecast is made from.
        horizons: steps ahead, rising; scores of each are means over all steps up to it.
        samples: of each network and window.
        every: steps from one forecast to the next.
    """

    subject: Subject
    configs: Mapping[str, Config]
    context: int
    horizons: tuple[int, ...]
    samples: int
    every: int


class ScoreRow(NamedTuple):
    """The score of one model on the test part; ``seed`` is -1 where nothing was drawn at random."""

    series: str
    model: str
    seed: int
    horizon: int
    windows: int
    parameters: int
    mse: float
    mae: float
    crps: float
    coverage_80: float
    coverage_95: float
    seconds: float
    commit: str
    device: str


def run(plan: Plan, folder: Path, overwrite: bool = False) -> list[ScoreRow]:
    """Train what is missing, forecast, and write ``scores.csv``, ``fan.npz`` and ``manifest.json`` into a folder."""
    use_whole_machine()
    begun, machine = time.monotonic(), describe_machine()
    found, fans = list(_baselines(plan, machine)), {}
    for cell, config in plan.configs.items():
        place = folder / "runs" / cell
        summary = train_part(config, place, overwrite)
        scored, fans[f"{plan.subject.series} {cell}"] = _network(plan, cell, place, summary)
        found += scored
    fans |= beside_fans(plan)
    write_table(folder / SCORES, ScoreRow, found)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **fans)
    write_atomically(folder / FAN, stream.getvalue())
    write_json(
        folder / "manifest.json",
        {"command": sys.argv, "wall_seconds": round(time.monotonic() - begun, 1), **machine},
    )
    return found


def beside_fans(plan: Plan) -> dict[str, np.ndarray]:
    """What the figure shows beside the cells: what came, the linear forecast of it, and how many steps were known."""
    series, test = plan.subject.series, _cut(plan, "test")
    shown = SHOWN_WINDOW % len(test.values)
    linear = fit_linear(_windows(plan, "train", plan.horizons[-1], 1), _cut(plan, "validation"))
    return {
        f"{series} truth": test.values[shown, : plan.context + SHOWN_STEPS, SHOWN_CHANNEL],
        f"{series} {LINEAR}": linear.forecast(test)[shown, :SHOWN_STEPS, SHOWN_CHANNEL],
        "context": np.array(plan.context),
    }


def _cut(plan: Plan, part: str) -> Windows:
    """The windows of a part, as long as the longest horizon asks: the same for all of them."""
    return _windows(plan, part, plan.horizons[-1], plan.every)


def _windows(plan: Plan, part: str, horizon: int, every: int) -> Windows:
    return windows(rows(plan.subject.data, part), plan.subject.series, plan.context, horizon, every)


def _row(
    series: str,
    model: str,
    seed: int,
    horizon: int,
    count: int,
    score: Score,
    machine: Mapping[str, Any],
    parameters: int = 0,
    seconds: float = 0.0,
) -> ScoreRow:
    numbers = score.mse, score.mae, score.crps, score.coverage[0], score.coverage[1], round(seconds, 2)
    return ScoreRow(
        series, model, seed, horizon, count, parameters, *numbers, code_label(machine), str(machine["processor"])
    )


def _baselines(plan: Plan, machine: Mapping[str, Any]) -> Iterator[ScoreRow]:
    """Each forecast as sure as its errors on validation were small, step by step ahead and channel by channel."""
    series = plan.subject.series
    validation, test = (_cut(plan, part) for part in ("validation", "test"))
    for horizon in plan.horizons:
        known, asked = shorter(validation, horizon), shorter(test, horizon)
        linear = fit_linear(_windows(plan, "train", horizon, 1), known)
        ways: dict[str, Callable[[Windows], np.ndarray]] = {
            name: baseline.forecast
            for name, baseline in baselines(plan.subject.periods).items()
            if baseline.needs <= plan.context
        }
        for name, forecast in {**ways, LINEAR: linear.forecast}.items():
            score = _baseline(forecast, known, asked)
            size = linear.weights.size if name == LINEAR else 0
            yield _row(series, name, -1, horizon, len(asked.values), score, machine, size)


def _baseline(forecast: Callable[[Windows], np.ndarray], known: Windows, asked: Windows) -> Score:
    """Errors are of the forecast itself, doubts of what ``with_errors`` makes of it."""
    parts = []
    for cut, said, samples in with_errors(forecast, known, asked):
        truth = cut.values[:, cut.context :]
        mse, mae = float(((said - truth) ** 2).mean()), float(np.abs(said - truth).mean())
        parts.append((len(truth), score_samples(samples, truth)._replace(mse=mse, mae=mae)))
    return merged(parts)


def _network(plan: Plan, cell: str, place: Path, summary: Summary) -> tuple[list[ScoreRow], np.ndarray]:
    """Scores of every seed, and quantiles ``SHARES`` of the first one's samples for the window that is shown.

    A seed that was never validated, because it diverged before, has the score NaN.
    """
    config, params = load_run(place)
    trained_by = json.loads((place / MANIFEST).read_text())["sittings"][-1]
    seeds, test = config.train.trials, _cut(plan, "test")
    shown = SHOWN_WINDOW % len(test.values)

    def forecast(number: int) -> tuple[list[Score], np.ndarray, float]:
        """Scores by horizon of one seed, its quantiles for the window shown, seconds; each on a device of its own."""
        begun = time.monotonic()
        network = params if seeds == 1 else jax.tree.map(lambda leaf: leaf[number], params)
        parts: list[list[tuple[int, Score]]] = [[] for _ in plan.horizons]
        fan, first = np.zeros(0), 0
        device = jax.devices()[number % jax.device_count()]
        with jax.default_device(device):
            network, key = jax.device_put((network, jax.random.key(SAMPLE_SEED)), device)
            for cut, samples in sample_forward(config.model, network, test, plan.samples, key):
                truth = cut.values[:, plan.context :]
                for part, horizon in zip(parts, plan.horizons, strict=True):
                    part.append((len(truth), score_samples(samples[:, :, :horizon], truth[:, :horizon])))
                if first <= shown < first + len(truth):
                    ordered = np.sort(samples[:, shown - first, :SHOWN_STEPS, SHOWN_CHANNEL], axis=0)
                    fan = np.stack([quantile(ordered, share) for share in SHARES]).astype(np.float32)
                first += len(truth)
        return [merged(part) for part in parts], fan, time.monotonic() - begun

    found, first_fan, series = [], np.zeros(0), plan.subject.series
    with ThreadPoolExecutor(jax.device_count()) as pool:
        for number, (scores, fan, seconds) in enumerate(pool.map(forecast, range(seeds))):
            seed = config.train.seed + number
            for horizon, score in zip(plan.horizons, scores, strict=True):
                kept = score if summary.validation[number] is not None else NOTHING
                facts = summary.parameters, seconds
                found.append(_row(series, cell, seed, horizon, len(test.values), kept, trained_by, *facts))
            if number == 0:
                first_fan = fan
    return found, first_fan
