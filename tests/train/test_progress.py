"""Plain lines where nobody sits at a terminal."""

import re

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


def test_a_terminal_gets_a_bar(monkeypatch):
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with Reporter(4, 0, 1, shown=True) as reporter:
        reporter.step(2, "mse 0.5")
        reporter.say("a line above")
        reporter.step(4, "mse 0.25")
    assert re.search(r"4/4", screen.getvalue()) and "a line above" in screen.getvalue()
