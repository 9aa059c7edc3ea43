"""Each task draws from the distribution that its source describes."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS
from lstm_jax.tasks.temporal_order import ALPHABET

COUNT = 20_000


def draw(name, **options):
    task = TASKS[name](**options)
    batch = jax.jit(task.sample, static_argnums=1)(jax.random.key(77), COUNT)
    return task, jax.tree.map(np.asarray, batch)


def assert_uniform(values, low, high):
    """Every integer of low..high, nothing else, each as often as the others (six standard deviations)."""
    found, counts = np.unique(values, return_counts=True)
    np.testing.assert_array_equal(found, np.arange(low, high + 1))
    share = 1 / found.size
    assert np.abs(counts / values.size - share).max() < 6 * np.sqrt(share * (1 - share) / values.size)


def test_modern_adding_marks_once_in_each_half():
    _, batch = draw("adding", length=9)
    values, marks = np.moveaxis(batch.inputs, -1, 0)
    assert set(np.unique(marks)) == {0.0, 1.0}
    assert_uniform(marks[:4].argmax(0), 0, 3)
    assert_uniform(4 + marks[4:].argmax(0), 4, 8)
    np.testing.assert_array_equal(marks.sum(0), 2)
    assert values.min() >= 0 and values.max() <= 1 and values.mean() == pytest.approx(0.5, abs=0.005)
    np.testing.assert_allclose(batch.targets[-1, :, 0], (values * marks).sum(0), atol=1e-6)


def test_modern_adding_with_a_range_draws_uniform_lengths_and_halves_each():
    task, batch = draw("adding", length=6, longest=11)
    assert_uniform(batch.lengths, 6, 11)
    for length in (6, 11):
        marks = batch.inputs[:, batch.lengths == length, 1]
        assert_uniform(marks[: length // 2].argmax(0), 0, length // 2 - 1)
        assert_uniform(marks[length // 2 :].argmax(0), 0, length - length // 2 - 1)
    assert task.required_lag == 3


@pytest.mark.parametrize("first_pair", ["value_zeroed", "mark_removed"])
def test_adding_of_1997_follows_the_paper(first_pair):
    task, batch = draw("adding_1997", length=100, first_pair=first_pair)
    values, marks = np.moveaxis(batch.inputs, -1, 0)
    assert_uniform(batch.lengths, 100, 110)
    columns = np.arange(COUNT)
    np.testing.assert_array_equal(marks[batch.lengths - 1, columns], -1)
    marked = marks == 1
    assert marked[50:].sum() == 0  # both within the first T/2 steps
    at_first = marked[0] if first_pair == "value_zeroed" else marked.sum(0) == 1
    assert at_first.mean() == pytest.approx(0.1184, abs=0.01) == pytest.approx(task.first_pair_probability, abs=0.01)
    np.testing.assert_array_equal(marks[0], np.where(marked[0], 1, -1))
    two_marks = marked.sum(0) == 2
    assert (two_marks | at_first).all() and np.isin(marks, (-1, 0, 1)).all()
    assert marked[:10].any(0)[two_marks].all()  # one of the two within the first ten
    drawn = values[1:100]
    assert drawn.min() >= -1 and drawn.max() <= 1 and np.var(drawn) == pytest.approx(1 / 3, abs=0.003)
    answers = batch.targets[batch.lengths - 1, columns, 0]
    np.testing.assert_allclose(answers, 0.5 + (values * marked).sum(0) / 4, atol=1e-6)
    assert np.var(answers) == pytest.approx(0.0392, abs=0.001)


def test_adding_of_1997_zeroes_the_first_value_only_in_reading_b():
    _, zeroed = draw("adding_1997", first_pair="value_zeroed")
    _, removed = draw("adding_1997", first_pair="mark_removed")
    picked = zeroed.inputs[0, :, 1] == 1
    assert (zeroed.inputs[0, picked, 0] == 0).all() and (removed.inputs[0, picked, 0] != 0).all()
    assert (removed.inputs[0, :, 1] == -1).all()
    np.testing.assert_array_equal(zeroed.targets, removed.targets)
    np.testing.assert_array_equal(zeroed.inputs[1:], removed.inputs[1:])


def test_adding_of_1997_picks_both_marks_uniformly():
    _, batch = draw("adding_1997", length=40)
    positions = np.argwhere(batch.inputs[..., 1].T == 1)[:, 1].reshape(COUNT, 2)
    # P(step k is marked): early ones are picked first with 1/10 or second; later ones second only, with 1/19.
    share = np.bincount(positions.ravel(), minlength=20) / COUNT
    np.testing.assert_allclose(share[:10], 0.1 + 0.9 / 19, atol=0.012)
    np.testing.assert_allclose(share[10:], 1 / 19, atol=0.012)
    assert share.size == 20


@pytest.mark.parametrize(
    ("relevant", "windows", "lag"),
    [(2, ((10, 20), (50, 60)), 40), (3, ((10, 20), (33, 43), (66, 76)), 24)],
)
def test_temporal_order_is_experiment_6_of_1997(relevant, windows, lag):
    task, batch = draw("temporal_order", relevant=relevant)
    assert task.required_lag == lag and task.output_size == 2**relevant and task.windows == windows
    assert_uniform(batch.lengths, 100, 110)
    inside = np.arange(110)[:, None] < batch.lengths[None, :]
    np.testing.assert_array_equal(batch.inputs.sum(-1), inside)
    letters = np.where(inside, batch.inputs.argmax(-1), -1)
    assert (letters[0] == ALPHABET.index("E")).all() and (letters == ALPHABET.index("E")).sum() == COUNT
    columns = np.arange(COUNT)
    assert (letters[batch.lengths - 1, columns] == ALPHABET.index("B")).all()
    is_relevant = np.isin(letters, (ALPHABET.index("X"), ALPHABET.index("Y")))
    positions = 1 + np.argwhere(is_relevant.T)[:, 1].reshape(COUNT, relevant)
    expected = np.zeros(COUNT, int)
    for n, (low, high) in enumerate(windows):
        assert_uniform(positions[:, n], low, high)
        expected = 2 * expected + (letters[positions[:, n] - 1, columns] == ALPHABET.index("Y"))
    np.testing.assert_array_equal(batch.targets[batch.lengths - 1, columns], expected)
    assert_uniform(expected, 0, 2**relevant - 1)
    noise = letters[(letters >= 4)]
    assert_uniform(noise, 4, 7)


@pytest.mark.parametrize("relevant", [2, 3])
def test_temporal_order_windows_scale_and_never_touch(relevant):
    for length in range(20, 400):
        ends = [1]
        for low, high in TASKS["temporal_order"](length=length, relevant=relevant).windows:
            assert ends[-1] < low <= high < length
            ends.append(high)
    assert TASKS["temporal_order"](length=500).windows == ((50, 100), (250, 300))


def test_copy_shows_a_string_a_wait_a_delimiter_and_asks_for_the_string():
    task, batch = draw("copy", length=5)
    letters = batch.inputs.argmax(-1)
    np.testing.assert_array_equal(batch.inputs.sum(-1), 1)
    assert letters.shape[0] == 25 and task.required_lag == 15
    assert_uniform(letters[:10], 1, 8)
    assert (letters[14] == 9).all() and (letters[10:14] == 0).all() and (letters[15:] == 0).all()
    assert (batch.targets[:15] == 0).all()
    np.testing.assert_array_equal(batch.targets[15:], letters[:10])
    assert task.chance == pytest.approx(10 * np.log(8) / 25)


def test_published_baselines_are_the_chance_levels():
    assert TASKS["adding"](length=600).chance == pytest.approx(0.1667, abs=5e-5)
    assert TASKS["adding_1997"](length=100).chance == pytest.approx(0.0392, abs=5e-5)
    assert [round(TASKS["copy"](length=t).chance, 4) for t in (500, 1000, 2000)] == [0.04, 0.0204, 0.0103]
    assert [TASKS["temporal_order"](relevant=r).chance for r in (2, 3)] == [0.25, 0.125]
