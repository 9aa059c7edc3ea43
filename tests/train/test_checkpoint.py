"""A checkpoint is whole or absent, and every byte of it is watched."""

import numpy as np
import pytest

from lstm_jax.cell.params import Params
from lstm_jax.train import checkpoint
from lstm_jax.train.checkpoint import (
    DamagedCheckpointError,
    checkpoint_steps,
    load_checkpoint,
    save_checkpoint,
    set_aside_after,
    verify_checkpoint,
)


def tree(seed):
    draw = np.random.default_rng(seed)
    weights = Params(draw.normal(size=(2, 3)).astype(np.float32), draw.normal(size=3), np.arange(4), None, None)
    return {"params": weights, "active": np.array([True, False]), "seed": np.array([7], np.uint32), "empty": ()}


@pytest.fixture
def folder(tmp_path):
    for step in (5, 10, 15, 20):
        save_checkpoint(tmp_path, step, tree(step), "{}", keep=3)
    return tmp_path


def files_of(path):
    return sorted(file for file in path.rglob("*") if file.is_file())


def flip(file, position):
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1
    file.write_bytes(bytes(content))


def test_the_newest_checkpoint_comes_back_bit_by_bit(folder, assert_same_bits):
    step, loaded = load_checkpoint(folder, tree(0))
    assert step == 20
    assert_same_bits(loaded, tree(20))


def test_only_the_newest_are_kept(folder):
    assert checkpoint_steps(folder) == [10, 15, 20]
    assert (folder / "step_000000020" / "config.json").read_text() == "{}"


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert load_checkpoint(tmp_path / "none", tree(0)) is None


def test_a_flipped_byte_is_found_in_every_file(folder):
    path = folder / "step_000000020"
    files = files_of(path)
    assert len(files) > 5
    for file in files:
        before = file.read_bytes()
        if not before:
            continue
        flip(file, 3 * len(before) // 4)
        with pytest.raises(DamagedCheckpointError) as caught:
            verify_checkpoint(path)
        if file.name != "sha256.txt":
            assert file.relative_to(path).as_posix() in str(caught.value)
        file.write_bytes(before)
    verify_checkpoint(path)


def test_a_missing_and_a_foreign_file_are_named(folder):
    path = folder / "step_000000020"
    (path / "extra").write_text("x")
    with pytest.raises(DamagedCheckpointError, match="extra does not belong"):
        verify_checkpoint(path)
    (path / "extra").unlink()
    (path / "config.json").unlink()
    with pytest.raises(DamagedCheckpointError, match="config.json is missing"):
        verify_checkpoint(path)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(folder, assert_same_bits):
    flip(max(files_of(folder / "step_000000020" / "arrays"), key=lambda file: file.stat().st_size), 100)
    said = []
    step, loaded = load_checkpoint(folder, tree(0), said.append)
    assert step == 15
    assert_same_bits(loaded, tree(15))
    assert "step_000000020" in said[0] and "has changed" in said[0] and "checkpoint of step 15" in said[0]
    assert checkpoint_steps(folder) == [10, 15, 20], "whoever reads changes nothing"
    set_aside_after(folder, step)
    assert checkpoint_steps(folder) == [10, 15] and (folder / "step_000000020.damaged").is_dir()


def test_a_checkpoint_that_the_run_removes_meanwhile_has_a_newer_one_beside_it(folder, monkeypatch):
    def removed_first(path):
        if path.name == "step_000000020" and not (folder / "step_000000025").exists():
            save_checkpoint(folder, 25, tree(25), "{}", keep=1)
        return verify_checkpoint(path)

    monkeypatch.setattr(checkpoint, "verify_checkpoint", removed_first)
    said = []
    assert load_checkpoint(folder, tree(0), said.append)[0] == 25 and not said


def test_a_checkpoint_is_removed_whole_from_under_a_reader(folder, monkeypatch):
    monkeypatch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)
    save_checkpoint(folder, 25, tree(25), "{}", keep=1)
    assert checkpoint_steps(folder) == [25], "renamed before anything of it is taken away"


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_only_has_the_name_of_a_checkpoint_is_passed_over(folder, kind):
    path = folder / "step_000000030"
    if kind == "file":
        path.write_text("?")
    else:
        path.symlink_to(folder / "nowhere")
    said = []
    assert load_checkpoint(folder, tree(0), said.append)[0] == 20 and "step_000000030" in said[0]


def test_nothing_is_made_up_when_all_are_damaged(folder):
    for step in checkpoint_steps(folder):
        (folder / f"step_{step:09d}" / "sha256.txt").unlink()
    with pytest.raises(DamagedCheckpointError, match="start again"):
        load_checkpoint(folder, tree(0), lambda _: None)


def test_a_half_written_checkpoint_is_no_checkpoint(folder, monkeypatch):
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(folder, 25, tree(25), "{}", keep=3)
    monkeypatch.undo()
    assert load_checkpoint(folder, tree(0))[0] == 20
    save_checkpoint(folder, 30, tree(30), "{}", keep=3)
    assert not list(folder.glob("*.unfinished"))


def test_another_shape_is_refused(folder):
    other = tree(0)
    other["seed"] = np.zeros(2, np.uint32)
    with pytest.raises(ValueError, match="does not fit this config"):
        load_checkpoint(folder, other)
