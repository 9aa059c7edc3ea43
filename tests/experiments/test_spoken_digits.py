"""Experiment 06: what its presets train, and that the same settings hold for every cell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_jax.datasets import DATASETS
from lstm_jax.datasets.spoken_digits import SPEAKERS

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "06_spoken_digits" / "run.py"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_gates_asked_for_are_taken_away_on_both_views_all_else_equal(experiment, preset):
    plan = experiment.gates(preset)
    assert plan.variants == ("V", "NFG", "NOG", "CIFG", "NP", "GRU") and plan.seeds >= 2
    assert [config.data.name for _, config in plan.tasks] == ["spoken_words", "spoken_strings"]
    for _, task in plan.tasks:
        assert DATASETS[task.data.name].loss == "ctc" and task.model.bidirectional
    for label, task in plan.tasks:
        mine = [trial.config for trial in plan.trials() if trial.task == label]
        same = {
            replace(config, model=replace(config.model, variant="V"), train=replace(config.train, seed=0))
            for config in mine
        }
        assert same == {task}


def test_every_speaker_is_held_out_once(experiment):
    plan = experiment.unheard("quick")
    assert [dict(config.data.options)["held_out"] for _, config in plan.tasks] == list(SPEAKERS)


def test_a_run_is_cut_into_chunks_of_one_length(experiment):
    for scale in experiment.SCALES.values():
        for view in experiment.VIEWS:
            train = experiment.config(scale, view).train
            assert train.log_every == train.eval_every == train.checkpoint_every and train.steps % train.log_every == 0


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(preset in shown for preset in ("smoke", "best", "quick", "full", "--report"))
