"""What the trials of the battery gave, as one CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_row import BatteryRow
from lstm_jax.studies.collect import read_table
from lstm_jax.studies.statistics import mean_interval

PACKED = "results.csv.gz"


class TrialResult(NamedTuple):
    """One trial of one row; goals are numbered as in the protocol, and what a row lacks is 0 or NaN.

    Attributes:
        row, seed: what was run.
        seen: training sequences until it met its last goal, or until it was stopped.
        ended: ``met``, ``cap`` (given up after so many sequences), ``stopped`` (the time was over).
        met_1, met_2: sequences when each goal was met; 0: not met.
        wrong_1, wrong_2: of ``tested`` fresh sequences, with the weights that met the goal; -1: not met or no test.
        mean_1, mean_2, rmse_1, rmse_2: absolute and root mean squared error on these.
        best_test: streams: the mean length of the test streams after the best training stream.
        tested: fresh test sequences.
        steps, seconds: of all trials of the row together, in processor time; compilation is not counted.
        commit, device: what computed it.
    """

    row: str
    seed: int
    seen: int
    ended: str
    met_1: int
    met_2: int
    wrong_1: int
    wrong_2: int
    mean_1: float
    mean_2: float
    rmse_1: float
    rmse_2: float
    best_test: float
    tested: int
    steps: int
    seconds: float
    commit: str
    device: str


def read_results(folder: Path) -> list[TrialResult]:
    """All trials of a battery: of the rows that ran in this folder, or of ``results.csv.gz``.

    Raises:
        FileNotFoundError: neither is there.
    """
    packed = folder / PACKED
    files = sorted((folder / "rows").glob("*.csv")) or [packed] * packed.is_file()
    if not files:
        raise FileNotFoundError(f"{folder} holds neither rows/*.csv nor {PACKED}: run the battery first")
    found = [trial for file in files for trial in read_table(file, TrialResult)]
    place = {name: n for n, name in enumerate(BATTERY)}
    return sorted(found, key=lambda trial: (place[trial.row], trial.seed))


def by_row(found: Sequence[TrialResult]) -> dict[str, list[TrialResult]]:
    """Trials of each row, in the order of the papers."""
    rows: dict[str, list[TrialResult]] = {}
    for trial in found:
        rows.setdefault(trial.row, []).append(trial)
    return {name: rows[name] for name in BATTERY if name in rows}


def most(trials: Sequence[TrialResult]) -> bool:
    """Whether at least half of them met their criterion, so that the mean of those says something about all."""
    return 2 * sum(trial.ended == "met" for trial in trials) >= len(trials)


def ratios(found: Sequence[TrialResult]) -> list[tuple[BatteryRow, float, float, float]]:
    """For the figure: rows with a success and a published mean, our mean over the paper's, and its interval.

    Guesses are not among them, since the papers' means are of learning, nor rows whose mean is only remembered.
    """
    listed = []
    for name, trials in by_row(found).items():
        times = [max(trial.met_1, trial.met_2) for trial in trials if trial.ended == "met"]
        paper = BATTERY[name].published.sequences[-1]
        remembered = BATTERY[name].published.known[0] == "recalled"
        if times and not BATTERY[name].guesses and not remembered and not math.isnan(paper):
            mean = mean_interval(times)
            listed.append((BATTERY[name], mean.mean / paper, mean.low / paper, mean.high / paper))
    return listed
