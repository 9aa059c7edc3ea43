"""Learning after every step (experiments 1, 2a and 2b of 1997; continual prediction and timing of 2000 and 2002).

The truncated gradient accumulated forwards, as the papers have it: a cell remembers its derivative for every weight
that can change it. Nothing grows with the length of a stream, and weights may change at every step.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.adjoint import SLOPE
from lstm_jax.online.net import (
    Act,
    BlockNet,
    Weights,
    by_block,
    move,
    outputs,
    rows_of,
    seen_next,
    spread,
    weighted,
)


class Past(NamedTuple):
    """What a step needs of those before.

    Attributes:
        c: ``(C, N)`` cell states; ``seen``: ``(F, N)`` units that are fed back.
        traces: by row (z, i, f) ``(K, C, N)``, derivatives of each cell for the weights of its block's row.
        peeps: by gate (i, f) ``(C, N)``, its derivative for the peephole, where there are any.
    """

    c: jax.Array
    seen: jax.Array
    traces: dict[str, jax.Array]
    peeps: dict[str, jax.Array]


class Now(NamedTuple):
    """A step as it went: ``output (O, N)``, and what the weights read: the inputs as they came, ``sources (K, N)`` of
    the hidden units, ``read (M, N)`` of the outputs, the new cells ``c``.
    """

    output: jax.Array
    x: jax.Array
    sources: jax.Array
    read: jax.Array
    c: jax.Array
    act: Act


def blank(net: BlockNet, trials: int) -> Past:
    """The past of a sequence's first step: zeros."""
    sources = net.inputs + net.fed_back + 1
    inner = [gate for gate in net.gates if gate != "o"]
    traces = {row: jnp.zeros((sources, net.cells, trials)) for row in ("z", *inner)}
    peeps = {gate: jnp.zeros((net.cells, trials)) for gate in inner} if net.peepholes else {}
    return Past(jnp.zeros((net.cells, trials)), jnp.zeros((net.fed_back, trials)), traces, peeps)


def forget(past: Past, first: jax.Array) -> Past:
    """A blank past in the trials ``(N,)`` whose sequence begins."""
    return jax.tree.map(lambda a: jnp.where(first.reshape((1,) * (a.ndim - 1) + first.shape), 0.0, a), past)


def step(net: BlockNet, weights: Weights, past: Past, x: jax.Array) -> tuple[Past, Now]:
    """One step of N nets on inputs ``(I, N)``, or on symbols ``(N,)``, and the traces that go with it."""
    if net.peepholes and net.size > 1:
        raise ValueError(f"peepholes are learned in blocks of one cell, got size={net.size}")
    shown = x if x.ndim == 2 else (jnp.arange(net.inputs)[:, None] == x[None]).astype(past.c.dtype)
    sources = jnp.concatenate([shown, past.seen, jnp.ones_like(shown[:1])])
    c, y, act = move(net, weights, weighted(weights.hidden, sources), past.c)
    gates = {letter: spread(net, gate) for letter, gate in act.gates.items()}
    local = {"z": SLOPE[net.block_input](act.z) * gates.get("i", 1.0)}
    if "i" in gates:
        local["i"] = SLOPE["logistic"](gates["i"]) * act.z
    if "f" in gates:
        local["f"] = SLOPE["logistic"](gates["f"]) * past.c
    kept = gates["f"] if "f" in gates else jnp.ones_like(c)
    traces = {row: kept[None] * past.traces[row] + local[row][None] * sources[:, None] for row in local}
    peeps = {gate: kept * past.peeps[gate] + local[gate] * past.c for gate in past.peeps}
    read = jnp.concatenate([y, jnp.ones_like(y[:1])]) if "outputs" in net.biases else y
    now = Now(outputs(net, weights, y, x), x, sources, read, c, act)
    return Past(c, seen_next(net, y, act.gates), traces, peeps), now


def gradient(net: BlockNet, weights: Weights, past: Past, now: Now, signal: jax.Array) -> Weights:
    """Minus the gradient of half the squared error of this step.

    Args:
        net, weights: as for the step.
        past: what the step returned, its traces included.
        now: likewise.
        signal: ``(O, N)`` errors of the output rows; 0 where a step has no target.
    """
    to_cells = jnp.sum(weights.out[: net.cells] * signal[None], axis=1)
    passed = to_cells if "o" not in net.gates else spread(net, now.act.gates["o"]) * to_cells
    state = SLOPE[net.block_output](now.act.squashed) * passed
    parts, peeps = [state[None] * past.traces["z"]], []
    for gate in net.gates:
        if gate == "o":
            error = by_block(net, now.act.squashed * to_cells) * SLOPE["logistic"](now.act.gates["o"])
            parts.append(now.sources[:, None] * error[None])
            peeps.append(error * now.c if net.peepholes else None)
        else:
            parts.append(by_block(net, state[None] * past.traces[gate]))
            peeps.append(state * past.peeps[gate] if net.peepholes else None)
    hidden = jnp.concatenate(parts, axis=1)
    if not net.mask.all():
        hidden = jnp.where(net.mask[..., None], hidden, 0.0)
    out = now.read[:, None] * signal[None]
    direct = now.sources[: net.inputs, None] * signal[None] if net.inputs_to_outputs else None
    return Weights(hidden, out, direct, jnp.stack(peeps) if net.peepholes else None)


def add_direct(net: BlockNet, direct: jax.Array, now: Now, signal: jax.Array) -> jax.Array:
    """The weights from inputs to outputs, changed by ``signal`` in the rows that the step has read."""
    if now.x.ndim == 2:
        return direct + now.x[:, None] * signal[None]
    return direct.at[rows_of(net, now.x)].add(signal)
