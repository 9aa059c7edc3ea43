"""Sample sequences in print and in pictures: every task can be shown, and nothing is wider than the screen."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from lstm_jax.analysis.task_figure import task_figure
from lstm_jax.analysis.task_text import MORE, is_one_hot, sequence_text, symbol_names
from lstm_jax.tasks import TASKS, Batch


def batch_of(name: str, count: int = 1, **options):
    task = TASKS[name](**options)
    return task, jax.device_get(jax.jit(task.sample, static_argnums=1)(jax.random.key(0), count))


def shaped_like(task) -> Batch:
    """One sequence in the form of the task's, without compiling its sample: symbols or channels, all steps counted."""
    form = jax.eval_shape(lambda key: task.sample(key, 1), jax.random.key(0))
    rng = np.random.default_rng(0)
    steps, _, size = form.inputs.shape
    inputs = rng.normal(size=(steps, 1, size)) if size <= 3 else np.eye(size)[rng.integers(size, size=(steps, 1))]
    answers = rng.integers(2, size=form.targets.shape).astype(form.targets.dtype)
    return Batch(inputs, answers, np.array([steps]), np.ones((steps, 1), bool))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_shown_within_any_width(name):
    task = TASKS[name]()
    batch = shaped_like(task)
    for width in (30, 80, 1000):
        lines = sequence_text(task, batch, 0, width)
        assert all(len(line) <= width for line in lines)
        assert lines[0].startswith("input") and lines[-1].startswith("counted")
        assert any(line.startswith("target") for line in lines)


def test_what_does_not_fit_is_left_out_in_the_middle_and_columns_stay_in_step():
    task, batch = batch_of("delayed_xor", length=200)
    lines = sequence_text(task, batch, 0, 60)
    assert [line.index(MORE) for line in lines if MORE in line] == [lines[0].index(MORE)] * len(lines)
    assert lines[-1].endswith("^") and lines[-2][-1] in "01" and len(lines[-1]) == len(lines[0]) <= 60
    whole = sequence_text(task, batch, 0, 300)
    assert not any(MORE in line for line in whole) and lines[0].endswith(whole[0][-10:])


def test_symbols_without_letters_are_digits_and_many_are_numbers_in_columns():
    assert symbol_names(TASKS["parity"](), 3) == ("0", "1", "2")
    assert symbol_names(TASKS["reber"](), 7) == ("B", "T", "P", "S", "X", "V", "E")
    assert symbol_names(TASKS["anbncn"](), 5) == ("S", "a", "b", "c", "T")
    assert symbol_names(TASKS["copy"](), 10)[:2] == (".", "1") and symbol_names(TASKS["copy"](), 9)[0] == "0"
    task = TASKS["lag_2a"](length=70)
    batch = shaped_like(task)
    words = sequence_text(task, batch, 0, 500)[0].split()[1:]
    assert [int(word) for word in words] == batch.inputs[:, 0].argmax(-1).tolist()


def test_symbols_are_told_from_channels():
    assert is_one_hot(np.eye(3)) and not is_one_hot(np.array([[1.0, 0.0], [1.0, 1.0]]))
    assert not is_one_hot(np.ones((4, 1))) and not is_one_hot(np.array([[0.5, 1.0], [1.0, 0.0]]))


def test_several_real_outputs_are_lines_of_their_own_where_they_count():
    task, batch = batch_of("lorenz", length=5, washout=20, horizon=2)
    lines = sequence_text(task, batch, 0, 200)
    counted = lines[-1][len("counted") :].index("^")
    for k in range(3):
        row = next(line for line in lines if line.startswith(f"target {k}"))
        assert len(row[len("target 0") :].strip()) == 5 and len(row[len("counted") :]) - counted == 5


def test_the_picture_has_three_panels_a_sequence_and_nothing_where_nothing_counts():
    task, batch = batch_of("adding", 2, length=6, longest=9)
    figure = task_figure(task, batch)
    panels = [axes for axes in figure.axes if axes.get_ylabel()]
    assert [axes.get_ylabel() for axes in panels] == ["input 0", "target", "counted", "input 1", "target", "counted"]
    inputs, target, counted = (axes.images[0].get_array().filled(np.nan) for axes in panels[:3])
    length = batch.lengths[0]
    np.testing.assert_array_equal(inputs[:, :length], batch.inputs[:length, 0].T)
    assert np.isnan(inputs[:, length:]).all() and (~np.isnan(target)).sum() == 1 and np.nansum(counted) == 1


def test_classes_are_drawn_as_rows_with_their_names():
    task, batch = batch_of("copy", length=3, remember=2, symbols=2)
    panels = [axes for axes in task_figure(task, batch).axes if axes.get_ylabel()]
    assert [text.get_text() for text in panels[0].get_yticklabels()] == [".", "1", "2", "3"]
    assert panels[1].images[0].get_array().argmax(0).tolist() == batch.targets[:, 0].tolist()


def test_a_batch_need_not_come_from_a_sample():
    task, batch = batch_of("copy", length=3, remember=2, symbols=2)
    mine = Batch(**{field: np.asarray(getattr(batch, field)) for field in batch._fields})
    assert sequence_text(task, mine, 0, 80) == sequence_text(dataclasses.replace(task), batch, 0, 80)
