"""A config is exact in JSON, and every mistake in it is named."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.train.checks import CHOICES
from lstm_jax.train.config import (
    Config,
    DataConfig,
    DropoutConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    from_json,
    to_json,
)

positive = st.integers(1, 10**9)
real = st.floats(0, 1e12)
option = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


def names(setting):
    return st.sampled_from(CHOICES[setting])


models = st.builds(
    ModelConfig,
    variant=names("variant"),
    hidden_size=positive,
    bidirectional=st.booleans(),
    forget_bias=st.floats(allow_nan=False, allow_infinity=False),
    gate_init=names("gate_init"),
    initializer=names("initializer"),
    remat_chunk=st.none() | positive,
    precision=names("precision"),
    embedding=st.none() | positive,
)
optimizers = st.builds(
    OptimizerConfig,
    name=names("optimizer"),
    learning_rate=real,
    momentum=st.floats(0, 1, exclude_max=True),
    clip_norm=st.none() | st.floats(1e-300, 1e9),
    schedule=names("schedule"),
    ema=st.floats(0, 1, exclude_max=True),
)
options = st.dictionaries(st.text(), option)
data = st.builds(DataConfig, name=st.text(), options=options, test_options=options, input_noise=real)
trains = st.builds(TrainConfig, seed=st.integers(0, 2**32 - 1), steps=positive, patience=st.none() | positive)

share = st.floats(0, 1, exclude_max=True)
dropouts = st.builds(DropoutConfig, share, share, share, share, share)


@given(st.builds(Config, models, optimizers, data, trains, dropouts))
def test_every_config_comes_back_from_json_equal(config):
    back = from_json(to_json(config))
    assert back == config
    assert hash(back) == hash(config)
    assert to_json(back) == to_json(config)


def test_options_in_another_order_are_the_same_config():
    assert DataConfig(options={"a": 1, "b": 2}) == DataConfig(options=(("b", 2), ("a", 1)))


def test_missing_keys_take_defaults():
    assert from_json('{"train": {"steps": 7}}') == Config(train=TrainConfig(steps=7))


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ('{"modle": {}}', ValueError, ["modle", "did you mean 'model'"]),
        ('{"optimizer": {"learning_rat": 1.0}}', ValueError, ["learning_rat", "did you mean 'learning_rate'"]),
        ('{"model": {"hidden_size": "8"}}', TypeError, ["config.model.hidden_size", "int", "'8'"]),
        ('{"model": {"hidden_size": true}}', TypeError, ["hidden_size", "bool"]),
        ('{"model": {"remat_chunk": 1.5}}', TypeError, ["remat_chunk", "int or null", "1.5"]),
        ('{"model": 3}', TypeError, ["config.model", "object"]),
        ('{"data": {"options": {"length": [1]}}}', TypeError, ["options.length", "[1]"]),
        ("{", ValueError, ["not JSON"]),
    ],
)
def test_a_mistake_in_json_is_named(text, error, words):
    with pytest.raises(error) as caught:
        from_json(text)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize(
    ("record", "changes", "words"),
    [
        (ModelConfig, {"variant": "np"}, ["variant", "did you mean 'NP'"]),
        (ModelConfig, {"hidden_size": 0}, ["hidden_size", ">= 1", "0"]),
        (ModelConfig, {"forget_bias": float("nan")}, ["forget_bias", "finite"]),
        (OptimizerConfig, {"name": "adamw"}, ["adamw", "did you mean 'adam'"]),
        (OptimizerConfig, {"learning_rate": float("nan")}, ["learning_rate", "nan"]),
        (OptimizerConfig, {"learning_rate": -1.0}, ["learning_rate", "-1.0"]),
        (OptimizerConfig, {"clip_norm": 0.0}, ["clip_norm", "None"]),
        (OptimizerConfig, {"momentum": 1.0}, ["momentum", "below 1"]),
        (OptimizerConfig, {"ema": 1.0}, ["ema", "below 1"]),
        (DropoutConfig, {"recurrent": 1.0}, ["recurrent", "[0, 1)", "1.0"]),
        (DropoutConfig, {"inputs": -0.1}, ["inputs", "-0.1"]),
        (ModelConfig, {"embedding": 0}, ["embedding", ">= 1", "0"]),
        (ModelConfig, {"embedding": 8, "tied": True}, ["tied", "embedding=8", "set embedding=32"]),
        (DataConfig, {"batch_size": 0}, ["batch_size"]),
        (DataConfig, {"options": (("a", 1), ("a", 2))}, ["once"]),
        (TrainConfig, {"nan_policy": "stopp"}, ["nan_policy", "did you mean 'stop'"]),
        (TrainConfig, {"seed": 2**32}, ["2**32"]),
        (TrainConfig, {"parallel": "shard_map", "trials": 2}, ["trials=2", "parallel='none'"]),
    ],
)
def test_an_impossible_value_is_named(record, changes, words):
    with pytest.raises(ValueError) as caught:
        record(**changes)
    assert all(word in str(caught.value) for word in words), caught.value


def test_every_field_says_what_it_is():
    import inspect

    for record in (ModelConfig, OptimizerConfig, DataConfig, TrainConfig):
        source = inspect.getsource(record)
        for field in dataclasses.fields(record):
            line = source.index(f"    {field.name}: ")
            assert source[line:].splitlines()[1].strip().startswith('"""'), field.name


