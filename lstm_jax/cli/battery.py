"""What people see while the battery of 1997 runs, and the list of its rows."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lstm_jax.cli.console import clock, console, print_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from lstm_jax.studies.battery_results import TrialResult
    from lstm_jax.studies.battery_row import BatteryRow
    from lstm_jax.studies.battery_run import Moment

PLAIN_SECONDS = 30.0
"""Without a terminal, each row says where it is at most this often."""


def print_rows(rows: Sequence[BatteryRow]) -> None:
    """Every row with what was published and what it costs."""
    cells = [
        (
            row.name,
            row.experiment,
            row.setting,
            row.choice,
            str(row.published.trials),
            " / ".join("–" if isnan(mean) else f"{mean:,.0f}" for mean in row.published.sequences),
            f"{row.cap:,}",
        )
        for row in rows
    ]
    header = ("row", "experiment", "setting", "choice", "trials", "sequences (paper)", "given up after")
    print_table(header, cells)


def conduct(
    rows: Sequence[BatteryRow], out: Path, trials: int | None, seconds: float | None, workers: int | None
) -> None:
    """Run rows with a bar for each, write results, table and figure, print the table.

    ``manifest.json`` holds every sitting in this folder: its command, rows, machine and time.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from lstm_jax.analysis.battery_report import publish, table
    from lstm_jax.studies.battery_results import read_results
    from lstm_jax.studies.battery_workers import run_battery
    from lstm_jax.train.machine import describe_machine
    from lstm_jax.train.records import MANIFEST, alone_in, read_circumstances, write_json

    screen, started, begun = console(), datetime.now(UTC), time.monotonic()
    columns = (TextColumn("{task.description:<28}"), BarColumn(None), TextColumn("{task.fields[state]}"))
    bars = Progress(*columns, TimeElapsedColumn(), console=screen, disable=not screen.is_terminal, expand=True)
    watch = _Watch(screen, bars, {row.name: row.cap for row in rows})
    out = Path(out)
    sitting: dict[str, Any] = {
        "command": sys.argv,
        "started": started.isoformat(timespec="seconds"),
        "wall_seconds": None,  # where it was killed
        "rows": [row.name for row in rows],
        "budget_seconds": seconds,
        **describe_machine(),
    }
    with alone_in(out), bars:
        earlier = read_circumstances(out / MANIFEST).get("sittings", [])
        write_json(out / MANIFEST, {"sittings": [*earlier, sitting]})
        for event in run_battery(rows, out, trials, seconds, workers):
            if isinstance(event, list):
                watch.ended(event)
            else:
                watch.moved(event)
        wall = time.monotonic() - begun
        write_json(out / MANIFEST, {"sittings": [*earlier, {**sitting, "wall_seconds": round(wall, 1)}]})
        try:
            found = read_results(out)
        except FileNotFoundError:  # not one row had begun
            found, written = [], [out / MANIFEST]
        else:
            written = publish(out)
    if found:
        screen.print(table(found), markup=False, highlight=False)
    ran = {trial.row for trial in found}
    left = [row.name for row in rows if row.name not in ran]
    if left:
        screen.print(f"Not run, the time was over: {', '.join(left)}", markup=False)
    screen.print(f"{clock(wall)}. Wrote {', '.join(map(str, written))}", markup=False)


class _Watch:
    """A bar a row; without a terminal, lines."""

    def __init__(self, screen: Console, bars: Progress, caps: dict[str, int]) -> None:
        self.screen, self.bars, self.caps = screen, bars, caps
        self.tasks: dict[str, TaskID] = {}
        self.spoke: dict[str, float] = {}

    def moved(self, moment: Moment) -> None:
        """A row has gone on."""
        if moment.row not in self.tasks:
            self.tasks[moment.row] = self.bars.add_task(moment.row, total=self.caps[moment.row], state="")
        state = (
            f"{moment.met}/{moment.trials} trials after {moment.seen:,} sequences, "
            f"{moment.microseconds:.2f} us a trial and step"
        )
        self.bars.update(self.tasks[moment.row], completed=moment.seen, state=state)
        now = time.monotonic()
        if now - self.spoke.get(moment.row, now) >= PLAIN_SECONDS and not self.screen.is_terminal:
            self._say(f"{moment.row}: {state}")
            self.spoke[moment.row] = now
        self.spoke.setdefault(moment.row, now)

    def ended(self, trials: Sequence[TrialResult]) -> None:
        """A row is over."""
        met = sum(trial.ended == "met" for trial in trials)
        first = trials[0]
        self._say(f"{first.row}: {met} of {len(trials)} trials met the criterion, {clock(first.seconds)}")

    def _say(self, text: str) -> None:
        self.screen.print(text, markup=False, highlight=False)
