"""The tables of the experiment on speech, from its results alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

from lstm_jax.analysis.report import DASH, markdown, overview, show_parts, what_it_took
from lstm_jax.studies.collect import find_results, read_rows, read_table
from lstm_jax.studies.compare import compare
from lstm_jax.studies.readings import Reading, error_rates
from lstm_jax.train.machine import code_label

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
    made = {GOOD: (READINGS, _readings), TAKEN: ("gates", _gates), NEVER: ("unheard", _unheard)}
    studies = [folder / part for folder in folders for part in ("gates", "unheard")]
    rows = [row for study in studies if study.is_dir() for row in read_rows(find_results(study))]
    return "\n\n".join([show_parts(folders, made), *([what_it_took(rows)] if rows else [])])


def _gates(folder: Path) -> str:
    return f"{_errors(ERRORS)}\n\n{overview(compare(read_rows(find_results(folder / 'gates')), 'V'))}"


def _errors(views: Iterable[str]) -> str:
    text = "; ".join(f"{view}: {ERRORS[view]}" for view in views)
    return f"{text[0].upper()}{text[1:]}. Greedy readings."


def _unheard(folder: Path) -> str:
    """A row a speaker, a column a view, and the mean of the speakers that each has."""
    rows = read_rows(find_results(folder / "unheard"))
    scores: dict[str, dict[str, float]] = {}
    for row in rows:
        view, _, speaker = row.task.partition(", ")
        scores.setdefault(speaker, {})[view] = row.test
    views = list(dict.fromkeys(view for of in scores.values() for view in of))
    lines = [(name, *(_percent(of[view]) if view in of else DASH for view in views)) for name, of in scores.items()]
    means = [fmean(of[view] for of in scores.values() if view in of) for view in views]
    table = markdown(("speaker", *views), [*lines, ("*mean*", *map(_percent, means))])
    return f"{UNHEARD} {_errors(views)}\n\n{table}"


def _readings(folder: Path) -> str:
    readings, lines = read_table(folder / READINGS, Reading), []
    for view in dict.fromkeys(reading.view for reading in readings):
        of_view = [reading for reading in readings if reading.view == view]
        truths = [reading.truth for reading in of_view]
        cells = [view, str(len(of_view))]
        for way in ("greedy", "beam", "lexicon"):
            guesses = [getattr(reading, way) for reading in of_view]
            rates = error_rates(truths, guesses)
            cells += [_percent(rate) if any(guesses) else DASH for rate in (rates[1:] if way == "lexicon" else rates)]
        lines.append(tuple(cells))
    by = json.loads((folder / MANIFEST).read_text())
    return f"{markdown(HEADER, lines)}\n\n{SYMBOLS} ({by['processor']}, commit {code_label(by)})"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
