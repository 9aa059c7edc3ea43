"""Long-dependency problems made of random numbers: ``TASKS[name](**options).sample(key, batch_size) -> Batch``."""

from lstm_jax.tasks.adding import Adding, Adding1997
from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.copying import Copy
from lstm_jax.tasks.registry import TASKS
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.temporal_order import TemporalOrder

__all__ = ["TASKS", "Adding", "Adding1997", "Batch", "Copy", "Task", "TemporalOrder"]
