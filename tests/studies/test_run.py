"""Running a study: what is finished stays finished."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fabricated import ALL, PAIR, Trainer, study

from lstm_jax.studies import run
from lstm_jax.studies.collect import read_rows
from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import FolderBusyError, run_study
from lstm_jax.train.config import Config, OptimizerConfig, to_json


def test_every_trial_runs_once_with_the_reference_first(tmp_path):
    trainer = Trainer()
    rows = run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL and trainer.groups == [2] * 4, "those that share a program together"
    assert [(row.task, row.variant, row.seed) for row in rows] == ALL
    assert read_rows(tmp_path / "results.csv") == rows


RATES = (("slow", Config()), ("other", PAIR[1][1]), ("fast", Config(optimizer=OptimizerConfig(learning_rate=0.5))))


@pytest.mark.parametrize(("block", "groups"), [(None, [4, 4, 2, 2]), (1, [1] * 12)])
def test_trials_of_one_program_come_together_whatever_their_tasks_are_called(tmp_path, block, groups):
    trainer = Trainer()
    rows = run_study(study(tasks=RATES, block=block), tmp_path, trainer)
    assert trainer.groups == groups, "with blocks every variant has its turn on every task first"
    assert [row.task for row in rows] == ["slow"] * 4 + ["other"] * 4 + ["fast"] * 4


def test_the_plan_is_on_disk_before_the_first_trial(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, Trainer(stop_at=0))
    lines = (tmp_path / "plan.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines[1:]] == [trial.key for trial in study().trials()]


def test_a_second_run_continues_and_ends_with_the_same_results(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path / "stopped", Trainer(stop_at=5))
    assert len(read_rows(tmp_path / "stopped" / "results.csv")) == 5
    trainer = Trainer()
    resumed = run_study(study(), tmp_path / "stopped", trainer)
    assert trainer.ran == ALL[5:]
    assert resumed == run_study(study(), tmp_path / "straight", Trainer())


FASTER = (PAIR[0], ("b", replace(PAIR[1][1], optimizer=OptimizerConfig(learning_rate=0.5))))


def test_a_larger_study_runs_exactly_what_was_added(tmp_path):
    before = run_study(study(), tmp_path, Trainer())
    trainer = Trainer()
    rows = run_study(study(variants=("NFG", "V", "NP"), reference="V"), tmp_path, trainer)
    assert trainer.ran == [(task, "NP", seed) for task in "ab" for seed in (0, 1)]
    assert set(before) < set(rows) and len(rows) == 12


def test_more_seeds_keep_the_trials_of_the_first(tmp_path):
    run_study(study(), tmp_path, Trainer())
    trainer = Trainer()
    assert len(run_study(study(seeds=3), tmp_path, trainer)) == 12
    assert [seed for _, _, seed in trainer.ran] == [2] * 4 and not (tmp_path / "earlier").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": FASTER}, "b.optimizer.learning_rate: 0.001 became 0.5"),
        ({"variants": ("V", "RNN")}, r'variants: \["NFG", "V"\] became \["V", "RNN"\]'),
        ({"seeds": 1}, "seeds: 2 became 1"),
        ({"tasks": (("a", Config()),)}, r'tasks: \["a", "b"\] became \["a"\]; b.model.*; and \d+ more'),
    ],
)
def test_results_of_another_study_are_moved_aside_whole_and_told(tmp_path, changes, said, capsys):
    run_study(study(), tmp_path, Trainer())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    rows = run_study(study(**changes), tmp_path, Trainer())
    aside = tmp_path / "earlier" / "1"
    kept = {name: content for name, content in before.items() if name not in (".lock", "trials.jsonl")}
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == kept
    assert re.search(f"held another study .{said}", capsys.readouterr().err)
    assert read_rows(tmp_path / "results.csv") == rows
    assert Study.from_json((tmp_path / "config.json").read_text()) == study(**changes)
    back = Trainer()
    run_study(study(), tmp_path, back)
    assert back.ran == [], "its trials were kept"
    assert (tmp_path / "results.csv").read_bytes() == before["results.csv"]


def test_a_study_that_failed_before_its_first_result_is_simply_replaced(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, Trainer(stop_at=0))
    assert len(run_study(study(seeds=3), tmp_path, Trainer())) == 12


def test_the_folder_of_a_training_run_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(to_json(Config()))
    with pytest.raises(FileExistsError, match="something else than a study"):
        run_study(study(), tmp_path, Trainer())


def test_an_interrupted_overwrite_is_continued_without_the_old_trials(tmp_path):
    run_study(study(), tmp_path, Trainer())
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, Trainer(stop_at=1), overwrite=True)
    trainer = Trainer()
    run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL[1:]


def test_trials_of_other_code_are_reused_and_counted(tmp_path, monkeypatch):
    for commit, dirty, stop_at in (("a", False, 2), ("a", True, 1), ("b", False, 1)):
        code = {"lstm_jax": "1.0", "commit": commit * 40, "dirty": dirty}
        monkeypatch.setattr(run, "describe_code", lambda code=code: code)
        seen = []
        with contextlib.suppress(KeyboardInterrupt):
            run_study(study(), tmp_path, Trainer(stop_at), watch=seen.append)
    assert seen[0].foreign == {f"commit {'a' * 12}": 2, f"commit {'a' * 12} with changes": 1}
    code = run.finished_trials(study(), tmp_path)[study().trials()[3].key][1]
    assert code == {"lstm_jax": "1.0", "commit": "b" * 40, "dirty": False}


def test_code_is_told_by_commit_or_version():
    assert run.origin({"lstm_jax": "1.0", "commit": None, "dirty": None}) == "version 1.0"
    assert run.origin({"key": "old"}) == "an unknown version"


def test_overwrite_runs_all_again(tmp_path):
    run_study(study(), tmp_path, Trainer())
    trainer = Trainer()
    run_study(study(), tmp_path, trainer, overwrite=True)
    assert trainer.ran == ALL


def test_a_changed_log_is_refused_by_its_line(tmp_path):
    run_study(study(), tmp_path, Trainer())
    path = tmp_path / "trials.jsonl"
    path.write_text(path.read_text().replace("0.001", "0.0009", 1))
    with pytest.raises(ValueError, match="trials.jsonl, line 1 does not match its checksum"):
        run_study(study(), tmp_path, Trainer())


def test_progress_rises_and_ends_with_all_rows(tmp_path):
    seen = []
    run_study(study(), tmp_path, Trainer(), watch=seen.append)
    done = [progress.finished + sum(share for _, share in progress.running) for progress in seen]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 8
    counts = {len(progress.running) + progress.finished + len(progress.waiting) for progress in seen}
    assert counts == {8} and len(seen[-1].rows) == 8
    run_study(study(), tmp_path, Trainer(), watch=seen.append)
    assert (seen[-1].reused, seen[-1].total) == (8, 8)


SLEEPER = """
import sys, time
sys.path.insert(0, {tests!r})
from fabricated import row_of, study
from lstm_jax.studies.run import run_study
done = []
def train(trials, on_row, on_running, worker=0):
    for trial in trials:
        if len(done) == 3:
            print("fourth", flush=True)
            time.sleep(60)
        done.append(trial)
        on_row(trial, row_of(trial))
