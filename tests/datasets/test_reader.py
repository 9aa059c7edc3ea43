"""Rows that stay on disk are, row by row and to the bit, those of the whole split in memory."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, open_reader, reader
from lstm_jax.datasets.builder import DiskRows, read
from lstm_jax.datasets.reader import Reader, survey
from lstm_jax.datasets.record import Feature
from lstm_jax.datasets.sequences import Sequences, padded
from lstm_jax.datasets.store import write_prepared
from lstm_jax.names import UsageError


def strings(rows, keep_short=True):
    """Ragged frames, and labels without times whose number has nothing to do with theirs."""
    kept = [n for n, frames in enumerate(rows["frames"]) if keep_short or len(frames) > 4]
    inputs, lengths, mask = padded([rows["frames"][n] for n in kept])
    labels, _, _ = padded([rows["labels"][n][:, None] for n in kept])
    return Sequences(inputs, labels[..., 0].astype(np.int32), lengths, mask)


RAGGED = replace(
    DATASETS["digits"],
    name="ragged",
    features={"frames": Feature((None, 3), np.float32), "labels": Feature((None,), np.int32)},
    view=strings,
    view_options={"keep_short": True},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)

    def example():
        frames, labels = rng.integers(1, 9, 2)
        return {
            "frames": rng.normal(size=(frames, 3)).astype(np.float32),
            "labels": rng.integers(1, 5, labels, np.int32),
        }

    parts = {split: [example() for _ in range(11)] for split in RAGGED.splits}
    return write_prepared(RAGGED, parts, tmp_path_factory.mktemp("data"), "made up")


@pytest.fixture
def on_disk(folder, monkeypatch):
    monkeypatch.setattr(reader, "BLOCK", 4)
    rows = DiskRows(RAGGED, folder, "train")
    return Reader(RAGGED, {}, rows, survey(RAGGED, {}, rows, print))


def test_any_rows_in_any_order_are_those_of_the_whole_split(folder, on_disk):
    whole = strings(read(RAGGED, folder, "train"))
    assert len(on_disk) == 11
    for numbers in (range(11), [3], [10, 0, 3, 3], np.random.default_rng(1).integers(0, 11, 30)):
        for found, expected in zip(on_disk.read(numbers), whole, strict=True):
            np.testing.assert_array_equal(found, expected[np.asarray(numbers)])
            assert found.dtype == expected.dtype


def test_the_survey_knows_every_length_and_the_widest_of_all_blocks(folder, on_disk):
    whole = strings(read(RAGGED, folder, "train"))
    np.testing.assert_array_equal(on_disk.survey.lengths, whole.lengths)
    assert on_disk.survey[1:] == (whole.inputs.shape[1], whole.targets.shape[1], whole.inputs.shape[1])


def test_a_long_survey_says_how_far_it_is(on_disk, monkeypatch):
    monkeypatch.setattr(reader, "TELL_SECONDS", -1.0)
    said = []
    survey(RAGGED, {}, on_disk.rows, said.append)
    assert said == [f"ragged: measured {count} of 11 rows on disk" for count in (4, 8, 11)]


def test_a_view_that_leaves_rows_out_is_refused(folder, on_disk):
    picky = replace(on_disk, options={"keep_short": False})
    with pytest.raises(
        UsageError, match=r"'ragged': its view made \d sequences of 11 rows under {'keep_short': False}"
    ):
        picky.read(range(11))


def test_sets_that_are_made_of_all_rows_together_are_refused_and_others_named():
    assert not DATASETS["spoken_strings"].by_row and DATASETS["spoken_words"].by_row
    with pytest.raises(UsageError, match="'spoken_strings' is made of all its rows together.*spoken_words"):
        open_reader("spoken_strings", "train")


def test_damage_is_named_when_it_is_met(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (file,) = copy.glob("*train*array_record*")
    content = np.frombuffer(file.read_bytes(), np.uint8).copy()
    written = np.flatnonzero(content)  # the rest of a block is empty
    content[written[len(written) // 2]] ^= 255
    file.write_bytes(content.tobytes())
    with pytest.raises(RawDataError, match="prepared data set 'ragged' in .*copy is damaged"):
        DiskRows(RAGGED, copy, "train").at(range(11))


def test_a_package_that_is_missing_is_not_called_damage(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match="pip install 'lstm_jax\\[data\\]'"):
        DiskRows(RAGGED, folder, "train")


BY_ROW = sorted(name for name, record in DATASETS.items() if record.by_row)


@pytest.mark.parametrize("name", BY_ROW)
def test_every_set_that_may_stay_on_disk_is_viewed_row_by_row(name):
    rows, record = made_up(DATASETS[name]), DATASETS[name]
    whole, part = (record.view(some, **record.options()) for some in (rows, {k: v[2:4] for k, v in rows.items()}))
    steps, labels = part.inputs.shape[1], part.targets.shape[1]
    np.testing.assert_array_equal(part.inputs, whole.inputs[2:4, :steps])
    np.testing.assert_array_equal(part.targets, whole.targets[2:4, :labels])
    np.testing.assert_array_equal(part.loss_mask, whole.loss_mask[2:4, :steps])
    np.testing.assert_array_equal(part.lengths, whole.lengths[2:4])


def made_up(record):
    """Five rows of noise in the form that stands on disk."""
    rng = np.random.default_rng(0)

    def value(feature, n):
        if feature.dtype is str:
            return "theo"
        if not feature.shape:
            return n
        size = [300 + 90 * n if side is None else side for side in feature.shape]
        return rng.integers(0, 2, size).astype(feature.dtype)

    return {name: [value(feature, n) for n in range(5)] for name, feature in record.features.items()}
