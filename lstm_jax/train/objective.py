"""What is minimised and what is reported: sums over counted steps, with their counts, divided once at the end."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.names import nearest
from lstm_jax.tasks.batch import Batch


class Mean(NamedTuple):
    """A mean before its division: ``total`` and ``count``, both ``()`` float; merged by adding both."""

    total: jax.Array
    count: jax.Array  # type: ignore[assignment]  # shadows tuple.count, which no one calls


def divide(mean: Mean) -> jax.Array:
    """The mean itself; NaN where nothing was counted."""
    return jnp.where(mean.count > 0, mean.total / jnp.maximum(mean.count, 1), jnp.nan)


def _squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.mean((outputs - targets) ** 2, axis=-1)


def _cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[..., None], axis=-1)[..., 0]


def _correct(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return (jnp.argmax(outputs, axis=-1) == targets).astype(outputs.dtype)


def _binary_cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.sum(jax.nn.softplus(outputs) - targets * outputs, axis=-1)


METRICS = {
    "squared_error": {"mse": _squared_error},
    "softmax": {"nll": _cross_entropy, "accuracy": _correct},
    "bernoulli": {"nll": _binary_cross_entropy},
}
"""Metrics of each loss, functions of ``(outputs (T, B, O), targets)`` to ``(T, B)``; the first is minimised."""


def loss_name(loss: str) -> str:
    """The metric that ``loss`` minimises."""
    if loss not in METRICS:
        raise ValueError(f"unknown loss {loss!r}; {nearest(loss, METRICS)}")
    return next(iter(METRICS[loss]))


def measure(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """Every metric of ``loss`` over the steps where ``loss_mask`` is true, as (total, count).

    Args:
        loss: ``"squared_error"`` (mean over outputs), ``"softmax"`` (nats), ``"bernoulli"`` (nats, sum over outputs).
        outputs: ``(T, B, O)`` predictions or logits.
        batch: targets ``(T, B)`` or ``(T, B, O)``; what stands in uncounted steps, NaN included, reaches neither
            values nor gradients.
    """
    values, counted = _by_step(loss, outputs, batch)
    count = jnp.sum(counted, dtype=values[loss_name(loss)].dtype)
    return {name: Mean(jnp.sum(value), count) for name, value in values.items()}


BY_SEQUENCE = "_by_sequence"


def measure_by_sequence(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """As ``measure``, but each sequence counts once, with its own mean; names end in ``_by_sequence``."""
    values, counted = _by_step(loss, outputs, batch)
    dtype = values[loss_name(loss)].dtype
    steps = jnp.sum(counted, axis=0, dtype=dtype)
    count = jnp.sum(steps > 0, dtype=dtype)
    means = {name: jnp.sum(value, axis=0) / jnp.maximum(steps, 1) for name, value in values.items()}
    return {f"{name}{BY_SEQUENCE}": Mean(jnp.sum(mean), count) for name, mean in means.items()}


def _by_step(loss: str, outputs: jax.Array, batch: Batch) -> tuple[dict[str, jax.Array], jax.Array]:
    """Every metric ``(T, B)``, 0 where a step does not count, and which do."""
    loss_name(loss)
    if outputs.shape[:2] != batch.loss_mask.shape:
        raise ValueError(f"outputs {outputs.shape} and loss_mask {batch.loss_mask.shape} must share (T, B)")
    wide = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    outputs = jnp.where(batch.loss_mask[..., None], wide, 0)  # before the metric: 0 times NaN is NaN on the way back
    values = {name: metric(outputs, batch.targets) for name, metric in METRICS[loss].items()}
    return {name: jnp.where(batch.loss_mask, value, 0) for name, value in values.items()}, batch.loss_mask
