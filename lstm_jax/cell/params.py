"""Parameters of one cell: packed by rows for speed, viewed by gate for reading, drawn by gate and then packed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.initializers import GateBias, Initializer, forget_bias_rule, scheme
from lstm_jax.cell.variants import Variant, positive, resolve
from lstm_jax.names import nearest


class Params(NamedTuple):
    """Weights of one layer and direction; G rows, H cells in n = H / block_size blocks, L learned gates.

    Attributes:
        W: ``(I, G, n)`` input weights.
        R: ``(H, G, n)`` recurrent weights, from the block outputs of the step before.
        b: ``(G, n)`` biases.
        p: ``(P, H)`` peepholes, or None.
        Q: ``(L, n, rows, n)`` from the gates of the step before (``gate_recurrence``, ``input_recurrence``), or None.
    """

    W: jax.Array
    R: jax.Array
    b: jax.Array
    p: jax.Array | None = None
    Q: jax.Array | None = None


def named_shapes(variant: Variant | str, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Shape of every weight by its name in the paper: ``{"W_z": (I, H), "R_f": (H, n), "p_o": (H,), ...}``."""
    variant = resolve(variant)
    input_size, hidden_size = positive("input_size", input_size), positive("hidden_size", hidden_size)
    n = variant.blocks(hidden_size)
    width = {"z": hidden_size, **dict.fromkeys(variant.learned_gates, n)}
    shapes: dict[str, tuple[int, ...]] = {}
    for row, columns in width.items():
        shapes |= {f"W_{row}": (input_size, columns), f"R_{row}": (hidden_size, columns), f"b_{row}": (columns,)}
    shapes |= {f"p_{gate}": (hidden_size,) for gate in variant.peephole_gates}
    for source in variant.learned_gates:
        shapes |= {f"R_{source}{target}": (n, width[target]) for target in dict.fromkeys(variant.recurrent_targets)}
    return shapes


def widened_dtype(dtype: jax.typing.DTypeLike) -> jnp.dtype:
    """float32 for narrower types, otherwise the type itself; whatever type promotion JAX is told to do."""
    return jnp.dtype(jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype)


def init_params(
    key: jax.Array,
    variant: Variant | str,
    input_size: int,
    hidden_size: int,
    *,
    forget_bias: float | GateBias | None = 1.0,
    initializers: str | Mapping[str, Initializer] = "standard",
    dtype: jax.typing.DTypeLike = jnp.float32,
) -> Params:
    """Draw the weights of one cell, gate by gate, and pack them.

    Equal keys give equal weights to whatever two variants share, so ablations can be compared in pairs.

    Args:
        key: PRNG key.
        variant: record or name.
        input_size: I, at least 1.
        hidden_size: H, at least 1; a multiple of the variant's ``block_size``.
        forget_bias: what the forget gate's bias starts from: a number, a rule that may set the input gate's too
            (``chrono(max_lag)``, ``uniform_gates()``), or None to leave all biases to ``initializers``. For a coupled
            gate (f = 1 - i) the input gate starts from the negative.
        initializers: a scheme's name (``"standard"``, ``"odyssey"``, ``"hs97"``, ``"pytorch"``, ``"irnn"``), or a
            mapping from a weight's name (``"W_f"``) or kind (``"W"``, ``"R"``, ``"b"``, ``"p"``, ``"Q"`` for
            gate-to-gate weights) to ``f(key, shape, dtype)``; what the mapping leaves out follows ``"standard"``. A
            bias named here (``"b_f"``) keeps its own start, whatever ``forget_bias`` says.
        dtype: a floating type; 16-bit weights are drawn in float32 and rounded.

    Raises:
        ValueError: a size below 1, an unknown variant, scheme or weight name, a type that is not floating.

    Examples:
        >>> import jax, lstm_jax as lj
        >>> params = lj.init_params(jax.random.key(0), "V", input_size=3, hidden_size=5)
        >>> params.W.shape, params.R.shape, params.b.shape, params.p.shape
        ((3, 4, 5), (5, 4, 5), (4, 5), (3, 5))
    """
    variant = resolve(variant)
    shapes = named_shapes(variant, input_size, hidden_size)
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"init_params: dtype must be a floating type, got {dtype}")
    draw_dtype = widened_dtype(dtype)
    chosen = scheme(initializers, shapes)
    weights = {}
    for name, shape in shapes.items():
        drawn = chosen[name](_key_of(key, name), shape, draw_dtype)
        if getattr(drawn, "shape", None) != shape:
            what = f"shape {drawn.shape}" if hasattr(drawn, "shape") else f"a {type(drawn).__name__}"
            raise ValueError(
                f"init_params: the initializer of {name} returned {what}, expected an array {shape}; weights of "
                "several gates are packed, so annotate or place them after they were made"
            )
        weights[name] = drawn
    if forget_bias is not None:
        rule = forget_bias_rule(forget_bias)
        biases = rule(_key_of(key, "gate biases"), variant, variant.blocks(hidden_size), draw_dtype)
        named = () if isinstance(initializers, str) else initializers
        weights |= {name: bias for name, bias in biases.items() if name not in named}
    return pack_gates(variant, {name: weight.astype(dtype) for name, weight in weights.items()})


