"""How well documents are told apart: trained networks beside the majority and beside counts of words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.datasets import rows, speeches
from lstm_jax.datasets.documents import Documents, stored_documents, words
from lstm_jax.datasets.registry import stored
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import count_parameters, load_problem, load_run
from lstm_jax.train.config import Config
from lstm_jax.train.cuts import at_length
from lstm_jax.train.network import Network, apply_network
from lstm_jax.train.records import MANIFEST, SUMMARY

READ: dict[str, Callable[[Mapping[str, list]], Documents]] = {
    "spam_assassin": stored_documents,
    "imdb_reviews": stored_documents,
    "tiny_shakespeare": speeches.documents,
}
"""From the rows that lie on disk to documents, by the name of the set that they were prepared for."""
MAJORITY, BAYES, LOGISTIC = "majority", "words counted, naive Bayes", "words counted, logistic regression"
SMOOTHING = (0.01, 0.1, 1.0)
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)

Judged = tuple[np.ndarray, np.ndarray]
"""Log-odds of class 1, and the classes, ``(N,)`` each."""


class Score(NamedTuple):
    """How well one model tells the documents of one set apart.

    Attributes:
        data, unit, model: names; unit is what a step is, or what is counted.
        parameters, updates, minutes: numbers learned, updates until the best validation, and the time of training; 0
            for what is no network.
        validation: accuracy on the part that the threshold was chosen on, where it gives the best F1.
        accuracy, f1: on the test part, with that threshold; F1 is that of class 1.
        auc: on the test part, the share of pairs of both classes that are in the right order.
    """

    data: str
    unit: str
    model: str
    parameters: int
    updates: int
    validation: float
    accuracy: float
    f1: float
    auc: float
    minutes: float


# -- measures


def best_threshold(odds: np.ndarray, labels: np.ndarray) -> float:
    """The threshold at and above which answering 1 gives the best F1; half-way to the next lower odds."""
    order = np.argsort(-odds, kind="stable")
    falling, hits = odds[order], np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(odds) + 1) + labels.sum())
    f1[:-1][falling[:-1] == falling[1:]] = -1  # equal odds are on one side
    last = int(np.argmax(f1))
    below = falling[last + 1] if last + 1 < len(odds) else falling[last] - 2
    return float((falling[last] + below) / 2)


def measure_parts(validation: Judged, test: Judged) -> dict[str, float]:
    """The figures of ``Score``: a threshold chosen on one part, and what it gives on the other."""
    from sklearn.metrics import f1_score, roc_auc_score

    threshold = best_threshold(*validation)
    answers = test[0] >= threshold
    return {
        "validation": float(((validation[0] >= threshold) == validation[1]).mean()),
        "accuracy": float((answers == test[1]).mean()),
        "f1": float(f1_score(test[1], answers, zero_division=0)),
        "auc": float(roc_auc_score(test[1], test[0])),
    }


# -- networks


def log_odds(config: Config, params: Network, batches: Batch, cuts: tuple[int, ...]) -> Judged:
    """What a network says of every document in batches ``(E, T, B)``, each at its last step."""

    def at_end(batch: Batch) -> jax.Array:
        logits = apply_network(config.model, params, batch)
        odds = logits[..., 1] - logits[..., 0]
        last = jnp.maximum(jnp.asarray(batch.lengths) - 1, 0)
        return jnp.take_along_axis(odds, last[None], axis=0)[0]

    odds = np.asarray(jax.jit(partial(jax.lax.map, partial(at_length, cuts, at_end)))(batches))
    lengths = np.asarray(batches.lengths)
    last = np.maximum(lengths - 1, 0)[:, None]
    labels = np.take_along_axis(np.asarray(batches.targets), last, axis=1)[:, 0]
    return odds[lengths > 0], labels[lengths > 0]


def score_run(folder: str | Path, unit: str) -> Score:
    """The network of a run of one trial on documents."""
    config, params = load_run(folder)
    summary = json.loads((Path(folder) / SUMMARY).read_text())
    sittings = json.loads((Path(folder) / MANIFEST).read_text())["sittings"]
    problem = load_problem(config.data)
    parts = (log_odds(config, params, part, problem.cuts) for part in (problem.validation, problem.test))
    minutes = sum(sitting["wall_seconds"] for sitting in sittings) / 60
    size, updates = count_parameters(params), summary["best_step"][0]
    figures = measure_parts(*parts)
    return Score(config.data.name, unit, config.model.variant, size, updates, minutes=minutes, **figures)


# -- counts


def score_counts(name: str) -> list[Score]:
    """The majority, naive Bayes and logistic regression on counts of the words of whole documents.

    How strongly they are smoothed is chosen on the validation part, as everything else is.

    Raises:
        ImportError: without scikit-learn.
    """
    from sklearn.metrics import f1_score

    parts = {part: READ[stored(name).name](rows(name, part)) for part in ("train", "validation", "test")}
    constant = [(np.zeros(len(part.labels)), part.labels) for part in list(parts.values())[1:]]
    majority = float(np.mean(parts["train"].labels) >= 0.5)
    shares = [float((labels == majority).mean()) for _, labels in constant]
    f1 = float(f1_score(constant[1][1], np.full(len(constant[1][1]), majority), zero_division=0))
    scores = [Score(name, "–", MAJORITY, 0, 0, shares[0], shares[1], f1, 0.5, 0.0)]
    for model, tries in _counting(parts).items():
        figures = max((measure_parts(*judged) for judged in tries), key=lambda found: found["validation"])
        scores.append(Score(name, "words", model, 0, 0, minutes=0.0, **figures))
    return scores


def _counting(parts: Mapping[str, Documents]) -> dict[str, Iterator[tuple[Judged, Judged]]]:
    """Validation and test part as each model of counts judges them, once for every strength of its smoothing."""
    try:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.preprocessing import normalize
    except ImportError as error:
        raise ImportError("counts of words need scikit-learn: pip install 'lstm_jax[run]'") from error
    counter = CountVectorizer(analyzer=list)  # of words already
    said = {name: [words(text) for text in part.texts] for name, part in parts.items()}
    counter.fit(said["train"])
    counts = {name: counter.transform(texts) for name, texts in said.items()}
    lengthless = {name: normalize(count.log1p()) for name, count in counts.items()}

    def judged(odds: Callable[[Any], np.ndarray], seen: Mapping[str, Any]) -> tuple[Judged, Judged]:
        validation, test = ((odds(seen[name]), parts[name].labels) for name in ("validation", "test"))
        return validation, test

    def bayes(smoothing: float) -> tuple[Judged, Judged]:
        model = MultinomialNB(alpha=smoothing).fit(counts["train"], parts["train"].labels)
        return judged(lambda seen: np.diff(model.predict_joint_log_proba(seen))[:, 0], counts)

    def logistic(strength: float) -> tuple[Judged, Judged]:
        model = LogisticRegression(C=strength, solver="liblinear").fit(lengthless["train"], parts["train"].labels)
        return judged(model.decision_function, lengthless)

    return {BAYES: map(bayes, SMOOTHING), LOGISTIC: map(logistic, STRENGTHS)}
