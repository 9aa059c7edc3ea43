"""Batches that lie spread over the Explicit axes of a mesh, which ``jax.make_mesh`` makes: their types say so.

Each device runs its part of the batch by itself. So kernels are split too, and no operation of the loop has to be told
how its result lies.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax.sharding import PartitionSpec, reshard


def is_spread(tree: Any) -> bool:
    """Whether any array lies spread over Explicit axes."""
    specs = (jax.typeof(leaf).sharding.spec for leaf in jax.tree.leaves(tree))
    return any(axes is not None for spec in specs for axes in spec)


def each_alone(layer: Any, settings: tuple, params: Any, xs: jax.Array, lengths: Any, state: Any, resets: Any):
    """``layer(*settings, params, xs ...)`` on each device's part of the batch; time-major, results lie as xs does.

    The gradient of the weights is local and summed once, on the way out.

    Args:
        layer, settings: a function and its first arguments, hashable: it is compiled once for these.
        params, xs, lengths, state, resets: its other arguments; what lies otherwise than xs is moved.

    Raises:
        ValueError: outside ``jax.set_mesh``.
    """
    if jax.sharding.get_abstract_mesh().empty:
        raise ValueError("an argument lies spread over Explicit axes of a mesh: call under jax.set_mesh(mesh)")
    spread = jax.typeof(xs).sharding.spec[1]
    return _each_alone(layer, settings, spread, params, xs, lengths, state, resets)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _each_alone(layer, settings, spread, *given):
    whole, rows, batch = PartitionSpec(), PartitionSpec(None, spread), PartitionSpec(spread)
    specs = whole, rows, batch, batch, rows
    laid = [jax.tree.map(partial(_lay, spec), tree) for spec, tree in zip(specs, given, strict=True)]
    axes = {spread} if isinstance(spread, str) else set(spread or jax.sharding.get_abstract_mesh().axis_names)
    run, out = partial(layer, *settings), (rows, batch)
    return jax.shard_map(run, in_specs=specs, out_specs=out, axis_names=axes, check_vma=False)(*laid)


def _lay(spec: PartitionSpec, array: jax.Array) -> jax.Array:
    return reshard(array, spec)


def lay_like(array: jax.Array, like: jax.Array) -> jax.Array:
    """The array laid as another of its shape."""
    return reshard(array, jax.typeof(like).sharding.spec) if is_spread(like) else array
