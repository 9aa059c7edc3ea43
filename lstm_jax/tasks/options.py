"""Checks of task options: an error says what came, what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral
from typing import Any

import jax


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
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"task {task!r}: {option} must be one of {allowed}, got {value!r}{guess(value, choices)}")


def guess(name: Any, known: Iterable[Any]) -> str:
    """``"; did you mean 'x'?"``, or nothing when no known name is near."""
    by_lower = {known_name.lower(): known_name for known_name in known if isinstance(known_name, str)}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f"; did you mean {by_lower[near[0]]!r}?" if near else ""
