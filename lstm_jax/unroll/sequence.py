"""From one step to a sequence: lengths, resets, direction, rematerialisation, and the checks of what came in."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lstm_jax.cell.params import Params, check_no_trials, check_params
from lstm_jax.cell.step import State, check_features, check_state, state_dtype
from lstm_jax.cell.step import initial_state as blank_state
from lstm_jax.cell.variants import Variant, positive, resolve
from lstm_jax.unroll.backends import widened
from lstm_jax.unroll.choice import backend_named
from lstm_jax.unroll.lengths import check_lengths, clean, starts, valid_steps
from lstm_jax.unroll.spread import each_alone, is_spread


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
            exactly 0, and its inputs, NaN included, reach neither values nor gradients. A padded step costs as much as
            any other, but with ``"native"``, where it costs next to nothing.
        initial_state: c, y ``(B, H)`` in the state's type; None starts blank.
        reverse: run each sequence from its own end; outputs keep their original positions.
        resets: ``(T, B)`` bool (``(B, T)`` if not ``time_major``), the first step of each packed sequence: the state
            before it is blank. A reversed direction is blank before the last step of each but the last in a row, which
            begins in ``initial_state``.
        backend: ``"scan"`` (plain, any differentiation mode), ``"fused"`` (own reverse loop, faster; no ``jvp`` of the
            values, but of their gradient), ``"native"`` (a CPU kernel, where it was built; no ``jvp`` at all, so a
            Hessian is ``jacrev`` twice), ``"pallas"`` (a kernel for GPUs of compute capability 9.0 and 16-bit weights
            that fit shared memory, H up to 128 for most variants; no resets, no second derivative), or ``"auto"``, the
            fastest that is here. A batch that ``jit`` spreads over Auto axes of a mesh is computed whole on each
            device by a kernel. To export a program, or to lower it for another platform, name ``"fused"``: a call of a
            kernel goes nowhere else.
        remat_chunk: keep the state every so many steps, or every some fewer that divide T, and recompute between on
            the way back: memory for time.

    Returns:
        ``ys (T, B, H)`` in the state's type, and the state after each row's last valid step.

    Raises:
        TypeError: weights, xs, lengths, resets or reverse of the wrong kind.
        ValueError: a shape that does not fit; the message says which, and what was expected.
        RuntimeError: a kernel was named that this machine does not have; the message says why, and what to take.

    Examples:
        >>> import jax, lstm_jax as lj
        >>> params = lj.init_params(jax.random.key(0), "NP", input_size=3, hidden_size=5)
        >>> ys, state = lj.unroll("NP", params, jax.numpy.ones((7, 2, 3)), lengths=[7, 4])
        >>> ys.shape, state.c.shape, float(abs(ys[4:, 1]).max())
        ((7, 2, 5), (2, 5), 0.0)
    """
    variant = resolve(variant)
    hidden, xs = _check_inputs(variant, params, xs)
    run = backend_named(backend, params)
    remat_chunk = None if remat_chunk is None else positive("remat_chunk", remat_chunk)
    if not isinstance(reverse, bool | np.bool_):
        raise TypeError(f"reverse must be True or False, got {reverse!r}")
    if resets is not None:
        resets = check_resets(resets, xs.shape, time_major)
    if not time_major:
        xs, resets = jnp.swapaxes(xs, 0, 1), None if resets is None else jnp.swapaxes(resets, 0, 1)
    lengths = None if lengths is None else check_lengths(lengths, *xs.shape[:2])
    state = initial_state
    if state is not None:
        state = check_state(variant, params, state, xs.shape[1:2], hidden, "initial_state")
    settings = variant, reverse, run, remat_chunk
    spread = is_spread((params, xs, lengths, state, resets))
    layer = partial(each_alone, _layer, settings) if spread else partial(_layer, *settings)
    ys, state = layer(params, xs, lengths, state, resets)
    return (ys if time_major else jnp.swapaxes(ys, 0, 1)), state


