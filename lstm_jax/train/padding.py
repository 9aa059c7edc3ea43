"""Networks of different sizes in one program: each padded to a common width with cells that never change anything.

A padded cell has zero weights in and out. Its gates may stand at a half and its gradients need not be zero (gates fed
back, for one), so its gradients are masked: then its weights stay 0, no other cell ever sees it, and the network is
the exact one to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.params import Params
from lstm_jax.cell.variants import Variant, resolve
from lstm_jax.modules.readout import Readout
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import Network

FIXED, CELLS, BLOCKS = "fixed", "cells", "blocks"
Change = Callable[[jax.Array, int, str], jax.Array]
"""``(array, axis, kind)`` to the array with that axis changed."""


def live_cells(config: ModelConfig) -> np.ndarray | None:
    """``(width,)`` float32, 1 for the cells that exist and 0 for those that pad; None where the width is the size."""
    if config.width is None:
        return None
    variant = resolve(config.variant)
    live = np.arange(variant.blocks(config.width)) < variant.blocks(config.hidden_size)
    return np.tile(live, variant.block_size).astype(np.float32)


def embed(config: ModelConfig, network: Network) -> Network:
    """The network of exact size, padded with zeros to ``config.width``."""
    return network if config.width is None else _changed(config, network, partial(_pad, config))


def crop(config: ModelConfig, network: Network) -> Network:
    """The inverse of ``embed``: the weights of the cells that exist."""
    return network if config.width is None else _changed(config, network, partial(_cut, config))


def keep_live(config: ModelConfig, live: jax.Array | None, network: Network) -> Network:
    """The network, or its gradient, with 0 in every weight to or from a cell that is not ``live (H,)``."""
    return network if live is None else _changed(config, network, partial(_mask, config, live))


def _changed(config: ModelConfig, network: Network, change: Change) -> Network:
    """Every axis that counts cells or blocks, changed; the layer below counts as cells too, once a direction."""
    stack = tuple(
        tuple(_params(params, change, reads=CELLS if layer else FIXED) for params in directions)
        for layer, directions in enumerate(network.stack)
    )
    read = Readout(change(network.readout.W, 0, CELLS), network.readout.b)
    return Network(stack, read, network.embedding)


def _params(params: Params, change: Change, reads: str) -> Params:
    kinds = Params(
        W=(reads, FIXED, BLOCKS),
        R=(CELLS, FIXED, BLOCKS),
        b=(FIXED, BLOCKS),
        p=(FIXED, CELLS),
        Q=(FIXED, BLOCKS, FIXED, BLOCKS),
    )
    changed = []
    for array, axes in zip(params, kinds, strict=True):
        for axis, kind in enumerate(axes):
            array = array if array is None or kind == FIXED else change(array, axis, kind)
        changed.append(array)
    return Params(*changed)


def _copies(variant: Variant, kind: str, length: int, hidden: int) -> int:
    """How often the blocks repeat along an axis: once for blocks; for cells block_size times, once a direction."""
    return 1 if kind == BLOCKS else length // hidden * variant.block_size


def _resize(config: ModelConfig, array: jax.Array, axis: int, kind: str, before: int, after: int) -> jax.Array:
    """Blocks along ``axis`` cut or filled with zeros, within each repetition."""
    variant = resolve(config.variant)
    shape, old, new = array.shape, variant.blocks(before), variant.blocks(after)
    copies = _copies(variant, kind, shape[axis], before)
    blocks = array.reshape(*shape[:axis], copies, old, *shape[axis + 1 :])
    if new < old:
        blocks = blocks[(slice(None),) * (axis + 1) + (slice(new),)]
    else:
        blocks = jnp.pad(blocks, [(0, new - old if n == axis + 1 else 0) for n in range(blocks.ndim)])
    return blocks.reshape(*shape[:axis], copies * new, *shape[axis + 1 :])


def _pad(config: ModelConfig, array: jax.Array, axis: int, kind: str) -> jax.Array:
    return _resize(config, array, axis, kind, config.hidden_size, config.width or config.hidden_size)


def _cut(config: ModelConfig, array: jax.Array, axis: int, kind: str) -> jax.Array:
    return _resize(config, array, axis, kind, config.width or config.hidden_size, config.hidden_size)


def _mask(config: ModelConfig, live: jax.Array, array: jax.Array, axis: int, kind: str) -> jax.Array:
    variant, hidden = resolve(config.variant), live.shape[0]
    copies = _copies(variant, kind, array.shape[axis], hidden)
    mask = jnp.tile(live[: variant.blocks(hidden)], copies)
    return array * jax.lax.broadcast_in_dim(mask, array.shape, (axis,))
