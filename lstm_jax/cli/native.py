"""``lstm-jax native``: whether the CPU kernel is here; ``lstm-jax native build`` compiles it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from lstm_jax.cli.dispatch import DONE, ERROR


@dataclass(frozen=True)
class Options:
    """Say whether the native CPU kernel is here, or compile it: twenty seconds, into the user's cache."""

    action: Annotated[Literal["status", "build"], tyro.conf.Positional] = "status"
    """``build`` needs a C++ compiler: g++, clang++, what CXX names, or the one that the extra ``native`` brings."""
    optional: bool = False
    """With build: where it cannot be compiled, say so and go on, the exit code is 0."""


def run(arguments: list[str]) -> int:
    """Report, or build and report."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax native")
    from lstm_jax.unroll import build

    if options.action == "build":
        try:
            build.build()
        except (OSError, RuntimeError, ValueError) as error:
            if not options.optional:
                raise
            print(f"The native kernel was not built, cells run as loops of XLA: {error}")
            return DONE
    if build.load():
        print(f"native kernel: {build.library_path()}")
    elif options.action == "build":
        print(f"{build.library_path()} was compiled but cannot be loaded, cells run as loops of XLA")
        return DONE if options.optional else ERROR
    else:
        print(f"The native kernel is not here: {build.HOW}")
    return DONE
