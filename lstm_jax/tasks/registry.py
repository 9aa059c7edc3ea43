"""All tasks by name."""

from __future__ import annotations

from typing import Any

from lstm_jax.tasks.adding import Adding, Adding1997
from lstm_jax.tasks.copying import Copy
from lstm_jax.tasks.options import guess
from lstm_jax.tasks.temporal_order import TemporalOrder


class UnknownTask(KeyError):
    """A KeyError that prints its sentence instead of a quoted key."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Tasks(dict[str, Any]):
    def __missing__(self, name: object) -> Any:
        raise UnknownTask(f"unknown task {name!r}{guess(name, self)}; known: {', '.join(sorted(self))}")


TASKS: dict[str, Any] = _Tasks({task.name: task for task in (Adding, Adding1997, TemporalOrder, Copy)})
"""Name -> class; ``TASKS["adding"](length=1000)`` is a task. Unknown names raise a KeyError with the nearest one."""
