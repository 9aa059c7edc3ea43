"""Nets of memory blocks as they were in 1997 to 2002: what sees what, and one step of many of them side by side.

These nets are tiny and learn after every sequence or every step, so the trials of an experiment are laid along the
*last* axis, where a processor's vector units find them: every array ends in N, one entry a trial. The cell is the one
of ``lstm_jax.cell`` (tested against it); what is added is the wiring of the old papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.step import SQUASH
from lstm_jax.names import check_names, nearest

CHOICES = {
    "feedback": ("units", "cells", "none"),
    "block_input": tuple(SQUASH),
    "block_output": tuple(SQUASH),
    "output": ("logistic", "identity", "centered_logistic_2"),
}


class Weights(NamedTuple):
    """All weights of N nets; K sources of the hidden units, M of the outputs.

    Attributes:
        hidden: ``(K, U, N)`` from the inputs, the units fed back and the bias, to the cells and then the gates.
        out: ``(M, O, N)`` from the cells and the bias (where there is one) to the outputs.
        direct: ``(I, O, N)`` from the inputs to the outputs, or None.
        peep: ``(G, C, N)`` from the cells to the gates of their block, or None.
    """

    hidden: jax.Array
    out: jax.Array
    direct: jax.Array | None = None
    peep: jax.Array | None = None


class Act(NamedTuple):
    """What a step did: the block input z ``(C, N)``, the gates by letter ``(b, N)``, ``h(c)`` ``(C, N)``."""

    z: jax.Array
    gates: dict[str, jax.Array]
    squashed: jax.Array


@dataclass(frozen=True)
class BlockNet:
    """The layout of a net: one layer of memory blocks whose cells share their gates.

    Hidden units are numbered cells first (cell v of block j is ``v * blocks + j``), then gate by gate.

    Attributes:
        inputs, outputs: I and O.
        blocks, size: b blocks of ``size`` cells each; C = b * size.
        gates: letters of the gates that exist, of ``i f o``; an absent gate is open.
        biases: which units have a trainable bias, of ``cells gates outputs``.
        feedback: what hidden units see of the step before: ``units`` (cells and gates, 1997), ``cells`` (2000), none.
        inputs_to_outputs: whether the output layer also sees the inputs.
        peepholes: whether gates see the cell states of their block.
        block_input, block_output, output: squashing functions g, h and that of the output units.
    """

    inputs: int
    outputs: int
    blocks: int
    size: int = 1
    gates: tuple[str, ...] = ("i", "o")
    biases: tuple[str, ...] = ()
    feedback: str = "units"
    inputs_to_outputs: bool = False
    peepholes: bool = False
    block_input: str = "centered_logistic_2"
    block_output: str = "centered_logistic_1"
    output: str = "logistic"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        check_names(self, CHOICES)
        for field, known in {"gates": ("i", "f", "o"), "biases": ("cells", "gates", "outputs")}.items():
            if wrong := [name for name in getattr(self, field) if name not in known]:
                raise ValueError(f"BlockNet: {field} holds {wrong[0]!r}; {nearest(wrong[0], known)}")

    @property
    def cells(self) -> int:
        """C."""
        return self.blocks * self.size

    @property
    def units(self) -> int:
        """U: cells and gates."""
        return self.cells + len(self.gates) * self.blocks

    @property
    def fed_back(self) -> int:
        """Units that the next step sees."""
        return {"units": self.units, "cells": self.cells, "none": 0}[self.feedback]

    @property
    def mask(self) -> np.ndarray:
        """``(K, U)`` bool, which hidden weights exist: all but the biases of units that have none."""
        mask = np.ones((self.inputs + self.fed_back + 1, self.units), bool)
        mask[-1, : self.cells] = "cells" in self.biases
        mask[-1, self.cells :] = "gates" in self.biases
        return mask

    @property
    def weight_count(self) -> int:
        """Trainable weights of one net, as the papers count them."""
        sources = self.cells + self.inputs_to_outputs * self.inputs + ("outputs" in self.biases)
        peepholes = len(self.gates) * self.cells if self.peepholes else 0
        return int(self.mask.sum()) + sources * self.outputs + peepholes

    def draw(self, key: jax.Array, scale: float, gate_biases: dict[str, tuple[float, ...]]) -> Weights:
        """The initial weights of one net, ``(..., )`` without N: vmap over keys with ``out_axes=-1``.

        Args:
            key: PRNG key of the trial.
            scale: weights and free biases are uniform on [-scale, scale].
            gate_biases: by letter, the biases of that gate over the blocks, where the paper gives them.
        """
        keys = jax.random.split(key, 4)
        mask = self.mask

        def uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
            return jax.random.uniform(key, shape, minval=-scale, maxval=scale)

        hidden = jnp.where(mask, uniform(keys[0], mask.shape), 0.0)
        for letter, biases in gate_biases.items():
            start = self.gate_start(letter)
            hidden = hidden.at[-1, start : start + self.blocks].set(jnp.asarray(biases, jnp.float32))
        out = uniform(keys[1], (self.cells + ("outputs" in self.biases), self.outputs))
        direct = uniform(keys[2], (self.inputs, self.outputs)) if self.inputs_to_outputs else None
        peep = uniform(keys[3], (len(self.gates), self.cells)) if self.peepholes else None
        return Weights(hidden, out, direct, peep)

    def gate_start(self, letter: str) -> int:
        """The first hidden unit of that gate."""
        return self.cells + self.gates.index(letter) * self.blocks


def spread(net: BlockNet, gate: jax.Array) -> jax.Array:
    """A gate ``(..., b, N)``, one copy a cell ``(..., C, N)``."""
    return gate if net.size == 1 else jnp.concatenate([gate] * net.size, axis=-2)


def by_block(net: BlockNet, values: jax.Array) -> jax.Array:
    """Sums ``(..., C, N)`` over the cells of each block ``(..., b, N)``: the adjoint of ``spread``."""
    return (
        sum(values[..., n * net.blocks : (n + 1) * net.blocks, :] for n in range(1, net.size))
        + (values[..., : net.blocks, :])
    )


def move(net: BlockNet, weights: Weights, rows: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, Act]:
    """From the rows of the hidden units ``(U, N)`` and the cells ``(C, N)`` to the next cells and their outputs y.

    Source: Hochreiter & Schmidhuber 1997, section 4; forget gate: Gers et al. 2000; peepholes: Gers et al. 2002.
    """
    gates: dict[str, jax.Array] = {}

    def gate(letter: str, seen: jax.Array) -> jax.Array | None:
        if letter not in net.gates:
            return None
        start = net.gate_start(letter)
        row = rows[start : start + net.blocks]
        if weights.peep is not None:
            row = row + by_block(net, weights.peep[net.gates.index(letter)] * seen)
        gates[letter] = jax.nn.sigmoid(row)
        return spread(net, gates[letter])

    z = SQUASH[net.block_input](rows[: net.cells])
    i, f = gate("i", c), gate("f", c)
    kept, written = (c if f is None else f * c), (z if i is None else i * z)
    c = kept + written
    o = gate("o", c)
    squashed = SQUASH[net.block_output](c)
    return c, squashed if o is None else o * squashed, Act(z, gates, squashed)


def seen_next(net: BlockNet, y: jax.Array, gates: dict[str, jax.Array]) -> jax.Array:
    """What the next step sees: ``(F, N)``, cell outputs and, where they are fed back, the gates."""
    if net.feedback == "units":
        return jnp.concatenate([y, *(gates[letter] for letter in net.gates)])
    return y if net.feedback == "cells" else y[:0]


def outputs(net: BlockNet, weights: Weights, y: jax.Array, x: jax.Array | None = None) -> jax.Array:
    """The output units ``(O, N)`` from the cell outputs ``(C, N)`` and, where they see them, the inputs.

    The inputs are ``(I, N)``, or ``(N,)`` int32 symbols that stand for one-hot ones.
    """
    total = weighted(weights.out[: net.cells], y)
    if "outputs" in net.biases:
        total = total + weights.out[-1]
    if weights.direct is not None and x is not None:
        total = total + (weighted(weights.direct, x) if x.ndim == 2 else weights.direct[rows_of(net, x)])
    return SQUASH[net.output](total)


def rows_of(net: BlockNet, symbols: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where the weights from symbols ``(N,)`` to the outputs stand in an array ``(I, O, N)``."""
    return symbols[None], jnp.arange(net.outputs)[:, None], jnp.arange(len(symbols))[None]


def weighted(weights: jax.Array, sources: jax.Array) -> jax.Array:
    """``sum_k weights[k] sources[k]``, trial by trial: ``(K, U, N)`` and ``(K, N)`` make ``(U, N)``.

    Written out, because XLA hands a reduction to a thread pool whose call takes longer than the whole step.
    """
    return sum((w * x[None] for w, x in zip(weights[1:], sources[1:], strict=True)), weights[0] * sources[0][None])
