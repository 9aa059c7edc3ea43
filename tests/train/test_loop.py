"""A run on disk: killed, interrupted or damaged, it ends with the bytes of the run that never stopped."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from lstm_jax.train.checkpoint import checkpoint_steps
from lstm_jax.train.config import from_json, to_json
from lstm_jax.train.loop import next_stop, train
from lstm_jax.train.population import run_population
from lstm_jax.train.program import begin
from lstm_jax.train.records import FolderBusyError, alone_in

SCRIPT = """
import sys, jax
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
from lstm_jax.train.config import from_json
from lstm_jax.train.loop import train
sys.exit(train(from_json(sys.argv[1]), sys.argv[2], resume="resume" in sys.argv[3:]).exit_code)
"""


@pytest.fixture(scope="module")
def long(tiny):
    """Long enough to be hit while it runs, even on a fast machine."""
    return tiny(steps=40_000, log_every=50, eval_every=200, checkpoint_every=100, keep=2, trials=2)


@pytest.fixture(scope="module")
def finite(tiny):
    return tiny(trials=2, input_noise=0.1)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, finite):
    path = tmp_path_factory.mktemp("runs") / "whole"
    return path, train(finite, path, progress=False)


def spawn(config, path, root, *words):
    command = [sys.executable, "-c", SCRIPT, to_json(config), str(path), *words]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)


def wait_for_checkpoint(process, path, deadline=180):
    end = time.monotonic() + deadline
    while not checkpoint_steps(path / "checkpoints"):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end, "no checkpoint appeared"
        time.sleep(0.02)


def test_a_run_in_a_folder_is_the_run_in_memory(finite, uninterrupted):
    _, summary = uninterrupted
    result = run_population(finite)
    np.testing.assert_allclose(summary.test["mse"], result.test["mse"], rtol=1e-5)
    assert summary.exit_code == 0 and summary.seeds == [0, 1] and summary.steps_run == [12, 12]


def test_the_folder_holds_what_it_should(finite, uninterrupted):
    path, summary = uninterrupted
    assert from_json((path / "config.json").read_text()) == finite
    assert json.loads((path / "summary.json").read_text())["test"] == summary.test
    assert json.loads((path / "manifest.json").read_text())["status"] == "done"
    rows = (path / "metrics.csv").read_text().splitlines()
    assert rows[0] == "step,seed,train_mse,train_grad_norm,validation_mse"
    assert [row.split(",")[:2] for row in rows[1:5]] == [["2", "0"], ["2", "1"], ["4", "0"], ["4", "1"]]
    assert [row.endswith(",") for row in rows[1:5]] == [True, True, False, False]
    assert checkpoint_steps(path / "checkpoints") == [4, 8, 12]


def test_resume_after_a_flipped_byte_ends_with_the_same_bytes(
    tmp_path, finite, uninterrupted, capsys, arrays, assert_same_bits
):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted[0], path)
    for name in ("summary.json", "checkpoints/step_000000012"):
        target = path / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    newest = path / "checkpoints" / "step_000000008" / "arrays"
    victim = max((file for file in newest.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 4
    victim.write_bytes(bytes(content))
    summary = train(finite, path, resume=True, progress=False)
    said = capsys.readouterr().err
    assert victim.name in said and "going back to the checkpoint of step 4" in said
    assert summary == uninterrupted[1]
    for name in ("metrics.csv", "summary.json", "config.json"):
        assert (path / name).read_bytes() == (uninterrupted[0] / name).read_bytes(), name
    assert_same_bits(arrays(finite, path), arrays(finite, uninterrupted[0]))
    assert [s["from_step"] for s in json.loads((path / "manifest.json").read_text())["sittings"]] == [0, 4]


def test_a_finished_run_is_not_run_again(finite, uninterrupted):
    path, summary = uninterrupted
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    assert train(finite, path, resume=True, progress=False) == summary
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_a_folder_in_use_is_refused(finite, uninterrupted):
    with pytest.raises(FileExistsError, match="not empty"):
        train(finite, uninterrupted[0], progress=False)


@pytest.mark.parametrize("choice", [{}, {"resume": True}, {"overwrite": True}])
def test_a_run_that_another_process_works_on_is_left_alone(finite, uninterrupted, choice):
    path = uninterrupted[0]
    with alone_in(path):
        before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        with pytest.raises(FolderBusyError, match="in use by process"):
            train(finite, path, progress=False, **choice)
        assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_killed_and_resumed_is_bitwise_the_run_that_never_stopped(tmp_path, root, tiny, arrays, assert_same_bits):
    config = tiny(steps=90, log_every=3, eval_every=6, checkpoint_every=6, keep=2, trials=2, input_noise=0.1)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = spawn(config, killed, root)
    wait_for_checkpoint(process, killed)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    reached = checkpoint_steps(killed / "checkpoints")[-1]
    assert 0 < reached < config.train.steps
    assert (killed / ".lock").exists(), "killed while it held the folder"
    assert not (killed / "summary.json").exists()
    train(config, killed, resume=True, progress=False)
    train(config, whole, progress=False)
    for name in ("metrics.csv", "summary.json", "config.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    (step, tree), (_, expected) = arrays(config, killed), arrays(config, whole)
    assert step == config.train.steps
    assert_same_bits(tree, expected)


def test_each_checkpoint_brings_the_time_in_the_manifest_up_to_date(tmp_path, tiny, monkeypatch):
    from lstm_jax.train import loop

    times, save = [], loop.save

    def note_what_a_kill_would_leave(*arguments):
        manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
        assert manifest["status"] == "running"
        times.append(manifest["sittings"][0]["wall_seconds"])
        time.sleep(0.01)
        return save(*arguments)

    monkeypatch.setattr(loop, "save", note_what_a_kill_would_leave)
    train(tiny(), tmp_path / "run", progress=False)
    assert len(times) == 3 and times[0] < times[1] < times[2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_leaves(tmp_path, root, long, number, code):
    process = spawn(long, tmp_path / "run", root)
    wait_for_checkpoint(process, tmp_path / "run")
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    steps = checkpoint_steps(tmp_path / "run" / "checkpoints")
    assert f"step {steps[-1]} is saved" in said
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert rows[-1].startswith(f"{steps[-1]},1,"), "rows and checkpoint end at the same step"
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "interrupted"


def test_a_signal_before_the_first_step_saves_too(tmp_path, tiny, monkeypatch):
    from lstm_jax.train import loop

    def begin_and_interrupt(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return begin(*arguments)

    monkeypatch.setattr(loop, "begin", begin_and_interrupt)
    summary = train(tiny(), tmp_path / "run", progress=False)
    assert summary.exit_code == 143 and summary.test == {} and summary.steps_run == [0]
    assert checkpoint_steps(tmp_path / "run" / "checkpoints") == [0]
    monkeypatch.undo()
    assert train(tiny(), tmp_path / "run", resume=True, progress=False).exit_code == 0


def test_the_second_interrupt_exits_at_once():
    script = (
        "import os, signal\nfrom lstm_jax.train.interrupt import Interrupt\n"
        "with Interrupt() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT); assert stop and stop.exit_code == 130\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 130 and "still here" not in done.stdout, done


def test_a_run_whose_trials_all_diverge_says_so(tmp_path, tiny):
    config = tiny(learning_rate=1e38, clip_norm=None, steps=400, eval_every=400, log_every=400, checkpoint_every=400)
    summary = train(config, tmp_path / "run", progress=False)
    assert summary.exit_code == 3 and summary.diverged == [True]
    assert summary.test["mse"] == [None], "there is no best validation whose parameters could be tested"
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "diverged"


def test_a_run_that_raises_at_a_divergence_is_recorded_as_diverged(tmp_path, tiny):
    config = tiny(learning_rate=1e38, clip_norm=None, steps=400, eval_every=400, log_every=400, nan_policy="raise")
    with pytest.raises(FloatingPointError, match="seed 0"):
        train(config, tmp_path / "run", progress=False)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "diverged"


@pytest.mark.parametrize("changes", [{"name": "ading"}, {"options": {"lenght": 4}}])
def test_a_typo_leaves_no_trace_so_the_corrected_command_runs(tmp_path, tiny, changes):
    wrong = dataclasses.replace(tiny(), data=dataclasses.replace(tiny().data, **changes))
    with pytest.raises(ValueError, match="did you mean"):
        train(wrong, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_network_that_does_not_fit_the_data_leaves_no_trace(tmp_path, tiny):
    config = tiny()
    wrong = dataclasses.replace(config, model=dataclasses.replace(config.model, embedding=8))
    with pytest.raises(ValueError, match="embedding"):
        train(wrong, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_typo_under_overwrite_keeps_the_run(tmp_path, uninterrupted, tiny):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted[0], path)
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    wrong = dataclasses.replace(tiny(), data=dataclasses.replace(tiny().data, name="ading"))
    with pytest.raises(ValueError, match="did you mean 'adding'"):
        train(wrong, path, overwrite=True, progress=False)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_run_lies_where_a_relative_path_points(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    summary = train(tiny(), "here/run", progress=False)
    assert summary.exit_code == 0 and checkpoint_steps(tmp_path / "here" / "run" / "checkpoints") == [4, 8, 12]
    (tmp_path / "here" / "run" / "summary.json").unlink()
    assert train(tiny(), "here/run", resume=True, progress=False) == summary


def test_overwrite_runs_a_finished_run_again(tmp_path, uninterrupted, finite):
    path = tmp_path / "run"
    shutil.copytree(uninterrupted[0], path)
    (path / "summary.json").write_text("{}")
    assert train(finite, path, overwrite=True, progress=False) == uninterrupted[1]


def test_chunks_end_at_rows_evaluations_checkpoints_and_the_end(tiny):
    config = tiny(steps=23, log_every=5, eval_every=10, checkpoint_every=7).train
    stops, step = [], 0
    while step < config.steps:
        step = next_stop(config, step)
        stops.append(step)
    assert stops == [5, 7, 10, 14, 15, 20, 21, 23]


def test_a_checkpoint_of_another_run_is_refused(tmp_path, finite, uninterrupted):
    """Copied by hand, say: shapes fit, numbers would be those of other settings."""
    other = dataclasses.replace(finite, optimizer=dataclasses.replace(finite.optimizer, learning_rate=0.5))
    path, _ = uninterrupted
    train(other, tmp_path / "other", progress=False)
    shutil.rmtree(tmp_path / "other" / "checkpoints")
    shutil.copytree(path / "checkpoints", tmp_path / "other" / "checkpoints")
    (tmp_path / "other" / "summary.json").unlink()
    with pytest.raises(ValueError, match="optimizer.learning_rate"):
        train(other, tmp_path / "other", resume=True, progress=False)
