"""The tables of the experiment on speech, from its results alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean

from lstm_jax.analysis.report import markdown, overview
from lstm_jax.studies.collect import Row, find_results, read_rows
from lstm_jax.studies.compare import compare
from lstm_jax.studies.readings import Reading, error_rates, read_readings
from lstm_jax.train.machine import code_label

DASH = "–"
READINGS, MANIFEST = "readings.csv", "manifest.json"
GOOD, TAKEN, NEVER = "One good network", "Gates taken away", "Speakers that were never heard"
ERRORS = {"words": "share with any letter wrong", "strings": "errors a digit"}
"""What the figures of a view are."""
UNHEARD = "V, trained without the speaker, tested on what the speaker says in the test part."
SYMBOLS = (
    "Symbols: letters of words, digits of strings; official test part. Beam: 16 prefixes. Lexicon: "
    "the most probable of the ten words. V, seed 0."
)
HEADER = (
    "view", "utterances", "symbol errors, greedy", "utterances wrong, greedy", "symbol errors, beam",
    "utterances wrong, beam", "utterances wrong, lexicon",
)  # fmt: skip


def readme_section(*folders: Path) -> str:
    """What is read, which gates matter, and speakers that were never heard: those parts that the folders hold.

    Raises:
        FileNotFoundError: none of them.
    """
    parts: dict[str, list[str]] = {title: [] for title in (GOOD, TAKEN, NEVER)}
    rows: list[Row] = []
    for folder in folders:
        if (folder / READINGS).is_file():
            parts[GOOD].append(_readings(read_readings(folder / READINGS), folder / MANIFEST))
        if (folder / "gates").is_dir():
            rows += (gates := read_rows(find_results(folder / "gates")))
            parts[TAKEN].append(f"{_errors(ERRORS)}\n\n{overview(compare(gates, 'V'))}")
        if (folder / "unheard").is_dir():
            rows += (unheard := read_rows(find_results(folder / "unheard")))
            parts[NEVER].append(_unheard(unheard))
    found = [f"### {title}\n\n{text}" for title, texts in parts.items() for text in texts]
    if not found:
        named = ", ".join(map(str, folders))
        raise FileNotFoundError(f"{named} holds no results: no gates/, no unheard/, no {READINGS}; run it first")
    return "\n\n".join([*found, *([_legend(rows)] if rows else [])])


def _errors(views: Iterable[str]) -> str:
    text = "; ".join(f"{view}: {ERRORS[view]}" for view in views)
    return f"{text[0].upper()}{text[1:]}. Greedy readings."


def _unheard(rows: Sequence[Row]) -> str:
    """A row a speaker, a column a view, and the mean of the speakers that each has."""
    scores: dict[str, dict[str, float]] = {}
    for row in rows:
        view, _, speaker = row.task.partition(", ")
        scores.setdefault(speaker, {})[view] = row.test
    views = list(dict.fromkeys(view for of in scores.values() for view in of))
    lines = [(name, *(_percent(of[view]) if view in of else DASH for view in views)) for name, of in scores.items()]
    means = [fmean(of[view] for of in scores.values() if view in of) for view in views]
    table = markdown(("speaker", *views), [*lines, ("*mean*", *map(_percent, means))])
    return f"{UNHEARD} {_errors(views)}\n\n{table}"


def _readings(readings: Sequence[Reading], manifest: Path) -> str:
    lines = []
    for view in dict.fromkeys(reading.view for reading in readings):
        of_view = [reading for reading in readings if reading.view == view]
        truths = [reading.truth for reading in of_view]
        cells = [view, str(len(of_view))]
        for way in ("greedy", "beam", "lexicon"):
            guesses = [getattr(reading, way) for reading in of_view]
            rates = error_rates(truths, guesses)
            cells += [_percent(rate) if any(guesses) else DASH for rate in (rates[1:] if way == "lexicon" else rates)]
        lines.append(tuple(cells))
    by = json.loads(manifest.read_text())
    return f"{markdown(HEADER, lines)}\n\n{SYMBOLS} ({by['processor']}, commit {code_label(by)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _legend(rows: Sequence[Row]) -> str:
    machines = sorted({f"{row.device}, commit {row.commit}" for row in rows})
    seconds = sum(row.seconds for row in rows)
    return f"{len(rows)} networks, {seconds / 60:.0f} minutes of one core ({'; '.join(machines)})."
