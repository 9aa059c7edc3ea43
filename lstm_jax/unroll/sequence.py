"""From one step to a sequence: lengths, resets, direction, rematerialisation, and the checks of what came in."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.params import Params
from lstm_jax.cell.step import State, feeds_gates
from lstm_jax.cell.variants import Variant, resolve
from lstm_jax.unroll.backends import backend_named
from lstm_jax.unroll.lengths import check_lengths, clean, starts, valid_steps


def unroll(
    variant: Variant | str,
    params: Params,
    xs: jax.Array,
    lengths: jax.typing.ArrayLike | None = None,
    initial_state: State | None = None,
    reverse: bool = False,
    resets: jax.Array | None = None,
    time_major: bool = True,
    backend: str = "auto",
    remat_chunk: int | None = None,
) -> tuple[jax.Array, State]:
    """Run one cell over a batch of sequences.

    Args:
        variant: record or name.
        params: of that variant, ``W (I, G, n)`` and so on.
        xs: ``(T, B, I)`` floating; ``(B, T, I)`` if not ``time_major``.
        lengths: ``(B,)`` integers in 0..T, or None for all T. Past its length a row's state is held, its output is
            exactly 0, and its inputs, NaN included, reach neither values nor gradients.
        initial_state: c, y ``(B, H)`` in the state's type; None starts blank.
        reverse: run each sequence from its own end; outputs keep their original positions.
        resets: ``(T, B)`` bool (``(B, T)`` if not ``time_major``), the first step of each packed sequence: the state
            before it is blank. A reversed direction is blank before the last step of each.
        backend: ``"scan"`` (plain, any differentiation mode), ``"fused"`` (own reverse loop, faster; reverse mode
            only), or ``"auto"``.
        remat_chunk: keep the state every so many steps and recompute between on the way back: memory for time.

    Returns:
        ``ys (T, B, H)`` in the state's type, and the state after each row's last valid step.

    Raises:
        TypeError: xs or lengths of the wrong kind.
        ValueError: a shape that does not fit; the message says which, and what was expected.

    Examples:
        >>> import jax, lstm_jax as lj
        >>> params = lj.init_params(jax.random.key(0), "NP", input_size=3, hidden_size=5)
        >>> ys, state = lj.unroll("NP", params, jax.numpy.ones((7, 2, 3)), lengths=[7, 4])
        >>> ys.shape, state.c.shape, float(abs(ys[4:, 1]).max())
        ((7, 2, 5), (2, 5), 0.0)
    """
    variant, run = resolve(variant), backend_named(backend)
    hidden, xs = _check_inputs(variant, params, xs)
    if not time_major:
        xs, resets = jnp.swapaxes(xs, 0, 1), resets if resets is None else jnp.swapaxes(jnp.asarray(resets), 0, 1)
    steps, batch = xs.shape[:2]
    state = _check_state(variant, params, initial_state, batch, hidden, xs)
    valid = None if lengths is None else valid_steps(check_lengths(lengths, steps, batch), steps)
    start = None if resets is None else starts(_check_resets(resets, steps, batch), valid, reverse)
    params, xs, state, valid, start = _equally_varying((params, clean(xs, valid), state, valid, start))
    if steps:
        run = partial(run, variant, reverse)
        run = run if remat_chunk is None else partial(_in_chunks, run, remat_chunk, reverse)
        ys, state = run(params, xs, state, valid, start)
    else:
        ys = jnp.zeros((0, batch, hidden), state.y.dtype)
    if valid is not None:
        ys = jnp.where(jnp.broadcast_to(valid[..., None], ys.shape), ys, jnp.zeros_like(ys))
    return (ys if time_major else jnp.swapaxes(ys, 0, 1)), state


def state_dtype(params: Params) -> jnp.dtype:
    """The accumulation type: float32 for 16-bit weights, otherwise the weights' own."""
    return jnp.promote_types(params.W.dtype, jnp.float32)


def _in_chunks(run, chunk: int, reverse: bool, params: Params, xs, state: State, valid, start):
    """Whole chunks under ``jax.checkpoint`` in an outer scan, the remainder as one shorter chunk."""
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"remat_chunk must be an integer >= 1 or None, got {chunk!r}")
    steps = xs.shape[0]
    whole = steps - steps % chunk
    body = jax.checkpoint(run)
    sequence = (xs, valid, start)

    def piece(a: int, b: int):
        return jax.tree.map(lambda array: array[a:b], sequence)

    def one(state: State, now):
        ys, state = body(params, now[0], state, *now[1:])
        return state, ys

    def many(state: State):
        chunks = jax.tree.map(lambda array: array.reshape(-1, chunk, *array.shape[1:]), piece(0, whole))
        state, ys = lax.scan(one, state, chunks, reverse=reverse)
        return state, ys.reshape(whole, *ys.shape[2:])

    parts = ([many] if whole else []) + ([lambda state: one(state, piece(whole, steps))] if steps - whole else [])
    outputs = []
    for part in reversed(parts) if reverse else parts:
        state, ys = part(state)
        outputs.append(ys)
    return jnp.concatenate(outputs[::-1] if reverse else outputs), state


