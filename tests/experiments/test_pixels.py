"""Experiment 09: what its presets train, that the same settings hold for every cell, and its table."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from fabricated import trial

from lstm_jax.analysis.pixel_report import readme_section
from lstm_jax.datasets import DATASETS
from lstm_jax.names import UsageError
from lstm_jax.studies.collect import write_rows
from lstm_jax.train.network import init_network
from lstm_jax.train.source import load_problem

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "09_pixels" / "run.py"
ORDERS = ["sequential", "permuted"]


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_gates_asked_for_are_taken_away_in_both_orders_all_else_equal(experiment, preset):
    plan = experiment.study(preset)
    assert plan.variants == ("V", "NFG", "NOG", "CIFG", "NP", "GRU") and plan.reference == "V"
    assert [label for label, _ in plan.tasks] == ORDERS
    assert [dict(config.data.options)["order"] for _, config in plan.tasks] == ORDERS
    for label, task in plan.tasks:
        mine = [trial.config for trial in plan.trials() if trial.task == label]
        plain = replace(task.model, variant="V")
        same = {replace(config, model=plain, train=replace(config.train, seed=0)) for config in mine}
        assert same == {task} and len(mine) == plan.seeds * len(plan.variants)


def test_presets_read_49_196_and_784_pixels_by_the_data_set_s_own_view(experiment):
    rows = {"image": [np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)], "label": [3]}
    steps = {}
    for preset in set(experiment.SCALES) - {"curves"}:
        _, config = experiment.study(preset).tasks[1]
        steps[preset] = DATASETS["mnist"].view(rows, **dict(config.data.options)).inputs.shape[1]
    assert steps == {"smoke": 49, "quick": 196, "best": 196, "whole": 784, "full": 784}


def test_curves_are_as_many_as_in_the_published_set_and_as_many_more_to_choose_by(experiment):
    plan = experiment.study("curves")
    assert set(experiment.CELLS) < set(plan.variants) and {"NIG", "FGR", "RNN"} < set(plan.variants)
    problems = [load_problem(config.data) for _, config in plan.tasks]
    assert [dict(config.data.options) for _, config in plan.tasks] == [{"shuffled": False}, {"shuffled": True}]
    for problem in problems:
        assert problem.train.sequences.inputs.shape == (4000, 40, 1)
        assert problem.validation.lengths.shape == problem.test.lengths.shape == (2, 500)
    rows = [np.sort(problem.train.sequences.inputs[:, :, 0]) for problem in problems]
    np.testing.assert_array_equal(*rows)  # the same curves, their points in another order


def test_a_run_is_cut_into_chunks_of_one_length_that_end_with_an_evaluation(experiment):
    for scale in experiment.SCALES.values():
        train = experiment.config(scale, [*scale.data][1]).train
        assert train.steps % train.eval_every == train.eval_every % train.log_every == 0
        assert train.checkpoint_every == train.eval_every


def test_every_cell_can_begin_with_a_memory_as_long_as_a_digit(experiment):
    for cell in experiment.ALL_CELLS:
        model = replace(experiment.config(experiment.SCALES["smoke"], "permuted").model, variant=cell)
        assert init_network(jax.random.key(0), model, 1, 10, 49).stack


def test_named_cells_are_compared_with_v_or_the_first(experiment):
    assert experiment.study("quick", ("NFG", "V")).reference == "V"
    plan = experiment.study("quick", ("NOG", "RNN"))
    assert plan.variants == ("NOG", "RNN") and plan.reference == "NOG"
    with pytest.raises(UsageError, match="unknown variant 'NOGG'; did you mean 'NOG'"):
        experiment.study("quick", ("NOGG",))


def results(folder: Path, cells: dict[str, float], seeds: int) -> None:
    options = {"metric": "accuracy", "higher_is_better": True, "chance": 0.1136, "hidden_size": 64, "steps": 1500}
    rows = [
        trial(task=order, variant=cell, seed=seed, test=score - 0.05 * (order == "permuted") + 0.001 * seed,
              seconds=90.0, commit="abc", device="a cpu", parameters=17_000, **options)
        for order in ORDERS for cell, score in cells.items() for seed in range(seeds)
    ]  # fmt: skip
    write_rows(folder / "results.csv", rows)


def test_the_table_is_in_per_cent_beside_published_figures_and_chance(tmp_path):
    results(tmp_path, {"V": 0.97, "NFG": 0.4}, seeds=3)
    text = readme_section(tmp_path)
    assert "| V | 17,000 | 97.10 ± 0.25 | 92.10 ± 0.25 |" in text and text.count("▼") == 3
    assert "| *LSTM (Gu, Goel & Ré 2022)* | – | *98.9* | *95.11* |" in text
    assert "| *chance* | – | *11.4* | *11.4* |" in text
    assert "12 networks of 64 cells, 1,500 updates each, 18 minutes of wall time (a cpu, commit abc)" in text


def test_curves_have_published_figures_of_their_own(tmp_path):
    rows = [trial(task=task, variant="V", seed=seed, test=0.97 + 0.001 * seed, metric="accuracy", chance=0.1,
                  higher_is_better=True) for task in ("curves", "shuffled curves") for seed in range(2)]  # fmt: skip
    write_rows(tmp_path / "results.csv", rows)
    text = readme_section(tmp_path)
    assert "| *GRU (Greydanus 2020)* | – | *91* | *57* |" in text and "784" not in text and "Gu, Goel" not in text
    assert "Test curves named rightly" in text and "| cell | numbers learned | curves, % right ↑ |" in text


def test_one_seed_claims_no_difference_and_the_first_cell_stands_in_for_v(tmp_path):
    results(tmp_path, {"NOG": 0.9, "GRU": 0.95}, seeds=1)
    text = readme_section(tmp_path)
    assert "| NOG | 17,000 | 90.00 | 85.00 |" in text and "one seed, so small gaps say nothing" in text
    assert "▲" not in text and "±" not in text
    with pytest.raises(FileNotFoundError):
        readme_section(tmp_path / "nowhere")


def test_help_names_the_presets():
    shown = subprocess.run([sys.executable, str(SCRIPT), "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in shown for word in ("smoke", "quick", "best", "full", "--report", "--variant"))
