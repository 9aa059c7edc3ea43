"""Scores of documents: the textbook's figures, a threshold that no other beats, networks read at their last step."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from lstm_jax.studies import documents
from lstm_jax.studies.collect import read_table, write_table
from lstm_jax.studies.documents import (
    Score,
    best_threshold,
    log_odds,
    measure_parts,
    score_counts,
)
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config, ModelConfig
from lstm_jax.train.network import Network

JUDGED = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=12).filter(
    lambda pairs: {label for _, label in pairs} == {0, 1}
)


def arrays(pairs) -> tuple[np.ndarray, np.ndarray]:
    odds, labels = zip(*pairs, strict=True)
    return np.array(odds, float), np.array(labels)


@given(JUDGED)
def test_the_area_is_the_share_of_pairs_in_the_right_order(pairs):
    odds, labels = arrays(pairs)
    won = [(a > b) + (a == b) / 2 for a, b in itertools.product(odds[labels == 1], odds[labels == 0])]
    assert measure_parts((odds, labels), (odds, labels))["auc"] == pytest.approx(np.mean(won))


@given(JUDGED)
def test_no_other_threshold_has_a_better_f1(pairs):
    odds, labels = arrays(pairs)
    got = f1_score(labels, odds >= best_threshold(odds, labels))
    assert got == pytest.approx(max(f1_score(labels, odds >= at, zero_division=0) for at in np.arange(-3.5, 4)))
    assert best_threshold(odds, labels) not in odds


@given(JUDGED)
def test_f1_is_the_harmonic_mean_of_precision_and_recall(pairs):
    odds, labels = arrays(pairs)
    answers = odds >= best_threshold(-odds, labels)  # a poor threshold, of another part
    right = (answers & (labels == 1)).sum()
    want = 0.0 if right == 0 else 2 / (answers.sum() / right + labels.sum() / right)
    assert measure_parts((-odds, labels), (odds, labels))["f1"] == pytest.approx(want)


def test_the_threshold_comes_from_the_validation_part_alone():
    validation = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    test = np.array([1.0, 1.6, 4.0]), np.array([1, 0, 1])
    found = measure_parts(validation, test)
    assert found["validation"] == 1 and found["accuracy"] == pytest.approx(1 / 3) and found["auc"] == 0.5
    assert found["f1"] == pytest.approx(2 * 1 / (2 + 2))


def test_a_network_is_read_at_the_last_step_of_each_document(monkeypatch):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, (2, 3))
    lengths[1, 2] = 0  # fills the batch
    logits = rng.standard_normal((2, 6, 3, 2))
    targets = np.where(np.arange(6)[None, :, None] == lengths[:, None] - 1, rng.integers(0, 2, (2, 1, 3)), 7)
    batches = Batch(jnp.asarray(logits), jnp.asarray(targets), jnp.asarray(lengths), jnp.ones((2, 6, 3), bool))
    monkeypatch.setattr(documents, "apply_network", lambda config, params, batch: batch.inputs)
    for cuts in ((), (3, 6)):
        odds, labels = log_odds(Config(ModelConfig()), Network(None, None), batches, cuts)
        want = [(logits[e, lengths[e, b] - 1, b], targets[e, lengths[e, b] - 1, b])
                for e in range(2) for b in range(3) if lengths[e, b]]  # fmt: skip
        np.testing.assert_allclose(odds, [logit[1] - logit[0] for logit, _ in want], rtol=1e-6)
        assert labels.tolist() == [label for _, label in want] and len(odds) == 5


@pytest.fixture
def told_apart(monkeypatch) -> None:
    """Documents whose class one word gives away, nearly always."""
    rng = np.random.default_rng(0)

    def rows(name, part):
        labels = rng.integers(0, 4, 80) == 0
        texts = [b" ".join([b"word%d" % rng.integers(9), b"free" if label ^ (rng.random() < 0.1) else b"dear"])
                 for label in labels]  # fmt: skip
        return {"text": [np.frombuffer(text, np.uint8) for text in texts], "label": labels.astype(int).tolist()}

    monkeypatch.setattr(documents, "rows", rows)


def test_counts_find_a_telling_word_and_the_majority_does_not(told_apart, tmp_path):
    scores = score_counts("spam_words")
    assert [score.model for score in scores] == [documents.MAJORITY, documents.BAYES, documents.LOGISTIC]
    assert scores[0].auc == 0.5 and scores[0].f1 == 0 and 0.6 < scores[0].accuracy < 0.9
    assert all(score.auc > 0.85 and score.f1 > 0.7 for score in scores[1:])
    write_table(tmp_path / "scores.csv", Score, scores)
    assert read_table(tmp_path / "scores.csv", Score) == scores and isinstance(scores[0], Score)
