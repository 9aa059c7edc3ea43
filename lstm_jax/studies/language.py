"""How well texts are predicted: trained networks, still or going on learning, beside what counting gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.datasets import DATASETS, load
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.studies.ngrams import ngram_nll
from lstm_jax.train import divide, load_run
from lstm_jax.train.config import DataConfig
from lstm_jax.train.dynamic import evaluate_dynamically
from lstm_jax.train.network import count_parameters
from lstm_jax.train.program import evaluate
from lstm_jax.train.records import MANIFEST, SUMMARY
from lstm_jax.train.streams import in_streams

COLUMNS = {"validation": ("90/5/5", "validation"), "test": ("90/5/5", "test"), "last_tenth": ("90/10", "validation")}
"""What is scored: how the text is cut, and which part of it."""
ORDERS = range(1, 9)
RATES = (0.03, 0.1, 0.3)
DECAY = 0.002
DYNAMIC, COUNTING = ", still learning", ", still counting"
"""What a model is called that goes on with what it has been judged on; the others know the training part alone."""


class Score(NamedTuple):
    """Nats a symbol of one model on one text.

    Attributes:
        text, model: names.
        parameters: numbers learned; 0 for counts.
        updates: until the best validation; 0 for counts.
        validation, test: twentieths after the training part; everything was chosen on the first of them.
        last_tenth: both together, as tiny Shakespeare is usually reported.
        minutes: of training.
    """

    text: str
    model: str
    parameters: int
    updates: int
    validation: float
    test: float
    last_tenth: float
    minutes: float


def score_run(folder: str | Path) -> list[Score]:
    """The network of a run on a text of one trial: as it is, and with dynamic evaluation, its rate by validation."""
    config, params = load_run(folder)
    summary = json.loads((Path(folder) / SUMMARY).read_text())
    sittings = json.loads((Path(folder) / MANIFEST).read_text())["sittings"]
    loss = DATASETS[config.data.name].loss
    parts = {name: in_streams(part, config.data.eval_batch_size) for name, part in parts_of(config.data).items()}
    still = jax.jit(evaluate, static_argnums=(0, 1, 2))

    def nats(metrics: Any) -> float:
        return float(divide(metrics["nll"]))

    def learning(rate: float, part: Any) -> float:
        return nats(evaluate_dynamically(config, loss, params, part, jnp.float32(rate), jnp.float32(DECAY)))

    by_rate = {rate: learning(rate, parts["validation"]) for rate in RATES}
    rate = min(by_rate, key=by_rate.__getitem__)
    plain = [nats(still(config, loss, (), params, part)) for part in parts.values()]
    moved = [by_rate[rate], *(learning(rate, parts[name]) for name in list(COLUMNS)[1:])]
    minutes = sum(sitting["wall_seconds"] for sitting in sittings) / 60
    size, updates = count_parameters(params), summary["best_step"][0]
    return [
        Score(config.data.name, config.model.variant + way, size, updates, of[0], of[1], of[2], minutes)
        for way, of in (("", plain), (DYNAMIC, moved))
    ]


def score_counts(data: DataConfig, orders: Iterable[int] = ORDERS) -> list[Score]:
    """Counts of single symbols, and of as many in a row as validation likes best; see ``ngram_nll``.

    The latter also still counting what they have been judged on, as networks with dynamic evaluation go on learning.
    """
    symbols = DATASETS[data.name].input_size
    options: dict[str, Any] = dict(data.options)
    train = text_of(load(data.name, "train", **options))
    parts = {name: text_of(part) for name, part in parts_of(data).items()}
    orders = [order for order in orders if symbols**order < 2**63]

    def score(name: str, order: int, still: bool = False) -> Score:
        nats = [ngram_nll(train, text, symbols, order, still) for text in parts.values()]
        return Score(data.name, name, 0, 0, nats[0], nats[1], nats[2], 0.0)

    def best(still: bool) -> int:
        return min(orders, key=lambda order: ngram_nll(train, parts["validation"], symbols, order, still))

    fixed, moving = best(False), best(True)
    return [
        score("single symbols, counted", 1),
        score(f"{fixed} in a row, counted", fixed),
        score(f"{moving} in a row, counted{COUNTING}", moving, True),
    ]


def parts_of(data: DataConfig) -> dict[str, Sequences]:
    """The parts in ``COLUMNS``, in windows as ``data`` has them."""
    options: dict[str, Any] = dict(data.options)
    return {name: load(data.name, part, **{**options, "parts": cut}) for name, (cut, part) in COLUMNS.items()}


def text_of(windows: Sequences) -> np.ndarray:
    """The symbols of a part in a row, ``(n,)``."""
    return np.concatenate([windows.inputs[0, :1], windows.targets[windows.loss_mask]])
