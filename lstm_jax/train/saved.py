"""A trained network, back from the folder of its run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.names import UsageError, nearest
from lstm_jax.train import records
from lstm_jax.train.checkpoint import load_checkpoint
from lstm_jax.train.config import Config, from_json
from lstm_jax.train.network import Network
from lstm_jax.train.population import stack_hypers
from lstm_jax.train.source import Outline, outline
from lstm_jax.train.step import Hyper, init_state
from lstm_jax.train.trials import Trials, with_best


def load_run(directory: str | Path) -> tuple[Config, Network]:
    """Config and weights of the run in ``directory``, as its newest intact checkpoint has them.

    The weights are those of the best validation, in the form ``apply_network(config.model, params, batch)`` takes.
    With ``train.trials`` > 1 every leaf has a leading axis N, one row for each trial. A trial that was never
    validated (it diverged before) has its first weights.

    Raises:
        FileNotFoundError: no run, or no checkpoint of it yet.
        ValueError: no trial has been validated yet; all checkpoints are damaged.
    """
    path = Path(directory)
    if not (path / records.CONFIG).is_file():
        raise FileNotFoundError(f"{path} holds no run: {records.CONFIG} is missing")
    config = records.read_file(path / records.CONFIG, from_json)
    found = load_checkpoint(path / records.CHECKPOINTS, _expected(config, outline(config.data)), records.warn)
    if found is None:
        raise FileNotFoundError(f"the run in {path} has no checkpoint yet: continue it with --resume")
    best = found[1].best
    if not (best.step > 0).any():
        raise ValueError(f"no trial of the run in {path} has been validated by step {found[0]}: nothing was learned")
    single = config.train.trials == 1
    return config, jax.tree.map(lambda leaf: jnp.asarray(leaf[0] if single else leaf), best.params)


def load_learned(directory: str | Path, names: Collection[str], what: str) -> tuple[Config, Network]:
    """As ``load_run``, of a run of one trial that learned one of ``names``.

    Raises:
        UsageError: it learned something else, which is no ``what``, or holds several trials.
    """
    config, params = load_run(directory)
    if config.data.name not in names:
        hint = nearest(config.data.name, names)
        raise UsageError(f"the run in {directory} learned {config.data.name!r}, which is no {what}; {hint}")
    if config.train.trials > 1:
        raise UsageError(f"the run in {directory} holds {config.train.trials} trials; train one with --train.trials 1")
    return config, params


def _expected(config: Config, problem: Outline) -> Trials:
    """Zeros in the shapes of a checkpoint; no weight is drawn, nothing is compiled."""

    def one(seed: jax.Array, hyper: Hyper) -> Trials:
        return with_best(init_state(config, problem, seed, hyper), problem.higher_is_better)

    count = config.train.trials
    shapes: Any = jax.eval_shape(jax.vmap(one), np.zeros(count, np.uint32), stack_hypers(config, count, None))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
