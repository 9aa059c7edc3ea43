"""A trained network can be used after its run."""

import json

import jax
import numpy as np
import pytest

from lstm_jax.train import apply_network, divide, load_problem, load_run, measure, train
from lstm_jax.train.checkpoint import checkpoint_steps


def score(config, params):
    """Validation score by the public pieces, outside of any program."""
    problem = load_problem(config.data)
    batches = [jax.tree.map(lambda leaf, n=n: leaf[n], problem.validation) for n in range(4)]
    parts = [measure(problem.loss, apply_network(config.model, params, batch), batch) for batch in batches]
    return float(divide(jax.tree.map(lambda *means: sum(means), *parts)[problem.metric]))


def test_loaded_weights_have_the_score_of_the_summary(tmp_path, tiny):
    config = tiny(learning_rate=0.3, patience=None)  # a rate at which the best step is not the last
    train(config, tmp_path / "run", progress=False)
    loaded, params = load_run(tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert loaded == config and len(checkpoint_steps(tmp_path / "run" / "checkpoints")) == 3
    assert 0 < summary["best_step"][0] < config.train.steps, "or the newest weights would do as well"
    assert score(config, params) == pytest.approx(summary["validation"][0], rel=1e-5)


def test_each_row_of_stacked_weights_is_a_trial(tmp_path, tiny):
    config = tiny(trials=2)
    train(config, tmp_path / "run", progress=False)
    _, params = load_run(str(tmp_path / "run"))
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    scores = [score(config, jax.tree.map(lambda leaf, n=n: leaf[n], params)) for n in range(2)]
    np.testing.assert_allclose(scores, summary["validation"], rtol=1e-5)
    assert scores[0] != scores[1]


def test_what_was_never_saved_or_validated_is_not_loaded(tmp_path, tiny):
    with pytest.raises(FileNotFoundError, match="holds no run"):
        load_run(tmp_path)
    config = tiny(learning_rate=1e38, clip_norm=None, steps=400, eval_every=400, log_every=400, checkpoint_every=400)
    train(config, tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="has been validated"):
        load_run(tmp_path / "run")
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        checkpoint.rename(tmp_path / checkpoint.name)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_run(tmp_path / "run")
