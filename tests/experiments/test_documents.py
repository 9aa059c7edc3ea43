"""Experiment 10: what its presets train, that gates differ in nothing else, and a whole run on made-up speeches."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.analysis.documents_report import readme_section
from lstm_jax.datasets import DATASETS
from lstm_jax.studies.collect import read_table
from lstm_jax.studies.documents import Score
from lstm_jax.train import load_run

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "10_documents" / "run.py"


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_gates_are_taken_away_all_else_equal(experiment, preset):
    plan = experiment.gates(preset, "mails", "bytes")
    assert plan.variants == ("V", "NFG", "NOG", "CIFG", "NP", "GRU") and plan.reference == "V"
    ((name, task),) = plan.tasks
    same = {
        replace(one.config, model=replace(task.model, variant="V"), train=replace(one.config.train, seed=0))
        for one in plan.trials()
    }
    assert name == "spam_assassin" and same == {task} and len(plan.trials()) == 6 * plan.seeds
    assert experiment.gates(preset, "mails", "words", ("GRU", "V")).reference == "GRU"


def test_both_views_of_both_sets_exist_and_take_the_options(experiment):
    for preset, scale in experiment.SCALES.items():
        for data, views in experiment.VIEWS.items():
            for unit in scale.longest:
                config = experiment.config(scale, data, unit)
                assert DATASETS[config.data.name].options(**dict(config.data.options)), preset
                assert config.data.name == views[unit] and config.train.steps % config.train.eval_every == 0


def test_batches_are_put_together_in_every_way_all_else_equal(experiment):
    configs = experiment.ways("mails")
    assert [(one.data.batching, one.data.cuts) for one in configs.values()] == list(experiment.WAYS.values())
    same = {replace(one, data=replace(one.data, batching="random", cuts=1)) for one in configs.values()}
    assert len(same) == 1


@pytest.fixture
def text(tmp_path, monkeypatch) -> None:
    """A short text in the form of tiny Shakespeare, in place of it."""
    rng = np.random.default_rng(0)
    said = [b"we our crown throne".split(), b"sir good morrow".split()]
    blocks = []
    for n in range(90):
        words = [said[n % 2][rng.integers(len(said[n % 2]))] for _ in range(rng.integers(1, 12))]
        blocks.append((b"KING:\n" if n % 2 == 0 else b"Fool:\n") + b" ".join([*words, b"%c" % (97 + n % 26)] * 2))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "input.txt").write_bytes(b"\n\n".join(blocks))
    record = DATASETS["tiny_shakespeare"]
    monkeypatch.setitem(DATASETS, "tiny_shakespeare", replace(record, files=(replace(record.files[0], digest=None),)))
    monkeypatch.setenv("LSTM_JAX_RAW_DIR", str(tmp_path / "raw"))
    monkeypatch.setenv("LSTM_JAX_DATA_DIR", str(tmp_path / "data"))


@pytest.mark.slow
def test_a_run_scores_networks_beside_counts_and_takes_gates_away(experiment, text, tmp_path, monkeypatch, capsys):
    tiny = experiment.Scale(3, 2, {"words": 5, "bytes": 8}, {"words": 2, "bytes": 2}, 1, ("NP",), 4, 2)
    monkeypatch.setitem(experiment.SCALES, "quick", tiny)
    out = tmp_path / "out"
    arguments = ["--data", "speeches", "--out", str(out)]
    assert experiment.main(arguments) == 0
    scores = read_table(out / "quick" / "scores.csv", Score)
    assert [(score.model, score.unit) for score in scores][3:] == [("NP", "words"), ("NP", "bytes")]
    assert scores[2].auc > 0.9, "counts tell these two apart"
    assert load_run(out / "quick" / "runs" / "speeches-NP")[0].data.batching == "bucketed"
    assert readme_section(out / "quick") in capsys.readouterr().out
    best = max(scores[3:], key=lambda score: score.validation)
    assert f"| variant | parameters | {best.data} (accuracy ↑) |" in readme_section(out / "quick")
    before = (out / "quick" / "runs" / "speeches-NP" / "metrics.csv").stat().st_mtime_ns
    assert experiment.main(arguments) == 0
    assert (out / "quick" / "runs" / "speeches-NP" / "metrics.csv").stat().st_mtime_ns == before


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in shown for word in ("smoke", "quick", "batching", "full", "--variant", "--data", "--report"))
