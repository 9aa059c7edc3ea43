"""How far a run is: a bar where somebody looks at a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

PLAIN_SECONDS = 2.0
BAR_WIDTH = 10


class Reporter:
    """Steps done, speed and the time that is left, on the standard error stream."""

    def __init__(self, steps: int, first_step: int, sequences: int, shown: bool) -> None:
        """``sequences``: in one step of all trials; ``shown=False`` says nothing but warnings."""
        self._steps, self._first, self._sequences, self._shown = steps, first_step, sequences, shown
        self._start = self._last = time.perf_counter()
        self._warm: tuple[int, float] | None = None
        self._bar: Any = None

    def __enter__(self) -> Reporter:
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.table import Column

            # What does not fit is cut at the end of the text: count and time left stand before it, and never wrap.
            whole = Column(no_wrap=True, min_width=len(f"{self._steps}/{self._steps}"))
            rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
            left = Column(no_wrap=True, min_width=len("ETA 0:00:00"))
            columns = (
                BarColumn(BAR_WIDTH, table_column=Column(min_width=BAR_WIDTH)),
                MofNCompleteColumn(table_column=whole),
                TextColumn("{task.fields[left]}", table_column=left),
                TextColumn("{task.description}", table_column=rest),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), expand=True)
            self._bar.start()
            self._task = self._bar.add_task("compiling", total=self._steps, completed=self._first, left="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """A line that must be seen."""
        self._bar.console.print(text, highlight=False) if self._bar else print(text, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line for those who watch."""
        if self._shown:
            self.say(text)

    def step(self, step: int, text: str) -> None:
        """``step`` updates are done; speed counts from the end of the first chunk, which holds the compilation."""
        now = time.perf_counter()
        speed, left = self._speed(step, now)
        if self._bar is not None:
            self._bar.update(self._task, completed=step, left=left, description=f"{text}  {speed}")
        elif self._shown and (self._warm is None or step == self._steps or now - self._last > PLAIN_SECONDS):
            self._last = now
            self.say("  ".join(filter(None, (f"step {step}/{self._steps}", text, speed, left))))
        self._warm = self._warm or (step, now)

    def _speed(self, step: int, now: float) -> tuple[str, str]:
        """Speed, and the time that is left once it is known."""
        if self._warm is None or now <= self._warm[1]:
            return f"first chunk with compilation {now - self._start:.1f} s", ""
        rate = (step - self._warm[0]) / (now - self._warm[1])
        left = timedelta(seconds=round((self._steps - step) / rate))
        return f"{rate:.4g} steps/s  {rate * self._sequences:.4g} sequences/s", f"ETA {left}"
