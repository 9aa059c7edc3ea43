"""Long-dependency problems made of random numbers: ``TASKS[name](**options).sample(key, batch_size) -> Batch``."""

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.registry import TASKS
from lstm_jax.tasks.task import Task

__all__ = ["TASKS", "Batch", "Task"]
