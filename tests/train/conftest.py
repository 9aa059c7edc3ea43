"""Small runs that share their compiled programs."""

import dataclasses

import numpy as np
import pytest

from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig


def _tiny(**changes):
    config = Config(
        ModelConfig("NP", hidden_size=4),
        OptimizerConfig(learning_rate=0.02),
        DataConfig("adding", {"length": 6}, batch_size=8, eval_size=32),
        TrainConfig(steps=12, log_every=2, eval_every=4, checkpoint_every=4, placement="map"),
    )
    for room in ("model", "optimizer", "data", "train"):
        fields = {field.name for field in dataclasses.fields(getattr(config, room))}
        chosen = {name: changes.pop(name) for name in list(changes) if name in fields}
        config = dataclasses.replace(config, **{room: dataclasses.replace(getattr(config, room), **chosen)})
    assert not changes, changes
    return config


@pytest.fixture(scope="session")
def tiny():
    """``tiny(steps=3, ...)``: a config that compiles and runs in a moment; field names are unique but for ``name``."""
    return _tiny


@pytest.fixture(scope="session")
def assert_same_bits():
    """Every leaf of two trees has the same bytes."""
    import jax

    def check(a, b):
        assert jax.tree.structure(a) == jax.tree.structure(b)
        for (path, x), y in zip(jax.tree.leaves_with_path(a), jax.tree.leaves(b), strict=True):
            x, y = np.asarray(x), np.asarray(y)
            assert x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes(), jax.tree_util.keystr(path)

    return check


@pytest.fixture(scope="session")
def arrays():
    """``arrays(config, path)``: what the newest checkpoint of a run holds."""
    from lstm_jax.train.checkpoint import load_checkpoint
    from lstm_jax.train.parallel import build_program, devices_for
    from lstm_jax.train.population import stack_hypers
    from lstm_jax.train.program import begin, to_host
    from lstm_jax.train.source import load_problem

    def newest(config, path):
        count, problem = config.train.trials, load_problem(config.data)
        program = build_program(config, problem.loss, devices_for(config, count))
        like = begin(program, program.place(problem), [0] * count, stack_hypers(config, count, None))
        return load_checkpoint(path / "checkpoints", to_host(like, count))

    return newest