run_study(study(), {folder!r}, train)
"""


def test_two_processes_on_one_folder_are_refused_and_a_kill_loses_what_was_running(tmp_path):
    tests = os.path.dirname(os.path.dirname(__file__))
    code = SLEEPER.format(tests=tests, folder=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "fourth\n"
        with pytest.raises(FolderBusyError, match=f"in use by process {child.pid}"):
            run_study(study(), tmp_path, Trainer())
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    time.sleep(0.05)
    trainer = Trainer()
    run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL[3:]


def test_a_study_comes_back_exactly_from_json():
    config = replace(Config(), optimizer=OptimizerConfig(learning_rate=0.1 + 0.2, clip_norm=None))
    original = study(tasks=(("a", config), ("b", Config())))
    assert Study.from_json(original.to_json()) == original
    with pytest.raises(ValueError, match="unknown key 'seds'; did you mean 'seeds'"):
        Study.from_json(original.to_json().replace('"seeds"', '"seds"'))


def test_trials_take_variant_and_seed_from_the_study_and_all_else_from_the_task():
    config = replace(Config(), optimizer=OptimizerConfig(learning_rate=0.25))
    trials = study(tasks=(("a", config),), seeds=3).trials()
    assert [(trial.config.model.variant, trial.config.train.seed) for trial in trials] == [
        (variant, seed) for variant in ("V", "NFG") for seed in (0, 1, 2)
    ]
    assert {trial.config.optimizer for trial in trials} == {config.optimizer}
    assert len({trial.key for trial in trials}) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ("V", "NFK")}, "unknown variant 'NFK'; did you mean 'NFG'"),
        ({"variants": ("NFG",)}, "reference 'V' is not among"),
        ({"variants": ("V", "V")}, "each variant is given once"),
        ({"tasks": ()}, "needs at least one task"),
        ({"seeds": 0}, "seeds must be >= 1, got 0"),
    ],
)
def test_a_study_that_compares_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        study(**changes)
