"""The sequences of experiment 2 of 1997."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 20_000


def draw(task):
    return jax.tree.map(np.asarray, jax.jit(task.symbols, static_argnums=1)(jax.random.key(5), COUNT))


def test_2a_has_two_sequences_that_differ_at_their_ends():
    task = TASKS["lag_2a"](length=5)
    batch = draw(task)
    whole = np.concatenate([batch.inputs, batch.targets[-1:]])
    assert {tuple(column) for column in whole.T} == {(4, 0, 1, 2, 3, 4), (5, 0, 1, 2, 3, 5)}
    assert (whole[0] == 4).mean() == pytest.approx(0.5, abs=0.02)
    np.testing.assert_array_equal(batch.inputs[1:], batch.targets[:-1])
    assert task.input_size == task.output_size == 6 and task.required_lag == 4 and batch.loss_mask.all()
    assert TASKS["lag_2a"]().input_size == 101


def test_2b_draws_the_middle_anew_and_asks_for_the_first_symbol_at_the_end():
    task = TASKS["lag_2b"](length=6)
    batch = draw(task)
    np.testing.assert_array_equal(batch.inputs[1:], batch.targets[:-1])
    np.testing.assert_array_equal(batch.inputs[0], batch.targets[-1])
    assert set(np.unique(batch.inputs[0])) == {5, 6}
    share = np.bincount(batch.inputs[1:].ravel(), minlength=5) / batch.inputs[1:].size
    np.testing.assert_allclose(share, 0.2, atol=0.008)
    shown = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(5), COUNT))
    np.testing.assert_array_equal(shown.targets[-1], batch.inputs[0])
    assert not shown.targets[:-1].any() and shown.loss_mask.sum() == COUNT and batch.loss_mask.all()


def test_2c_is_begin_class_distractors_and_end():
    task = TASKS["lag_2c"](length=4, distractors=7, longest_extra=60)
    batch = draw(task)
    columns, last = np.arange(COUNT), batch.lengths - 1
    assert task.input_size == 11 and task.output_size == 2 and task.required_lag == 5 and task.max_length == 67
    assert (batch.inputs[0] == 8).all() and (batch.inputs[last, columns] == 7).all()
    np.testing.assert_array_equal(batch.inputs[1] - 9, batch.targets[last, columns])
    assert batch.targets.sum() / COUNT == pytest.approx(0.5, abs=0.02)
    between = [batch.inputs[2 : last[b], b] for b in range(COUNT)]
    share = np.bincount(np.concatenate(between), minlength=7) / sum(map(len, between))
    np.testing.assert_allclose(share, 1 / 7, atol=0.005)


def test_2c_has_a_geometric_number_of_extra_distractors_up_to_a_cap():
    extra = draw(TASKS["lag_2c"](length=4, longest_extra=90)).lengths - 4 - 3
    # The full length has one more element, the one that would come after e: q + k + 4, in the mean q + 13.
    assert extra.mean() == pytest.approx(9, abs=0.4) and extra.std() == pytest.approx(np.sqrt(90), abs=0.4)
    for k in range(4):
        assert (extra == k).mean() == pytest.approx(0.1 * 0.9**k, abs=0.012)
    capped = draw(TASKS["lag_2c"](length=4, longest_extra=3)).lengths - 4 - 3
    assert capped.max() == 3 and (capped == 3).mean() == pytest.approx(0.9**3, abs=0.02)


def test_2c_without_extra_distractors_has_one_length():
    batch = draw(TASKS["lag_2c"](length=2, distractors=1, longest_extra=0))
    assert (batch.lengths == 5).all() and batch.inputs.shape == (5, COUNT)
