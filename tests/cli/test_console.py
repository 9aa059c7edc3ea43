"""What people see while a study runs."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from fabricated import TRIAL
from rich.console import Console

from lstm_jax.cli.console import StudyWatch, clock, print_comparison, print_table, time_left
from lstm_jax.studies.plan import Study, Trial
from lstm_jax.studies.run import Progress, run_study
from lstm_jax.train.config import Config


def train(trials, on_row, on_running, worker=0):
    for trial in trials:
        on_running([(trial, 0.5)])
        score = {"V": 0.25, "NFG": 0.5}[trial.variant]
        on_row(trial, TRIAL._replace(task=trial.task, variant=trial.variant, seed=0, test=score, validation=score))


def shown(folder, terminal: bool) -> str:
    out = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with StudyWatch(out) as watch:
        run_study(Study("s", (("adding", Config()),), ("V", "NFG"), seeds=1), folder, train, watch)
    return out.file.getvalue()


def test_without_a_terminal_there_is_one_plain_line_for_each_finished_variant(tmp_path):
    lines = shown(tmp_path, terminal=False).splitlines()
    assert [line.split()[1:4] for line in lines] == [["adding", "V", "0.2500"], ["adding", "NFG", "0.5000"]]
    assert [line[:5] for line in lines] == ["[1/2]", "[2/2]"] and all("left" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_a_mean_says_how_many_trials_are_not_in_it(tmp_path):
    def half(trials, on_row, on_running, worker):
        for trial in trials:
            seed = trial.config.train.seed
            on_row(
                trial, TRIAL._replace(task=trial.task, variant=trial.variant, seed=seed, test=[0.25, math.nan][seed])
            )

    out = Console(file=io.StringIO(), force_terminal=False, width=100)
    with StudyWatch(out) as watch:
        run_study(Study("s", (("adding", Config()),), ("V",), seeds=2), tmp_path, half, watch)
    assert "adding V                   0.2500  (1 of 2 without a score)" in out.file.getvalue()


def test_without_a_terminal_a_long_study_tells_where_it_is_once_a_minute(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("lstm_jax.cli.console.time.monotonic", lambda: now[0])

    def slow(trials, on_row, on_running, worker):
        for n in range(20):
            now[0] += 10
            on_running([(trials[0], (n + 1) / 20)])
        train(trials, on_row, on_running)

    out = Console(file=io.StringIO(), force_terminal=False, width=100)
    with StudyWatch(out) as watch:
        run_study(Study("s", (("adding", Config()),), ("V", "NFG"), seeds=1), tmp_path, slow, watch)
    lines = out.file.getvalue().splitlines()
    assert lines == [
        *["[0/2] 1 alive, 0 diverged  best validation: "] * 3,
        "[1/2] adding V                   0.2500  (0:36 left)",
        "[1/2] 1 alive, 0 diverged  (0:25 left)  best validation: V 0.25",
        "[1/2] 1 alive, 0 diverged  (0:14 left)  best validation: V 0.25",
        "[1/2] 1 alive, 0 diverged  (0:04 left)  best validation: V 0.25",
        "[2/2] adding NFG                 0.5000  (0:00 left)",
    ]


def test_a_terminal_shows_what_runs_and_how_many_are_done(tmp_path):
    text = shown(tmp_path, terminal=True)
    assert "done" in text and "2/2 trials" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_trials_finished_before_are_told(tmp_path, terminal):
    shown(tmp_path, terminal)
    assert "2 of 2 trials were finished before" in shown(tmp_path, terminal)


def test_trials_of_another_commit_are_told(tmp_path, monkeypatch):
    from lstm_jax.studies import run

    monkeypatch.setattr(run, "describe_code", lambda: {"lstm_jax": "1", "commit": "a" * 40, "dirty": False})
    shown(tmp_path, terminal=False)
    assert "commit" not in shown(tmp_path, terminal=False)
    monkeypatch.setattr(run, "describe_code", lambda: {"lstm_jax": "1", "commit": "b" * 40, "dirty": False})
    assert f"2 trials come from commit {'a' * 12}; --overwrite runs" in shown(tmp_path, terminal=False)


@pytest.mark.parametrize(("seconds", "text"), [(7, "0:07"), (754, "12:34"), (3723, "1:02:03"), (59.6, "1:00")])
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_the_time_left_follows_the_trials_of_the_same_task_and_variant():
    rows = [TRIAL._replace(variant=name, seconds=time) for name, time in (("V", 10), ("V", 12), ("NP", 4))]
    waiting = tuple(("jsb_chorales", name) for name in ("V", "NP", "NP", "new"))
    running = ((Trial("jsb_chorales", "V", Config()), 0.25),)
    progress = Progress(running, 3, 8, 0, waiting, tuple(rows))
    assert time_left(progress) == 11 + 4 + 4 + 7.5 + 0.75 * 11
    assert time_left(replace(progress, workers=2)) == time_left(progress) / 2, "each has seconds of its own"
    assert time_left(Progress(running, 0, 8, 0, waiting, ())) is None


def test_brackets_in_a_label_are_no_markup(capsys):
    rows = [TRIAL._replace(task="adding [/long]", variant=variant, seed=seed) for variant in "VN" for seed in (0, 1)]
    print_comparison(rows, "V")
    print_table(["[red]name"], [["[/x]"]], title="[bold]")
    shown = capsys.readouterr().out
    assert "adding [/long]: " in shown and "[red]name" in shown and "[/x]" in shown and "[bold]" in shown
