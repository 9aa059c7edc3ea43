"""Learning: one run, or a population of trials in one program.

Examples:
    >>> from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, run_population
    >>> config = Config(ModelConfig(variant="NP", hidden_size=8), data=DataConfig("adding", {"length": 10}),
    ...                 train=TrainConfig(steps=20, eval_every=10, trials=2))
    >>> run_population(config).curve.shape
    (2, 2)
"""

from lstm_jax.train.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    from_json,
    to_json,
)
from lstm_jax.train.loop import Summary, train
from lstm_jax.train.machine import describe_machine, use_whole_machine
from lstm_jax.train.network import Network, apply_network, count_parameters, init_network
from lstm_jax.train.objective import Mean, divide, measure
from lstm_jax.train.population import PopulationResult, Progress, run_population
from lstm_jax.train.source import Problem, load_problem
from lstm_jax.train.step import Hyper, TrainState, init_state, make_train_step

__all__ = [
    "Config",
    "DataConfig",
    "Hyper",
    "Mean",
    "ModelConfig",
    "Network",
    "OptimizerConfig",
    "PopulationResult",
    "Problem",
    "Progress",
    "Summary",
    "TrainConfig",
    "TrainState",
    "apply_network",
    "count_parameters",
    "describe_machine",
    "divide",
    "from_json",
    "init_network",
    "init_state",
    "load_problem",
    "make_train_step",
    "measure",
    "run_population",
    "to_json",
    "train",
    "use_whole_machine",
]
