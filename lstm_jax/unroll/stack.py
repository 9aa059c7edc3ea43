"""Layers and directions: a stack of cells over a batch of sequences."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lstm_jax.cell.params import Params, init_params
from lstm_jax.cell.step import State
from lstm_jax.cell.variants import Variant, check_dropped, positive, resolve
from lstm_jax.unroll.sequence import unroll
from lstm_jax.unroll.spread import lay_like

Stack = tuple[tuple[Params, ...], ...]
"""Layers, each a tuple of one direction (forward) or two (forward, backward)."""

States = tuple[State | tuple[State, ...], ...]
"""One entry a layer: its state, or the states of both directions."""


def init_stack(
    key: jax.Array,
    variant: Variant | str,
    input_size: int,
    hidden_size: int,
    *,
    num_layers: int = 1,
    bidirectional: bool = False,
    **init_options,
) -> Stack:
    """Draw the weights of a stack; ``init_options`` go to ``init_params``.

    Layer 0 reads I features, each later layer the D * H outputs of the one below (D directions).

    Raises:
        ValueError: ``num_layers`` below 1, and whatever ``init_params`` refuses.
    """
    variant = resolve(variant)
    num_layers, hidden_size = positive("num_layers", num_layers), positive("hidden_size", hidden_size)
    directions = 2 if bidirectional else 1
    layers = []
    for layer in range(num_layers):
        size = input_size if layer == 0 else directions * hidden_size
        keys = [jax.random.fold_in(key, layer * 2 + direction) for direction in range(directions)]
        layers.append(tuple(init_params(k, variant, size, hidden_size, **init_options) for k in keys))
    return tuple(layers)


def unroll_stack(
    variant: Variant | str,
    stack: Stack,
    xs: jax.Array,
    lengths: jax.typing.ArrayLike | None = None,
    initial_state: States | None = None,
    resets: jax.Array | None = None,
    *,
    backend: str = "auto",
    remat_chunk: int | None = None,
    dropout: float = 0.0,
    dropout_key: jax.Array | None = None,
) -> tuple[jax.Array, States]:
    """Run a stack over time-major sequences.

    Args:
        variant: record or name, the same for every layer.
        stack: from ``init_stack``.
        xs: ``(T, B, I)``.
        lengths: ``(B,)`` or None.
        initial_state: as returned: one entry a layer, a pair if bidirectional; None starts blank.
        resets: ``(T, B)`` bool or None.
        backend: see ``unroll``; ``remat_chunk`` too.
        dropout: share of the outputs dropped between layers, drawn once, outside the time loop.
        dropout_key: needed if ``dropout`` is above 0.

    Returns:
        ``ys (T, B, D * H)`` of the last layer, forward then backward, and the final states, one entry a layer.

    Raises:
        TypeError: ``Params`` where a layer is expected.
        ValueError: a stack without a layer, an ``initial_state`` that is not made as the stack is, a rate outside
            [0, 1) or without a key, and whatever ``unroll`` refuses.
    """
    if isinstance(stack, Params) or any(isinstance(layer, Params) for layer in stack):
        raise TypeError(
            "stack holds Params where a layer is expected, a tuple of Params, of one or of both directions: write "
            "((params,),) for one layer, or run unroll"
        )
    if not len(stack):
        raise ValueError("the stack has no layers, expected at least one: init_stack makes them")
    if isinstance(initial_state, State):
        raise ValueError(
            "initial_state is one State, expected a tuple over layers of State, or of (forward, backward): "
            "write (state,) for one layer"
        )
    if initial_state is not None and len(initial_state) != len(stack):
        raise ValueError(f"initial_state has {len(initial_state)} entries, the stack has {len(stack)} layers")
    check_dropped("unroll_stack: dropout", dropout)
    states = []
    for n, layer in enumerate(stack):
        if n and dropout > 0:
            xs = _drop(xs, dropout, dropout_key, n)
        first = (None,) * len(layer) if initial_state is None else _directions(initial_state[n], len(layer), n)
        runs = [
            unroll(variant, params, xs, lengths, state, bool(d), resets, backend=backend, remat_chunk=remat_chunk)
            for d, (params, state) in enumerate(zip(layer, first, strict=True))
        ]
        xs = runs[0][0] if len(runs) == 1 else jnp.concatenate([ys for ys, _ in runs], axis=-1)
        states.append(runs[0][1] if len(runs) == 1 else tuple(state for _, state in runs))
    return xs, tuple(states)


def _directions(state: State | tuple[State, ...], count: int, layer: int) -> tuple[State, ...]:
    states = (state,) if isinstance(state, State) else tuple(state)
    if len(states) != count or not all(isinstance(s, State) for s in states):
        raise ValueError(
            f"initial_state[{layer}] must be {'a State' if count == 1 else 'a pair of States (forward, backward)'}, "
            f"got {type(state).__name__}"
        )
    return states


def _drop(ys: jax.Array, rate: float, key: jax.Array | None, layer: int) -> jax.Array:
    if key is None:
        raise ValueError(f"dropout={rate} needs dropout_key")
    keep = jax.random.bernoulli(jax.random.fold_in(key, layer), 1.0 - rate, ys.shape)
    return jnp.where(lay_like(keep, ys), ys / (1.0 - rate), jnp.zeros_like(ys))
