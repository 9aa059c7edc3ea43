"""Experiment 07: what its presets train, all else equal, and that a good network is scored beside counts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lstm_jax.datasets
import lstm_jax.studies.language
from lstm_jax.analysis.language_report import readme_section
from lstm_jax.datasets.texts import examples, view
from lstm_jax.datasets.tiny_shakespeare import SYMBOLS
from lstm_jax.studies.collect import read_table
from lstm_jax.studies.language import Score
from lstm_jax.train import load_run

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "07_language" / "run.py"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_gates_asked_for_are_taken_away_all_else_equal(experiment, preset):
    plan = experiment.gates(preset)
    assert plan.variants == ("V", "NFG", "NOG", "CIFG", "NP", "GRU") and plan.seeds >= 2
    for label, task in plan.tasks:
        mine = [trial.config for trial in plan.trials() if trial.task == label]
        same = {
            replace(config, model=replace(config.model, variant="V"), train=replace(config.train, seed=0))
            for config in mine
        }
        assert same == {task} and dict(task.data.options).get("parts", "90/5/5") == "90/5/5"


def test_other_cells_and_texts_may_be_asked_for(experiment):
    plan = experiment.gates("quick", ("GRU", "MGU"))
    assert plan.variants == ("GRU", "MGU") and plan.reference == "GRU"
    assert [label for label, _ in experiment.gates("quick", texts=("wikipedia_xml",)).tasks] == ["wikipedia_xml"]


def test_a_run_is_cut_into_chunks_of_one_length(experiment):
    for scale in experiment.SCALES.values():
        train = experiment.config(scale, "tiny_shakespeare").train
        assert train.log_every == train.eval_every == train.checkpoint_every and train.steps % train.log_every == 0


def test_a_network_is_trained_scored_beside_counts_and_not_trained_again(experiment, tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    letters = bytes(SYMBOLS[n] for n in (np.arange(2000) % 7 + rng.integers(0, 2, 2000)))

    def made_up(name, split, **options):
        (row,) = examples(letters, SYMBOLS, None)[split]
        return view(SYMBOLS, {k: [v] for k, v in row.items()}, options.get("parts", "90/5/5"), options["window"])

    monkeypatch.setattr(lstm_jax.datasets, "load", made_up)
    monkeypatch.setattr(lstm_jax.studies.language, "load", made_up)
    scale = replace(experiment.SCALES["smoke"], seeds=0, cells=("NP",), steps=10, streams=4)
    monkeypatch.setitem(experiment.SCALES, "best", scale)
    out = tmp_path / "language"
    assert experiment.main(["--preset", "best", "--out", str(out)]) == 0
    scores = read_table(out / "best" / "scores.csv", Score)
    names = [score.model for score in scores]
    assert names[0] == "single symbols, counted" and names[3:] == ["NP", "NP, still learning"]
    assert names[1].endswith(" in a row, counted") and names[2].endswith(" in a row, counted, still counting")
    assert scores[1].test < scores[0].test and scores[4].parameters == scores[3].parameters > 0
    assert all(score.validation > 0 and score.last_tenth > 0 for score in scores)
    assert load_run(out / "best" / "runs" / "tiny_shakespeare-NP")[0].model.variant == "NP"
    assert readme_section(out / "best") in capsys.readouterr().out
    before = (out / "best" / "runs" / "tiny_shakespeare-NP" / "metrics.csv").stat().st_mtime_ns
    assert experiment.main(["--preset", "best", "--out", str(out)]) == 0
    assert (out / "best" / "runs" / "tiny_shakespeare-NP" / "metrics.csv").stat().st_mtime_ns == before


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in shown for word in ("smoke", "quick", "best", "full", "--variant", "--report"))
