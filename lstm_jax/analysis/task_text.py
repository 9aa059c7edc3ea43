"""Sample sequences of a task as lines of text: symbols, small curves, numbers."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.task import Task

DIGITS = string.digits + string.ascii_lowercase + string.ascii_uppercase
CURVE = "▁▂▃▄▅▆▇█"
LEVELS = {-1.0: "-", 0.0: ".", 1.0: "1"}
"""Channels that hold nothing else are marks or bits, not curves."""
MORE = " ... "
COUNTED = "^"


class Line(NamedTuple):
    """A name and one cell a step; ``free`` ones (numbers) are not in columns with the others."""

    name: str
    cells: Sequence[str]
    free: bool = False


def symbol_names(task: Task, size: int) -> tuple[str, ...]:
    """Names of ``size`` symbols: the alphabet of the task or of its module, else digits, and ``.`` for blanks."""
    module = sys.modules[type(task).__module__]
    for alphabet in (getattr(task, "alphabet", ()), getattr(module, "ALPHABET", ())):
        if len(alphabet) == size:
            return tuple(alphabet)
    names = list(DIGITS[:size]) if size <= len(DIGITS) else [str(n) for n in range(size)]
    blank = getattr(module, "BLANK", None)
    if blank is not None and size == task.input_size:
        names[blank] = "."
    return tuple(names)


def is_one_hot(inputs: np.ndarray) -> bool:
    """Whether inputs ``(steps, I)`` are symbols: a single 1 at each step, zeros otherwise."""
    return inputs.shape[-1] > 1 and bool(((inputs == 1).sum(-1) == 1).all() and ((inputs == 0) | (inputs == 1)).all())


def sequence_text(task: Task, batch: Batch, n: int, width: int) -> list[str]:
    """Inputs, targets beside them and the steps that count of sequence n, no line wider than ``width``.

    Steps are columns; where they do not fit, the middle is left out, which three dots say.
    """
    steps = int(np.asarray(batch.lengths)[n])
    inputs, targets, counted = (np.asarray(part)[:steps, n] for part in (batch.inputs, batch.targets, batch.loss_mask))
    lines = [*_inputs(task, inputs), *_targets(task, targets, counted)]
    lines.append(Line("counted", [COUNTED if step else " " for step in counted]))
    return _in_columns(lines, width)


def _inputs(task: Task, inputs: np.ndarray) -> Iterable[Line]:
    if is_one_hot(inputs):
        names = symbol_names(task, inputs.shape[-1])
        yield Line("input", [names[symbol] for symbol in inputs.argmax(-1)])
        return
    for k, channel in enumerate(inputs.T):
        yield from _channel("input" if inputs.shape[-1] == 1 else f"input {k}", channel, np.ones(len(channel), bool))


def _targets(task: Task, targets: np.ndarray, counted: np.ndarray) -> Iterable[Line]:
    if task.loss == "softmax":
        names = symbol_names(task, task.output_size)
        yield Line(
            "target", [names[int(target)] if step else " " for target, step in zip(targets, counted, strict=True)]
        )
        return
    names = symbol_names(task, task.output_size)
    for k, channel in enumerate(targets.T):
        yield from _channel("target" if targets.shape[-1] == 1 else f"target {names[k]}", channel, counted)


def _channel(name: str, values: np.ndarray, shown: np.ndarray) -> Iterable[Line]:
    """One real channel where it is shown: bits as symbols, else a curve, if there are steps for one, and numbers."""
    if set(values[shown].tolist()) <= LEVELS.keys():
        yield Line(name, [LEVELS[float(value)] if show else " " for value, show in zip(values, shown, strict=True)])
        return
    if shown.sum() > 1:
        low, high = values[shown].min(), values[shown].max()
        height = np.where(shown, (values - low) / max(high - low, 1e-12) * (len(CURVE) - 1), 0).round().astype(int)
        yield Line(name, [CURVE[level] if show else " " for level, show in zip(height, shown, strict=True)])
    yield Line("" if shown.sum() > 1 else name, [f"{value:.2f}" for value in values[shown]], free=True)


def _in_columns(lines: Sequence[Line], width: int) -> list[str]:
    margin = max(len(line.name) for line in lines) + 2
    room = max(width - margin, 2 * len(MORE))
    size = max(len(cell) for line in lines if not line.free for cell in line.cells)
    return [f"{line.name:<{margin}}{_joined(line, size, room)}".rstrip() for line in lines]


def _joined(line: Line, size: int, room: int) -> str:
    apart = " " if line.free or size > 1 else ""
    size = max(map(len, line.cells), default=0) if line.free else size
    cells = [f"{cell:>{size}}" for cell in line.cells]
    text = apart.join(cells)
    if len(text) <= room:
        return text
    fitting = max(0, room - len(MORE)) // (size + len(apart))
    tail = fitting // 2
    return apart.join(cells[: fitting - tail]) + MORE + (apart.join(cells[-tail:]) if tail else "")
