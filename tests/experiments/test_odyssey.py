"""Experiment 02: what its presets search, and that other cells than a preset's are searched alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from lstm_jax.names import UsageError

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "02_odyssey" / "run.py"
ARM = ("adding",)


@pytest.mark.parametrize(("preset", "trials", "epochs"), [("quick", 8, 30), ("half", 100, 150), ("full", 200, 150)])
def test_a_preset_searches_the_nine_cells_over_the_ranges_of_the_paper(experiment, preset, trials, epochs):
    plan = experiment.study(preset, ARM)
    assert plan.variants == ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR") and plan.seeds == trials
    ranges = {entry.setting: (entry.law, entry.low, entry.high) for entry in plan.search}
    assert ranges["model.hidden_size"] == ("log_integer", 20, 200)
    assert ranges["optimizer.learning_rate"] == ("log", 1e-6, 1e-2)
    assert ranges["optimizer.momentum"] == ("one_minus_log", 0.01, 1.0)
    assert ranges["data.input_noise"] == ("uniform", 0.0, 1.0)
    ((_, config),) = plan.tasks
    assert config.train.steps == epochs * config.train.eval_every and config.train.patience == 15


def test_a_trial_learns_by_the_rule_that_the_readme_prints(experiment):
    ((_, config),) = experiment.study("half", ARM).tasks
    rule = config.optimizer
    assert (rule.name, rule.nesterov, rule.average, rule.clip_norm) == ("damped_sgd", True, "sequences", None)
    assert (rule.schedule, rule.warmup_steps, rule.weight_decay, rule.ema) == ("constant", 0, 0.0, 0.0)
    assert (config.model.initializer, config.model.forget_bias, config.model.num_layers) == ("odyssey", 0.0, 1)
    assert (config.data.batch_size, config.train.data_seed) == (1, 0) and not config.model.bidirectional
    assert experiment.ARMS["spoken_digits"].bidirectional


def test_trials_of_a_cell_do_not_hang_on_which_cells_stand_beside_it(experiment):
    """So those that were finished before are taken over when other cells are added."""
    nine = {trial.key: trial.variant for trial in experiment.study("half", ARM, 3).trials()}
    four = {t.key: t.variant for t in experiment.study("half", ARM, 3, ("V", "NOAF", "CIFG", "CIFG_NOAF")).trials()}
    kept = {key for key, variant in four.items() if variant != "CIFG_NOAF"}
    assert len(four) == 12 and len(kept) == 9 and kept <= nine.keys()
    assert not {key for key in four if key not in kept} & nine.keys()


def test_cells_without_the_reference_are_refused(experiment):
    with pytest.raises(UsageError, match="reference 'V'"):
        experiment.study("quick", ARM, 1, ("NOAF", "CIFG"))
