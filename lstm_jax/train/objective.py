"""What is minimised and what is reported: sums over counted steps, with their counts, divided once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.names import nearest
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import ctc, student_t


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


Metric = Callable[[jax.Array, Batch], tuple[jax.Array, jax.Array]]


def _at_each_step(metric: Callable[[jax.Array, jax.Array], jax.Array]) -> Metric:
    """A metric of every counted step, of a function from outputs and targets to ``(T, B)``."""

    def values(outputs: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array]:
        return jnp.where(batch.loss_mask, metric(outputs, batch.targets), 0), batch.loss_mask

    return values


METRICS: dict[str, dict[str, Metric]] = {
    "squared_error": {"mse": _at_each_step(_squared_error)},
    "softmax": {"nll": _at_each_step(_cross_entropy), "accuracy": _at_each_step(_correct)},
    "bernoulli": {"nll": _at_each_step(_binary_cross_entropy)},
    "student_t": {"nll": _at_each_step(student_t.nll), "mse": _at_each_step(student_t.squared_error)},
    "ctc": {"nll": ctc.nll, "error": ctc.label_errors, "wrong": ctc.wrong_strings},
}
"""Metrics of each loss, functions of ``(outputs (T, B, O), batch)`` to values and their weights, ``(T, B)`` or, one a
sequence, ``(1, B)``; the first is minimised."""


def loss_name(loss: str) -> str:
    """The metric that ``loss`` minimises."""
    if loss not in METRICS:
        raise ValueError(f"unknown loss {loss!r}; {nearest(loss, METRICS)}")
    return next(iter(METRICS[loss]))


def measure(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """Every metric of ``loss`` over what it counts: steps, sequences, or the labels in them; as (total, count).

    Args:
        loss: ``"squared_error"`` (mean over outputs), ``"softmax"`` (nats), ``"bernoulli"`` (nats, sum over outputs),
            ``"student_t"`` (nats, mean over numbers): where ``loss_mask`` is true; ``"ctc"`` (nats a sequence).
        outputs: ``(T, B, O)`` predictions or logits.
        batch: targets ``(T, B)`` or ``(T, B, O)``; what stands in uncounted steps, NaN included, reaches neither
            values nor gradients.
    """
    return {name: Mean(jnp.sum(value), jnp.sum(weight)) for name, (value, weight) in _values(loss, outputs, batch)}


BY_SEQUENCE = "_by_sequence"


def measure_by_sequence(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """As ``measure``, but each sequence counts once, with its own mean; names end in ``_by_sequence``."""
    found = {}
    for name, (value, weight) in _values(loss, outputs, batch):
        weights = jnp.sum(weight, axis=0)
        means = jnp.sum(value, axis=0) / jnp.maximum(weights, 1)
        found[f"{name}{BY_SEQUENCE}"] = Mean(jnp.sum(means), jnp.sum(weights > 0, dtype=means.dtype))
    return found


def _values(loss: str, outputs: jax.Array, batch: Batch) -> list[tuple[str, tuple[jax.Array, jax.Array]]]:
    """Every metric by name: values, 0 where nothing counts, and their weights, all in the type of the sums."""
    loss_name(loss)
    if outputs.shape[:2] != batch.loss_mask.shape:
        raise ValueError(f"outputs {outputs.shape} and loss_mask {batch.loss_mask.shape} must share (T, B)")
    wide = outputs.astype(jnp.promote_types(outputs.dtype, jnp.float32))
    outputs = jnp.where(batch.loss_mask[..., None], wide, 0)  # before the metric: 0 times NaN is NaN on the way back
    found = ((name, metric(outputs, batch)) for name, metric in METRICS[loss].items())
    return [(name, (value.astype(outputs.dtype), weight.astype(outputs.dtype))) for name, (value, weight) in found]
