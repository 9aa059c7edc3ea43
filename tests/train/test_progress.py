"""Plain lines where nobody sits at a terminal."""

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from lstm_jax.train.loop import describe
from lstm_jax.train.progress import Reporter


def test_plain_lines_tell_step_loss_speed_and_the_time_that_is_left(capsys, monkeypatch):
    clock = iter([0.0, 10.0, 12.0, 16.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    with Reporter(400, 0, 32, shown=True) as reporter:
        for step in (100, 200, 400):
            reporter.step(step, "mse  train 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "step 100/400  mse  train 0.5  first chunk with compilation 10.0 s",
        "step 400/400  mse  train 0.5  50 steps/s  1600 sequences/s  ETA 0:00:00",
    ]


def test_silence_lets_warnings_through(capsys):
    with Reporter(4, 0, 1, shown=False) as reporter:
        reporter.step(4, "x")
        reporter.note("not heard")
        reporter.say("heard")
    assert capsys.readouterr().err == "heard\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch) -> Terminal:
    """A terminal of 80 columns."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return screen


def test_a_terminal_gets_a_bar(monkeypatch):
    screen = terminal(monkeypatch)
    with Reporter(4, 0, 1, shown=True) as reporter:
        reporter.step(2, "mse 0.5")
        reporter.say("a line above")
        reporter.step(4, "mse 0.25")
    assert re.search(r"4/4", screen.getvalue()) and "a line above" in screen.getvalue()


@pytest.mark.parametrize("steps", [400, 1_000_000])
def test_80_columns_show_bar_steps_time_left_and_losses(monkeypatch, steps):
    screen, now = terminal(monkeypatch), [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    with Reporter(steps, 0, 3200, shown=True) as reporter:
        for step in (100, 200):
            now[0] += 1000.0
            reporter.step(step, "train accuracy 0.1667  validation accuracy 0.1567")
    last = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", screen.getvalue()).strip().splitlines()[-1]
    assert len(last) <= 80 and "\u2501\u2501\u2501\u2501" in last
    assert re.search(rf"200/{steps}\b", last) and "train accuracy 0" in last
    left = {400: "ETA 0:33:20", 1_000_000: "ETA 115 days, 17:13:20"}[steps]
    assert left in last


def test_each_number_of_a_progress_line_is_named():
    problem = SimpleNamespace(loss="softmax", metric="accuracy")
    rows = {"train_nll": np.array([2.0, 4.0, 9.0]), "validation_accuracy": np.array([0.25, 0.75, 1.0])}
    running = np.array([True, True])
    assert describe(problem, rows, running) == "train nll 3  validation accuracy 0.5"
    assert describe(problem, {"train_nll": rows["train_nll"]}, running) == "train nll 3"
    ended = {"train_nll": np.array([2.0, 4.0]), "validation_accuracy": np.array([0.25, np.nan])}
    assert describe(problem, ended, running) == "train nll 3  validation accuracy 0.25"
    assert describe(problem, ended, np.array([False, True])) == "train nll 4  validation accuracy nan"
