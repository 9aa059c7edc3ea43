"""The tables of the experiment on language, from its results alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from lstm_jax.analysis.report import DASH, markdown, overview, reference_of, show_parts, what_it_took
from lstm_jax.studies.collect import find_results, read_rows, read_table
from lstm_jax.studies.compare import compare
from lstm_jax.studies.language import COUNTING, DYNAMIC, Score
from lstm_jax.train.machine import code_label

SCORES, MANIFEST = "scores.csv", "manifest.json"
GOOD, TAKEN = "How well the next symbol is known", "Gates taken away"
GATES = "Test part, nats a symbol; all cells with as many cells, updates and windows."
PUBLISHED = ("tiny_shakespeare", "a small transformer (nanoGPT, recalled)", 10_700_000, 1.4697)
"""Text, model, parameters, and nats a character on the last tenth, by which that figure was chosen as well."""
LEGEND = (
    "Nats a symbol (bits in brackets). Trained on the first 90 %; everything was chosen on the validation part, the "
    "next 5 %; last 10 %: both together, as tiny Shakespeare is usually reported. Counted: Witten and Bell's "
    "interpolation of shorter and longer contexts. Still learning (dynamic evaluation), still counting: what was "
    "judged is learned, or counted, as well: these rows are rivals of each other only."
)
HEADER = ("text", "model", "parameters", "validation", "test", "last 10 %", "updates", "minutes")


def readme_section(*folders: Path) -> str:
    """Scores of good networks beside counts, and which gates matter: those parts that the folders hold.

    Raises:
        FileNotFoundError: none of them.
    """
    return show_parts(folders, {GOOD: (SCORES, _scores), TAKEN: ("gates", _gates)})


def _scores(folder: Path) -> str:
    by = json.loads((folder / MANIFEST).read_text())
    table = markdown(HEADER, _lines(read_table(folder / SCORES, Score)), left=2)
    return f"{table}\n\n{LEGEND} ({by['processor']}, commit {code_label(by)})"


def _lines(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """A row a model, the best last tenth of each text first, the published one among them; then those that go on."""
    text, model, parameters, nats = PUBLISHED
    known = [Score(text, model, parameters, 0, math.nan, math.nan, nats, 0.0)]
    texts = list(dict.fromkeys(score.text for score in scores))
    rows = sorted(
        [score for score in [*scores, *known] if score.text in texts],
        key=lambda row: (texts.index(row.text), row.model.endswith((DYNAMIC, COUNTING)), row.last_tenth),
    )
    return [
        (
            row.text,
            row.model,
            f"{row.parameters:,}" if row.parameters else DASH,
            *(both(value) for value in (row.validation, row.test, row.last_tenth)),
            f"{row.updates:,}" if row.updates else DASH,
            f"{row.minutes:.0f}" if row.minutes else DASH,
        )
        for row in rows
    ]


def both(nats: float) -> str:
    """Nats, and bits in brackets; a dash for NaN."""
    return DASH if math.isnan(nats) else f"{nats:.4f} ({nats / math.log(2):.3f})"


def _gates(folder: Path) -> str:
    rows = read_rows(find_results(folder / "gates"))
    comparisons = compare(rows, reference_of(row.variant for row in rows))
    header = ("bits a symbol", *(comparison.task for comparison in comparisons))
    variants = dict.fromkeys(line.variant for comparison in comparisons for line in comparison.lines)
    means = [{line.variant: line.interval.mean for line in comparison.lines} for comparison in comparisons]
    lines = [(name, *(f"{of.get(name, math.nan) / math.log(2):.3f}" for of in means)) for name in variants]
    return f"{GATES}\n\n{overview(comparisons)}\n\n{markdown(header, lines)}\n\n{what_it_took(rows)}"
