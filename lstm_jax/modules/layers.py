"""What the two Flax adaptors share: the options of a stack of layers, and the order of the array axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.params import widened_dtype
from lstm_jax.cell.step import State, check_features, initial_state, state_dtype
from lstm_jax.cell.variants import Variant, check_dropped, positive
from lstm_jax.names import nearest
from lstm_jax.unroll.choice import BACKENDS
from lstm_jax.unroll.sequence import check_resets
from lstm_jax.unroll.stack import Stack, States, init_stack, unroll_stack


@dataclass(frozen=True)
class Layers:
    """Options of a stack of recurrent layers.

    Attributes:
        variant: the cell.
        hidden_size: H, cells of one layer and direction.
        num_layers: at least 1.
        bidirectional: each layer also runs from the end; outputs are joined, forward first: (..., 2H).
        dropout: part of the outputs set to 0 between layers, in [0, 1); one mask for each step and sequence.
        dtype: the type that products are computed in, such as bfloat16; None means that of the parameters.
        backend: of ``unroll``.
        remat_chunk: keep the state only every so many steps and recompute the others on the way back.
    """

    variant: Variant
    hidden_size: int
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    dtype: Any = None
    backend: str = "auto"
    remat_chunk: int | None = None

    def __post_init__(self) -> None:
        positive("LSTM: num_layers", self.num_layers)
        check_dropped("LSTM: dropout", self.dropout)
        self.variant.blocks(self.hidden_size)
        if not isinstance(self.bidirectional, bool | np.bool_):
            raise TypeError(f"LSTM: bidirectional must be True or False, got {self.bidirectional!r}")
        if self.remat_chunk is not None:
            positive("LSTM: remat_chunk", self.remat_chunk)
        if self.backend not in BACKENDS:
            raise ValueError(f"LSTM: unknown backend {self.backend!r}; {nearest(self.backend, BACKENDS)}")
        check_dtype("LSTM", self.dtype)

    @property
    def drops(self) -> bool:
        """Whether there is anything to drop: a positive rate, and a place between two layers."""
        return self.dropout > 0.0 and self.num_layers > 1

    def init(self, key: jax.Array, input_size: int, **init_options: Any) -> Stack:
        """The parameters, as ``init_stack`` draws them."""
        return init_stack(
            key,
            self.variant,
            input_size,
            self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            **init_options,
        )

    def blank(self, batch_shape: tuple[int, ...], dtype: Any) -> States:
        """Blank states ``(*batch_shape, H)`` of every layer and direction, beside parameters of that type."""

        def one() -> State:  # anew for each: one buffer for all could not be donated
            return initial_state(self.variant, batch_shape, self.hidden_size, widened_dtype(dtype))

        return tuple((one(), one()) if self.bidirectional else one() for _ in range(self.num_layers))

    def blank_states(self, batch_size: int, param_dtype: Any) -> States:
        """Blank states ``(B, H)`` in the type that products are computed in, as wide as states are."""
        carried = param_dtype if self.dtype is None else self.dtype
        return self.blank((positive("blank_states: batch_size", batch_size),), carried)

    def check(self, stack: Any) -> None:
        """Raises ValueError unless the weights are of so many layers and directions, in tuples of ``Params``."""
        if isinstance(stack, Mapping) or not all(isinstance(layer, tuple | list) for layer in stack):
            raise ValueError(
                "LSTM: the weights came back from a file as dictionaries; restore them into what init or split gave, "
                "as by flax.serialization.from_state_dict(variables, restored)"
            )
        expected, found = [1 + self.bidirectional] * self.num_layers, [len(layer) for layer in stack]
        if found != expected:
            raise ValueError(
                f"LSTM: num_layers={self.num_layers} and bidirectional={self.bidirectional} need weights of "
                f"{expected} directions layer by layer, got {found}"
            )

    def run(
        self,
        stack: Stack,
        start: States | None,
        xs: jax.Array,
        *,
        time_major: bool,
        lengths: jax.typing.ArrayLike | None = None,
        initial_state: States | None = None,
        resets: jax.Array | None = None,
        dropout_key: jax.Array | None = None,
    ) -> tuple[jax.Array, States]:
        """Outputs in the order of the inputs, and the final states; ``dropout_key=None`` drops nothing."""
        time_first = _as_is if time_major else _swap
        self.check(stack)
        _check_axes(xs, time_major)
        xs = check_features("LSTM: xs", xs, stack[0][0].W.shape[0])
        if resets is not None:  # before the axes change places: messages name them as they came
            resets = time_first(check_resets(resets, xs.shape, time_major))
        stack = cast(stack, self.dtype)
        if initial_state is None and start is not None:
            if resets is not None:
                raise ValueError(
                    "LSTM: a packed sequence begins blank, not in the state that learn_initial_state learns: leave "
                    "out resets, give initial_state, or build the module without learn_initial_state"
                )
            initial_state = _for_each(xs.shape[1 if time_major else 0], cast(start, state_dtype(stack[0][0])))
        ys, states = unroll_stack(
            self.variant,
            stack,
            time_first(xs),
            lengths,
            initial_state,
            resets,
            backend=self.backend,
            remat_chunk=self.remat_chunk,
            dropout=0.0 if dropout_key is None else self.dropout,
            dropout_key=dropout_key,
        )
        return time_first(ys), states


def check_dtype(module: str, dtype: Any) -> None:
    """Raises ValueError unless products can be computed in that type; None stands for that of the parameters."""
    try:
        known = dtype is None or jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"{module}: dtype must be a floating type, such as jnp.bfloat16, or None, got {dtype!r}")


def check_carry(carry: Any) -> State:
    """The carry of a cell.

    Raises:
        TypeError: no ``State``: Flax's loops need back what they gave.
    """
    if not isinstance(carry, State):
        raise TypeError(
            f"LSTMCell: the carry must be a lstm_jax.State(c, y), got {type(carry).__name__}; make one by "
            "initialize_carry, or write State(*carry)"
        )
    return carry


def cast(tree: Any, dtype: Any) -> Any:
    """Every array in ``dtype``; None leaves them as they are."""
    return tree if dtype is None else jax.tree.map(lambda array: array.astype(dtype), tree)


def _for_each(batch: int, states: States) -> States:
    """Every sequence of a batch starts from the same states."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch, *leaf.shape)), states)


