"""``lstm-jax variants``: one line a cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import tyro

from lstm_jax.cli.dispatch import DONE


@dataclass(frozen=True)
class Options:
    """List the cells: what each is, its rows of weights, its number of parameters."""

    input_size: int = 1
    """I, of the parameter count."""
    hidden_size: int = 32
    """H, of the parameter count."""


def run(arguments: list[str]) -> int:
    """Print the table."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax variants")
    import jax

    from lstm_jax.cell import SUMMARIES, VARIANTS, init_params
    from lstm_jax.cli.console import print_table

    def count(name: str) -> int:
        inputs, hidden = options.input_size, options.hidden_size
        draw = partial(init_params, variant=VARIANTS[name], input_size=inputs, hidden_size=hidden)
        shapes = jax.eval_shape(draw, jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    rows = [(name, " ".join(VARIANTS[name].rows), f"{count(name):,}", SUMMARIES[name]) for name in VARIANTS]
    title = f"parameters at I = {options.input_size}, H = {options.hidden_size}, without a readout"
    print_table(("variant", "rows", "parameters", "what"), rows, title)
    return DONE