def gate_view(variant: Variant | str, params: Params) -> dict[str, jax.Array]:
    """The packed weights by their names in the paper.

    Returns:
        ``{"W_z": (I, H), "R_f": (H, H), "p_o": (H,), "b_i": (H,), ...}`` so that ``rows = x @ W + y @ R + b``; with
        gate recurrence also ``"R_fi" (H, H)``, from the previous forget gate into the input gate. Gates of a variant
        with memory blocks have H / block_size columns. Leading axes (trials) are kept.

    Raises:
        ValueError: the weights were made for another variant.
    """
    variant = resolve(variant)
    check_params(variant, params)
    view: dict[str, jax.Array] = {}
    for kind in ("W", "R", "b"):
        packed = getattr(params, kind)
        view |= {f"{kind}_{row}": part for row, part in _split_rows(variant, packed, variant.rows).items()}
    if params.p is not None:
        view |= {f"p_{gate}": params.p[..., n, :] for n, gate in enumerate(variant.peephole_gates)}
    if params.Q is not None:
        for n, source in enumerate(variant.learned_gates):
            parts = _split_rows(variant, params.Q[..., n, :, :, :], variant.recurrent_targets)
            view |= {f"R_{source}{target}": part for target, part in parts.items()}
    return view


def pack_gates(variant: Variant | str, mapping: Mapping[str, jax.Array]) -> Params:
    """Pack weights given by name: the inverse of ``gate_view``.

    Raises:
        TypeError: no mapping. ValueError: a name is missing or unknown, or a shape does not fit.
    """
    variant = resolve(variant)
    if not isinstance(mapping, Mapping):
        raise TypeError(f"weights must be a mapping of names, such as gate_view gives, got {type(mapping).__name__}")
    weights = {name: jnp.asarray(value) for name, value in mapping.items()}
    _check_names(variant, weights)

    def rows(prefix: str, names: tuple[str, ...]) -> jax.Array:
        z, gates = [], [weights[f"{prefix}{g}"] for g in names if g != "z"]
        if "z" in names:
            packed = weights[f"{prefix}z"]
            cells = packed.reshape(*packed.shape[:-1], variant.block_size, -1)
            z = [cells[..., s, :] for s in range(variant.block_size)]
        return jnp.stack(z + gates, axis=-2)

    p = jnp.stack([weights[f"p_{g}"] for g in variant.peephole_gates], axis=-2) if variant.peephole_gates else None
    Q = None
    if variant.recurrent_targets and variant.learned_gates:
        Q = jnp.stack([rows(f"R_{g}", variant.recurrent_targets) for g in variant.learned_gates], axis=-4)
    return Params(W=rows("W_", variant.rows), R=rows("R_", variant.rows), b=rows("b_", variant.rows), p=p, Q=Q)


def check_params(variant: Variant, params: Params) -> tuple[int, int]:
    """Input and hidden size of weights that fit the variant; leading axes (trials) are let through.

    Raises:
        TypeError: not ``Params``, or weights that are not floating.
        ValueError: a shape that the variant does not have.
    """
    if not isinstance(params, Params):
        raise TypeError(
            f"params must be lstm_jax.Params (from init_params or pack_gates), got {type(params).__name__}"
        )
    if params.W.ndim < 3 or params.R.ndim != params.W.ndim:
        raise ValueError(
            f"params.W must be (I, G, n) and params.R (H, G, n), got {params.W.shape} and {params.R.shape}"
        )
    lead, inputs, hidden = params.W.shape[:-3], params.W.shape[-3], params.R.shape[-3]
    rows, n, targets = len(variant.rows), variant.blocks(hidden), len(variant.recurrent_targets)
    gates = len(variant.learned_gates)
    expected = Params(
        W=(inputs, rows, n),
        R=(hidden, rows, n),
        b=(rows, n),
        p=(len(variant.peephole_gates), hidden) if variant.peephole_gates else None,
        Q=(gates, n, targets, n) if gates and targets else None,
    )
    for name, got, want in zip(Params._fields, params, expected, strict=True):
        shape = None if got is None else tuple(got.shape)
        if shape != (None if want is None else lead + want):
            raise ValueError(
                f"params.{name} has shape {shape}, variant {variant.name} with I={inputs}, H={hidden} has {want} "
                f"(rows {'-'.join(variant.rows)}): were these weights made for another variant?"
            )
        if got is not None and not jnp.issubdtype(got.dtype, jnp.floating):
            raise TypeError(f"params.{name} is {got.dtype}, weights are floating: cast it")
    return inputs, hidden


def check_no_trials(params: Params) -> None:
    """Raises ValueError for weights with an axis of trials, where one cell is computed."""
    if params.W.ndim != 3:
        raise ValueError(f"params.W must be (I, G, n), got {params.W.shape}: run a trial axis with jax.vmap")


def _split_rows(variant: Variant, packed: jax.Array, names: tuple[str, ...]) -> dict[str, jax.Array]:
    """``(..., rows, n)`` to ``{"z": (..., H), "i": (..., n), ...}``."""
    size = names.count("z")
    parts = {gate: packed[..., size + n, :] for n, gate in enumerate(names[size:])}
    if size:
        parts = {"z": packed[..., :size, :].reshape(*packed.shape[:-2], -1), **parts}
    return parts


def _check_names(variant: Variant, weights: dict[str, jax.Array]) -> None:
    if "W_z" not in weights or weights["W_z"].ndim < 2:
        raise ValueError(f"pack_gates: W_z with shape (I, H) is missing; got {sorted(weights)}")
    lead, (inputs, hidden) = weights["W_z"].shape[:-2], weights["W_z"].shape[-2:]
    expected = named_shapes(variant, inputs, hidden)
    for name in weights:
        if name not in expected:
            raise ValueError(f"pack_gates: variant {variant.name} has no weight {name!r}; {nearest(name, expected)}")
    for name, shape in expected.items():
        if name not in weights:
            raise ValueError(f"pack_gates: weight {name!r} of variant {variant.name} is missing, shape {shape}")
        if weights[name].shape != lead + shape:
            raise ValueError(f"pack_gates: {name} has shape {weights[name].shape}, expected {lead + shape}")


def _key_of(key: jax.Array, name: str) -> jax.Array:
    """A key for each weight's name: variants that share a weight share its draw."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)
