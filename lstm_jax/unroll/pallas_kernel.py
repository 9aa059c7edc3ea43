"""The persistent GPU kernels: all steps of a layer in one launch each way, recurrent weights in shared memory.

One program takes ``TILE`` sequences. Everything is transposed, units before sequences, because a tensor core product
has at least 64 rows but as few as 8 columns: so a batch of 32 keeps two multiprocessors busy with little work a step
each, instead of half a one with much. A warpgroup owns ``UNITS`` units, all their gates, and their cells, which never
leave its registers; what the others have to see of a step goes through shared memory, in two slots, so that one
barrier a step suffices. The cell is ``lstm_jax.cell``'s own, hence every variant is here.

Arrays in the device's memory are cut to blocks as ``lstm_jax.unroll.pallas_tiles.Sizes`` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu

from lstm_jax.cell.adjoint import Saved, row_errors
from lstm_jax.cell.step import move
from lstm_jax.cell.variants import Variant
from lstm_jax.unroll.pallas_tiles import TILE, UNITS, Given, Sizes, edges, has_reset, sources

Edges = Sequence[tuple[int, int]]


def forward(variant: Variant, reverse: bool, sizes: Sizes, keep: bool, given: Given, x_rows, state):
    """Run the cell over all steps.

    Args:
        variant, reverse: as in ``unroll``.
        sizes: of the arrays.
        keep: also return what the way back reads.
        given: weights in the order of ``edges``, from source to row.
        x_rows: ``(T, G, ...)`` tiles of the input rows.
        state: ``(1 + S, ...)`` tiles of the first state: c and then ``sources``.

    Returns:
        The last state; then ``(T, ...)`` tiles of y, and if kept those of c and ``(T, K, ...)`` those of z, the
        learned gates and, if ``has_reset``, the recurrent row of the block input.
    """
    rows, names, links = len(variant.rows), sources(variant), edges(variant)
    kept = [sizes.blocks(sizes.steps), sizes.blocks(sizes.steps, rows + has_reset(variant))] if keep else []

    def body(given, inputs, state, last, ys, *more):
        *made, weights, seen, loaded, ready = more
        cs, acts = made if keep else (None, None)
        place = lax.axis_index("tile"), lax.axis_index("part")
        meet = partial(_meet, sizes.parts, ready)
        p, lengths = _constants(variant, given, *place)
        _load_weights(given.weights, weights, loaded)

        def show(slot, values):
            for n, value in enumerate(values):
                seen[slot, n, place[1]] = value.astype(seen.dtype)
            meet()

        def read_rows(s):
            t = _time(reverse, sizes, jnp.minimum(s, sizes.steps - 1))
            return tuple(_read(inputs, t, row, *place) for row in range(rows))

        def step(s, carry):
            (c_before, *before), now = carry
            t, slot = _time(reverse, sizes, s), lax.rem(s, 2)
            sums = _products(links, rows, sizes.parts, weights, seen.at[slot], place[1])
            following = read_rows(s + 1)  # asked for a step ahead: the memory is slower than a step
            x_rows, y_rows = (dict(zip(variant.rows, values, strict=True)) for values in (now, sums))
            c, y, act = move(variant, p, x_rows, y_rows, c_before, c_before)
            after = _hold(lengths, t, [c, y, *(act[gate] for gate in names[1:])], [c_before, *before])
            if keep:
                _write(cs, after[0], t, *place)
                act.update(zip(names[1:], after[2:], strict=True))
                reset = (y_rows["z"],) if has_reset(variant) else ()
                for n, value in enumerate((act["z"], *(act[gate] for gate in variant.learned_gates), *reset)):
                    _write(acts, value, t, n, *place)
            _write(ys, after[1], t, *place)
            show(1 - slot, after[1:])
            return after, following

        first = [_read(state, n, *place) for n in range(1 + len(names))]
        show(0, first[1:])
        after, _ = lax.fori_loop(0, sizes.steps, step, (first, read_rows(0)))
        for n, value in enumerate(after):
            _write(last, value, n, *place)

    made = [sizes.blocks(1 + len(names)), sizes.blocks(sizes.steps), *kept]
    return _launch(body, sizes, given.weights, made, len(names))(given, x_rows, state)


def backward(variant: Variant, reverse: bool, sizes: Sizes, given: Given, acts, cs, cs_before, d_ys, d_last):
    """The way back.

    Args:
        variant, reverse, sizes: as in ``forward``.
        given: weights in the order of ``edges``, from row to source.
        acts, cs: what ``forward`` kept; ``cs_before`` ``(T, ...)`` tiles of the cell that each step started from.
        d_ys: ``(T, ...)`` errors of y; ``d_last`` ``(1 + S, ...)`` those of the last state.

    Returns:
        Errors of the first state, and ``(T, K, ...)`` those of the input rows and, if ``has_reset``, of the recurrent
        row of the block input.
    """
    rows, names = len(variant.rows), sources(variant)
    links = [(source, row) for row, source in edges(variant)]
    back = variant.feedback == "full"

    def body(given, acts, cs, cs_before, d_ys, d_last, d_first, d_rows, weights, seen, loaded, ready):
        place = lax.axis_index("tile"), lax.axis_index("part")
        p, lengths = _constants(variant, given, *place)
        _load_weights(given.weights, weights, loaded)

        def read_step(s):
            t = _time(not reverse, sizes, jnp.minimum(s, sizes.steps - 1))
            saved = tuple(_read(acts, t, n, *place) for n in range(rows + has_reset(variant)))
            return saved, tuple(_read(ref, t, *place) for ref in (cs, cs_before, d_ys))

        def step(s, carry):
            (d_c, d_y, *d_gates), (act, (c, c_before, d_now)) = carry
            t, slot = _time(not reverse, sizes, s), lax.rem(s, 2)
            following = read_step(s + 1)
            error = [d_c, d_y + d_now, *d_gates]
            saved = Saved(act[:rows], act[rows] if has_reset(variant) else None)
            from_gates = dict(zip(names[1:], d_gates, strict=True))
            x, z_passed, d_before = row_errors(variant, p, saved, c_before, c, (error[0], error[1]), from_gates)
            made = [*(x[letter] for letter in variant.rows), *([] if z_passed is None else [z_passed])]
            made = _hold(lengths, t, made, [jnp.zeros_like(value) for value in made])
            for n, value in enumerate(made):
                _write(d_rows, value, t, n, *place)
            passed = [*made[rows:], *made[1:rows]] if has_reset(variant) else made
            if back:
                for n, value in enumerate(passed):
                    seen[slot, n, place[1]] = value.astype(seen.dtype)
                _meet(sizes.parts, ready)
                d_sources = _products(links, len(names), sizes.parts, weights, seen.at[slot], place[1])
            else:
                d_sources = [jnp.zeros_like(value) for value in error[1:]]
            return _hold(lengths, t, [d_before, *d_sources], error), following

        error = [_read(d_last, n, *place) for n in range(1 + len(names))]
        error, _ = lax.fori_loop(0, sizes.steps, step, (error, read_step(0)))
        for n, value in enumerate(error):
            _write(d_first, value, n, *place)

    made = [sizes.blocks(1 + len(names)), sizes.blocks(sizes.steps, rows + has_reset(variant))]
    return _launch(body, sizes, given.weights, made, rows)(given, acts, cs, cs_before, d_ys, d_last)


def _launch(body: Any, sizes: Sizes, weights: jax.Array, made: list[jax.ShapeDtypeStruct], exchanged: int):
    """The kernel with its shared memory: weights, two slots of what is exchanged, and the barriers of both."""
    tiled = (plgpu.TilingTransform((8, TILE)), plgpu.SwizzleTransform(2 * TILE))
    scratch = [
        plgpu.SMEM(weights.shape, weights.dtype, transforms=tiled),
        plgpu.SMEM((2, exchanged, sizes.parts, UNITS, TILE), weights.dtype, transforms=tiled),
        plgpu.Barrier(num_arrivals=weights.shape[0] * sizes.parts**2),
        plgpu.Barrier(num_arrivals=sizes.parts),
    ]
    return plgpu.kernel(
        body,
        out_type=made,
        scratch_types=scratch,
        grid=(sizes.tiles,),
        grid_names=("tile",),
        num_threads=sizes.parts,
        thread_name="part",
        compiler_params=plgpu.CompilerParams(approx_math=True),
    )


def _load_weights(stored, weights, loaded) -> None:
    """Bring the weights to shared memory, where they stay."""

    @pl.when(lax.axis_index("part") == 0)
    def _():
        count, parts = weights.shape[:2]
        for n in range(count):
            for to in range(parts):
                for origin in range(parts):
                    plgpu.copy_gmem_to_smem(stored.at[n, to, origin], weights.at[n, to, origin], loaded)

    plgpu.barrier_wait(loaded)


def _constants(variant: Variant, given: Any, tile, part):
    """Peepholes of the warpgroup's units and lengths of the program's sequences, for all of the steps."""
    p = [_read(given.p, n, part) for n in range(len(variant.peephole_gates))]
    return p, None if given.lengths is None else _read(given.lengths, tile)


def _products(links: Edges, results: int, parts: int, weights, operands, part) -> Sequence[jax.Array]:
    """Sums over the links ``(to, from)`` of weights times what is exchanged, in float32, for this part's units."""

    def run(*sums):
        for n, (to, origin) in enumerate(links):
            for k in range(parts):
                plgpu.wgmma(sums[to], weights.at[n, part, k], operands.at[origin, k])
        return [made[...] for made in sums]

    return pl.run_scoped(run, *[plgpu.ACC((UNITS, TILE), jnp.float32)] * results)


def _meet(parts: int, ready) -> None:
    """What every warpgroup wrote to shared memory is there for the tensor cores of all."""
    plgpu.commit_smem()
    if parts > 1:
        plgpu.barrier_arrive(ready)
        plgpu.barrier_wait(ready)


def _time(reverse: bool, sizes: Sizes, s):
    """The step that comes s-th."""
    return sizes.steps - 1 - s if reverse else s


def _hold(lengths, t, after: list[jax.Array], before: list[jax.Array]) -> list[jax.Array]:
    """Rows that have ended keep what they had."""
    if lengths is None:
        return after
    return [jnp.where(t < lengths, new, old) for new, old in zip(after, before, strict=True)]


def _read(ref, *at) -> jax.Array:
    return plgpu.load(ref.at[at], layout=plgpu.Layout.WGMMA, optimized=False)


def _write(ref, value: jax.Array, *at) -> None:
    ref[at] = value
