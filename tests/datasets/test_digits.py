"""The digits against scikit-learn's own reading."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lstm_jax.datasets import DATASETS, chance, load


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("digits")
    return {split: load("digits", split, data_dir=data_dir) for split in DATASETS["digits"].splits}


def _images(sequences):
    return {(tuple(row), label) for row, label in zip(sequences.inputs[..., 0], sequences.targets[:, -1], strict=True)}


def test_splits_have_the_documented_sizes_and_are_stratified(parts):
    assert {name: len(part.inputs) for name, part in parts.items()} == {"train": 1197, "validation": 300, "test": 300}
    for name in ("validation", "test"):
        assert np.bincount(parts[name].targets[:, -1]).tolist() == [30] * 10


def test_the_parts_together_are_the_images_of_scikit_learn(parts):
    digits = load_digits()
    expected = sorted((tuple(row / 16), int(label)) for row, label in zip(digits.data, digits.target, strict=True))
    found = [
        (tuple(row.astype(float)), int(label))
        for part in parts.values()
        for row, label in zip(part.inputs[..., 0], part.targets[:, -1], strict=True)
    ]
    assert sorted(found) == expected


def test_no_image_is_in_two_parts(parts):
    train, validation, test = (_images(parts[name]) for name in ("train", "validation", "test"))
    assert not (train & validation or train & test or validation & test)


def test_only_the_last_of_64_steps_counts(parts):
    part = parts["test"]
    assert part.inputs.shape == (300, 64, 1) and part.lengths.tolist() == [64] * 300
    assert part.loss_mask[:, -1].all() and part.loss_mask.sum() == 300


def test_chance_is_one_in_ten(tmp_path):
    assert chance("digits", data_dir=tmp_path) == pytest.approx(0.1)
