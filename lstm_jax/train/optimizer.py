"""Optax, built from values that may be traced: each trial of a population has its own rate and momentum."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from lstm_jax.train.config import OptimizerConfig

DECAYED = ("W", "R", "Q", "embedding")
"""Weight matrices by their names. The embedding is one: tied to the readout it is that readout's matrix."""
EXPONENTIAL_FLOOR = 0.01


def _sgd(momentum: jax.Array, nesterov: bool) -> optax.GradientTransformation:
    return optax.trace(decay=momentum, nesterov=nesterov)


def _damped_sgd(momentum: jax.Array, nesterov: bool) -> optax.GradientTransformation:
    return optax.chain(optax.scale(1.0 - momentum), optax.trace(decay=momentum, nesterov=nesterov))


def _rmsprop(momentum: jax.Array, nesterov: bool) -> optax.GradientTransformation:
    return optax.chain(optax.scale_by_rms(decay=0.9), optax.trace(decay=momentum, nesterov=nesterov))


def _adagrad(momentum: jax.Array, nesterov: bool) -> optax.GradientTransformation:
    return optax.chain(optax.scale_by_rss(), optax.trace(decay=momentum, nesterov=nesterov))


def _adam(momentum: jax.Array, nesterov: bool) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=momentum, nesterov=nesterov)


DIRECTIONS = {"adam": _adam, "sgd": _sgd, "damped_sgd": _damped_sgd, "rmsprop": _rmsprop, "adagrad": _adagrad}
"""Name to the direction of an update, before learning rate and decay."""


def schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """Step to the fraction of the peak learning rate, over a run of ``steps`` updates."""
    rest = max(steps - config.warmup_steps, 1)
    shapes = {
        "constant": lambda: optax.constant_schedule(1.0),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, rest),
        "linear": lambda: optax.linear_schedule(1.0, 0.0, rest),
        "exponential": lambda: optax.exponential_decay(1.0, rest, EXPONENTIAL_FLOOR, end_value=EXPONENTIAL_FLOOR),
    }
    shape = shapes[config.schedule]()
    if not config.warmup_steps:
        return shape
    rise = optax.linear_schedule(1 / config.warmup_steps, 1.0, max(config.warmup_steps - 1, 1))
    return optax.join_schedules([rise, shape], [config.warmup_steps])


def build_optimizer(
    config: OptimizerConfig, steps: int, learning_rate: jax.Array | float, momentum: jax.Array | float
) -> optax.GradientTransformation:
    """Clip, direction, decay, learning rate. The state's structure depends on ``config`` alone."""
    fraction = schedule(config, steps)
    parts = [] if config.clip_norm is None else [optax.clip_by_global_norm(config.clip_norm)]
    parts.append(DIRECTIONS[config.name](jnp.asarray(momentum), config.nesterov))
    if config.weight_decay:
        parts.append(optax.add_decayed_weights(config.weight_decay, mask=_decayed))
    parts.append(optax.scale_by_schedule(lambda step: -learning_rate * fraction(step)))
    return optax.chain(*parts)


def _decayed(params: Any) -> Any:
    def is_matrix(path: tuple, _: jax.Array) -> bool:
        return getattr(path[-1], "name", None) in DECAYED

    return jax.tree_util.tree_map_with_path(is_matrix, params)
