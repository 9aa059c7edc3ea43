"""Experiment 01: what its presets run, and that they compare like with like."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from lstm_jax.studies.collect import Row

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "01_gate_ablation" / "run.py"
NINE = {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"}


@pytest.mark.parametrize("preset", ["smoke", "default", "full"])
def test_every_preset_has_all_four_tasks(experiment, preset):
    labels = [label for label, _ in experiment.study(preset).tasks]
    assert labels == ["adding", "temporal_order", "bach_chorales", "digits"]


def test_the_nine_cells_and_the_tanh_network_are_compared(experiment):
    assert set(experiment.study("default").variants) == NINE | {"RNN"}
    full = experiment.study("full")
    assert NINE | {"RNN"} <= set(full.variants) and full.seeds == 20
    assert all(dict(config.data.options).get("length", 400) >= 400 for _, config in full.tasks)


@pytest.mark.parametrize("preset", ["default", "full"])
def test_trials_of_a_task_differ_in_variant_learning_rate_and_seed_alone(experiment, preset):
    study = experiment.study(preset)
    rates = {(task, variant): rate for task, variant, rate in study.rates}
    for trial in study.trials():
        reference = dict(study.tasks)[trial.task]
        assert trial.config == replace(
            reference,
            model=replace(reference.model, variant=trial.variant),
            optimizer=replace(reference.optimizer, learning_rate=rates[trial.task, trial.variant]),
            train=replace(reference.train, seed=trial.config.train.seed),
        )


def test_each_learning_rate_is_the_one_with_the_best_validation_score(experiment):
    with experiment.CHOSEN.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * len((*NINE, "RNN", "GRU"))
    for row in rows:
        scores = {rate: float(row[f"validation at {rate}"]) for rate in experiment.CANDIDATES}
        best = max if row["task"] in ("temporal_order", "digits") else min
        assert scores[float(row["rate"])] == best(scores.values()), row


def test_the_best_rate_goes_by_the_mean_over_seeds_in_the_metrics_direction(experiment):
    def rows(task, rate, higher_is_better, *scores):
        blank = dict.fromkeys(Row._fields)
        given = {"task": f"{task} at {rate}", "variant": "V", "higher_is_better": higher_is_better}
        return [Row(**{**blank, **given, "seed": n, "validation": score}) for n, score in enumerate(scores)]

    fabricated = [
        *rows("up", 0.01, True, 0.9, 0.9), *rows("up", 0.1, True, 1.0, 0.2),
        *rows("down", 0.01, False, 0.9, 0.9), *rows("down", 0.1, False, 1.0, 0.2),
    ]  # fmt: skip
    chosen = {row["task"]: row["rate"] for row in experiment.best_rates(fabricated)}
    assert chosen == {"up": 0.01, "down": 0.1}


def test_rates_are_chosen_on_seeds_that_the_study_does_not_use(experiment):
    def seeds(study):
        return {trial.config.train.seed for trial in study.trials()}

    assert not seeds(experiment.rates("default")) & seeds(experiment.study("full"))


@pytest.mark.parametrize("preset", ["smoke", "default", "full"])
def test_all_chunks_of_a_run_have_one_length_so_one_program_is_compiled(experiment, preset):
    for _, config in experiment.study(preset).tasks:
        assert config.train.steps % config.train.eval_every == 0


def test_an_unknown_preset_is_a_usage_error(experiment, capsys):
    from lstm_jax.cli.dispatch import guarded

    assert guarded(experiment.main, ["--preset", "smok"]) == 2
    assert "smoke" in "".join(capsys.readouterr())
