"""Experiment 06: what its presets train, and that the same settings hold for every cell."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.analysis.speech_report import readme_section
from lstm_jax.datasets import DATASETS
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.datasets.spoken_digits import SPEAKERS
from lstm_jax.studies.run import run_study

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
    plan = experiment.unheard("best")
    assert [dict(config.data.options)["held_out"] for _, config in plan.tasks] == list(SPEAKERS)
    assert {config.data.name for _, config in plan.tasks} == {"spoken_words"}


def test_strings_of_unheard_speakers_are_added_to_their_words_which_stay_the_same_trials(experiment):
    words, both = experiment.unheard("best"), experiment.unheard("best", ("words", "strings"))
    assert {trial.key for trial in words.trials()} < {trial.key for trial in both.trials()}
    added = both.tasks[len(words.tasks) :]
    assert [label for label, _ in added] == [f"strings, {name}" for name in SPEAKERS]
    for label, config in added:
        assert config.data.name == "spoken_strings" and f"strings, {dict(config.data.options)['held_out']}" == label


def test_strings_of_an_unheard_speaker_are_learned_from_the_others_and_tested_at_toy_scale(
    experiment, monkeypatch, tmp_path
):
    asked = []

    def made_up(name, part, *folders, held_out):
        asked.append((name, part, held_out))
        rng, count, steps = np.random.default_rng(len(asked)), 16, 12
        lengths = rng.integers(6, steps + 1, count).astype(np.int32)
        mask = np.arange(steps) < lengths[:, None]
        inputs = np.where(mask[..., None], rng.normal(size=(count, steps, 39)), 0).astype(np.float32)
        return Sequences(inputs, rng.integers(1, 11, (count, 2)).astype(np.int32), lengths, mask)

    monkeypatch.setattr("lstm_jax.datasets.load", made_up)
    monkeypatch.setattr("lstm_jax.datasets.access.load", made_up)
    plan = experiment.unheard("smoke", ("strings",))
    (row,) = run_study(plan, tmp_path / "unheard")
    assert set(asked) == {("spoken_strings", part, SPEAKERS[0]) for part in ("train", "validation", "test")}
    assert row.task == f"strings, {SPEAKERS[0]}" and row.metric == "error" and 0 <= row.test < 10
    assert f"| {SPEAKERS[0]} | {100 * row.test:.2f} % |" in readme_section(tmp_path)


def test_a_run_is_cut_into_chunks_of_one_length(experiment):
    for scale in experiment.SCALES.values():
        for view in experiment.VIEWS:
            train = experiment.config(scale, view).train
            assert train.log_every == train.eval_every == train.checkpoint_every and train.steps % train.log_every == 0


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(preset in shown for preset in ("smoke", "best", "quick", "full", "--report"))