def expect_like(new: Any, old: Any) -> None:
    """Raises ValueError unless both trees have one structure, and their leaves the same shapes."""
    if hasattr(new, "W") and not hasattr(old, "W"):
        raise ValueError("these are the Params of one cell; of a module with one layer write ((params,),)")
    shapes, expected = (
        {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in jax.tree.leaves_with_path(tree)}
        for tree in (new, old)
    )
    if shapes.keys() != expected.keys():
        missing, more = sorted(expected.keys() - shapes.keys()), sorted(shapes.keys() - expected.keys())
        hint = "of another variant or depth?"
        if not more and all(path.endswith(".p") for path in missing):
            hint = "an LSTM without peepholes, which other libraries have, is variant='NP'"
        raise ValueError(
            f"expected weights {missing or 'none'} that are missing, got {more or 'none'} that are not known: {hint}"
        )
    for path, shape in shapes.items():
        if shape != expected[path]:
            raise ValueError(f"weight {path} has shape {shape}, expected {expected[path]}")


def _as_is(array: jax.Array) -> jax.Array:
    return array


def _swap(array: jax.Array) -> jax.Array:
    """``(B, T, ...)`` to ``(T, B, ...)`` and back."""
    return jnp.swapaxes(array, 0, 1)


def _check_axes(xs: Any, time_major: bool) -> None:
    if jnp.ndim(xs) != 3:
        order = "(T, B, I)" if time_major else "(B, T, I)"
        raise ValueError(
            f"LSTM: xs has shape {jnp.shape(xs)}, expected {order}, time_major={time_major}; "
            "give a single sequence a batch axis of 1"
        )
