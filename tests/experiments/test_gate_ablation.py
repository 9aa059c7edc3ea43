"""Experiment 01: what its presets run, and that they compare like with like."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "01_gate_ablation" / "run.py"
NINE = {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR"}


@pytest.fixture(scope="module")
def experiment():
    spec = importlib.util.spec_from_file_location("gate_ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gate_ablation"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gate_ablation"]


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
def test_cells_of_a_task_differ_in_the_variant_alone(experiment, preset):
    for cell in experiment.study(preset).cells():
        reference = dict(experiment.study(preset).tasks)[cell.task]
        model = replace(reference.model, variant=cell.variant)
        assert cell.config == replace(
            reference, model=model, train=replace(reference.train, trials=cell.config.train.trials)
        )


def test_rates_are_chosen_on_seeds_that_the_study_does_not_use(experiment):
    def seeds(study):
        return {cell.config.train.seed + n for cell in study.cells() for n in range(cell.config.train.trials)}

    assert not seeds(experiment.rates("default")) & seeds(experiment.study("full"))
    assert set(experiment.RATES.values()) <= set(experiment.CANDIDATES)


@pytest.mark.parametrize("preset", ["smoke", "default", "full"])
def test_all_chunks_of_a_run_have_one_length_so_one_program_is_compiled(experiment, preset):
    for _, config in experiment.study(preset).tasks:
        assert config.train.steps % config.train.eval_every == 0


def test_an_unknown_preset_is_a_usage_error(experiment, capsys):
    from lstm_jax.cli.dispatch import guarded

    assert guarded(experiment.main, ["--preset", "smok"]) == 2
    assert "smoke" in "".join(capsys.readouterr())
