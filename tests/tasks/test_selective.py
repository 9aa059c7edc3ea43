"""Symbols stand anywhere among blanks, each placing as likely as any other."""

from __future__ import annotations

import math

import jax
import numpy as np

from lstm_jax.tasks import TASKS

COUNT = 4_000


def test_symbols_stand_at_random_steps_and_are_asked_for_in_order():
    task = TASKS["selective_copy"](length=5, remember=2, symbols=3)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), COUNT))
    shown = batch.inputs.argmax(-1)
    assert (shown[5:] == 4).all() and (shown[:5] < 4).all()
    string = shown[:5].T[shown[:5].T > 0].reshape(COUNT, 2)
    np.testing.assert_array_equal(batch.targets[5:].T, string - 1)
    np.testing.assert_allclose(np.bincount(string.ravel(), minlength=4) / (2 * COUNT), [0, *[1 / 3] * 3], atol=0.03)
    places, counts = np.unique(np.packbits(shown[:5].T > 0, axis=1), return_counts=True)
    assert places.size == math.comb(5, 2)
    np.testing.assert_allclose(counts / COUNT, 0.1, atol=0.03)


def test_size_of_the_literature_is_drawn_and_solved():
    task = TASKS["selective_copy"](length=4096)
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(2), 3)
    assert batch.inputs.shape == (4112, 3, 18)
    np.testing.assert_array_equal(jax.jit(task.solve)(batch), batch.targets)
