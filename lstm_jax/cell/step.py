"""One time step of every cell, in the letters of "LSTM: A Search Space Odyssey" (2015).

Two matrix products make the rows, ``cell`` squashes and combines them. The functions work over any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.params import Params, check_no_trials, check_params, widened_dtype
from lstm_jax.cell.variants import Variant, positive, resolve


class State(NamedTuple):
    """What the next step needs.

    Attributes:
        c: ``(..., H)`` cells.
        y: ``(..., H)`` block outputs.
        gates: ``(..., L, n)`` learned gates, where the variant feeds them back; otherwise None.
    """

    c: jax.Array
    y: jax.Array
    gates: jax.Array | None = None


SQUASH = {
    "tanh": jnp.tanh,
    "identity": lambda x: x,
    "logistic": jax.nn.sigmoid,
    "centered_logistic_1": lambda x: jnp.tanh(0.5 * x),  # 2 s(x) - 1
    "centered_logistic_2": lambda x: 2.0 * jnp.tanh(0.5 * x),  # 4 s(x) - 2
    "relu": lambda x: jnp.where(x <= 0, 0.0, x),  # as jax.nn.relu, NaN and the slope of 0 at 0 included
}
FORGET = {
    "learned": lambda f, i: f,
    "open": lambda f, i: None,
    "coupled": lambda f, i: 1.0 - i,
    "closed": lambda f, i: None,
}
RESET = {"open": lambda r, i: None, "learned": lambda r, i: r, "coupled": lambda r, i: i}
FEEDBACK = {"full": lambda tree: tree, "truncated": lax.stop_gradient}


def initial_state(
    variant: Variant | str,
    batch_shape: tuple[int, ...],
    hidden_size: int,
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> State:
    """The blank state, zeros: c, y ``(*batch_shape, H)`` and, where fed back, gates ``(*batch_shape, L, n)``."""
    variant = resolve(variant)
    n = variant.blocks(positive("hidden_size", hidden_size))
    if not isinstance(batch_shape, (tuple, list)):
        raise TypeError(f"batch_shape must be a tuple of sizes, such as (B,) or (), got {batch_shape!r}")
    if not jnp.issubdtype(jnp.dtype(dtype), jnp.floating):
        raise ValueError(f"initial_state: dtype must be a floating type, got {jnp.dtype(dtype)}")
    c, y = (jnp.zeros((*batch_shape, hidden_size), dtype) for _ in "cy")  # two buffers: either may be donated
    gates = jnp.zeros((*batch_shape, len(variant.learned_gates), n), dtype) if feeds_gates(variant) else None
    return State(c, y, gates)


def feeds_gates(variant: Variant) -> bool:
    """Whether the state carries the gates to the next step."""
    return bool(variant.recurrent_targets and variant.learned_gates)


def lstm_step(
    variant: Variant | str, params: Params, state: State, x: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of the cell: the six equations (Greff et al. 2015, section II).

    ``z = g(W_z x + R_z y + b_z)``, ``i = s(W_i x + R_i y + p_i c + b_i)``, ``f`` likewise, ``c' = z i + c f``,
    ``o = s(W_o x + R_o y + p_o c' + b_o)``, ``y' = h(c') o``.

    Args:
        variant: record or name.
        params: of that variant.
        state: c, y ``(..., H)``.
        x: ``(..., I)``.

    Returns:
        The next state, and the activations of the step by letter, for study: ``z`` and every gate that is not
        simply open, ``(..., H)`` (``(..., n)`` for the shared gates of memory blocks).

    Raises:
        TypeError: params, state or x of the wrong kind.
        ValueError: a shape or type that does not fit; the message says which, and what was expected.
    """
    variant = resolve(variant)
    inputs, hidden = check_params(variant, params)
    check_no_trials(params)
    x = check_features("x", x, inputs)
    state = check_state(variant, params, state, x.shape[:-1], hidden, "state")
    state, act = cell(variant, params.p, *products(variant, params, state, x), state)
    return state, {letter: value for letter, value in act.items() if value is not None}


