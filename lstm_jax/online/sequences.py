"""Learning after every sequence that has one target, at its end (experiments 2c, 3, 4, 5 and 6 of 1997).

The gradient of 1997 cuts every path that leaves a memory block through a recurrent weight. What is left of
back-propagation through time is then no loop at all: the error of a cell's state reaches an earlier step multiplied by
the forget gates in between (by 1 where there are none), so the errors of all steps are computed at once from what the
forward pass kept, and each weight gradient is one product over time.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.adjoint import SLOPE
from lstm_jax.cell.step import SQUASH
from lstm_jax.online.net import BlockNet, Weights, by_block, move, outputs, seen_next, spread, weighted

RULES = {"slope": SLOPE, "plain": dict.fromkeys(SLOPE, jnp.ones_like)}
"""The error signal of an output unit: times the slope of its squashing (as printed), or without (cross-entropy)."""


PATHS = ("truncated", "full")
"""How far errors travel: not beyond a memory block (1997), or through every connection."""


class Sequence(NamedTuple):
    """One sequence a trial.

    Attributes:
        xs: ``(T, I, N)`` inputs, or ``(T, N)`` int32 symbols that stand for one-hot inputs.
        lengths: ``(N,)`` int32, at least 1.
        targets: ``(O, N)`` of the last step.
    """

    xs: jax.Array
    lengths: jax.Array
    targets: jax.Array


class Kept(NamedTuple):
    """What the forward pass keeps of every step: states, block inputs ``(T, C, N)``; what the next sees ``(T, F, N)``;
    gates by letter ``(T, b, N)``; outputs of the cells ``(T, C, N)``.
    """

    c: jax.Array
    z: jax.Array
    seen: jax.Array
    gates: dict[str, jax.Array]
    y: jax.Array


def input_rows(net: BlockNet, weights: Weights, xs: jax.Array) -> jax.Array:
    """What inputs and biases send to the hidden units, at all steps at once: ``(T, U, N)``."""
    bias = weights.hidden[-1:]
    if xs.ndim == 3:
        return jnp.einsum("tin,iun->tun", xs, weights.hidden[: net.inputs]) + bias
    return weights.hidden[_places(net, xs)] + bias


def _places(net: BlockNet, xs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Where the weights of symbols ``(T, N)`` stand in an array ``(K, U, N)``."""
    return xs[:, None], jnp.arange(net.units)[None, :, None], jnp.arange(xs.shape[1])[None, None]


def run(net: BlockNet, weights: Weights, rows: jax.Array) -> Kept:
    """All steps of N sequences from the blank state, all activations 0."""
    recurrent = weights.hidden[net.inputs : -1]

    def step(carry: tuple[jax.Array, jax.Array], row: jax.Array) -> tuple[tuple[jax.Array, jax.Array], Kept]:
        c, seen = carry
        c, y, act = move(net, weights, row + weighted(recurrent, seen) if len(seen) else row, c)
        seen = seen_next(net, y, act.gates)
        return (c, seen), Kept(c, act.z, seen, act.gates, y)

    trials = rows.shape[-1]
    blank = jnp.zeros((net.cells, trials)), jnp.zeros((net.fed_back, trials))
    return lax.scan(step, blank, rows)[1]


def at_end(values: jax.Array, lengths: jax.Array) -> jax.Array:
    """The last valid step ``(F, N)`` of ``(T, F, N)``."""
    return jnp.take_along_axis(values, (lengths - 1)[None, None], axis=0)[0]


def answer(net: BlockNet, weights: Weights, sequence: Sequence) -> jax.Array:
    """The output units ``(O, N)`` after the last step."""
    kept = run(net, weights, input_rows(net, weights, sequence.xs))
    return outputs(net, weights, at_end(kept.y, sequence.lengths))


