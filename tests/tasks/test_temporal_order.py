"""Temporal order in whole numbers, and in streams without reset (2000)."""

from __future__ import annotations

import jax
import numpy as np

from lstm_jax.tasks import TASKS
from lstm_jax.tasks.temporal_order import ALPHABET


def text(column):
    return "".join(ALPHABET[s] for s in column if s >= 0)


def test_symbols_are_what_sample_shows():
    for task in (TASKS["temporal_order"](length=20), TASKS["continual_temporal_order"](length=20, sequences=2)):
        symbols, shown = jax.jit(lambda key, task=task: (task.symbols(key, 16), task.sample(key, 16)))(
            jax.random.key(1)
        )
        np.testing.assert_array_equal(shown.inputs, np.asarray(symbols.inputs)[..., None] == np.arange(8))
        for one, other in zip(symbols[1:], shown[1:], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_stream_is_whole_sequences_one_after_the_other():
    task = TASKS["continual_temporal_order"](length=30, sequences=5)
    batch = jax.tree.map(np.asarray, jax.jit(task.symbols, static_argnums=1)(jax.random.key(2), 500))
    lengths, classes = [], []
    for b in range(500):
        stream = text(batch.inputs[:, b])
        assert len(stream) == batch.lengths[b] and (batch.inputs[batch.lengths[b] :, b] == -1).all()
        parts = [part + "B" for part in stream.split("B")[:-1]]
        assert len(parts) == 5 and all(part[0] == "E" and part.count("E") == 1 for part in parts)
        orders = ["".join(s for s in part if s in "XY") for part in parts]
        answers = [int(order.replace("X", "0").replace("Y", "1"), 2) for order in orders]
        asked = np.flatnonzero(batch.loss_mask[:, b])
        np.testing.assert_array_equal(asked, np.cumsum([len(part) for part in parts]) - 1)
        np.testing.assert_array_equal(batch.targets[asked, b], answers)
        lengths += [len(part) for part in parts]
        classes += answers
    assert set(lengths) == {30, 31, 32, 33}
    np.testing.assert_allclose(np.bincount(classes) / 2500, 1 / 8, atol=0.04)
    assert not batch.targets[~batch.loss_mask].any()
    # One sequence and the next have nothing to do with each other.
    pairs = np.array(classes).reshape(500, 5)
    assert abs(np.corrcoef(pairs[:, :-1].ravel(), pairs[:, 1:].ravel())[0, 1]) < 0.1


def test_the_streams_of_the_paper_have_eight_classes():
    task = TASKS["continual_temporal_order"]()
    assert task.output_size == 8 and task.required_lag == 24 and task.max_length == 1100 and task.chance == 1 / 8
