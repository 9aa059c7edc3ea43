"""Folk tunes: the canonical split against scipy's own reading, and what cutting does to predictions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from lstm_jax.datasets import DATASETS, RawDataError, chance, load, prepare
from lstm_jax.datasets.piano_rolls import cut, view
from lstm_jax.datasets.record import RawFile
from lstm_jax.datasets.sequences import marginal_nll

KEYS_OF_SPLITS = {"train": "traindata", "validation": "validdata", "test": "testdata"}


@pytest.fixture(scope="module")
def real_dir(raw_data, tmp_path_factory):
    if raw_data is None or not (raw_data / "nottingham").is_dir():
        pytest.skip("no Nottingham.mat here: name its folder in LSTM_JAX_RAW_DIR")
    return {"raw_dir": raw_data, "data_dir": tmp_path_factory.mktemp("nottingham")}


@pytest.fixture(scope="module")
def real_cells(real_dir):
    cells = loadmat(real_dir["raw_dir"] / "nottingham" / "Nottingham.mat")
    return {split: list(cells[key][0]) for split, key in KEYS_OF_SPLITS.items()}


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A tiny file in the place of the real one; returns its rolls and the folders."""
    rng = np.random.default_rng(0)
    rolls = {
        split: [(rng.random((steps, 88)) < 0.1).astype(np.uint8) for steps in lengths]
        for split, lengths in {"train": (11, 4, 2), "validation": (6, 7), "test": (5, 9)}.items()
    }
    cells = {key: np.empty((1, len(rolls[split])), object) for split, key in KEYS_OF_SPLITS.items()}
    for split, key in KEYS_OF_SPLITS.items():
        for n, roll in enumerate(rolls[split]):
            cells[key][0, n] = roll
    folder = tmp_path / "raw" / "nottingham"
    folder.mkdir(parents=True)
    savemat(folder / "Nottingham.mat", cells)
    record = dataclasses.replace(DATASETS["nottingham"], files=(RawFile("Nottingham.mat"),))
    monkeypatch.setitem(DATASETS, "nottingham", record)
    return rolls, {"raw_dir": tmp_path / "raw", "data_dir": tmp_path / "data"}


def predictions(part):
    """Every (step, next step) of a split, in order, as two arrays."""
    return part.inputs[part.loss_mask], part.targets[part.loss_mask]


def assert_predicts(part, rolls):
    inputs, targets = predictions(part)
    np.testing.assert_array_equal(inputs, np.concatenate([roll[:-1] for roll in rolls]))
    np.testing.assert_array_equal(targets, np.concatenate([roll[1:] for roll in rolls]))


@pytest.mark.parametrize(
    ("split", "tunes", "steps"), [("train", 694, 176561), ("validation", 173, 45513), ("test", 170, 44463)]
)
def test_there_are_the_canonical_tunes_and_steps_in_the_order_of_the_file(real_dir, real_cells, split, tunes, steps):
    part = load("nottingham", split, **real_dir)
    assert (len(part.inputs), part.lengths.sum() + tunes) == (tunes, steps)
    assert part.lengths.tolist() == [len(cell) - 1 for cell in real_cells[split]]
    assert part.inputs.shape == part.targets.shape == (tunes, part.lengths.max(), 88)
    assert_predicts(part, real_cells[split])


def test_chance_agrees_with_marginals_computed_from_the_file(real_dir, real_cells):
    share = np.clip(np.concatenate(real_cells["train"]).mean(0), 1e-6, 1 - 1e-6)
    rolls = [np.asarray(cell, float)[1:] for cell in real_cells["test"]]
    total = sum(-(roll * np.log(share) + (1 - roll) * np.log(1 - share)).sum() for roll in rolls)
    assert chance("nottingham", **real_dir) == pytest.approx(total / sum(map(len, rolls)), rel=1e-5)
    assert DATASETS["nottingham"].chance is marginal_nll


def test_real_tunes_cut_short_make_the_same_predictions(real_dir, real_cells):
    part = load("nottingham", "validation", longest=100, **real_dir)
    assert part.inputs.shape[1] == part.lengths.max() == 100
    assert len(part.inputs) == sum(-(-(len(cell) - 1) // 100) for cell in real_cells["validation"])
    assert_predicts(part, real_cells["validation"])


def test_a_made_up_file_is_prepared_and_read_in_order(made_up):
    rolls, folders = made_up
    for split, expected in rolls.items():
        part = load("nottingham", split, **folders)
        assert part.lengths.tolist() == [len(roll) - 1 for roll in expected]
        assert_predicts(part, expected)


def test_whole_tunes_are_the_default(made_up):
    rolls, folders = made_up
    whole, named = load("nottingham", "train", **folders), load("nottingham", "train", longest=None, **folders)
    assert whole is named and whole.inputs.shape == (3, 10, 88)
    assert load("nottingham", "train", longest=10, **folders).lengths.tolist() == [10, 3, 1]


def test_cut_tunes_are_sequences_of_their_own(made_up):
    rolls, folders = made_up
    part = load("nottingham", "train", longest=4, **folders)
    assert part.lengths.tolist() == [4, 4, 2, 3, 1]
    np.testing.assert_array_equal(part.inputs[1], rolls["train"][0][4:8])
    np.testing.assert_array_equal(part.targets[2, :2], rolls["train"][0][9:11])
    assert not part.inputs[2, 2:].any() and not part.targets[2, 2:].any()
    assert_predicts(part, rolls["train"])


@given(steps=st.integers(2, 60), longest=st.integers(1, 70))
def test_cutting_loses_no_prediction_and_makes_none_twice(steps, longest):
    roll = np.arange(3 * steps).reshape(steps, 3)
    pieces = cut(roll, longest)
    pairs = [(tuple(one), tuple(two)) for piece in pieces for one, two in zip(piece[:-1], piece[1:], strict=True)]
    assert pairs == [(tuple(roll[t]), tuple(roll[t + 1])) for t in range(steps - 1)]
    assert all(len(piece) == longest + 1 for piece in pieces[:-1]) and 2 <= len(pieces[-1]) <= longest + 1
    for piece, following in zip(pieces[:-1], pieces[1:], strict=True):
        np.testing.assert_array_equal(piece[-1], following[0])
    assert all(np.shares_memory(piece, roll) for piece in pieces)


def test_a_tune_without_a_prediction_is_refused_cut_or_whole():
    for longest in (None, 3):
        with pytest.raises(ValueError, match="2 steps or more"):
            view({"roll": [np.zeros((5, 88), np.uint8), np.zeros((1, 88), np.uint8)]}, longest)


@pytest.mark.parametrize("longest", [0, -1, 2.0, "100", True])
def test_an_impossible_length_is_refused(longest):
    with pytest.raises(ValueError, match="longest must be None or a number of predicted steps"):
        view({"roll": [np.zeros((5, 88), np.uint8)]}, longest)


def test_another_file_of_that_name_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "Nottingham.mat"
    savemat(path, {"traindata": np.zeros((1, 1))})
    with pytest.raises(RawDataError, match="is not the published Nottingham.mat") as caught:
        prepare("nottingham", raw_dir=tmp_path, data_dir=tmp_path / "data")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "data").exists()