def test_infinity_is_not_written():
    config = dataclasses.replace(Config(), data=DataConfig(options={"scale": float("inf")}))
    with pytest.raises(ValueError):
        to_json(config)


def test_json_holds_every_field():
    tree = json.loads(to_json(Config()))
    assert {room: set(fields) for room, fields in tree.items()} == {
        field.name: {inner.name for inner in dataclasses.fields(getattr(Config(), field.name))}
        for field in dataclasses.fields(Config)
    }


@pytest.mark.parametrize(
    ("record", "changes", "words"),
    [
        (ModelConfig, {"hidden_size": 3.5}, ["ModelConfig: hidden_size must be int", "3.5"]),
        (ModelConfig, {"hidden_size": "3"}, ["hidden_size must be int, got str: '3'"]),
        (ModelConfig, {"bidirectional": 1}, ["bidirectional must be bool"]),
        (ModelConfig, {"variant": None}, ["variant must be str"]),
        (OptimizerConfig, {"learning_rate": "0.1"}, ["learning_rate must be float"]),
        (DataConfig, {"options": {"length": [1]}}, ["options.length", "[1]"]),
        (DataConfig, {"options": "length 20"}, ["options must be a mapping such as {'length': 20}", "'length 20'"]),
        (DataConfig, {"test_options": 5}, ["test_options must be a mapping", "got 5"]),
        (DataConfig, {"options": [("length", 20, 30)]}, ["options must be a mapping", "('length', 20, 30)"]),
        (TrainConfig, {"steps": True}, ["steps must be int, got bool: True"]),
        (TrainConfig, {"patience": 1.0}, ["patience must be int or null"]),
        (Config, {"model": "V"}, ["Config: model must be a ModelConfig", "'V'"]),
    ],
)
def test_another_type_is_named_in_python_as_in_json(record, changes, words):
    with pytest.raises(TypeError) as caught:
        record(**changes)
    assert all(word in str(caught.value) for word in words), caught.value


def test_numpy_scalars_and_whole_numbers_become_plain_numbers():
    config = Config(
        ModelConfig(hidden_size=np.int64(3), bidirectional=np.bool_(True)),
        OptimizerConfig(learning_rate=np.float32(0.25), clip_norm=1),
        DataConfig(options={"length": np.int32(7), "order": None, "share": np.float64(0.5)}),
    )
    assert from_json(to_json(config)) == config
    plain = (config.model.hidden_size, config.model.bidirectional, config.optimizer.learning_rate)
    assert [type(value) for value in plain] == [int, bool, float]
    assert type(config.optimizer.clip_norm) is float, "equal settings have equal texts, hence equal cells of a study"
    assert [type(value) for _, value in config.data.options] == [int, type(None), float]


def test_a_warm_up_ends_before_the_run_does():
    assert Config(optimizer=OptimizerConfig(warmup_steps=5), train=TrainConfig(steps=5)).train.steps == 5
    with pytest.raises(ValueError, match=r"never reach its peak, got warmup_steps=6 and steps=5"):
        Config(optimizer=OptimizerConfig(warmup_steps=6), train=TrainConfig(steps=5))


def test_a_seed_of_the_data_is_a_seed():
    with pytest.raises(ValueError, match="data_seed must be below"):
        TrainConfig(data_seed=2**32)