def _layer(variant: Variant, reverse: bool, run, chunk: int | None, params: Params, xs, lengths, state, resets):
    """A backend over time-major sequences that were checked: blank state, lengths, resets and chunks around it."""
    steps = xs.shape[0]
    state = _blank(variant, params, xs) if state is None else state
    valid = None if lengths is None else valid_steps(lengths, steps)
    start = None if resets is None else starts(resets, valid, reverse)
    params, xs, state, valid, start = _equally_varying((params, clean(xs, valid), state, valid, start))
    if steps:
        known = isinstance(steps, int)  # not in an export for any T, which has no gradient to save memory for
        run = partial(_in_chunks, run, chunk) if chunk is not None and known else run
        begun = state if valid is None else _of_rows(valid[0], state, jax.tree.map(jnp.zeros_like, state))
        ys, last = run(variant, reverse, params, xs, begun, valid, start)
        state = last if valid is None else _of_rows(valid[0], last, state)
    else:
        ys = jnp.zeros((0, *state.y.shape), state.y.dtype)
    if valid is not None:
        ys = jnp.where(jnp.broadcast_to(valid[..., None], ys.shape), ys, jnp.zeros_like(ys))
    return ys, state


def _of_rows(chosen: jax.Array, state: State, other: State) -> State:
    """The rows ``chosen (B,)`` of a state, the rest of another: with length 0, not even NaN reaches a gradient."""

    def choose(one: jax.Array, another: jax.Array) -> jax.Array:
        rows = jnp.broadcast_to(chosen.reshape(-1, *(1,) * (one.ndim - 1)), one.shape)
        return jnp.where(rows, one, another)

    return jax.tree.map(choose, state, other)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _in_chunks(run, chunk: int, variant: Variant, reverse: bool, params: Params, xs, state: State, valid, start):
    """A backend, in whole chunks under ``jax.checkpoint`` in an outer scan, the remainder as one shorter chunk.

    Where there is a remainder, cutting and joining copies inputs, outputs and their errors; so chunks are a little
    shorter where that leaves none. Compiled under its own name, once a shape, as the backends are.
    """
    steps = xs.shape[0]
    chunk = min(chunk, steps)
    chunk = next((size for size in range(chunk, chunk // 2, -1) if steps % size == 0), chunk)
    whole = steps - steps % chunk
    wide, narrow = widened(params, state.c.dtype)
    body = jax.checkpoint(lambda *now: run(variant, reverse, narrow(wide), *now))
    sequence = (xs, valid, start)

    def piece(a: int, b: int):
        return jax.tree.map(lambda array: array[a:b], sequence)

    def one(state: State, now):
        ys, state = body(now[0], state, *now[1:])
        return state, ys

    def many(state: State):
        count = whole // chunk
        chunks = jax.tree.map(lambda array: array.reshape(count, chunk, *array.shape[1:]), piece(0, whole))
        state, ys = lax.scan(one, state, chunks, reverse=reverse)
        return state, ys.reshape(whole, *ys.shape[2:])

    parts = ([many] if whole else []) + ([lambda state: one(state, piece(whole, steps))] if steps - whole else [])
    outputs = []
    for part in reversed(parts) if reverse else parts:
        state, ys = part(state)
        outputs.append(ys)
    return jnp.concatenate(outputs[::-1] if reverse else outputs), state


def _check_inputs(variant: Variant, params: Params, xs: jax.typing.ArrayLike) -> tuple[int, jax.Array]:
    """Hidden size and inputs, or an error that names what does not fit."""
    inputs, hidden = check_params(variant, params)
    check_no_trials(params)
    xs = jnp.asarray(xs)
    if xs.ndim != 3:
        raise ValueError(f"xs must have 3 axes, time, batch and features, got shape {xs.shape}")
    return hidden, check_features("xs", xs, inputs)


def _blank(variant: Variant, params: Params, xs: jax.Array) -> State:
    """The state to start from where none is given, on the devices that xs is on."""
    blank = partial(blank_state, variant, xs.shape[1:2], params.R.shape[0], state_dtype(params))
    if not jax.typeof(xs).sharding.mesh.empty:  # then it lies whole on a mesh, and so does what is made there
        return blank()
    return jax.tree.map(lambda like: jnp.zeros_like(xs, dtype=like.dtype, shape=like.shape), jax.eval_shape(blank))


def check_resets(resets: jax.typing.ArrayLike, inputs: tuple[int, ...], time_major: bool) -> jax.Array:
    """Marks of first steps as an array, in the order of inputs of this shape, or an error."""
    resets = jnp.asarray(resets)
    if resets.dtype != jnp.bool_:
        raise TypeError(f"resets must be bool, got {resets.dtype}: True marks the first step of a packed sequence")
    if resets.shape != inputs[:2]:
        order = "(T, B)" if time_major else "(B, T)"
        raise ValueError(f"resets has shape {resets.shape}, expected {order} = {tuple(inputs[:2])}")
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
