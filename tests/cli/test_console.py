"""What people see while a study runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lstm_jax.cli.console import StudyWatch
from lstm_jax.studies.collect import Row
from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import run_study
from lstm_jax.train.config import Config


def train(cell, share):
    share(0.5)
    scores = {"V": 0.25, "NFG": 0.5}
    return [Row(cell.task, cell.variant, 0, "mse", False, 1.0, scores[cell.variant], 0.0, 1, 1, False, 1, 1.0)]


def shown(folder, terminal: bool) -> str:
    out = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with StudyWatch(out) as watch:
        run_study(Study("s", (("adding", Config()),), ("V", "NFG"), seeds=1), folder, train, watch)
    return out.file.getvalue()


def test_without_a_terminal_there_is_one_plain_line_a_cell(tmp_path):
    lines = shown(tmp_path, terminal=False).splitlines()
    assert [line.split()[1:4] for line in lines] == [["1/2]", "adding", "V"], ["2/2]", "adding", "NFG"]]
    assert "0.2500" in lines[0] and "0.5000" in lines[1] and all("left" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_without_a_terminal_a_long_cell_tells_its_share_once_a_minute(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lstm_jax.cli.console.time.monotonic", lambda: now[0])

    def slow(cell, share):
        for n in range(20):
            now[0] += 10
            share((n + 1) / 20)
        return train(cell, lambda _: None)

    out = Console(file=io.StringIO(), force_terminal=False, width=100)
    with StudyWatch(out) as watch:
        run_study(Study("s", (("adding", Config()),), ("V", "NFG"), seeds=1), tmp_path, slow, watch)
    lines = out.file.getvalue().splitlines()
    assert lines[:4] == [
        "  adding V 30 %  (5:40 left)",
        "  adding V 60 %  (4:40 left)",
        "  adding V 90 %  (3:40 left)",
        "[ 1/2] adding V                   0.2500  3:20  (3:20 left)",
    ]
    assert [line.split()[1:3] for line in lines[4:7]] == [["NFG", share] for share in ("30", "60", "90")]


def test_a_terminal_shows_the_current_cell_and_how_many_are_done(tmp_path):
    text = shown(tmp_path, terminal=True)
    assert "done" in text and "2/2 cells" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_cells_finished_before_are_told(tmp_path, terminal):
    shown(tmp_path, terminal)
    assert "2 of 2 cells were finished before" in shown(tmp_path, terminal)


def test_cells_of_another_commit_are_told(tmp_path, monkeypatch):
    from lstm_jax.studies import run

    monkeypatch.setattr(run, "describe_code", lambda: {"lstm_jax": "1", "commit": "a" * 40, "dirty": False})
    shown(tmp_path, terminal=False)
    assert "commit" not in shown(tmp_path, terminal=False)
    monkeypatch.setattr(run, "describe_code", lambda: {"lstm_jax": "1", "commit": "b" * 40, "dirty": False})
    assert f"2 cells come from commit {'a' * 12}; --overwrite runs" in shown(tmp_path, terminal=False)
