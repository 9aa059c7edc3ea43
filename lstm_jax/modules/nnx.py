"""The LSTM as ``flax.nnx`` modules: ``lj.nnx.LSTM`` and ``lj.nnx.LSTMCell``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lstm_jax.cell.initializers import GateBias, Initializer
from lstm_jax.cell.params import init_params, widened_dtype
from lstm_jax.cell.step import State, initial_state, lstm_step
from lstm_jax.cell.variants import Variant, positive, resolve
from lstm_jax.modules.layers import Layers, States, cast, check_carry, check_dtype, expect_like


class LSTM(nnx.Module):
    """A stack of recurrent layers over whole sequences, any variant.

    Call it with ``xs (B, T, I)``; it returns ``outputs (B, T, H)`` (2H if bidirectional) and the final states, a tuple
    over layers of State (of (forward, backward) if bidirectional). Padding is as in ``unroll``: past its length a
    sequence's output is 0 and its state is held.

    Args:
        in_features: I.
        hidden_features: H.
        variant: the name of a variant, or a record.
        num_layers: layers; each reads the outputs of the one below.
        bidirectional: each layer also runs from the end.
        dropout: rate between layers, in [0, 1); its masks come from ``rngs.dropout()``.
        learn_initial_state: make the initial states parameters; they start from 0.
        forget_bias: of ``init_params``, as are ``initializers``.
        initializers: a scheme or a mapping of initializers.
        param_dtype: the type of the parameters.
        dtype: the type that products are computed in; states are float64 for float64 and float32 for all others. None
            means ``param_dtype``.
        backend: of ``unroll``; ``"scan"`` for forward mode, ``"fused"`` to export a program.
        remat_chunk: keep every so-many-th state and recompute the others, for long sequences.
        deterministic: True switches dropout off; ``train()`` and ``eval()`` set it.
        rngs: gives ``params`` and, with dropout, ``dropout``.

    Raises:
        ValueError: an unknown variant, a size below 1, a dropout rate outside [0, 1).
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        variant: Variant | str = "V",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        forget_bias: float | GateBias | None = 1.0,
        initializers: str | Mapping[str, Initializer] = "standard",
        param_dtype: Any = jnp.float32,
        dtype: Any = None,
        backend: str = "auto",
        remat_chunk: int | None = None,
        deterministic: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        in_features, hidden_features = _sizes("LSTM", in_features, hidden_features)
        self.layers = Layers(
            resolve(variant), hidden_features, num_layers, bidirectional, dropout, dtype, backend, remat_chunk
        )
        self.in_features = in_features
        self.deterministic = deterministic
        init_options = {"forget_bias": forget_bias, "initializers": initializers, "dtype": param_dtype}
        self.stack = _as_params(self.layers.init(rngs.params(), in_features, **init_options))
        self.start = _as_params(self.layers.blank((), param_dtype) if learn_initial_state else None)
        self.rngs: Any = nnx.data(rngs.dropout.fork() if self.layers.drops else None)

    def __call__(
        self,
        xs: jax.Array,
        lengths: jax.typing.ArrayLike | None = None,
        *,
        initial_state: States | None = None,
        resets: jax.Array | None = None,
        time_major: bool = False,
        deterministic: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> tuple[jax.Array, States]:
        """Outputs and final states of ``xs (B, T, I)``, or ``(T, B, I)`` with ``time_major``.

        Args:
            xs: inputs, floating.
            lengths: ``(B,)`` integers; None means T for all.
            initial_state: like the final states; None means blank, or the learned ones.
            resets: ``(B, T)`` bool, in the order of xs: the first step of each packed sequence, which begins blank (so
                not with learned states).
            time_major: the order of the axes of xs, resets and outputs.
            deterministic: True switches dropout off, None leaves it to the attribute.
            rngs: used for dropout instead of the module's own.
        """
        off = self.deterministic if deterministic is None else deterministic
        return self.layers.run(
            core_params(self),
            _arrays(self.start),
            xs,
            time_major=time_major,
            lengths=lengths,
            initial_state=initial_state,
            resets=resets,
            dropout_key=self._dropout_key(rngs) if self.layers.drops and not off else None,
        )

    def blank_states(self, batch_size: int) -> States:
        """The states ``(B, H)`` that ``initial_state=None`` stands for where none are learned: a carry for loops."""
        return self.layers.blank_states(batch_size, core_params(self)[0][0].W.dtype)

    def _dropout_key(self, rngs: nnx.Rngs | nnx.RngStream | None) -> jax.Array:
        stream = self.rngs if rngs is None else rngs.dropout if isinstance(rngs, nnx.Rngs) else rngs
        if not callable(stream):
            raise TypeError(f"LSTM: rngs must be nnx.Rngs, such as nnx.Rngs(dropout=0), got {stream!r}")
        return stream()

    def set_view(self, deterministic: bool | None = None, **others: Any) -> dict[str, Any]:
        """Class method used by ``nnx.view``.

        Args:
            deterministic: if True, disables dropout between layers.
        """
        if deterministic is not None:
            self.deterministic = deterministic
        return others


class LSTMCell(nnx.RNNCellBase):
    """One step of any variant, for ``nnx.RNN``; its carry is ``State(c, y, gates)``. Arguments as in ``LSTM``."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        variant: Variant | str = "V",
        forget_bias: float | GateBias | None = 1.0,
        initializers: str | Mapping[str, Initializer] = "standard",
        param_dtype: Any = jnp.float32,
        dtype: Any = None,
        rngs: nnx.Rngs,
    ) -> None:
        self.variant = resolve(variant)
        self.in_features, self.hidden_features = _sizes("LSTMCell", in_features, hidden_features)
        check_dtype("LSTMCell", dtype)
        self.param_dtype, self.dtype = param_dtype, dtype
        init_options = {"forget_bias": forget_bias, "initializers": initializers, "dtype": param_dtype}
        self.params = _as_params(
            init_params(rngs.params(), self.variant, self.in_features, self.hidden_features, **init_options)
        )

    def __call__(self, carry: State, inputs: jax.Array) -> tuple[State, jax.Array]:
        """The next carry and its output ``(..., H)`` for inputs ``(..., I)``."""
        state, _ = lstm_step(self.variant, cast(core_params(self), self.dtype), check_carry(carry), inputs)
        return state, state.y

    def initialize_carry(self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None) -> State:
        """The state before the first step: blank, or drawn by ``carry_init(key, shape, dtype)`` with ``rngs``."""
        dtype = widened_dtype(self.param_dtype if self.dtype is None else self.dtype)
        blank = initial_state(self.variant, input_shape[:-1], self.hidden_features, dtype)
        if carry_init is None:
            return blank
        if rngs is None:
            raise ValueError("initialize_carry: carry_init draws the state, give it rngs=nnx.Rngs(carry=SEED)")
        draw = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
        return jax.tree.map(lambda leaf: carry_init(draw(), leaf.shape, leaf.dtype), blank)

    @property
    def num_feature_axes(self) -> int:
        """One: features are the last axis."""
        return 1


def core_params(module: LSTM | LSTMCell) -> Any:
    """The module's weights as ``unroll_stack`` takes them (a cell's: as ``unroll`` and ``lstm_step`` take them)."""
    return _arrays(_holder(module))


def set_core_params(module: LSTM | LSTMCell, params: Any) -> None:
    """Write weights of that structure and of those shapes into the module, in the type that it has.

    Raises:
        ValueError: another structure or shape.
    """
    expect_like(params, core_params(module))

    def write(param: nnx.Variable, new: Any) -> None:
        param.set_value(jnp.asarray(new, param.dtype))

    holder = _holder(module)  # whose tuples may have come back from a file as lists
    for param, new in zip(jax.tree.leaves(holder, is_leaf=_is_variable), jax.tree.leaves(params), strict=True):
        write(param, new)


def _sizes(module: str, in_features: int, hidden_features: int) -> tuple[int, int]:
    """I and H; an error names them as the module's arguments are named."""
    return positive(f"{module}: in_features", in_features), positive(f"{module}: hidden_features", hidden_features)


def _holder(module: LSTM | LSTMCell) -> Any:
    return module.stack if isinstance(module, LSTM) else module.params


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)


def _as_params(tree: Any) -> Any:
    return nnx.data(jax.tree.map(nnx.Param, tree))


def _arrays(tree: Any) -> Any:
    return jax.tree.map(lambda param: param[...], tree, is_leaf=_is_variable)
