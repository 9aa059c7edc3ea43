"""The tables of the experiment on documents, from its results alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.analysis.report import DASH, markdown, overview, reference_of, show_parts, what_it_took
from lstm_jax.studies.collect import find_results, read_rows, read_table
from lstm_jax.studies.compare import compare
from lstm_jax.studies.documents import Score
from lstm_jax.studies.pace import Pace
from lstm_jax.train.machine import code_label

SCORES, PACE, MANIFEST = "scores.csv", "batching.csv", "manifest.json"
GOOD, TAKEN, FAST = "How well documents are told apart", "Gates taken away", "Batches of many lengths"
HEADER = ("data", "model", "reads", "parameters", "validation", "accuracy ↑", "F1 ↑", "AUC ↑", "updates", "minutes")
LEGEND = (
    "Test part, in per cent. Validation: accuracy on the part that everything was chosen on, the threshold with the "
    "best F1 included. F1 is that of spam, praise, or crowned speakers. Counted: all words of a document, smoothing "
    "by validation; networks read its beginning."
)
GATES = "Test part, accuracy at even odds; all cells with as many cells, updates and batches."
FASTER = (
    "Wasted: padding among the computed steps of an epoch. Packed: an update has as many rows as the others have "
    "documents. Median of {rounds} times {chunk} updates, all ways in turn; first: compilation and {chunk} updates "
    "({device}, commit {commit})."
)


def readme_section(*folders: Path) -> str:
    """Scores beside counts, which gates matter, and how fast batches are: those parts that the folders hold.

    Raises:
        FileNotFoundError: none of them.
    """
    return show_parts(folders, {GOOD: (SCORES, _scores), TAKEN: ("gates", _gates), FAST: (PACE, _pace)})


def _scores(folder: Path) -> str:
    by = json.loads((folder / MANIFEST).read_text())
    table = markdown(HEADER, _lines(read_table(folder / SCORES, Score)), left=3)
    return f"{table}\n\n{LEGEND} ({by['processor']}, commit {code_label(by)})"


def _lines(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """A row a model, the best order first."""
    return [
        (
            row.data,
            row.model,
            row.unit,
            f"{row.parameters:,}" if row.parameters else DASH,
            *(f"{100 * value:.2f}" for value in (row.validation, row.accuracy, row.f1, row.auc)),
            f"{row.updates:,}" if row.updates else DASH,
            f"{row.minutes:.0f}" if row.minutes else DASH,
        )
        for row in sorted(scores, key=lambda row: -row.auc)
    ]


def _gates(folder: Path) -> str:
    rows = read_rows(find_results(folder / "gates"))
    compared = compare(rows, reference_of(row.variant for row in rows))
    return f"{GATES}\n\n{overview(compared)}\n\n{what_it_took(rows)}"


def _pace(folder: Path) -> str:
    paces = read_table(folder / PACE, Pace)
    header = ("batches", "lengths compiled", "wasted", "documents an update", "updates/s", "documents/s", "first, s")
    lines = [
        (
            one.way,
            str(one.lengths),
            f"{100 * one.wasted:.1f} %",
            f"{one.sequences:.1f}",
            f"{one.updates:.2f}",
            f"{one.updates * one.sequences:.0f}",
            f"{one.first_seconds:.1f}",
        )
        for one in paces
    ]
    return f"{markdown(header, lines)}\n\n{FASTER.format(**paces[0]._asdict())}"
