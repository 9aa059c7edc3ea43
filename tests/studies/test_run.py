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

from lstm_jax.studies import run
from lstm_jax.studies.collect import Row, read_rows
from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import FolderBusyError, cell_path, run_study
from lstm_jax.train.config import Config, OptimizerConfig, to_json


def study(**changes) -> Study:
    values = dict(name="s", tasks=(("a", Config()), ("b", Config())), variants=("NFG", "V"), seeds=2)
    return Study(**{**values, **changes})


def rows_of(cell) -> list[Row]:
    rate = cell.config.optimizer.learning_rate
    return [
        Row(cell.task, cell.variant, seed, "mse", False, 1.0, rate, rate, 1, 1, False, 10, 0.1)
        for seed in range(cell.config.train.trials)
    ]


class Trainer:
    """Counts cells instead of training them; ``stop_at`` raises in the middle of that cell."""

    def __init__(self, stop_at=None):
        self.ran, self.stop_at = [], stop_at

    def __call__(self, cell, share):
        if len(self.ran) == self.stop_at:
            raise KeyboardInterrupt
        share(0.5)
        self.ran.append((cell.task, cell.variant))
        return rows_of(cell)


ALL = [("a", "V"), ("a", "NFG"), ("b", "V"), ("b", "NFG")]


def test_every_cell_runs_once_with_the_reference_first(tmp_path):
    trainer = Trainer()
    rows = run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL
    assert [(row.task, row.variant, row.seed) for row in rows] == [(*cell, seed) for cell in ALL for seed in (0, 1)]
    assert read_rows(tmp_path / "results.csv") == rows


def test_a_second_run_continues_and_ends_with_the_same_results(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path / "stopped", Trainer(stop_at=3))
    assert len(read_rows(tmp_path / "stopped" / "results.csv")) == 6
    trainer = Trainer()
    resumed = run_study(study(), tmp_path / "stopped", trainer)
    assert trainer.ran == ALL[3:]
    assert resumed == run_study(study(), tmp_path / "straight", Trainer())


FASTER = (("a", Config()), ("b", replace(Config(), optimizer=OptimizerConfig(learning_rate=0.5))))


def test_a_larger_study_runs_exactly_what_was_added(tmp_path):
    before = run_study(study(), tmp_path, Trainer())
    trainer = Trainer()
    rows = run_study(study(variants=("NFG", "V", "NP"), reference="V"), tmp_path, trainer)
    assert trainer.ran == [("a", "NP"), ("b", "NP")]
    assert set(before) < set(rows) and len(rows) == 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": FASTER}, "b.optimizer.learning_rate: 0.001 became 0.5"),
        ({"variants": ("V", "RNN")}, r'variants: \["NFG", "V"\] became \["V", "RNN"\]'),
        ({"seeds": 3}, "seeds: 2 became 3"),
        ({"tasks": (("a", Config()),)}, r'tasks: \["a", "b"\] became \["a"\]; b.model.*; and \d+ more'),
    ],
)
def test_results_of_another_study_are_moved_aside_whole_and_told(tmp_path, changes, said, capsys):
    run_study(study(), tmp_path, Trainer())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    rows = run_study(study(**changes), tmp_path, Trainer())
    aside = tmp_path / "earlier" / "1"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {
        k: v for k, v in before.items() if k != ".lock"
    }
    assert re.search(f"held another study .{said}", capsys.readouterr().err)
    assert read_rows(tmp_path / "results.csv") == rows
    assert Study.from_json((tmp_path / "config.json").read_text()) == study(**changes)
    back = Trainer()
    run_study(study(), tmp_path, back)
    assert back.ran == [], "its cells were kept"
    assert (tmp_path / "results.csv").read_bytes() == before["results.csv"]


def test_a_study_that_failed_before_its_first_result_is_simply_replaced(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, Trainer(stop_at=0))
    assert len(run_study(study(seeds=3), tmp_path, Trainer())) == 12


def test_the_folder_of_a_training_run_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(to_json(Config()))
    with pytest.raises(FileExistsError, match="something else than a study"):
        run_study(study(), tmp_path, Trainer())


