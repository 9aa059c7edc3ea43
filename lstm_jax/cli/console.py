"""What people see: tables, progress with the time that is left, plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lstm_jax.studies.compare import compare

if TYPE_CHECKING:
    from rich.console import Console

    from lstm_jax.studies.collect import Row
    from lstm_jax.studies.run import Progress

# Wide enough for one line an entry: files and pipes do not wrap.
PLAIN_WIDTH = 240
PLAIN_SECONDS = 60.0
"""Without a terminal, a cell that runs on says where it is this often."""


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

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for n, name in enumerate(header):
        table.add_column(name, justify="right" if right and n else "left", no_wrap=right or n == 0)
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


class Clockwork:
    """The time left of a study, from the cells that this process has timed.

    A cell takes as long as the others of its task did; a task not yet begun is taken to be like those before.
    """

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}
        self.begun = time.monotonic()

    def finish(self, task: str) -> float:
        """Note a finished cell; returns its seconds."""
        now = time.monotonic()
        seconds, self.begun = now - self.begun, now
        self.spent.setdefault(task, []).append(seconds)
        return seconds

    def left(self, waiting: Sequence[str], task: str, share: float) -> float | None:
        """Seconds until all is done, with ``share`` of the current cell done; None as long as nothing is known."""
        elapsed = time.monotonic() - self.begun
        known = {name: sum(times) / len(times) for name, times in self.spent.items()}
        if share > 0 and task not in known:
            known[task] = elapsed / share
        if not known:
            return None
        typical = sum(known.values()) / len(known)
        current = max(known.get(task, typical) - elapsed, 0.0)
        return current + sum(known.get(name, typical) for name in waiting)


class StudyWatch:
    """Shows a running study: a bar with the current cell and the time left, or one line a cell without a terminal."""

    def __init__(self, out: Console) -> None:
        from rich import progress

        self.out, self.clockwork = out, Clockwork()
        self.finished: int | None = None
        self.finished_here: list[str] = []
        self.last: Progress | None = None
        self.spoke = time.monotonic()
        self.bar = progress.Progress(
            progress.TextColumn("{task.description:<20}"),
            progress.BarColumn(None),
            progress.TextColumn("{task.fields[cells]}"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[left]}"),
            console=out,
            disable=not out.is_terminal,
            expand=True,
        )
        self.line = self.bar.add_task("starting", total=None, cells="", left="")

    def __enter__(self) -> StudyWatch:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def __call__(self, progress: Progress) -> None:
        """Take one step of progress of ``run_study``."""
        if self.finished is None:
            self._first(progress)
        elif progress.finished > self.finished:
            self._finish(progress)
        self.finished, self.last = progress.finished, progress
        left = self._left(progress)
        self._share(progress, left)
        self.bar.update(
            self.line,
            description="done" if progress.cell is None else f"{progress.cell.task} {progress.cell.variant}",
            completed=progress.finished + progress.share,
            total=progress.total,
            cells=f"{progress.finished}/{progress.total} cells",
            left=f"about {clock(left)} left" if left else "",
        )

    def _first(self, progress: Progress) -> None:
        if progress.reused:
            self.out.print(
                f"{progress.reused} of {progress.total} cells were finished before; continuing", highlight=False
            )
        for origin, count in progress.foreign.items():
            cells = "1 cell comes" if count == 1 else f"{count} cells come"
            self.out.print(f"{cells} from {origin}; --overwrite runs all cells again", highlight=False, markup=False)

    def _finish(self, progress: Progress) -> None:
        assert self.last is not None and self.last.cell is not None
        cell = self.last.cell
        seconds = self.clockwork.finish(cell.task)
        self.finished_here.append(cell.key)
        if self.out.is_terminal:
            return
        left = self._left(progress) or 0.0
        scores = [row.test for row in progress.rows if (row.task, row.variant) == (cell.task, cell.variant)]
        mean = f"{sum(scores) / len(scores):8.4f}" if scores else ""
        name = f"{cell.task} {cell.variant}"
        self.spoke = time.monotonic()
        self.out.print(
            f"[{progress.finished:2}/{progress.total}] {name:<24} {mean}  {clock(seconds)}  ({clock(left)} left)",
            markup=False,
        )

    def _share(self, progress: Progress, left: float | None) -> None:
        """A plain line of the current cell when nothing was said for a while."""
        now = time.monotonic()
        if self.out.is_terminal or progress.cell is None or now - self.spoke < PLAIN_SECONDS:
            return
        self.spoke = now
        name = f"{progress.cell.task} {progress.cell.variant}"
        rest = f"  ({clock(left)} left)" if left else ""
        self.out.print(f"  {name} {100 * progress.share:.0f} %{rest}", markup=False)

    def _left(self, progress: Progress) -> float | None:
        if progress.cell is None:
            return 0.0
        return self.clockwork.left(progress.waiting, progress.cell.task, progress.share)
