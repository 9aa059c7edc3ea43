"""What a trial gave, as the row that every table is made of."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from lstm_jax.studies.plan import Range, Study
from lstm_jax.studies.train_trials import _row, train_trials
from lstm_jax.tasks import TASKS
from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig
from lstm_jax.train.objective import divide
from lstm_jax.train.program import evaluate
from lstm_jax.train.slots import Outcome
from lstm_jax.train.source import load_problem

SEARCH = (
    Range("model.hidden_size", "log_integer", 3, 9),
    Range("optimizer.momentum", "uniform", 0.2, 0.4),
    Range("data.input_noise", "uniform", 0.5, 0.6),
)


def test_every_column_holds_what_it_is_called():
    data = DataConfig("copy", {"length": 10}, test_options={"length": 30})
    config = Config(data=data, train=TrainConfig(seed=4))
    trial = Study("one", (("a task", config),), ("V",), 1, search=SEARCH).trials()[0]
    test = {"nll": 1.25, "nll_by_sequence": 1.5, "accuracy": 0.75, "accuracy_by_sequence": 0.5}
    steps = {"best_step": 30, "steps": 70, "diverged": True}
    outcome = Outcome(test=test, validation=1.75, **steps, parameters=123, network=None, seconds=9.87654)
    row = _row(trial, SimpleNamespace(metric="nll", higher_is_better=False), outcome)
    assert row[:3] == ("a task", "V", 4)
    drawn = trial.config.model.hidden_size, 0.001, trial.config.optimizer.momentum, trial.config.data.input_noise
    assert row[3:7] == drawn and 3 <= row.hidden_size <= 9 and 0.2 < row.momentum < 0.4 < row.input_noise
    assert row[7:9] == ("nll", False)
    chance = TASKS["copy"](length=30).chance
    assert row.chance == chance != TASKS["copy"](length=10).chance
    assert row[10:18] == (1.25, 1.75, 1.5, 30, 70, True, 123, 9.877)
    assert row.commit and row.device.startswith("4 x ")


def test_the_test_score_is_that_of_the_best_network_on_the_test_set():
    """Which is of other sequences, longer ones here, than the validation set."""
    data = DataConfig("adding", {"length": 6}, batch_size=8, eval_size=32, test_options={"length": 9})
    config = Config(ModelConfig("NP", 4), data=data, train=TrainConfig(steps=12, eval_every=4))
    config = replace(config, train=replace(config.train, seed=3))
    trial = Study("one", (("adding", config),), ("NP",), 1, reference="NP").trials()[0]
    rows, networks = [], []
    problem = load_problem(data)

    from lstm_jax.studies import train_trials as module

    with pytest.MonkeyPatch.context() as patch:  # the network itself is in no row
        real = module._row
        patch.setattr(
            module, "_row", lambda trial, problem, outcome: networks.append(outcome) or real(trial, problem, outcome)
        )
        train_trials([trial], lambda trial, row: rows.append(row), lambda running: None)
    (row,), (outcome,) = rows, networks
    scores = {
        name: float(divide(evaluate(trial.config, problem.loss, (), outcome.network, batches)["mse"]))
        for name, batches in (("test", problem.test), ("validation", problem.validation))
    }
    assert row.test == pytest.approx(scores["test"], rel=1e-5)
    assert row.validation == pytest.approx(scores["validation"], rel=1e-5)
    assert scores["test"] != pytest.approx(scores["validation"], rel=1e-2)
