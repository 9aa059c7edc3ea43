"""``--data.options length=20`` for those who write pairs so; the parser knows ``length 20``."""

from __future__ import annotations

from collections.abc import Sequence

PAIRED = ("--data.options", "--data.test-options")
"""The options, of every verb that has them, whose values are pairs."""


def hyphened(option: str) -> str:
    """The name of an option as it is listed; the parser takes underscores too."""
    return option.replace("_", "-")


def split_pairs(arguments: Sequence[str]) -> list[str]:
    """The arguments with each ``name=value`` after one of ``PAIRED`` as two; a value keeps the ``=`` in it."""
    split: list[str] = []
    within, value_next = False, False
    for argument in arguments:
        option, _, first = argument.partition("=")
        if hyphened(option) in PAIRED and first:  # --data.options=length=20
            within, value_next = True, "=" not in first
            split += [option, *first.split("=", 1)]
        elif argument.startswith("--"):
            within, value_next = hyphened(argument) in PAIRED, False
            split.append(argument)
        elif within and not value_next and "=" in argument:
            split += argument.split("=", 1)
        else:
            value_next = not value_next
            split.append(argument)
    return split
