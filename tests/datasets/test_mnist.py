"""MNIST: idx files, made up or real, and the views."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, prepare
from lstm_jax.datasets.mnist import parse, permutation, read_idx, view
from lstm_jax.datasets.readers import verify


def write_idx(path, array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))


@pytest.fixture
def made_up(tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "raw" / "mnist"
    folder.mkdir(parents=True)
    arrays = [
        rng.integers(0, 256, (12, 28, 28), np.uint8),
        rng.integers(0, 10, 12, np.uint8),
        rng.integers(0, 256, (5, 28, 28), np.uint8),
        rng.integers(0, 10, 5, np.uint8),
    ]
    paths = [folder / file.name for file in DATASETS["mnist"].files]
    for path, array in zip(paths, arrays, strict=True):
        write_idx(path, array)
    return paths, arrays


def rows(images, labels):
    return {"image": list(images), "label": list(labels)}


def test_validation_is_the_last_sixth_of_the_training_images(made_up):
    paths, (images, labels, test_images, test_labels) = made_up
    parts = {split: list(examples) for split, examples in parse(paths).items()}
    expected = {
        "train": (images[:10], labels[:10]),
        "validation": (images[10:], labels[10:]),
        "test": (test_images, test_labels),
    }
    for split, (part_images, part_labels) in expected.items():
        np.testing.assert_array_equal([example["image"] for example in parts[split]], part_images)
        assert [example["label"] for example in parts[split]] == part_labels.tolist()


def test_the_real_test_files_are_the_published_ones(raw_data):
    if raw_data is None or not (raw_data / "mnist").is_dir():
        pytest.skip("no mnist/*.gz here: name their folder in LSTM_JAX_RAW_DIR")
    for file in DATASETS["mnist"].files:
        if file.name.startswith("t10k") or "labels" in file.name:
            verify(raw_data / "mnist" / file.name, file)
    labels = read_idx(raw_data / "mnist" / "train-labels-idx1-ubyte.gz")
    assert labels.shape == (60000,) and labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert read_idx(raw_data / "mnist" / "t10k-labels-idx1-ubyte.gz")[:5].tolist() == [7, 2, 1, 0, 4]
    assert read_idx(raw_data / "mnist" / "t10k-images-idx3-ubyte.gz").shape == (10000, 28, 28)


def test_the_sequential_view_reads_row_by_row(made_up):
    _, (images, labels, *_) = made_up
    part = view(rows(images, labels), order="sequential", pool=1)
    assert part.inputs.shape == (12, 784, 1)
    np.testing.assert_allclose(part.inputs[3, 28 * 2 + 5, 0], images[3, 2, 5] / 255, rtol=1e-6)
    assert part.targets[:, -1].tolist() == labels.tolist() and part.loss_mask.sum() == 12


def test_pooling_averages_squares(made_up):
    _, (images, labels, *_) = made_up
    part = view(rows(images, labels), order="sequential", pool=2)
    assert part.inputs.shape == (12, 196, 1)
    np.testing.assert_allclose(part.inputs[7, 14 * 3 + 4, 0], images[7, 6:8, 8:10].mean() / 255, rtol=1e-6)


def test_the_permuted_view_moves_the_same_pixels_in_every_image(made_up):
    _, (images, labels, *_) = made_up
    plain, moved = (view(rows(images, labels), order=order, pool=1).inputs for order in ("sequential", "permuted"))
    order = permutation(784)
    np.testing.assert_array_equal(moved[:, :, 0], plain[:, order, 0])
    assert sorted(order) == list(range(784)) and order.tolist() != sorted(order)


def test_the_permutation_is_the_same_for_ever():
    assert permutation(784)[:6].tolist() == [319, 576, 323, 107, 355, 716]


@pytest.mark.parametrize("option", [{"order": "permutated", "pool": 1}, {"order": "permuted", "pool": 3}])
def test_an_impossible_view_is_refused(made_up, option):
    _, (images, labels, *_) = made_up
    with pytest.raises(ValueError, match="did you mean 'permuted'|pool must divide 28"):
        view(rows(images, labels), **option)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: b"", "is empty"),
        (lambda content: content[: len(content) // 2], "truncated or corrupt gzip"),
        (lambda content: content[:40] + b"\xff" * 20 + content[60:], "truncated or corrupt|not the published"),
        (lambda content: gzip.compress(b"text, not pixels"), "not the published train-images-idx3-ubyte.gz"),
    ],
)
def test_a_spoilt_raw_file_is_named_before_anything_is_written(made_up, tmp_path, spoil, message):
    path = made_up[0][0]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(RawDataError, match=message) as caught:
        prepare("mnist", raw_dir=tmp_path / "raw", data_dir=tmp_path / "data")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"plain text", "expected an idx file"), (b"\0\0\x08\x01\0\0\0\x09abc", "promises 17 bytes")],
)
def test_an_idx_file_that_is_none_is_named(tmp_path, content, message):
    path = tmp_path / "t10k-labels-idx1-ubyte"
    path.write_bytes(content)
    with pytest.raises(RawDataError, match=f"t10k-labels-idx1-ubyte.*{message}"):
        read_idx(path)


def test_labels_that_do_not_fit_their_images_are_refused(made_up):
    paths, arrays = made_up
    write_idx(paths[1], arrays[1][:-1])
    with pytest.raises(RawDataError, match="train-labels.*expected 12 labels"):
        parse(paths)
