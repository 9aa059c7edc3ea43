"""The folder of a run: never mixed up, never half written."""

import dataclasses
import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from lstm_jax.train.loop import train
from lstm_jax.train.records import (
    FolderBusyError,
    Manifest,
    MetricsFile,
    alone_in,
    check_run,
    refuse_busy,
    start_run,
    write_atomically,
)


def open_run(path, config, *, resume, overwrite):
    check_run(path, config, resume=resume, overwrite=overwrite)
    start_run(path, config, resume=resume)


def test_a_refused_or_checked_folder_is_untouched(tmp_path, tiny):
    check_run(tmp_path / "run", tiny(), resume=False, overwrite=False)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_empty_is_refused(tmp_path, tiny):
    open_run(tmp_path / "run", tiny(), resume=False, overwrite=False)
    with pytest.raises(FileExistsError, match="resume.*overwrite"):
        open_run(tmp_path / "run", tiny(), resume=False, overwrite=False)


def test_a_folder_that_is_no_run_is_never_overwritten(tmp_path, tiny):
    (tmp_path / "letter.txt").write_text("dear")
    for choice in ({"resume": True, "overwrite": False}, {"resume": False, "overwrite": True}):
        with pytest.raises(FileExistsError, match="holds no run"):
            open_run(tmp_path, tiny(), **choice)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_what_a_kill_left_of_the_first_file_is_in_nobodys_way(tmp_path, tiny):
    left = tmp_path / ".config.json.17.ab.partial"
    for choice in ({"resume": True, "overwrite": False}, {"resume": False, "overwrite": False}):
        left.write_text("{")
        (tmp_path / "config.json").unlink(missing_ok=True)
        open_run(tmp_path, tiny(), **choice)
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_overwrite_removes_the_run_and_nothing_else(tmp_path, tiny):
    open_run(tmp_path, tiny(), resume=False, overwrite=False)
    for name in ("metrics.csv", "summary.json", "letter.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "checkpoints" / "step_000000005").mkdir(parents=True)
    open_run(tmp_path, tiny(steps=3), resume=False, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "letter.txt"]
    assert json.loads((tmp_path / "config.json").read_text())["train"]["steps"] == 3


def test_a_run_resumes_only_under_its_own_config(tmp_path, tiny):
    open_run(tmp_path, tiny(), resume=False, overwrite=False)
    open_run(tmp_path, tiny(), resume=True, overwrite=False)
    with pytest.raises(ValueError, match=r"optimizer.learning_rate: 0.02 became 0.5"):
        open_run(tmp_path, tiny(learning_rate=0.5), resume=True, overwrite=False)


def test_resume_and_overwrite_exclude_each_other(tmp_path, tiny):
    with pytest.raises(ValueError, match="choose one"):
        open_run(tmp_path, tiny(), resume=True, overwrite=True)


def test_rows_after_the_checkpoint_and_a_torn_line_are_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    with MetricsFile(path, ["loss", "score"], 0) as file:
        for step in (2, 4, 6):
            file.append(step, 1, {"loss": 1 / step} | ({"score": 0.5} if step == 4 else {}))
    whole = path.read_text()
    path.write_text(whole[:-3])
    with MetricsFile(path, ["loss", "score"], 2) as file:
        file.append(4, 1, {"loss": 1 / 4, "score": 0.5})
        file.append(6, 1, {"loss": 1 / 6})
    assert path.read_text() == whole
    assert whole.splitlines()[:3] == ["step,seed,loss,score", "2,1,0.5,", "4,1,0.25,0.5"]


def test_numbers_in_rows_are_exact_in_float32(tmp_path):
    import numpy as np

    values = np.random.default_rng(0).normal(size=50).astype(np.float32) * np.float32(1e-3)
    with MetricsFile(tmp_path / "metrics.csv", ["loss"], 0) as file:
        for step, value in enumerate(values):
            file.append(step, 0, {"loss": value})
    lines = (tmp_path / "metrics.csv").read_text().splitlines()[1:]
    assert [np.float32(line.split(",")[2]) for line in lines] == values.tolist()


def test_the_manifest_tells_the_circumstances_of_every_sitting(tmp_path):
    path = tmp_path / "manifest.json"
    Manifest(path, [3]).write("interrupted")
    Manifest(path, [3], resumed_at=8).write("done")
    content = json.loads(path.read_text())
    assert content["status"] == "done" and content["seeds"] == [3]
    assert [sitting["from_step"] for sitting in content["sittings"]] == [0, 8]
    wanted = {"versions", "data_version", "commit", "dirty", "device", "flags", "wall_seconds", "started"}
    assert all(wanted <= sitting.keys() for sitting in content["sittings"])
    assert {"jax", "jaxlib", "numpy", "optax"} <= content["sittings"][0]["versions"].keys()
    assert dataclasses.is_dataclass(Manifest)


@pytest.mark.parametrize(("error", "status"), [(FloatingPointError, "diverged"), (OSError, "failed")])
def test_the_manifest_of_a_run_that_an_error_ended_is_not_left_running(tmp_path, error, status):
    with pytest.raises(error), Manifest(tmp_path / "manifest.json", [0]):
        assert json.loads((tmp_path / "manifest.json").read_text())["status"] == "running"
        raise error
    assert json.loads((tmp_path / "manifest.json").read_text())["status"] == status


def test_a_folder_has_one_user_and_is_free_after_it(tmp_path):
    with alone_in(tmp_path):
        with pytest.raises(FolderBusyError, match=f"in use by process {os.getpid()}"), alone_in(tmp_path):
            pass
        with pytest.raises(FolderBusyError), alone_in(tmp_path):
            pass  # a refusal frees nothing
    with alone_in(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_holder_who_removed_it_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    from lstm_jax.train import records

    attempts, try_lock = [], records._try_lock

    def removed_by_its_last_holder(stream):
        attempts.append(stream)
        if len(attempts) == 1:
            (tmp_path / ".lock").unlink()
        return try_lock(stream)

    monkeypatch.setattr(records, "_try_lock", removed_by_its_last_holder)
    with alone_in(tmp_path), pytest.raises(FolderBusyError), alone_in(tmp_path):
        pass
    assert len(attempts) == 3


def test_a_folder_made_for_the_lock_goes_with_it_unless_it_was_used(tmp_path):
    with alone_in(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []
    with alone_in(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "kept").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["kept"]


def test_a_lock_that_a_killed_process_left_is_not_content(tmp_path, tiny):
    (tmp_path / ".lock").write_text("1")
    with alone_in(tmp_path):
        check_run(tmp_path, tiny(), resume=False, overwrite=False)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file"), alone_in(tmp_path / "file"):
        pass


def test_an_overwrite_that_was_stopped_leaves_a_run_that_can_be_overwritten(tmp_path, tiny, monkeypatch):
    open_run(tmp_path, tiny(), resume=False, overwrite=False)
    (tmp_path / "checkpoints" / "step_000000005").mkdir(parents=True)

    def stopped(path):
        raise PermissionError(path)

    monkeypatch.setattr("shutil.rmtree", stopped)
    with pytest.raises(PermissionError):
        open_run(tmp_path, tiny(steps=3), resume=False, overwrite=True)
    monkeypatch.undo()
    open_run(tmp_path, tiny(steps=3), resume=False, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_processes_of_one_number_write_a_file_without_losing_it(tmp_path):
    """Threads stand for processes of several hosts, whose numbers may be equal."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: write_atomically(tmp_path / "a.txt", b"x" * 1000 * n), range(1, 200)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_in_use_is_told_without_taking_its_lock(tmp_path):
    refuse_busy(tmp_path)
    with alone_in(tmp_path):
        with pytest.raises(FolderBusyError, match=f"in use by process {os.getpid()}"):
            refuse_busy(tmp_path)
    refuse_busy(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, tiny):
    open_run(tmp_path, tiny(), resume=False, overwrite=False)
    for name in ("summary.json", "config.json"):
        (tmp_path / name).write_text(text)
        with pytest.raises((ValueError, TypeError), match=name):
            train(tiny(), tmp_path, resume=True, progress=False)
        (tmp_path / name).unlink()
        start_run(tmp_path, tiny(), resume=False)


def test_a_row_without_a_step_is_told(tmp_path):
    (tmp_path / "metrics.csv").write_text("step,seed,loss\nx,0,1\n")
    with pytest.raises(ValueError, match="metrics.csv has a row that begins with 'x'"):
        MetricsFile(tmp_path / "metrics.csv", ["loss"], 3)


def test_a_torn_line_may_hold_any_bytes_and_a_damaged_one_names_the_file(tmp_path):
    path = tmp_path / "metrics.csv"
    with MetricsFile(path, ["loss"], 0) as file:
        file.append(2, 1, {"loss": 0.5})
    whole = path.read_bytes()
    path.write_bytes(whole + b"4,1,\xff\xfe")
    with MetricsFile(path, ["loss"], 2):
        assert path.read_bytes() == whole
    path.write_bytes(whole + b"4,1,\xff\n")
    with pytest.raises(ValueError, match=r"metrics.csv cannot be read"):
        MetricsFile(path, ["loss"], 2)


def test_a_damaged_manifest_does_not_stop_a_run_that_goes_on(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text("{")
    with pytest.warns(UserWarning, match=r"set aside as manifest.json.damaged"):
        Manifest(path, [0], resumed_at=2)
    assert path.is_file() and (tmp_path / "manifest.json.damaged").read_text() == "{"
