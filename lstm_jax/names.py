"""Things known by name, and the sentence that answers an unknown one; below every room."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint that ends an error about an unknown name: the nearest known one in any case, and all of them."""
    known = sorted(known)
    by_lower = {k.lower(): k for k in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return (f"did you mean {by_lower[near[0]]!r}? " if near else "") + f"known: {', '.join(known)}"


def check_names(record: object, choices: Mapping[str, Iterable[str]]) -> None:
    """Raise ValueError unless each of these fields of a record holds one of its known names."""
    for field, known in choices.items():
        value = getattr(record, field)
        if value not in known:
            raise ValueError(f"{type(record).__name__}: {field}={value!r} is unknown; {nearest(str(value), known)}")


class UsageError(ValueError):
    """A name, key or option that was given and that nothing here has; the command line exits with 2."""


class UnknownName(KeyError):
    """A KeyError that prints its sentence instead of a quoted key."""

    def __str__(self) -> str:
        return str(self.args[0])


class Registry(dict[str, Any]):
    """Entries by their ``name``; an unknown one raises ``UnknownName``. ``what`` says what they are."""

    def __init__(self, what: str, entries: Iterable[Any]) -> None:
        super().__init__({entry.name: entry for entry in entries})
        self.what = what

    def __missing__(self, name: object) -> Any:
        raise UnknownName(f"unknown {self.what} {name!r}; {nearest(str(name), self)}")
