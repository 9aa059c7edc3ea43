"""What a network reads: edit distance, error rates, and the readings of a whole part."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.datasets.sequences import Sequences
from lstm_jax.datasets.spoken_strings import WORDS, read_letters
from lstm_jax.studies import readings
from lstm_jax.studies.collect import read_table, write_table
from lstm_jax.studies.readings import Reading, error_rates, read_part
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import Config, DataConfig, ModelConfig, apply_network
from lstm_jax.train.ctc import greedy_labels
from lstm_jax.train.network import init_network

texts = st.text("abc", max_size=5)


def by_definition(one: str, other: str) -> int:
    if not one or not other:
        return len(one) + len(other)
    changed = by_definition(one[1:], other[1:]) + (one[0] != other[0])
    return min(changed, by_definition(one[1:], other) + 1, by_definition(one, other[1:]) + 1)


@given(pairs=st.lists(st.tuples(texts, texts), min_size=3, max_size=3))
def test_rates_are_errors_a_symbol_and_the_share_of_wrong_utterances(pairs):
    truths, guesses = zip(*pairs, strict=True)
    rate, wrong = error_rates(truths, guesses)
    assert wrong == np.mean([truth != guess for truth, guess in pairs])
    assert (rate == 0) == (wrong == 0)
    assert rate * max(sum(map(len, truths)), 1) == pytest.approx(sum(by_definition(*pair) for pair in pairs))


def test_every_utterance_is_read_without_its_padding(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    lengths = np.array([5, 70, 9], np.int32)
    mask = np.arange(70)[None] < lengths[:, None]
    inputs = np.where(mask[..., None], rng.normal(size=(3, 70, 39)), np.nan).astype(np.float32)
    targets = np.array([[4, 9, 0], [1, 0, 0], [2, 2, 15]], np.int32)
    config = Config(ModelConfig("NP", 4), data=DataConfig("spoken_words", {"held_out": "theo"}))
    params = init_network(jax.random.key(0), config.model, 39, 16)
    asked = []
    monkeypatch.setattr(readings, "load_run", lambda run: (config, params))
    monkeypatch.setattr(
        readings,
        "load",
        lambda *names, **view: asked.append((names, view)) or Sequences(inputs, targets, lengths, mask),
    )
    found = read_part(tmp_path, "test", "words")
    assert asked == [(("spoken_words", "test"), {"held_out": "theo"})]
    assert [reading.truth for reading in found] == [read_letters(row) for row in ([4, 9], [1], [2, 2, 15])]
    for reading, row, length in zip(found, inputs, lengths, strict=True):
        batch = Batch(row[:length, None], None, np.array([length]), None)
        outputs = np.asarray(apply_network(config.model, params, batch))[:, 0]
        assert reading.greedy == read_letters(greedy_labels(outputs)) and reading.view == "words"
        assert reading.lexicon in WORDS


def test_readings_come_back_from_their_file(tmp_path):
    found = [Reading("words", "six", "six", "sx", "six"), Reading("strings", "0012", "", "01", "")]
    write_table(tmp_path / "readings.csv", Reading, found)
    assert read_table(tmp_path / "readings.csv", Reading) == found
