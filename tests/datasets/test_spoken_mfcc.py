"""Cepstra of spoken digits out of a package: made-up clips of every length."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.numpy_speech import scaled, with_slopes

from lstm_jax.datasets import RawDataError
from lstm_jax.datasets.spoken_mfcc import SCALE, parse, view


@pytest.fixture(scope="module")
def clips():
    """3000 clips of 6 to 92 frames, 300 of each digit."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(6, 93, 3000)
    labels = rng.permutation(np.repeat(np.arange(10), 300))
    return rng.normal(size=(lengths.sum(), 13)).astype(np.float32), labels, lengths


def saved(folder, frames, labels, lengths):
    path = folder / "digits.npz"
    np.savez(path, X=frames, y=labels, lengths=lengths)
    return [path]


def test_every_clip_is_in_one_part_with_its_own_frames(clips, tmp_path):
    frames, labels, lengths = clips
    parts = parse(saved(tmp_path, *clips))
    assert {part: len(rows) for part, rows in parts.items()} == {"train": 2400, "validation": 300, "test": 300}
    for part, count in (("train", 240), ("validation", 30), ("test", 30)):
        assert (np.bincount([row["label"] for row in parts[part]]) == count).all()
    begins = np.cumsum(lengths) - lengths
    where = {frames[begin].tobytes(): n for n, begin in enumerate(begins)}
    found = [(where[row["mfcc"][0].tobytes()], row) for rows in parts.values() for row in rows]
    assert sorted(n for n, _ in found) == list(range(3000))
    for n, row in found:
        assert row["label"] == labels[n]
        np.testing.assert_array_equal(row["mfcc"], frames[begins[n] : begins[n] + lengths[n]])


def test_the_view_has_differences_and_counts_every_frame_and_no_padding(clips, tmp_path):
    part = parse(saved(tmp_path, *clips))["test"]
    seen = view({name: [row[name] for row in part] for name in part[0]})
    assert seen.inputs.shape == (300, seen.lengths.max(), 39)
    for n in (0, 299):
        length, mfcc = seen.lengths[n], part[n]["mfcc"]
        assert length == len(mfcc) == seen.loss_mask[n].sum() and not seen.inputs[n, length:].any()
        np.testing.assert_allclose(seen.inputs[n, :length], scaled(with_slopes(mfcc), SCALE), atol=1e-4)
        assert (seen.targets[n] == part[n]["label"]).all()


def test_damaged_files_are_named(clips, tmp_path):
    frames, labels, lengths = clips
    with pytest.raises(RawDataError, match="digits.npz: expected 3000 clips of 13 cepstra a frame, got X"):
        parse(saved(tmp_path, frames[:-1], labels, lengths))
    (path,) = saved(tmp_path, *clips)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(RawDataError, match="digits.npz: expected arrays X, y and lengths"):
        parse([path])
    np.savez(path, X=frames)
    with pytest.raises(RawDataError, match="digits.npz: expected arrays"):
        parse([path])
