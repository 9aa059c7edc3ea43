"""Checks of task options: an error says what came, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import jax

from lstm_jax.names import nearest


def check_integer(task: str, option: str, value: Any, least: int) -> None:
    """Raise unless ``value`` is a whole number of at least ``least``.

    Raises:
        TypeError: not an integer (a bool or a float is not one).
        ValueError: too small.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"task {task!r}: {option} must be an integer, got {value!r} of type {type(value).__name__}; "
            f"pass a whole number >= {least}"
        )
    if value < least:
        raise ValueError(f"task {task!r}: {option} must be >= {least}, got {value}; pass {option}={least} or more")


def check_flag(task: str, option: str, value: Any) -> None:
    """Raise TypeError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"task {task!r}: {option} must be True or False, got {value!r} of type {type(value).__name__}")


def check_batch_size(task: str, batch_size: Any) -> None:
    """Raise unless ``batch_size`` is a static whole number of at least 1."""
    if isinstance(batch_size, jax.core.Tracer):
        raise TypeError(
            f"task {task!r}: batch_size must be static because it sets shapes, got a traced value; "
            "use jax.jit(task.sample, static_argnums=1)"
        )
    check_integer(task, "batch_size", batch_size, 1)


def check_choice(task: str, option: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise ValueError unless ``value`` is one of ``choices``."""
    choices = tuple(choices)
    if isinstance(value, bool) or value not in choices:
        hint = nearest(str(value), map(str, choices))
        raise ValueError(f"task {task!r}: {option}={value!r} is unknown; {hint}")
