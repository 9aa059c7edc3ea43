"""Variants x initialisations: where does an initialisation matter?

Rows of one task carry the label ``"<task>, <initialisation>"``. The rules, every one of them:

* A cell of the grid is a variant with an initialisation. An initialisation that sets no bias which the variant owns
  gives the weights of the standard one; such a cell is run once and shows those scores.
* An initialisation matters for a variant where Welch's test against the standard one says so at 5 %, corrected (Holm)
  over all such questions of a task: initialisations x variants.

What initialisations do to the gaps between variants is in ``rescue.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from lstm_jax.cell.variants import resolve
from lstm_jax.names import UsageError, nearest
from lstm_jax.studies.collect import Row
from lstm_jax.studies.compare import score, side, worst_score
from lstm_jax.studies.statistics import Difference, Interval, holm, mean_interval, welch

STANDARD = "standard"
INITS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        STANDARD: MappingProxyType({"gate_init": "constant", "forget_bias": 0.0}),
        "bias1": MappingProxyType({"gate_init": "constant", "forget_bias": 1.0}),
        "chrono": MappingProxyType({"gate_init": "chrono", "forget_bias": 0.0}),
        "uniform": MappingProxyType({"gate_init": "uniform", "forget_bias": 0.0}),
    }
)
"""Where the gates start: settings of ``ModelConfig`` by the name that tables print. All other biases start at 0."""
SEPARATOR = ", "


class Cell(NamedTuple):
    """One variant with one initialisation.

    Attributes:
        source: the initialisation whose runs these are; another than ``init`` where both give the same weights.
        scores: test scores by rising seed. ``interval``: their mean and 95 % t-interval.
        validation: mean validation score over the same seeds.
        diverged: how many trials a NaN or infinity stopped.
        difference: to the standard initialisation of the same variant; None for that one and what equals it.
        p: of that difference, Welch's, Holm-corrected over initialisations x variants.
        verdict: ``"better"``, ``"worse"`` or ``""`` (no difference to the standard one shown at 5 %).
    """

    variant: str
    init: str
    source: str
    scores: tuple[float, ...]
    interval: Interval
    validation: float
    diverged: int
    difference: Difference | None = None
    p: float = math.nan
    verdict: str = ""


class Grid(NamedTuple):
    """One task: cells by ``(variant, init)``, missing where nothing was run; the reference first."""

    task: str
    metric: str
    higher_is_better: bool
    chance: float
    reference: str
    variants: tuple[str, ...]
    inits: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]


def label(task: str, init: str) -> str:
    """What rows call a task under an initialisation."""
    return f"{task}{SEPARATOR}{init}"


def split_label(text: str) -> tuple[str, str]:
    """The inverse of ``label``.

    Raises:
        UsageError: where the text names no initialisation of ``INITS``.
    """
    task, separator, init = text.rpartition(SEPARATOR)
    if not separator or not task:
        raise UsageError(f"{text!r} names no initialisation; a grid's tasks are called 'TASK{SEPARATOR}INIT'")
    if init not in INITS:
        raise UsageError(f"{text!r}: unknown initialisation {init!r}; {nearest(init, INITS)}")
    return task, init


def source_of(variant: str, init: str) -> str:
    """The initialisation that is run in place of this one: itself, or the standard one where weights are equal.

    What ``lstm_jax.cell.initializers`` sets: a number the forget gate (of a coupled one the input gate), the other
    rules the input and the forget gate, each where it is learned.
    """
    cell = resolve(variant)
    if INITS[init]["gate_init"] == "constant":
        felt = cell.forget_gate in ("learned", "coupled")
    else:
        felt = not {"i", "f"}.isdisjoint(cell.learned_gates)
    return init if felt else STANDARD


def distinct(variants: Sequence[str], init: str) -> tuple[str, ...]:
    """The variants whose weights under this initialisation are their own: those that are to be run."""
    return tuple(variant for variant in variants if source_of(variant, init) == init)


def grids(rows: Sequence[Row], reference: str = "V") -> list[Grid]:
    """One grid a task, in the order of the rows.

    A trial without any finite score counts as the worst finite score of its task (or chance, if that is worse).

    Raises:
        ValueError: for no rows, and for a task without any finite score or chance; UsageError: for a label that names
            no initialisation, and a reference never run.
    """
    if not rows:
        raise ValueError("there is nothing to compare: no rows")
    variants = {row.variant for row in rows}
    if reference not in variants:
        raise UsageError(f"no result is of the reference {reference!r}; {nearest(reference, variants)}")
    tasks = list(dict.fromkeys(split_label(row.task)[0] for row in rows))
    return [_grid(task, [row for row in rows if split_label(row.task)[0] == task], reference) for task in tasks]


def _grid(task: str, rows: Sequence[Row], reference: str) -> Grid:
    first = rows[0]
    variants = sorted(dict.fromkeys(row.variant for row in rows), key=lambda variant: variant != reference)
    run = {split_label(row.task)[1] for row in rows}
    inits = tuple(init for init in INITS if init in run)
    cells = _judged(_cells(rows, variants, inits), first.higher_is_better)
    return Grid(task, first.metric, first.higher_is_better, first.chance, reference, tuple(variants), inits, cells)


def _cells(rows: Sequence[Row], variants: Sequence[str], inits: Sequence[str]) -> dict[tuple[str, str], Cell]:
    """Every cell that was run, or whose weights were run under another name."""
    worst, worst_seen = worst_score(rows), worst_score(rows, "validation")
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        found.setdefault((row.variant, split_label(row.task)[1]), []).append(row)
    cells = {}
    for place in ((variant, init) for variant in variants for init in inits):
        source = place[1] if place in found else source_of(*place)
        own = found.get((place[0], source), [])
        if not own:
            continue
        scores = tuple(score(row, worst) for row in own)
        seen = [score(row, worst_seen, "validation") for row in own]
        diverged = sum(row.diverged for row in own)
        cells[place] = Cell(*place, source, scores, mean_interval(scores), sum(seen) / len(seen), diverged)
    return cells


def _judged(cells: Mapping[tuple[str, str], Cell], higher_is_better: bool) -> dict[tuple[str, str], Cell]:
    """The same cells, each compared with the standard initialisation of its variant."""
    differences = {
        f"{variant}{SEPARATOR}{init}": welch(cell.scores, cells[variant, STANDARD].scores)
        for (variant, init), cell in cells.items()
        if cell.source != STANDARD and (variant, STANDARD) in cells
    }
    corrected = holm({name: difference.p for name, difference in differences.items()})
    judged = dict(cells)
    for place, cell in cells.items():
        if (name := SEPARATOR.join(place)) in differences:
            verdict = side(differences[name].mean, corrected[name], higher_is_better)
            judged[place] = cell._replace(difference=differences[name], p=corrected[name], verdict=verdict)
    return judged
