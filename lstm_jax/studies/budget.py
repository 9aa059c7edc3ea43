"""Sizes at which different cells have equally many parameters."""

from __future__ import annotations

import math
from itertools import count

from lstm_jax.cell.params import named_shapes
from lstm_jax.cell.variants import Variant, resolve


def parameter_count(variant: Variant | str, input_size: int, hidden_size: int, output_size: int) -> int:
    """Learned numbers of one layer of cells and a linear readout with biases."""
    shapes = named_shapes(variant, input_size, hidden_size)
    return sum(math.prod(shape) for shape in shapes.values()) + (hidden_size + 1) * output_size


def matched_size(variant: Variant | str, input_size: int, output_size: int, parameters: int) -> int:
    """The hidden size whose ``parameter_count`` is nearest to ``parameters``; of two equally near ones the smaller.

    Raises:
        ValueError: not even one block of cells is within the budget.
    """
    cell = resolve(variant)
    below = 0
    for size in count(cell.block_size, cell.block_size):
        found = parameter_count(cell, input_size, size, output_size)
        if found > parameters:
            break
        below, distance = size, parameters - found
    if not below:
        raise ValueError(
            f"{cell.name} with {size} cells, {input_size} inputs and {output_size} outputs has {found:,} parameters; "
            f"give at least as many, got {parameters:,}"
        )
    return size if found - parameters < distance else below