def state_dtype(params: Params) -> jnp.dtype:
    """The accumulation type: float32 for 16-bit weights, otherwise the weights' own."""
    return widened_dtype(params.W.dtype)


def check_features(name: str, x: jax.typing.ArrayLike, inputs: int) -> jax.Array:
    """Floating inputs with I features, or an error."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} must be floating, got {x.dtype}: one-hot encode or cast integer inputs first")
    if x.ndim < 1 or x.shape[-1] != inputs:
        raise ValueError(f"{name} with shape {x.shape} does not end in the I = {inputs} features of the weights")
    return x


def check_state(
    variant: Variant, params: Params, state: State, lead: tuple[int, ...], hidden: int, name: str
) -> State:
    """The state as arrays, if it fits the weights in shape and type; ``lead`` are the axes before the features."""
    if not isinstance(state, State):
        raise TypeError(f"{name} must be lstm_jax.State(c=..., y=...), got {type(state).__name__}")
    n, gates, dtype = variant.blocks(hidden), len(variant.learned_gates), state_dtype(params)
    expected = State((*lead, hidden), (*lead, hidden), (*lead, gates, n) if feeds_gates(variant) else None)
    arrays = State(*(None if part is None else jnp.asarray(part) for part in state))
    for field, got, want in zip(State._fields, arrays, expected, strict=True):
        if (got is None) != (want is None):
            came = "missing" if got is None else f"given, shape {got.shape}"
            raise ValueError(f"{name}.{field} is {came}; variant {variant.name} expects {want}")
        if got is None:
            continue
        if got.shape != want:
            raise ValueError(f"{name}.{field} has shape {got.shape}, expected {want}")
        if got.dtype != dtype:
            raise ValueError(
                f"{name}.{field} is {got.dtype}, the state of {params.W.dtype} weights is {dtype}: cast it"
            )
    return arrays


def products(variant: Variant, params: Params, state: State, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The rows before squashing: ``x W + b`` and ``y R + gates Q``, each ``(..., G, n)``."""
    return input_rows(params, x, state.c.dtype), recurrent_rows(variant, params, state)


