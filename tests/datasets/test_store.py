"""Preparation is whole or not there: kills, races, damage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, describe, load, prepare
from lstm_jax.datasets.store import prepared_folder, write_prepared

DIGITS = DATASETS["digits"]

HANG_IN_THE_MIDDLE = r"""
import os, sys, time
from pathlib import Path
from lstm_jax.datasets import DATASETS, sources
from lstm_jax.datasets.store import write_prepared
digits = DATASETS["digits"]
def hang(examples):
    yield from examples[:100]
    os.write(1, b"half way\n")  # print is silenced while TFDS writes
    time.sleep(60)
parts = dict(digits.parse(sources("digits")[-1].paths))
parts["test"] = hang(parts["test"])
write_prepared(digits, parts, Path(sys.argv[1]), "a process that will be killed")
"""

PREPARE = "import sys; from lstm_jax.datasets import prepare; prepare('digits', data_dir=sys.argv[1])"


def start(code, root, data_dir):
    environment = {**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
    environment.pop("LSTM_JAX_RAW_DIR", None)
    command = [sys.executable, "-c", code, str(data_dir)]
    return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)


def leftovers(data_dir: Path) -> list[Path]:
    return list((data_dir / "digits").glob(".preparing-*"))


def test_a_kill_in_the_middle_leaves_nothing_that_is_read(root, tmp_path):
    with start(HANG_IN_THE_MIDDLE, root, tmp_path) as process:
        assert process.stdout.readline() == "half way\n"
        process.kill()
    assert leftovers(tmp_path) and not prepared_folder(DIGITS, tmp_path).exists()
    assert {about.name: about.status for about in describe(data_dir=tmp_path)}["digits"] == "available"
    assert len(load("digits", "test", data_dir=tmp_path).inputs) == 300
    for path in leftovers(tmp_path):
        os.utime(path, (0, 0))
    write_prepared(DIGITS, {split: [example()] for split in DIGITS.splits}, tmp_path, "again")
    assert not leftovers(tmp_path)


def test_of_two_results_the_first_stays(tmp_path):
    prepare("digits", data_dir=tmp_path)
    write_prepared(DIGITS, {split: [example()] for split in DIGITS.splits}, tmp_path, "too late")
    assert len(load("digits", "test", data_dir=tmp_path).inputs) == 300
    assert not leftovers(tmp_path)


def test_two_processes_prepare_the_same_folder_at_once(root, tmp_path):
    processes = [start(PREPARE, root, tmp_path) for _ in range(2)]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    assert not leftovers(tmp_path)
    assert len(load("digits", "train", data_dir=tmp_path).inputs) == 1197


def test_an_error_in_the_middle_leaves_nothing_behind(tmp_path):
    def broken():
        yield example()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_prepared(DIGITS, {"train": broken(), "validation": [example()], "test": [example()]}, tmp_path, "broken")
    assert not list((tmp_path / "digits").iterdir())


def test_a_part_without_examples_is_an_error(tmp_path):
    with pytest.raises(RawDataError, match="'digits' hold no example for 'validation'"):
        write_prepared(DIGITS, {"train": [example()], "validation": iter(()), "test": [example()]}, tmp_path, "empty")
    assert not (tmp_path / "digits").exists()


def test_examples_keep_their_order_and_values(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 17, (50, 8, 8), np.uint8)
    part = [{"image": image, "label": n % 10} for n, image in enumerate(images)]
    write_prepared(DIGITS, {split: part for split in DIGITS.splits}, tmp_path, "made up")
    found = load("digits", "validation", data_dir=tmp_path)
    np.testing.assert_array_equal(found.inputs.reshape(50, 8, 8) * 16, images)
    assert found.targets[:, -1].tolist() == [n % 10 for n in range(50)]


@pytest.mark.parametrize("damage", ["truncated", "removed", "no manifest"])
def test_a_damaged_prepared_folder_is_named_and_not_read(tmp_path, damage):
    folder = prepare("digits", data_dir=tmp_path)
    shard = next(folder.glob("*test.array_record*"))
    if damage == "truncated":
        shard.write_bytes(shard.read_bytes()[:1000])
    else:
        (shard if damage == "removed" else folder / "prepared.json").unlink()
    with pytest.raises(RawDataError, match="damaged") as caught:
        load("digits", "train", data_dir=tmp_path)
    assert str(folder) in str(caught.value) and "remove" in str(caught.value)
    assert {about.name: about.status for about in describe(data_dir=tmp_path)}["digits"] == "damaged"


def test_a_flipped_byte_is_noticed(tmp_path):
    folder = prepare("digits", data_dir=tmp_path)
    shard = next(folder.glob("*test.array_record*"))
    content = bytearray(shard.read_bytes())
    content[5000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(RawDataError, match="is damaged.*remove it and prepare again"):
        load("digits", "test", data_dir=tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot be written into.*LSTM_JAX_DATA_DIR"):
        prepare("digits", data_dir=tmp_path / "file")


def example():
    return {"image": np.zeros((8, 8), np.uint8), "label": 0}
