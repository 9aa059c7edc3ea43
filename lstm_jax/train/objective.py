"""What is minimised and what is reported: sums over counted steps, with their counts, divided once at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.params import widened_dtype
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


Counted = tuple[jax.Array, jax.Array]
"""Values and their weights, ``(T, B)`` or, one a sequence, ``(1, B)``."""
Metrics = Callable[[jax.Array, Batch], tuple[Counted, ...]]


def _at_each_step(*metrics: Callable[[jax.Array, jax.Array], jax.Array]) -> Metrics:
    """Metrics of every counted step, of functions from outputs and targets to ``(T, B)``."""

    def values(outputs: jax.Array, batch: Batch) -> tuple[Counted, ...]:
        mask = batch.loss_mask
        return tuple((jnp.where(mask, metric(outputs, batch.targets), 0), mask) for metric in metrics)

    return values


LOSSES: dict[str, tuple[tuple[str, ...], Metrics]] = {
    "squared_error": (("mse",), _at_each_step(_squared_error)),
    "softmax": (("nll", "accuracy"), _at_each_step(_cross_entropy, _correct)),
    "bernoulli": (("nll",), _at_each_step(_binary_cross_entropy)),
    "student_t": (("nll", "mse"), _at_each_step(student_t.nll, student_t.squared_error)),
    "ctc": (("nll", "error", "wrong"), ctc.metrics),
}
"""Names of each loss's metrics, the first is minimised; and what computes them of ``(outputs (T, B, O), batch)``, all
at once, since some share a computation."""


def metric_names(loss: str) -> tuple[str, ...]:
    """The metrics of ``loss``, the one that it minimises first."""
    if loss not in LOSSES:
        raise ValueError(f"unknown loss {loss!r}; {nearest(loss, LOSSES)}")
    return LOSSES[loss][0]


def loss_name(loss: str) -> str:
    """The metric that ``loss`` minimises."""
    return metric_names(loss)[0]


def measure(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """Every metric of ``loss`` over what it counts: steps, sequences, or the labels in them; as (total, count).

    Args:
        loss: ``"squared_error"`` (mean over outputs), ``"softmax"`` (nats), ``"bernoulli"`` (nats, sum over outputs),
            ``"student_t"`` (nats, mean over numbers): where ``loss_mask`` is true; ``"ctc"`` (nats a sequence).
        outputs: ``(T, B, O)`` predictions or logits.
        batch: targets ``(T, B)`` or ``(T, B, O)``; what stands in uncounted steps, NaN included, reaches neither
            values nor gradients.
    """
    return _over_all(_values(loss, outputs, batch))


BY_SEQUENCE = "_by_sequence"


def measure_both_ways(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Mean]:
    """As ``measure``; and again with each sequence counting once, with its own mean: names end in ``_by_sequence``."""
    values = _values(loss, outputs, batch)
    return _over_all(values) | {f"{name}{BY_SEQUENCE}": _over_sequences(*counted) for name, counted in values.items()}


def _over_all(values: dict[str, Counted]) -> dict[str, Mean]:
    return {name: Mean(jnp.sum(value), jnp.sum(weight)) for name, (value, weight) in values.items()}


def _over_sequences(value: jax.Array, weight: jax.Array) -> Mean:
    weights = jnp.sum(weight, axis=0)
    means = jnp.sum(value, axis=0) / jnp.maximum(weights, 1)
    return Mean(jnp.sum(means), jnp.sum(weights > 0, dtype=means.dtype))


def _values(loss: str, outputs: jax.Array, batch: Batch) -> dict[str, Counted]:
    """Every metric by name: values, 0 where nothing counts, and their weights, all in the type of the sums."""
    names = metric_names(loss)
    if outputs.shape[:2] != batch.loss_mask.shape:
        raise ValueError(f"outputs {outputs.shape} and loss_mask {batch.loss_mask.shape} must share (T, B)")
    wide = outputs.astype(widened_dtype(outputs.dtype))
    outputs = jnp.where(batch.loss_mask[..., None], wide, 0)  # before the metric: 0 times NaN is NaN on the way back
    found = zip(names, LOSSES[loss][1](outputs, batch), strict=True)
    return {name: (value.astype(outputs.dtype), weight.astype(outputs.dtype)) for name, (value, weight) in found}
