"""Losses and metrics against float64 NumPy, and silence about steps that do not count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.objective import BY_SEQUENCE, divide, loss_name, measure, measure_both_ways

BY_STEP = ("squared_error", "softmax", "bernoulli")
T, B, O = 5, 4, 3  # noqa: E741


def random_batch(loss, seed=0):
    draw = np.random.default_rng(seed)
    targets = {
        "squared_error": draw.normal(size=(T, B, O)).astype(np.float32),
        "softmax": draw.integers(0, O, (T, B)).astype(np.int32),
        "bernoulli": draw.integers(0, 2, (T, B, O)).astype(np.float32),
    }[loss]
    mask = draw.random((T, B)) < 0.6
    inputs = np.zeros((T, B, 1), np.float32)
    outputs = draw.normal(size=(T, B, O)).astype(np.float32) * 3
    return outputs, Batch(inputs, targets, np.full(B, T, np.int32), mask)


def by_hand(loss, outputs, batch):
    """Sums over counted steps, one step at a time."""
    sums = {}
    for t, b in np.argwhere(batch.loss_mask):
        y, target = outputs[t, b].astype(np.float64), batch.targets[t, b]
        if loss == "squared_error":
            found = {"mse": ((y - target) ** 2).sum() / O}
        elif loss == "softmax":
            p = np.exp(y) / np.exp(y).sum()
            found = {"nll": -np.log(p[target]), "accuracy": float(y.argmax() == target)}
        else:
            p = 1 / (1 + np.exp(-y))
            found = {"nll": -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum()}
        sums = {name: sums.get(name, 0) + value for name, value in found.items()}
    return sums


@pytest.mark.parametrize("loss", BY_STEP)
def test_metrics_equal_float64_sums(loss):
    outputs, batch = random_batch(loss)
    metrics = measure(loss, jnp.asarray(outputs), batch)
    expected = by_hand(loss, outputs, batch)
    assert metrics.keys() == expected.keys()
    for name, mean in metrics.items():
        np.testing.assert_allclose(mean.total, expected[name], rtol=2e-6)
        assert mean.count == batch.loss_mask.sum()
        np.testing.assert_allclose(divide(mean), expected[name] / batch.loss_mask.sum(), rtol=2e-6)


@pytest.mark.parametrize("loss", BY_STEP)
def test_by_sequence_each_counts_once_with_its_own_mean(loss):
    outputs, batch = random_batch(loss)
    mask = np.arange(T)[:, None] < np.array([5, 1, 0, 3])
    batch = batch._replace(loss_mask=mask)
    found = measure_both_ways(loss, jnp.asarray(outputs), batch)
    rows = [batch._replace(loss_mask=mask & (np.arange(B) == b)) for b in range(B) if mask[:, b].any()]
    for name, expected in by_hand(loss, outputs, batch).items():
        means = [by_hand(loss, outputs, row)[name] / row.loss_mask.sum() for row in rows]
        np.testing.assert_allclose(divide(found[name + BY_SEQUENCE]), np.mean(means), rtol=2e-6)
        np.testing.assert_allclose(divide(found[name]), expected / mask.sum(), rtol=2e-6)
        assert found[name + BY_SEQUENCE].count == 3


@pytest.mark.parametrize("loss", BY_STEP)
def test_uncounted_steps_reach_neither_value_nor_gradient(loss):
    outputs, batch = random_batch(loss)
    hidden = ~batch.loss_mask
    poisoned = np.where(hidden[..., None], np.nan, outputs)
    if loss == "softmax":
        targets = np.where(hidden, 10**6, batch.targets)
    else:
        targets = np.where(hidden[..., None], np.nan, batch.targets)

    def total(outputs, batch):
        return measure(loss, outputs, batch)[loss_name(loss)].total

    clean = jax.value_and_grad(total)(jnp.asarray(outputs), batch)
    dirty = jax.value_and_grad(total)(jnp.asarray(poisoned), batch._replace(targets=targets))
    np.testing.assert_array_equal(clean[0], dirty[0])
    np.testing.assert_array_equal(clean[1], dirty[1])
    assert (np.asarray(dirty[1])[hidden] == 0).all()


@pytest.mark.parametrize("loss", BY_STEP)
def test_parts_of_a_batch_add_up_to_the_whole(loss):
    outputs, batch = random_batch(loss)
    whole = measure(loss, jnp.asarray(outputs), batch)
    halves = [
        measure(
            loss,
            jnp.asarray(outputs[:, part]),
            Batch(batch.inputs[:, part], batch.targets[:, part], batch.lengths[part], batch.loss_mask[:, part]),
        )
        for part in (slice(0, 1), slice(1, None))
    ]
    merged = jax.tree.map(jnp.add, *halves)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), merged, whole)


def test_a_mean_of_nothing_is_not_a_number():
    outputs, batch = random_batch("softmax")
    empty = measure("softmax", jnp.asarray(outputs), batch._replace(loss_mask=np.zeros_like(batch.loss_mask)))
    assert np.isnan(divide(empty["nll"])) and empty["nll"].total == 0


def test_an_unknown_loss_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        loss_name("softmaxx")


def test_outputs_of_another_length_are_refused():
    outputs, batch = random_batch("softmax")
    with pytest.raises(ValueError, match="must share"):
        measure("softmax", jnp.asarray(outputs[1:]), batch)