def test_an_interrupted_overwrite_is_continued_without_the_old_cells(tmp_path):
    run_study(study(), tmp_path, Trainer())
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), tmp_path, Trainer(stop_at=1), overwrite=True)
    trainer = Trainer()
    run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL[1:]


def test_cells_of_other_code_are_reused_and_counted(tmp_path, monkeypatch):
    for commit, dirty, stop_at in (("a", False, 2), ("a", True, 1), ("b", False, 1)):
        code = {"lstm_jax": "1.0", "commit": commit * 40, "dirty": dirty}
        monkeypatch.setattr(run, "describe_code", lambda code=code: code)
        seen = []
        with contextlib.suppress(KeyboardInterrupt):
            run_study(study(), tmp_path, Trainer(stop_at), watch=seen.append)
    assert seen[0].foreign == {f"commit {'a' * 12}": 2, f"commit {'a' * 12} with changes": 1}
    code = run.finished_cells(study(), tmp_path)[study().cells()[3].key][1]
    assert code == {"key": study().cells()[3].key, "lstm_jax": "1.0", "commit": "b" * 40, "dirty": False}


def test_code_is_told_by_commit_or_version():
    assert run.origin({"lstm_jax": "1.0", "commit": None, "dirty": None}) == "version 1.0"
    assert run.origin({"key": "old"}) == "an unknown version"


def test_overwrite_runs_all_again(tmp_path):
    run_study(study(), tmp_path, Trainer())
    trainer = Trainer()
    run_study(study(), tmp_path, trainer, overwrite=True)
    assert trainer.ran == ALL


def test_a_changed_cell_file_is_refused_by_name(tmp_path):
    run_study(study(), tmp_path, Trainer())
    path = cell_path(tmp_path, study().cells()[1])
    path.write_text(path.read_text().replace("0.001", "0.0009"))
    with pytest.raises(ValueError, match=f"{path.name} does not match its checksum"):
        run_study(study(), tmp_path, Trainer())


def test_progress_rises_and_ends_with_all_rows(tmp_path):
    seen = []
    run_study(study(), tmp_path, Trainer(), watch=seen.append)
    done = [progress.finished + progress.share for progress in seen]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 4
    assert seen[-1].cell is None and len(seen[-1].rows) == 8
    run_study(study(), tmp_path, Trainer(), watch=seen.append)
    assert (seen[-1].reused, seen[-1].total) == (4, 4)


SLEEPER = """
import sys, time
sys.path.insert(0, {tests!r})
from test_run import study, rows_of
from lstm_jax.studies.run import run_study
done = []
def train(cell, share):
    if len(done) == 2:
        print("third", flush=True)
        time.sleep(60)
    done.append(cell)
    return rows_of(cell)
run_study(study(), {folder!r}, train)
"""


def test_two_processes_on_one_folder_are_refused_and_a_kill_loses_one_cell(tmp_path):
    code = SLEEPER.format(tests=os.path.dirname(__file__), folder=str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "third\n"
        with pytest.raises(FolderBusyError, match=f"in use by process {child.pid}"):
            run_study(study(), tmp_path, Trainer())
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    time.sleep(0.05)
    trainer = Trainer()
    run_study(study(), tmp_path, trainer)
    assert trainer.ran == ALL[2:]


def test_a_study_comes_back_exactly_from_json():
    config = replace(Config(), optimizer=OptimizerConfig(learning_rate=0.1 + 0.2, clip_norm=None))
    original = study(tasks=(("a", config), ("b", Config())))
    assert Study.from_json(original.to_json()) == original
    with pytest.raises(ValueError, match="unknown key 'seds'; did you mean 'seeds'"):
        Study.from_json(original.to_json().replace('"seeds"', '"seds"'))


def test_cells_take_variant_and_seeds_from_the_study_and_all_else_from_the_task():
    config = replace(Config(), optimizer=OptimizerConfig(learning_rate=0.25))
    cells = study(tasks=(("a", config),), seeds=7).cells()
    assert [cell.config.model.variant for cell in cells] == ["V", "NFG"]
    assert {cell.config.train.trials for cell in cells} == {7}
    assert {cell.config.optimizer for cell in cells} == {config.optimizer}
    assert len({cell.key for cell in cells}) == 2


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
