"""``lstm-jax bench``: times side by side with Flax."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from lstm_jax.cli.dispatch import DONE


@dataclass(frozen=True)
class Options:
    """Time one forward and backward pass of each backend and of Flax, interleaved; medians, compilation apart."""

    shapes: tuple[str, ...] = ("32x1000x64x128", "4x1000x64x128")
    """Batch x steps x input x hidden."""
    rounds: int = 7
    """Measurements of each contestant."""


def run(arguments: list[str]) -> int:
    """Parse, measure, print."""
    tyro.cli(Options, args=arguments, prog="lstm-jax bench")
    raise NotImplementedError("the benchmark is not there yet")
    return DONE