def _check_inputs(variant: Variant, params: Params, xs: jax.Array) -> tuple[int, jax.Array]:
    """Hidden size and inputs, or an error that names what does not fit."""
    if not isinstance(params, Params):
        raise TypeError(
            f"params must be lstm_jax.Params (from init_params or pack_gates), got {type(params).__name__}"
        )
    if params.W.ndim != 3 or params.R.ndim != 3:
        raise ValueError(
            f"params.W must be (I, G, n) and params.R (H, G, n), got {params.W.shape} and {params.R.shape}; "
            "run a trial axis with jax.vmap"
        )
    inputs, hidden = params.W.shape[0], params.R.shape[0]
    _check_params(variant, params, inputs, hidden)
    xs = jnp.asarray(xs)
    if xs.ndim != 3:
        raise ValueError(f"xs must have 3 axes, time, batch and features, got shape {xs.shape}")
    if not jnp.issubdtype(xs.dtype, jnp.floating):
        raise TypeError(f"xs must be floating, got {xs.dtype}: one-hot encode or cast integer inputs first")
    if xs.shape[-1] != inputs:
        raise ValueError(f"xs has {xs.shape[-1]} features, the weights W {params.W.shape} expect {inputs}")
    return hidden, xs


def _check_params(variant: Variant, params: Params, inputs: int, hidden: int) -> None:
    rows, n = len(variant.rows), variant.blocks(hidden)
    gates, targets = len(variant.learned_gates), len(variant.recurrent_targets)
    expected = Params(
        W=(inputs, rows, n),
        R=(hidden, rows, n),
        b=(rows, n),
        p=(len(variant.peephole_gates), hidden) if variant.peephole_gates else None,
        Q=(gates, n, targets, n) if feeds_gates(variant) else None,
    )
    for name, got, want in zip(Params._fields, params, expected, strict=True):
        shape = None if got is None else got.shape
        if shape != want:
            raise ValueError(
                f"params.{name} has shape {shape}, variant {variant.name} with I={inputs}, H={hidden} has {want} "
                f"(rows {'-'.join(variant.rows)}): were these weights made for another variant?"
            )


def _check_state(
    variant: Variant, params: Params, state: State | None, batch: int, hidden: int, xs: jax.Array
) -> State:
    """The state to start from: blank, or the given one if it fits in shape, type and order."""
    dtype = state_dtype(params)
    gates = (batch, len(variant.learned_gates), variant.blocks(hidden)) if feeds_gates(variant) else None
    expected = State(c=(batch, hidden), y=(batch, hidden), gates=gates)
    if state is None:
        return State(*(None if s is None else jnp.zeros_like(xs, dtype=dtype, shape=s) for s in expected))
    if not isinstance(state, State):
        raise TypeError(f"initial_state must be lstm_jax.State(c=..., y=...), got {type(state).__name__}")
    for name, got, want in zip(State._fields, state, expected, strict=True):
        if (got is None) != (want is None):
            raise ValueError(f"initial_state.{name} is {got}, variant {variant.name} expects shape {want}")
        if got is None:
            continue
        if tuple(got.shape) != want:
            raise ValueError(f"initial_state.{name} has shape {tuple(got.shape)}, expected {want}")
        if got.dtype != dtype:
            raise ValueError(
                f"initial_state.{name} is {got.dtype}, the state of {params.W.dtype} weights is {dtype}: cast it"
            )
    return State(*(None if s is None else jnp.asarray(s) for s in state))


def _check_resets(resets: jax.typing.ArrayLike, steps: int, batch: int) -> jax.Array:
    resets = jnp.asarray(resets)
    if resets.dtype != jnp.bool_:
        raise TypeError(f"resets must be bool, got {resets.dtype}: True marks the first step of a packed sequence")
    if resets.shape != (steps, batch):
        raise ValueError(f"resets has shape {resets.shape}, expected (T, B) = ({steps}, {batch})")
    return resets


def _equally_varying(tree):
    """Under ``shard_map``, mark everything as varying over whatever axes any part varies over.

    A loop's carry has to keep one type, and a ``custom_vjp`` cannot tell replicated weights from local ones; marked
    here, their gradient is reduced once, after the loop.
    """
    leaves = jax.tree.leaves(tree)
    axes = frozenset().union(*(_varying_axes(leaf) for leaf in leaves))
    if not axes:
        return tree
    return jax.tree.map(lambda leaf: _vary(leaf, axes - _varying_axes(leaf)), tree)


def _varying_axes(array: jax.Array) -> frozenset[str]:
    return frozenset(jax.typeof(array).manual_axis_type.varying)


def _vary(array: jax.Array, missing: frozenset[str]) -> jax.Array:
    return lax.pcast(array, tuple(missing), to="varying") if missing else array
