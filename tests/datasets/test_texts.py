"""Texts: made-up and real files, their parts, and windows that follow each other."""

from __future__ import annotations

import bz2

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, chance, load
from lstm_jax.datasets.readers import bunzip2
from lstm_jax.datasets.texts import encode, examples, unigram, view
from lstm_jax.datasets.tiny_shakespeare import SYMBOLS, parse

ALPHABET = b"\nabcdefg"


def made_up(length: int = 1000, seed: int = 0) -> bytes:
    """Letters at random, some more often than others."""
    rng = np.random.default_rng(seed)
    return bytes(rng.choice(list(ALPHABET), size=length, p=rng.dirichlet(np.ones(len(ALPHABET)))).tolist())


def rows(content: bytes, part: str) -> dict[str, list]:
    (row,) = examples(content, ALPHABET, None)[part]
    return {name: [value] for name, value in row.items()}


@pytest.mark.parametrize(
    ("parts", "shares"),
    [("90/5/5", {"train": (0, 900), "validation": (900, 950), "test": (950, 1000)}),
     ("90/10", {"train": (0, 900), "validation": (900, 1000), "test": (900, 1000)})],
)  # fmt: skip
def test_windows_put_together_are_the_part(parts, shares):
    content = made_up()
    for part, (begin, end) in shares.items():
        seen = view(ALPHABET, rows(content, part), parts, 7)
        text = [ALPHABET.index(byte) for byte in content[begin:end]]
        assert seen.inputs.dtype == seen.targets.dtype == seen.lengths.dtype == np.int32
        assert seen.inputs[seen.loss_mask].tolist() == text[:-1]
        assert seen.targets[seen.loss_mask].tolist() == text[1:]
        assert (seen.lengths[:-1] == 7).all() and seen.lengths.sum() == len(text) - 1
        np.testing.assert_array_equal(seen.loss_mask.sum(1), seen.lengths)


def test_symbols_are_numbered_in_their_order_and_others_refused():
    content = made_up(50)
    assert bytes(ALPHABET[n] for n in encode(content, ALPHABET)) == content
    assert encode(b"", ALPHABET).shape == (0,)
    with pytest.raises(ValueError, match=r"byte 2, b'X', is none of the 8 symbols"):
        encode(b"abXc", ALPHABET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parts": "90/20"}, "no way to cut '90/20'; did you mean '90/10'?"),
        ({"window": 0}, "window must be an integer >= 1, got 0"),
        ({"window": 2.0}, "window must be an integer >= 1, got 2.0"),
    ],
)
def test_impossible_views_are_refused(options, message):
    with pytest.raises(ValueError) as caught:
        view(ALPHABET, rows(made_up(), "train"), **{"parts": "90/10", "window": 5, **options})
    assert message in str(caught.value)


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "input.txt"
    for content, message in (
        (b"", "is empty"),
        (b"To be", "expected a text of 100 bytes or more, got 5"),
        (b"To be, or not to be: " * 9 + b"\xff", r"byte 189: expected one of 65 symbols, got b'\xff'"),
    ):
        path.write_bytes(content)
        with pytest.raises(RawDataError, match="input.txt: ") as caught:
            parse([path])
        assert message in str(caught.value) and "fetch it again" in str(caught.value)


def test_a_damaged_archive_is_named(tmp_path):
    path, content = tmp_path / "a.xml.bz2", made_up(20_000)
    packed = bz2.compress(content)
    path.write_bytes(packed)
    assert bunzip2(path) == content
    broken = bytearray(packed)
    broken[len(packed) // 2] ^= 0xFF
    for damaged in (packed[:-20], bytes(broken)):
        path.write_bytes(damaged)
        with pytest.raises(RawDataError, match=r"a.xml.bz2: truncated or corrupt bzip2"):
            bunzip2(path)


def test_chance_is_the_cross_entropy_of_frequencies():
    train, test = (view(ALPHABET, rows(made_up(5000, seed), "train"), "90/10", 10) for seed in (0, 1))
    known, met = (np.bincount(part.targets[part.loss_mask], minlength=8) for part in (train, test))
    known = known + (known + met > 0)
    expected = -sum(count * np.log(known[n] / known.sum()) for n, count in enumerate(met) if count) / met.sum()
    assert unigram(train, test) == pytest.approx(expected, rel=1e-12)
    assert unigram(train, train) < unigram(train, test)


def test_the_real_texts_are_those_that_were_published(raw_data, tmp_path):
    assert len(SYMBOLS) == len(set(SYMBOLS)) == 65
    assert all(DATASETS[name].files[0].digest for name in ("tiny_shakespeare", "wikipedia_xml"))
    if raw_data is None:
        pytest.skip("needs the raw files, see conftest.py")
    places = {"raw_dir": raw_data, "data_dir": tmp_path}
    counts = [load("tiny_shakespeare", part, **places, parts="90/10").lengths.sum() for part in ("train", "test")]
    assert counts == [1_003_853, 111_539]
    first = load("tiny_shakespeare", "train", **places, window=14).inputs[0]
    assert bytes(SYMBOLS[n] for n in first) == b"First Citizen:"
    assert 3.2 < chance("tiny_shakespeare", **places) < 3.5
