"""Padding at load, and batches out of whole splits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, Sequences, take
from lstm_jax.datasets.sequences import label_last, next_step


@pytest.fixture
def rolls():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 2, (steps, 5), np.uint8) for steps in (4, 9, 2, 7)]


def test_next_step_predicts_the_following_step_and_pads_with_zeros(rolls):
    part = next_step(rolls)
    assert part.inputs.shape == part.targets.shape == (4, 8, 5)
    assert part.lengths.tolist() == [3, 8, 1, 6]
    for row, roll in enumerate(rolls):
        length = len(roll) - 1
        np.testing.assert_array_equal(part.inputs[row, :length], roll[:-1])
        np.testing.assert_array_equal(part.targets[row, :length], roll[1:])
        assert not part.inputs[row, length:].any() and not part.targets[row, length:].any()
        assert part.loss_mask[row].tolist() == [step < length for step in range(8)]


def test_next_step_of_a_single_step_is_refused(rolls):
    with pytest.raises(ValueError, match="2 steps or more"):
        next_step([rolls[0], rolls[1][:1]])


def test_take_gives_the_same_batch_from_numpy_from_jax_and_inside_jit(rolls):
    part, rows = next_step(rolls), np.array([2, 0, 2])
    batch = take(part, rows)
    assert all(isinstance(array, np.ndarray) for array in batch)
    assert batch.inputs.shape == (8, 3, 5) and batch.loss_mask.shape == (8, 3)
    for column, row in enumerate(rows):
        np.testing.assert_array_equal(batch.inputs[:, column], part.inputs[row])
        np.testing.assert_array_equal(batch.targets[:, column], part.targets[row])
        np.testing.assert_array_equal(batch.loss_mask[:, column], part.loss_mask[row])
        assert batch.lengths[column] == part.lengths[row]
    on_device = jax.tree.map(jnp.asarray, part)
    for other in (
        take(on_device, rows),
        jax.jit(take)(on_device, rows),
        jax.jit(lambda indices: take(part, indices))(rows),
        jax.tree.map(lambda array: array[0], jax.vmap(take, (None, 0))(on_device, jnp.asarray(rows)[None])),
    ):
        for one, expected in zip(other, batch, strict=True):
            assert isinstance(one, jax.Array) and one.dtype == expected.dtype
            np.testing.assert_array_equal(one, expected)


def test_take_refuses_what_is_no_list_of_rows(rolls):
    part = next_step(rolls)
    for wrong in (np.array([0.0]), np.array(1), np.array([True, False])):
        with pytest.raises(ValueError, match=r"integers of shape \(B,\)"):
            take(part, wrong)


def test_types_are_those_of_a_batch(rolls):
    labelled = label_last(np.zeros((3, 4, 2)), [1, 2, 0])
    assert labelled.targets.dtype == np.int32
    for part in (next_step(rolls), labelled):
        assert isinstance(part, Sequences)
        kinds = (part.inputs.dtype, part.lengths.dtype, part.loss_mask.dtype)
        assert kinds == (np.float32, np.int32, np.bool_)


@pytest.mark.parametrize("name", DATASETS)
def test_every_record_says_what_tasks_say(name):
    record = DATASETS[name]
    assert record.name == name and record.summary and record.licence
    assert record.splits == ("train", "validation", "test")
    assert (record.loss, record.metric, record.higher_is_better) in {
        ("softmax", "accuracy", True),
        ("softmax", "nll", False),
        ("bernoulli", "nll", False),
        ("ctc", "wrong", False),
        ("ctc", "error", False),
        ("student_t", "nll", False),
    }
    assert record.input_size > 0 and record.output_size > 0
