"""Labels without times from spoken digits: words letter by letter, strings digit by digit, speakers held out."""

from __future__ import annotations

import numpy as np
import pytest
from oracles.numpy_speech import features_by_the_book, scaled

from lstm_jax.datasets import DATASETS, load
from lstm_jax.datasets.spoken_digits import RATE, SCALE, SPEAKERS
from lstm_jax.datasets.spoken_strings import (
    GAP_SECONDS,
    HEARINGS,
    LETTERS,
    LONGEST_STRING,
    WORDS,
    most_frequent_string,
    read_digits,
    read_letters,
    spell,
    view_strings,
    view_words,
)


def rows_of(part: str, per_speaker: int = 4) -> dict[str, list]:
    """Noise in place of voices, the length of a clip telling digit and speaker apart."""
    rng, first = np.random.default_rng(0), {"test": 0, "validation": 5, "train": 10}[part]
    rows: dict[str, list] = {"waveform": [], "label": [], "speaker": [], "index": []}
    for place, speaker in enumerate(SPEAKERS):
        for n in range(per_speaker):
            digit = (3 * n + place) % 10
            rows["waveform"].append(rng.normal(scale=900, size=1500 + 80 * digit + place).astype(np.int16))
            rows["label"].append(digit)
            rows["speaker"].append(speaker)
            rows["index"].append(first + n)
    return rows


def test_words_are_spelled_with_fifteen_letters_and_read_back():
    assert LETTERS == "efghinorstuvwxz" and len(WORDS) == 10
    for digit, word in enumerate(WORDS):
        assert read_letters(spell(digit)) == word and min(spell(digit)) >= 1
    assert read_digits([1, 10, 4]) == "093"
    assert DATASETS["spoken_words"].output_size == 16 and DATASETS["spoken_strings"].output_size == 11


def test_a_word_has_all_its_frames_and_its_letters_in_front():
    rows = rows_of("train")
    words = view_words(rows, held_out=None)
    assert words.inputs.shape[0] == len(rows["label"]) and words.inputs.dtype == np.float32
    for n, waveform in enumerate(rows["waveform"]):
        frames = scaled(features_by_the_book(waveform), SCALE)
        assert words.lengths[n] == len(frames)
        np.testing.assert_allclose(words.inputs[n, : len(frames)], frames, atol=1e-4)
        assert not words.inputs[n, len(frames) :].any()
        labels = [int(label) for label in words.targets[n] if label]
        assert read_letters(labels) == WORDS[rows["label"][n]]
        np.testing.assert_array_equal(words.targets[n, : len(labels)], labels)
    np.testing.assert_array_equal(words.loss_mask.sum(1), words.lengths)


def test_strings_have_one_to_seven_digits_of_one_speaker_and_are_always_the_same():
    rows = rows_of("train", per_speaker=20)
    strings = view_strings(rows, held_out=None)
    counts = (strings.targets > 0).sum(1)
    assert set(counts) == set(range(1, LONGEST_STRING + 1)) and len(counts) == len(rows["label"])
    # Frames of 20 ms: the clips and the gaps between them, give or take what does not fill a frame.
    of_speaker = {name: {} for name in SPEAKERS}
    for waveform, label, speaker in zip(rows["waveform"], rows["label"], rows["speaker"], strict=True):
        of_speaker[speaker][label] = len(waveform)
    for n, speaker in enumerate(rows["speaker"]):
        digits = [int(label) - 1 for label in strings.targets[n] if label]
        assert set(digits) <= set(of_speaker[speaker])
        voiced = sum(of_speaker[speaker][digit] for digit in digits) / RATE
        seconds = [voiced + (len(digits) - 1) * gap for gap in GAP_SECONDS]
        assert seconds[0] - 0.05 <= 0.02 * strings.lengths[n] <= seconds[1] + 0.02
    again = view_strings(rows, held_out=None)
    for one, other in zip(strings, again, strict=True):
        np.testing.assert_array_equal(one, other)
    other_part = view_strings(
        {**rows, "index": [0] * len(rows["index"])}, held_out=None
    )  # the same clips as test part
    assert other_part.targets.tobytes() != strings.targets.tobytes()


@pytest.mark.parametrize("view", [view_words, view_strings])
def test_a_speaker_who_is_held_out_is_the_test_part_and_nothing_else(view):
    for part, kept in (("train", 5), ("validation", 5), ("test", 1)):
        rows = rows_of(part)
        mine = {
            len(waveform) for waveform, name in zip(rows["waveform"], rows["speaker"], strict=True) if name == "theo"
        }
        assert len(view(rows, held_out="theo").lengths) == 4 * kept
        if view is view_strings:  # one clip a string: those of one digit tell whose it is
            found = view({name: column for name, column in rows.items()}, held_out="theo")
            whose = {
                label: {n for n, name in zip(rows["label"], rows["speaker"], strict=True) if (name == "theo") == label}
                for label in (True, False)
            }
            assert {int(label) - 1 for label in found.targets.ravel() if label} <= whose[part == "test"]
        if view is view_words:
            frames = {1 + (samples - 200) // 80 for samples in mine}
            assert (set(view(rows, held_out="theo").lengths.tolist()) <= frames) == (part == "test")
    with pytest.raises(ValueError, match="held_out must be None or a speaker, got 'teo'; did you mean 'theo'"):
        view(rows, held_out="teo")


def test_chance_is_the_most_frequent_string():
    train, test = view_words(rows_of("train"), None), view_words(rows_of("test"), None)
    assert 0.5 < most_frequent_string(train, test) < 1
    strings, counts = np.unique(train.targets, axis=0, return_counts=True)
    always, never = (strings[place][None].repeat(24, 0) for place in (counts.argmax(), counts.argmin()))
    assert most_frequent_string(train, test._replace(targets=always)) == 0
    assert most_frequent_string(train, test._replace(targets=never)) == 1


def test_both_views_read_the_rows_of_spoken_digits(raw_data):
    if raw_data is None:
        assert {DATASETS[name].stored for name in HEARINGS} == {"spoken_digits"}
        pytest.skip("needs the raw file, see conftest.py")
    words, strings = (load(name, "test", raw_data) for name in ("spoken_words", "spoken_strings"))
    assert len(words.lengths) == len(strings.lengths) == 300
    assert strings.lengths.max() > 10 * strings.lengths.min()
    assert ((words.targets > 0).sum(1) * 2 <= words.lengths).all()  # room for every letter, repeated ones too