def gradient(
    net: BlockNet, weights: Weights, sequence: Sequence, *, path: str = "truncated", rule: str = "slope"
) -> tuple[Weights, jax.Array]:
    """Minus the gradient of half the squared error, and the errors ``target - output`` ``(O, N)``.

    Args:
        net: layout; ``inputs_to_outputs`` and peepholes are for learning after every step only.
        weights: of N nets.
        sequence: one for each.
        path: ``truncated`` (1997) or ``full`` (back-propagation through time through every connection).
        rule: a key of ``RULES``.
    """
    if net.peepholes or net.inputs_to_outputs:
        raise ValueError("nets with peepholes or direct outputs learn after every step: see lstm_jax.online.steps")
    xs, lengths, targets = sequence
    rows = input_rows(net, weights, xs)
    if path == "full":
        kept, back = jax.vjp(lambda rows: run(net, weights, rows), rows)
    else:
        kept = run(net, weights, rows)
    y = at_end(kept.y, lengths)
    output = outputs(net, weights, y)
    errors = targets - output
    signal = errors * RULES[rule][net.output](output)
    to_cells = jnp.sum(weights.out[: net.cells] * signal[None], axis=1)
    last = jnp.arange(len(rows))[:, None, None] == (lengths - 1)[None, None]
    if path == "full":
        blank = jax.tree.map(jnp.zeros_like, kept)
        (deltas,) = back(blank._replace(y=jnp.where(last, to_cells[None], 0.0)))
    else:
        deltas = _truncated_errors(net, kept, lengths, to_cells, last)
    sources = [y] + ([jnp.ones_like(y[:1])] if "outputs" in net.biases else [])
    out = jnp.concatenate(sources)[:, None] * signal[None]
    return Weights(_hidden_gradient(net, xs, kept.seen, deltas), out), errors


def _truncated_errors(
    net: BlockNet, kept: Kept, lengths: jax.Array, to_cells: jax.Array, last: jax.Array
) -> jax.Array:
    """The errors of the hidden units' rows at every step, ``(T, U, N)``, given that of the last cell outputs."""
    c_end = at_end(kept.c, lengths)
    gates = {letter: spread(net, gate) for letter, gate in kept.gates.items()}
    o_end = at_end(gates["o"], lengths) if "o" in gates else jnp.ones_like(c_end)
    squashed = SQUASH[net.block_output](c_end)
    state = o_end * SLOPE[net.block_output](squashed) * to_cells
    valid = jnp.arange(len(kept.c))[:, None, None] < lengths[None, None]
    state = jnp.where(valid, state[None], 0.0)
    if "f" in gates:  # the share of the last state that an earlier one still makes up
        after = jnp.where(valid & ~last, jnp.roll(gates["f"], -1, axis=0), 1.0)
        state = state * jnp.cumprod(after[::-1], axis=0)[::-1]
    deltas = {"z": state * SLOPE[net.block_input](kept.z) * gates.get("i", 1.0)}
    before = jnp.concatenate([jnp.zeros_like(kept.c[:1]), kept.c[:-1]])
    through = {"i": state * kept.z, "f": state * before, "o": jnp.where(last, (squashed * to_cells)[None], 0.0)}
    deltas |= {g: by_block(net, through[g]) * SLOPE["logistic"](kept.gates[g]) for g in net.gates}
    return jnp.concatenate([deltas[row] for row in ("z", *net.gates)], axis=1)


def _hidden_gradient(net: BlockNet, xs: jax.Array, seen: jax.Array, deltas: jax.Array) -> jax.Array:
    """One product over time for the weights of each kind of source: ``(K, U, N)``."""
    if xs.ndim == 3:
        from_inputs = jnp.einsum("tin,tun->iun", xs, deltas)
    else:
        blank = jnp.zeros((net.inputs, *deltas.shape[1:]), deltas.dtype)
        from_inputs = blank.at[_places(net, xs)].add(deltas)
    before = jnp.concatenate([jnp.zeros_like(seen[:1]), seen[:-1]])
    recurrent = jnp.einsum("tfn,tun->fun", before, deltas)
    biases = jnp.where(net.mask[-1, :, None], deltas.sum(0), 0.0)
    return jnp.concatenate([from_inputs, recurrent, biases[None]])


def add(weights: Weights, gradient: Weights, rate: float | jax.Array, learning: jax.Array) -> Weights:
    """``weights + rate * gradient`` in the trials ``(N,)`` that still learn."""
    return jax.tree.map(lambda w, g: w + jnp.where(learning, rate, 0.0)[None, None] * g, weights, gradient)
