"""A key draws the same samples, of the same types, where 64-bit numbers are on."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 4


@pytest.mark.parametrize("name", sorted(TASKS))
def test_types_stay_where_64_bit_numbers_are_on(name):
    sample = partial(TASKS[name]().sample, batch_size=COUNT)
    with jax.enable_x64(True):
        wide = jax.eval_shape(sample, jax.random.key(5))
    assert wide == jax.eval_shape(sample, jax.random.key(5))


@pytest.mark.parametrize("name", ["adding", "lag_2c", "reber", "temporal_order", "timed_spikes", "two_sequence"])
def test_a_key_draws_the_same_where_64_bit_numbers_are_on(name):
    with jax.enable_x64(True):
        wide = jax.tree.map(np.asarray, TASKS[name]().sample(jax.random.key(5), COUNT))
    for narrow, other in zip(TASKS[name]().sample(jax.random.key(5), COUNT), wide, strict=True):
        np.testing.assert_array_equal(narrow, other)
