"""How the GPU kernels cut a layer: programs, warpgroups, which rows see what, and what of it fits a program."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.step import feeds_gates, target_rows
from lstm_jax.cell.variants import Variant

TILE, UNITS = 16, 64
"""Sequences of a program; units of a warpgroup, the least number of rows of a product on Hopper's tensor cores."""
SHARED_BYTES = (227 - 4) << 10
"""Shared memory of one program: 227 KiB on compute capability 9.0 (CUDA programming guide, technical specifications),
less some for barriers and the compiler's own."""


class Sizes(NamedTuple):
    """Of a layer: steps, sequences, units.

    Arrays ``(..., B, H)`` are cut to ``(..., tiles, parts, UNITS, TILE)``, padded with zeros, so that what a warpgroup
    reads or writes at a time is one block.
    """

    steps: int
    batch: int
    hidden: int

    @property
    def tiles(self) -> int:
        """Programs, each with ``TILE`` sequences; one at least, for a GPU launches no empty grid."""
        return max(-(-self.batch // TILE), 1)

    @property
    def parts(self) -> int:
        """Warpgroups of a program, each with ``UNITS`` units."""
        return -(-self.hidden // UNITS)

    def blocks(self, *lead: int) -> jax.ShapeDtypeStruct:
        """The record of an array that is cut."""
        return jax.ShapeDtypeStruct((*lead, self.tiles, self.parts, UNITS, TILE), jnp.float32)

    def cut(self, x: jax.Array) -> jax.Array:
        """Tiles of ``(..., B, H)``."""
        *lead, _, _ = x.shape
        widths = [(0, self.tiles * TILE - self.batch), (0, self.parts * UNITS - self.hidden)]
        x = jnp.pad(x, [*[(0, 0)] * len(lead), *widths])
        return jnp.moveaxis(x.reshape(*lead, self.tiles, TILE, self.parts, UNITS), -3, -1)

    def join(self, tiles: jax.Array) -> jax.Array:
        """The array that was cut."""
        x = jnp.moveaxis(tiles, -1, -3)
        x = x.reshape(*x.shape[:-4], self.tiles * TILE, self.parts * UNITS)
        return x[..., : self.batch, : self.hidden]

    def cut_units(self, x: jax.Array) -> jax.Array:
        """Numbers a unit ``(..., H)``, one copy a sequence: ``(..., parts, UNITS, TILE)``."""
        x = jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (0, self.parts * UNITS - self.hidden)])
        x = x.reshape(*x.shape[:-1], self.parts, UNITS, 1)
        return jnp.broadcast_to(x, (*x.shape[:-1], TILE))

    def cut_batch(self, x: jax.Array) -> jax.Array:
        """Numbers a sequence ``(B,)``, one copy a unit: ``(tiles, UNITS, TILE)``."""
        x = jnp.pad(x, (0, self.tiles * TILE - self.batch)).reshape(self.tiles, 1, TILE)
        return jnp.broadcast_to(x, (self.tiles, UNITS, TILE))

    def cut_square(self, x: jax.Array) -> jax.Array:
        """Weights ``(H, H)`` as ``(parts, parts, UNITS, UNITS)``."""
        x = jnp.pad(x, (0, self.parts * UNITS - self.hidden))
        return jnp.swapaxes(x.reshape(self.parts, UNITS, self.parts, UNITS), 1, 2)


class Given(NamedTuple):
    """What both ways read.

    Attributes:
        weights: ``(edges, parts, parts, UNITS, UNITS)`` of ``edges``, 16 bits.
        p: ``(P, parts, UNITS, TILE)`` peepholes, or None.
        lengths: ``(tiles, UNITS, TILE)`` int32, or None.
    """

    weights: jax.Array
    p: jax.Array | None
    lengths: jax.Array | None


def sources(variant: Variant) -> tuple[str, ...]:
    """What of a step the rows of the next one see."""
    return ("y", *(variant.learned_gates if feeds_gates(variant) else ()))


def edges(variant: Variant) -> list[tuple[int, int]]:
    """Pairs (row, source): every row sees y, the targets of gate recurrence see every gate as well."""
    targets = range(len(variant.rows))[target_rows(variant)]
    from_y = [(row, 0) for row in range(len(variant.rows))]
    return from_y + [(row, 1 + gate) for row in targets for gate in range(len(sources(variant)) - 1)]


def has_reset(variant: Variant) -> bool:
    """Whether a gate scales the recurrent part of the block input, which then has an error of its own."""
    return variant.reset_gate != "open"


def shared_bytes(variant: Variant, parts: int) -> int:
    """Shared memory of the way that needs more: weights, and two slots of what is exchanged, 16 bits each."""
    exchanged = max(len(sources(variant)), len(variant.rows))
    return 2 * UNITS * parts * (len(edges(variant)) * UNITS * parts + 2 * exchanged * TILE)