def input_rows(params: Params, x: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """``x W + b``, ``(..., G, n)``, of one step or of all of them at once."""
    rows = product(x, params.W, dtype)
    return rows + jnp.broadcast_to(params.b.astype(dtype), rows.shape)


def recurrent_rows(variant: Variant, params: Params, state: State) -> jax.Array:
    """``y R + gates Q``, ``(..., G, n)``."""
    feedback, dtype = FEEDBACK[variant.feedback], state.c.dtype
    y_rows = product(feedback(state.y), params.R, dtype)
    if state.gates is not None:
        targets = target_rows(variant)
        from_gates = product(feedback(state.gates), params.Q, dtype, axes=2)
        y_rows = y_rows.at[..., targets, :].add(from_gates)
    return y_rows


def product(x: jax.Array, weights: jax.Array, dtype: jax.typing.DTypeLike, axes: int = 1) -> jax.Array:
    """Contract the last ``axes`` axes of x with the first of the weights: operands in their type, sums in ``dtype``.

    Written as a plain matrix product of two flat arrays, the form that every platform has its fastest code for.
    """
    lead, size = x.shape[: x.ndim - axes], math.prod(weights.shape[:axes])
    flat_x, flat_weights = x.reshape(*lead, size), weights.reshape(size, -1)
    dimensions = (((len(lead),), (0,)), ((), ()))
    rows = lax.dot_general(flat_x.astype(weights.dtype), flat_weights, dimensions, preferred_element_type=dtype)
    return rows.reshape(*lead, *weights.shape[axes:])


def target_rows(variant: Variant) -> slice:
    """The rows that see the gates of the step before."""
    start = 0 if variant.input_recurrence else variant.block_size
    return slice(start, start + len(variant.recurrent_targets))


def cell(
    variant: Variant, p: jax.Array | None, x_rows: jax.Array, y_rows: jax.Array, state: State
) -> tuple[State, dict[str, jax.Array | None]]:
    """Squash the rows and move the cell: everything of a step that is not a matrix product."""
    rows = by_letter(variant, x_rows), by_letter(variant, y_rows)
    c, y, act = move(variant, p, *rows, state.c, FEEDBACK[variant.feedback](state.c))
    gates = None if state.gates is None else jnp.stack([act[g] for g in variant.learned_gates], axis=-2)
    return State(c, y, gates), act


def by_letter(variant: Variant, rows: jax.Array) -> dict[str, jax.Array]:
    """Rows ``(..., G, n)`` as ``z (..., H)`` and each learned gate ``(..., n)``."""
    size = variant.block_size
    gates = {gate: rows[..., size + n, :] for n, gate in enumerate(variant.learned_gates)}
    return {"z": flat(rows[..., :size, :]), **gates}


def move(
    variant: Variant,
    p: Sequence[jax.Array] | jax.Array | None,
    x_rows: Mapping[str, jax.Array],
    y_rows: Mapping[str, jax.Array],
    c_before: jax.Array,
    peeped: jax.Array,
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array | None]]:
    """The cell itself, of rows by letter: new c, new y, and the activations, None for a gate that is simply open.

    ``peeped`` is ``c_before`` as peepholes see it, which no error passes where the feedback is truncated.
    Elementwise but for shared gates, so that arrays in any arrangement pass, a GPU kernel's transposed tiles too;
    ``p`` then holds an array a peephole gate that broadcasts against them.
    """
    size = variant.block_size

    def gate(letter: str, seen: jax.Array) -> jax.Array | None:
        """The learned gate of that letter, peeping at the cells ``seen``; None where the variant has none."""
        if letter not in variant.learned_gates:
            return None
        row = x_rows[letter] + y_rows[letter]
        if letter in variant.peephole_gates:
            row = row + peep(variant, p[variant.peephole_gates.index(letter)], seen)
        return jax.nn.sigmoid(row)

    i = gate("i", peeped)
    f = FORGET[variant.forget_gate](gate("f", peeped), i)
    r = RESET[variant.reset_gate](gate("r", peeped), i)
    z = SQUASH[variant.block_input](x_rows["z"] + through(size, r, y_rows["z"]))
    c = through(size, i, z)
    if variant.forget_gate != "closed":
        c = c + through(size, f, c_before)
    o = gate("o", c)
    y = through(size, o, SQUASH[variant.block_output](c))
    return c, y, {"z": z, "i": i, "f": f, "o": o, "r": r}


def through(size: int, gate: jax.Array | None, value: jax.Array) -> jax.Array:
    """The value as the gate lets it pass; an open gate is no operation at all."""
    return value if gate is None else value * spread(size, gate)


def spread(size: int, gate: jax.Array) -> jax.Array:
    """A gate ``(..., n)`` shared by the ``size`` cells of each block, one copy a cell ``(..., H)``."""
    return gate if size == 1 else jnp.concatenate([gate] * size, axis=-1)


def gather(size: int, values: jax.Array) -> jax.Array:
    """The adjoint of ``spread``: sums ``(..., H)`` over the cells of each block ``(..., n)``."""
    return values if size == 1 else values.reshape(*values.shape[:-1], size, values.shape[-1] // size).sum(-2)


def flat(rows: jax.Array) -> jax.Array:
    """Rows ``(..., rows, n)`` side by side on one axis, such as the block inputs of all cells ``(..., H)``."""
    return rows.reshape(*rows.shape[:-2], rows.shape[-2] * rows.shape[-1])


def peep(variant: Variant, p: jax.Array, c: jax.Array) -> jax.Array:
    """What a gate sees of its block's cells: ``p . c``, ``(..., n)``."""
    return gather(variant.block_size, c * jnp.broadcast_to(p.astype(c.dtype), c.shape))
