"""Experiment 08: what its presets compare."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "08_forecasting" / "run.py"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_all_cells_are_trained_alike(experiment, preset):
    scale = experiment.SCALES[preset]
    assert {"V", "NFG", "NOG", "CIFG", "NP", "GRU"} <= set(scale.cells) and scale.seeds >= 3
    assert scale.horizons == (24, 96, 336, 720)
    configs = [experiment.config(scale, "h1", cell) for cell in scale.cells]
    same = {replace(config, model=replace(config.model, variant="V")) for config in configs}
    assert len(same) == 1 and dict(configs[0].data.options)["context"] == scale.context
    train = configs[0].train
    assert train.steps % train.log_every == 0 and train.log_every == train.eval_every == train.checkpoint_every


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(preset in shown for preset in ("smoke", "quick", "full", "--report"))
