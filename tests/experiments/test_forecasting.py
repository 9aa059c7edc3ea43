"""Experiment 08: what its presets compare."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_jax.datasets import DATASETS
from lstm_jax.datasets.series import shares, window_starts
from lstm_jax.datasets.sunspots import MONTHS
from lstm_jax.studies.subjects import SUBJECTS

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "08_forecasting" / "run.py"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_all_cells_are_trained_alike(experiment, preset):
    scale = experiment.SCALES[preset]
    assert {"V", "NFG", "NOG", "CIFG", "NP", "GRU"} <= set(scale.cells) and scale.seeds >= 3
    assert scale.windows["hours"].horizons == (24, 96, 336, 720)
    for subject in SUBJECTS.values():
        window, configs = scale.windows[subject.steps], [experiment.config(scale, subject, c) for c in scale.cells]
        same = {replace(config, model=replace(config.model, variant="V")) for config in configs}
        assert len(same) == 1 and dict(configs[0].data.options)["context"] == window.context
        assert max(subject.periods.values()) <= window.context and DATASETS[subject.data].loss == "student_t"
    train = configs[0].train
    assert train.steps % train.log_every == 0 and train.log_every == train.eval_every == train.checkpoint_every


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(preset in shown for preset in ("smoke", "quick", "full", "--report", "etth2", "sunspots"))


def test_every_part_of_the_sunspots_is_longer_than_the_longest_horizon(experiment):
    ends, window = shares(MONTHS), experiment.SCALES["quick"].windows["months"]
    assert len(window_starts(ends["validation"], ends["train"], window.context, window.horizons[-1], 1)) > 100
    assert len(window_starts(ends["test"], ends["validation"], window.context, window.horizons[-1], 1)) > 400
