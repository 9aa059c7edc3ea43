"""What a trained network reads off a part of a data set of speech, utterance by utterance, and how much is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lstm_jax.datasets import load
from lstm_jax.datasets.spoken_strings import HEARINGS
from lstm_jax.train import load_run
from lstm_jax.train.ctc import beam_labels, best_of, edit_distance, greedy_labels, logits_of

BEAM = 16


class Reading(NamedTuple):
    """One utterance: name of the view, what was said, and what was read: greedily, with a beam, and as the most
    probable text of the lexicon (empty where there is none).
    """

    view: str
    truth: str
    greedy: str
    beam: str
    lexicon: str


def read_part(run: str | Path, part: str, view: str, beam: int = BEAM) -> list[Reading]:
    """The readings of a part of the data that the run in a folder learned from; its config has one trial.

    Args:
        run: folder of a run on ``spoken_words`` or ``spoken_strings``.
        part: ``"validation"`` or ``"test"``.
        view: what ``Reading.view`` says.
        beam: prefixes that the search keeps.
    """
    config, params = load_run(run)
    if config.data.name not in HEARINGS or config.train.trials != 1:
        what = f"{config.train.trials} trials of {config.data.name!r}"
        raise ValueError(f"{run}: expected a run of one trial on {' or '.join(HEARINGS)}, got {what}")
    options: dict[str, Any] = dict(config.data.options)
    sequences = load(config.data.name, part, **options)
    hearing = HEARINGS[config.data.name]
    text, readings = hearing.read, []
    for frames, targets, length in zip(sequences.inputs, sequences.targets, sequences.lengths, strict=True):
        logits = logits_of(config.model, params, frames[:length])
        truth = [int(label) for label in targets if label]
        greedy, searched = greedy_labels(logits), beam_labels(logits, beam)[0]
        known = hearing.lexicon[best_of(logits, hearing.candidates())] if hearing.lexicon else ()
        readings.append(Reading(view, text(truth), text(greedy), text(searched), text(known)))
    return readings


def error_rates(truths: Sequence[str], guesses: Sequence[str]) -> tuple[float, float]:
    """Errors (insertions, deletions, substitutions) a symbol of the truth, and the share of utterances with any."""
    errors = np.asarray(_distances(_symbols(guesses), _symbols(truths)))
    return int(errors.sum()) / max(sum(map(len, truths)), 1), float(np.mean(errors > 0))


_distances = jax.jit(edit_distance)


def _symbols(texts: Sequence[str]) -> np.ndarray:
    """Numbers of the characters ``(L, B)``, zeros behind them."""
    columns = [[ord(symbol) for symbol in text] for text in texts]
    table = np.zeros((max(map(len, columns)), len(columns)), np.int32)
    for n, column in enumerate(columns):
        table[: len(column), n] = column
    return table
