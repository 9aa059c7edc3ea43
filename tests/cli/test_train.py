"""``lstm-jax train`` and the folder of a run: continued with its own settings, never shared."""

from __future__ import annotations

import os
from dataclasses import replace

from lstm_jax.cli import main
from lstm_jax.train.config import Config, OptimizerConfig, to_json


def test_resume_starts_from_the_settings_of_the_run(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(to_json(replace(Config(), optimizer=OptimizerConfig(learning_rate=0.125))))
    assert main(["train", "--out", str(run), "--resume", "--print-config"]) == 0
    assert capsys.readouterr().out == (run / "config.json").read_text()
    assert main(["train", f"--out={run}", "--resume", "--train.steps", "7"]) == 1
    said = capsys.readouterr().err
    assert "train.steps: " in said and "became 7" in said and "`--resume` alone" in said
    assert "learning_rate" not in said, "only what was given differs"


def test_resume_without_a_run_is_refused_and_starts_nothing(tmp_path, capsys):
    for folder in (tmp_path / "typo", tmp_path):
        assert main(["train", "--out", str(folder), "--resume"]) == 2
        assert "holds no run to resume" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_is_given_whatever_else_was_asked(tmp_path, capsys):
    assert main(["train", "--out", str(tmp_path), "--resume", "--help"]) == 0
    assert "--overwrite" in capsys.readouterr().out


def test_a_busy_run_folder_is_a_sentence_and_an_error(tmp_path, capsys):
    from lstm_jax.train.records import alone_in

    with alone_in(tmp_path / "run"):
        assert main(["train", "--out", str(tmp_path / "run"), "--train.steps", "1", "--quiet"]) == 1
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_file_of_settings_may_be_said(capsys):
    assert main(["train", "--config", "None", "--print-config"]) == 0
    assert capsys.readouterr().out == to_json(Config())
