"""Fabricated studies and trials, for the tests of studies and of reports."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

from lstm_jax.studies.collect import Row
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, DataConfig

NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
TRIAL = Row(
    task="jsb_chorales", variant="V", seed=0, hidden_size=50, learning_rate=1e-3, momentum=0.9, input_noise=0.1,
    metric="nll", higher_is_better=False, chance=11.0, test=9.0, validation=9.0, test_by_sequence=9.1, best_step=100,
    steps=200, diverged=False, parameters=1000, seconds=36.0, commit="abc", device="cpu",
)  # fmt: skip
SPEECH = {"task": "spoken_digits", "metric": "accuracy", "higher_is_better": True, "chance": 0.1}


def trial(validation: float = 9.0, **changes) -> Row:
    """One trial whose test score equals its validation score unless said otherwise."""
    return TRIAL._replace(**{"validation": validation, "test": validation, **changes})


def scored(variant: str, scores: Sequence[float], **changes) -> list[Row]:
    """Trials of one variant with these scores, all hyperparameters equal."""
    return [trial(score, variant=variant, seed=seed, **changes) for seed, score in enumerate(scores)]


def around(mean: float, count: int, spread: float) -> list[float]:
    """Quantiles of a normal distribution: whoever asks for the same gets the same scores."""
    law = NormalDist(mean, spread)
    return [law.inv_cdf((n + 0.5) / count) for n in range(count)]


def drawn(variant: str, count: int, score: Callable[[Row], float], **changes) -> list[Row]:
    """Trials with hyperparameters drawn as the Odyssey drew them, each with the score that they give it."""
    rng = np.random.default_rng(zlib.crc32(variant.encode()))
    rows = []
    for seed in range(count):
        size, rate, rest = 10 ** rng.uniform((1.3, -6, -2), (2.3, -2, 0))
        row = trial(
            variant=variant, seed=seed, hidden_size=round(size), learning_rate=float(rate),
            momentum=float(1 - rest), input_noise=float(rng.uniform()), **changes,
        )  # fmt: skip
        rows.append(row._replace(test=score(row), validation=score(row), parameters=row.hidden_size * 100))
    return rows


PAIR = (("a", Config()), ("b", Config(data=DataConfig("temporal_order"))))


def study(**changes) -> Study:
    values = dict(name="s", tasks=PAIR, variants=("NFG", "V"), seeds=2)
    return Study(**{**values, **changes})


def row_of(trial) -> Row:
    rate = trial.config.optimizer.learning_rate
    return TRIAL._replace(task=trial.task, variant=trial.variant, seed=trial.config.train.seed, test=rate)


class Trainer:
    """Counts trials instead of training them; ``stop_at`` raises before that one."""

    def __init__(self, stop_at=None):
        self.ran, self.groups, self.stop_at = [], [], stop_at

    def __call__(self, trials, on_row, on_running, worker):
        self.groups.append(len(trials))
        for trial in trials:
            if len(self.ran) == self.stop_at:
                raise KeyboardInterrupt
            on_running([(trial, 0.5)])
            self.ran.append((trial.task, trial.variant, trial.config.train.seed))
            on_row(trial, row_of(trial))


ALL = [(task, variant, seed) for task in "ab" for variant in ("V", "NFG") for seed in (0, 1)]
