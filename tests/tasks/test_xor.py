"""The two bits of the delayed exclusive or lie where they should."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS


@pytest.mark.parametrize(("length", "firsts", "seconds"), [(4, {0}, {2}), (30, {0, 1, 2}, {15, 16, 17})])
def test_answer_is_the_exclusive_or_of_two_marked_bits(length, firsts, seconds):
    task = TASKS["delayed_xor"](length=length)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), 2_000))
    bits, marks = np.moveaxis(batch.inputs, -1, 0)
    first, second = np.argwhere(marks.T == 1)[:, 1].reshape(2_000, 2).T
    assert set(first.tolist()) == firsts and set(second.tolist()) == seconds
    columns = np.arange(2_000)
    np.testing.assert_array_equal(batch.targets[-1], bits[first, columns] != bits[second, columns])
    assert batch.targets[-1].mean() == pytest.approx(0.5, abs=0.05) == pytest.approx(bits.mean(), abs=0.05)
    assert length - 1 - first.max() >= task.required_lag - 1
