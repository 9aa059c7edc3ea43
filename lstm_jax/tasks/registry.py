"""All tasks by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lstm_jax.cell.variants import nearest
from lstm_jax.tasks.adding import Adding, Adding1997
from lstm_jax.tasks.copying import Copy
from lstm_jax.tasks.temporal_order import TemporalOrder


class UnknownName(KeyError):
    """A KeyError that prints its sentence instead of a quoted key."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(dict[str, Any]):
    """A mapping of names; an unknown one raises ``UnknownName`` with the nearest. ``what`` is what they name."""

    def __init__(self, what: str, entries: Iterable[Any]) -> None:
        super().__init__({entry.name: entry for entry in entries})
        self.what = what

    def __missing__(self, name: object) -> Any:
        raise UnknownName(f"unknown {self.what} {name!r}; {nearest(str(name), self)}")


TASKS: dict[str, Any] = Registry("task", (Adding, Adding1997, TemporalOrder, Copy))
"""Name -> class; ``TASKS["adding"](length=1000)`` is a task. Unknown names raise a KeyError with the nearest one."""
