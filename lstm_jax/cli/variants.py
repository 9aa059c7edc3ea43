"""``lstm-jax variants``: one line a cell."""

from __future__ import annotations

from dataclasses import dataclass

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
        sizes = {"input_size": options.input_size, "hidden_size": options.hidden_size}
        shapes = jax.eval_shape(lambda: init_params(jax.random.key(0), VARIANTS[name], **sizes))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    rows = [(name, " ".join(VARIANTS[name].rows), f"{count(name):,}", SUMMARIES[name]) for name in VARIANTS]
    title = f"parameters at I = {options.input_size}, H = {options.hidden_size}, without a readout"
    print_table(("variant", "rows", "parameters", "what"), rows, title)
    return DONE
