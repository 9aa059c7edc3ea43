"""What people see: tables, progress with the time that is left, plain lines where there is no terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lstm_jax.studies.compare import compare

if TYPE_CHECKING:
    from rich.console import Console

    from lstm_jax.studies.collect import Row
    from lstm_jax.studies.run import Progress

# Wide enough for one line an entry: files and pipes do not wrap.
PLAIN_WIDTH = 320
PLAIN_SECONDS = 60.0
"""Without a terminal, a study says where it is at least this often."""


def console(stderr: bool = False) -> Console:
    """A console that draws only where somebody looks; ``NO_COLOR`` is respected."""
    from rich.console import Console

    probe = Console(stderr=stderr, highlight=False)
    return probe if probe.is_terminal else Console(stderr=stderr, highlight=False, width=PLAIN_WIDTH, no_color=True)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", right: bool = False) -> None:
    """A table; ``right`` aligns every column but the first to the right (numbers)."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for n, name in enumerate(header):
        table.add_column(Text(name), justify="right" if right and n else "left", no_wrap=right or n == 0)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console().print(table)


def print_comparison(rows: Sequence[Row], reference: str) -> None:
    """The final table of a study: one block a task, all variants against the reference."""
    from lstm_jax.analysis.report import HEADER, number, table_cells

    header = [name.replace("reference", reference) for name in HEADER]
    for comparison in compare(rows, reference):
        direction = "higher" if comparison.higher_is_better else "lower"
        title = f"{comparison.task}: {comparison.metric}, {direction} is better; chance {number(comparison.chance)}"
        print_table(header, table_cells(comparison), title, right=True)


def clock(seconds: float) -> str:
    """``0:07``, ``12:34`` or ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def time_left(progress: Progress) -> float | None:
    """Seconds until all is done, from what the finished trials of each (task, variant) took; None if none is known.

    A row's seconds are its share of its worker's time, so what runs side by side there is not counted twice; workers
    share what is left.
    """
    known: dict[tuple[str, str], list[float]] = {}
    for row in progress.rows:
        known.setdefault((row.task, row.variant), []).append(row.seconds)
    if not known:
        return None
    mean = {cell: sum(seconds) / len(seconds) for cell, seconds in known.items()}
    typical = sum(mean.values()) / len(mean)
    left = sum(mean.get(cell, typical) for cell in progress.waiting)
    for trial, share in progress.running:
        left += mean.get((trial.task, trial.variant), typical) * (1.0 - share)
    return left / progress.workers


def best_scores(progress: Progress) -> str:
    """The best validation score of each variant on the task that is running, or that was last: who leads."""
    if not progress.rows:
        return ""
    task = progress.running[0][0].task if progress.running else progress.rows[-1].task
    best: dict[str, float] = {}
    for row in (row for row in progress.rows if row.task == task):
        choose = max if row.higher_is_better else min
        best[row.variant] = choose(best.get(row.variant, row.validation), row.validation)
    return "  ".join(f"{variant} {score:.4g}" for variant, score in best.items())


class StudyWatch:
    """Shows a running study: a bar with the trials and the time left; without a terminal, a line now and then."""

    def __init__(self, out: Console) -> None:
        from rich import progress

        self.out = out
        self.finished_here = 0
        self.begun = False
        self.complete: set[tuple[str, str]] = set()
        self.spoke = time.monotonic()
        self.bar = progress.Progress(
            progress.TextColumn("{task.description:<20}"),
            progress.BarColumn(None),
            progress.TextColumn("{task.fields[trials]}"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[left]}"),
            console=out,
            disable=not out.is_terminal,
            expand=True,
        )
        self.line = self.bar.add_task("starting", total=None, trials="", left="")

    def __enter__(self) -> StudyWatch:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Take one step of progress of ``run_study``."""
        if not self.begun:
            self.begun, self.complete = True, _complete(progress)
            self._first(progress)
        self.finished_here = progress.finished - progress.reused
        left = time_left(progress)
        self._plain(progress, left)
        diverged = sum(row.diverged for row in progress.rows)
        names = dict.fromkeys(f"{trial.task} {trial.variant}" for trial, _ in progress.running)
        self.bar.update(
            self.line,
            description=next(iter(names), "done" if progress.finished == progress.total else "starting"),
            completed=progress.finished + sum(share for _, share in progress.running),
            total=progress.total,
            trials=f"{progress.finished}/{progress.total} trials, {len(progress.running)} alive"
            + (f", {diverged} diverged" if diverged else ""),
            left=f"about {clock(left)} left" if left else "",
        )

    def _first(self, progress: Progress) -> None:
        if progress.reused:
            self.out.print(
                f"{progress.reused} of {progress.total} trials were finished before; continuing", highlight=False
            )
        for origin, count in progress.foreign.items():
            trials = "1 trial comes" if count == 1 else f"{count} trials come"
            self.out.print(f"{trials} from {origin}; --overwrite runs all trials again", highlight=False, markup=False)

    def _plain(self, progress: Progress, left: float | None) -> None:
        """A line when a variant is complete on a task, and when nothing was said for a while."""
        complete, now = _complete(progress), time.monotonic()
        for cell in sorted(complete - self.complete):
            self._say(progress, left, cell)
        if not complete - self.complete and progress.running and now - self.spoke >= PLAIN_SECONDS:
            self._say(progress, left, None)
        self.complete = complete

    def _say(self, progress: Progress, left: float | None, cell: tuple[str, str] | None) -> None:
        self.spoke = time.monotonic()
        if self.out.is_terminal:
            return
        done = f"[{progress.finished:{len(str(progress.total))}}/{progress.total}]"
        rest = f"  ({clock(left)} left)" if left is not None else ""
        if cell is not None:
            rows = [row for row in progress.rows if (row.task, row.variant) == cell]
            scores = [row.test for row in rows if math.isfinite(row.test)]
            mean = f"{sum(scores) / len(scores):8.4f}" if scores else f"{'–':>8}"
            lost = len(rows) - len(scores)
            without = f"  ({lost} of {len(rows)} without a score)" if lost else ""
            self.out.print(f"{done} {' '.join(cell):<24} {mean}{without}{rest}", markup=False)
            return
        diverged = sum(row.diverged for row in progress.rows)
        state = f"{len(progress.running)} alive, {diverged} diverged{rest}"
        self.out.print(f"{done} {state}  best validation: {best_scores(progress)}", markup=False)


def _complete(progress: Progress) -> set[tuple[str, str]]:
    """The ``(task, variant)`` of which every trial is finished."""
    left = {(trial.task, trial.variant) for trial, _ in progress.running} | set(progress.waiting)
    return {(row.task, row.variant) for row in progress.rows} - left
