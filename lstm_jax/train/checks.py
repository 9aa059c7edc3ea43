"""Checks of the records of settings: types, known names, bounds, and the way from JSON; the same for all of them."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Mapping
from types import MappingProxyType, NoneType, UnionType
from typing import Any

import numpy as np

from lstm_jax.cell.initializers import SCHEMES
from lstm_jax.cell.variants import VARIANTS
from lstm_jax.names import UsageError, nearest
from lstm_jax.unroll import BACKENDS

Option = None | int | float | bool | str

CHOICES = MappingProxyType(
    {
        "variant": tuple(VARIANTS),
        "gate_init": ("constant", "chrono", "uniform"),
        "initializer": tuple(SCHEMES),
        "backend": BACKENDS,
        "precision": ("float32", "bfloat16"),
        "optimizer": ("adam", "sgd", "damped_sgd", "rmsprop", "adagrad"),
        "average": ("steps", "sequences"),
        "schedule": ("constant", "cosine", "linear", "exponential"),
        "batching": ("random", "bucketed", "packed"),
        "nan_policy": ("stop", "skip", "raise"),
        "parallel": ("none", "shard_map", "pmap"),
        "placement": ("auto", "vmap", "map"),
    }
)
"""The known names of every setting that is a name."""


@functools.cache
def type_hints(kind: type) -> dict[str, Any]:
    """The types of a record's fields."""
    return typing.get_type_hints(kind)


def check_types(record: Any) -> None:
    """The same check for records built in Python as for those read from JSON; numpy scalars become numbers."""
    kind: Any = type(record)
    for name, hint in type_hints(kind).items():
        value = getattr(record, name)
        where = f"{kind.__name__}: {name}"
        if typing.get_origin(hint) is tuple:
            checked: Any = tuple((option, _option(choice, f"{where}.{option}")) for option, choice in value)
        else:
            checked = _value(hint, value, where)
        object.__setattr__(record, name, checked)


def read_record(kind: type, tree: Any, where: str) -> Any:
    """The record of that kind out of parsed JSON; ``where`` goes into errors."""
    if not isinstance(tree, dict):
        raise TypeError(f"{where} must be a JSON object, got {type(tree).__name__}: {tree!r}")
    hints = type_hints(kind)
    for key in tree:
        if key not in hints:
            raise UsageError(f"{where} has an unknown key {key!r}; {nearest(key, hints)}")
    return kind(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in tree.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return read_record(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is tuple:
        return tuple(_record_options(value, where).items())
    value = _plain(value)
    kinds = hint.__args__ if isinstance(hint, UnionType) else (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) not in kinds:
        expected = " or ".join("null" if kind is NoneType else kind.__name__ for kind in kinds)
        raise TypeError(f"{where} must be {expected}, got {type(value).__name__}: {value!r}")
    return value


def _record_options(value: Any, where: str) -> dict[str, Option]:
    if not isinstance(value, dict):
        raise TypeError(f"{where} must be a JSON object of names and values, got {value!r}")
    return {name: _option(option, f"{where}.{name}") for name, option in value.items()}


def _option(value: Any, where: str) -> Option:
    value = _plain(value)
    if not isinstance(value, Option):
        raise TypeError(f"{where} must be a number, a truth value, a string or null, got {value!r}")
    return value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def pairs_of(what: str, given: Any) -> list[tuple[str, Any]]:
    """Names and values that were given as a mapping, or as pairs.

    Raises:
        TypeError: neither.
    """
    pairs = list(given.items()) if isinstance(given, Mapping) else given
    if not isinstance(pairs, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs
    ):
        raise TypeError(f"{what} must be a mapping such as {{'length': 20}}, or pairs, got {given!r}")
    return [(str(name), value) for name, value in pairs]


def known(record: Any, *names: str) -> None:
    """Each of these settings is a name in ``CHOICES``."""
    for name in names:
        value = getattr(record, name)
        if value not in CHOICES[name]:
            raise ValueError(f"{type(record).__name__}: {name}={value!r} is unknown; {nearest(value, CHOICES[name])}")


def at_least(record: Any, least: int, *names: str) -> None:
    """Each of these settings is None, or finite and not below ``least``."""
    for name in names:
        value = getattr(record, name)
        if value is not None and not (value >= least and math.isfinite(value)):
            raise ValueError(f"{type(record).__name__}: {name} must be finite and >= {least}, got {value!r}")
