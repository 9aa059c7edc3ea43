"""Learning: one run, or a population of trials in one program.

Each name is imported on first use, so that a command line that only reads configs stays fast.

Examples:
    >>> from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, run_population
    >>> config = Config(
    ...     ModelConfig(variant="NP", hidden_size=4),
    ...     data=DataConfig("adding", {"length": 6}, batch_size=4, eval_size=8),
    ...     train=TrainConfig(steps=4, eval_every=2, trials=2),
    ... )
    >>> run_population(config).curve.shape
    (2, 2)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig, from_json, to_json
    from lstm_jax.train.loop import Summary, train, train_part
    from lstm_jax.train.machine import describe_machine, use_whole_machine
    from lstm_jax.train.network import Network, apply_network, count_parameters, init_network
    from lstm_jax.train.objective import Mean, divide, measure
    from lstm_jax.train.population import PopulationResult, Progress, run_population
    from lstm_jax.train.saved import load_learned, load_run
    from lstm_jax.train.source import Problem, load_problem
    from lstm_jax.train.step import Hyper, TrainState, init_state, make_train_step

__all__ = [
    "Config",
    "DataConfig",
    "DropoutConfig",
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
    "load_learned",
    "load_problem",
    "load_run",
    "make_train_step",
    "measure",
    "run_population",
    "to_json",
    "train",
    "train_part",
    "use_whole_machine",
]

_HOME = {
    **dict.fromkeys(
        ("Config", "DataConfig", "DropoutConfig", "ModelConfig", "OptimizerConfig", "TrainConfig"), "config"
    ),
    **dict.fromkeys(("from_json", "to_json"), "config"),
    **dict.fromkeys(("Summary", "train", "train_part"), "loop"),
    **dict.fromkeys(("describe_machine", "use_whole_machine"), "machine"),
    **dict.fromkeys(("Network", "apply_network", "count_parameters", "init_network"), "network"),
    **dict.fromkeys(("Mean", "divide", "measure"), "objective"),
    **dict.fromkeys(("PopulationResult", "Progress", "run_population"), "population"),
    **dict.fromkeys(("load_learned", "load_run"), "saved"),
    **dict.fromkeys(("Problem", "load_problem"), "source"),
    **dict.fromkeys(("Hyper", "TrainState", "init_state", "make_train_step"), "step"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
