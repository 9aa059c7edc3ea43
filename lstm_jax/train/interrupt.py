"""Ctrl-C and SIGTERM as a question that a loop asks between two pieces of work: should I save and leave?"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """True once a signal came; another one after it leaves at once, with exit code 128 + its number.

    Python sees signals between two of its own steps: those that come while it waits for one computation count as one.

    Attributes:
        exit_code: 130 (Ctrl-C), 143 (SIGTERM), or 0 while there was none.
    """

    exit_code: int = 0

    def __enter__(self) -> Interrupt:
        """Listen; only the main thread of a process may."""
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        """Hand the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.exit_code != 0

    def _note(self, number: int, _: FrameType | None) -> None:
        if self:
            os._exit(128 + number)
        self.exit_code = 128 + number
