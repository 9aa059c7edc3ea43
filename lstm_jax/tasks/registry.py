"""All tasks by name."""

from __future__ import annotations

from typing import Any

from lstm_jax.names import Registry
from lstm_jax.tasks.adding import Adding, Adding1997
from lstm_jax.tasks.copying import Copy
from lstm_jax.tasks.temporal_order import TemporalOrder

TASKS: dict[str, Any] = Registry("task", (Adding, Adding1997, TemporalOrder, Copy))
"""Name -> class; ``TASKS["adding"](length=1000)`` is a task. Unknown names raise a KeyError with the nearest one."""
