"""The LSTM as ``flax.linen`` modules: ``lj.linen.LSTM`` and ``lj.linen.LSTMCell``; same weights as ``lj.nnx``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from lstm_jax.cell.initializers import GateBias, Initializer
from lstm_jax.cell.params import init_params, widened_dtype
from lstm_jax.cell.step import State, initial_state, lstm_step
from lstm_jax.cell.variants import Variant, positive, resolve
from lstm_jax.modules.layers import Layers, States, cast, check_carry, check_dtype


class LSTM(nn.Module):
    """A stack of recurrent layers over whole sequences, any variant.

    ``variables["params"]["stack"]`` holds the weights just as ``unroll_stack`` takes them. Calls return
    ``outputs (B, T, H)`` (2H if bidirectional) and the final states, a tuple over layers of State (of (forward,
    backward) if bidirectional).

    Attributes:
        features: H.
        variant: the name of a variant, or a record.
        num_layers: layers; each reads the outputs of the one below.
        bidirectional: each layer also runs from the end.
        dropout: rate between layers, in [0, 1); its masks come from the ``"dropout"`` stream.
        learn_initial_state: make the initial states parameters; they start from 0.
        forget_bias: of ``init_params``, as are ``initializers``.
        initializers: a scheme or a mapping of initializers.
        param_dtype: the type of the parameters.
        dtype: the type that products are computed in; states are float64 for float64 and float32 for all others. None
            means ``param_dtype``.
        backend: of ``unroll``; ``"scan"`` for forward mode, ``"fused"`` to export a program.
        remat_chunk: keep every so-many-th state and recompute the others, for long sequences.
        deterministic: True switches dropout off.
    """

    features: int
    variant: Variant | str = "V"
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    learn_initial_state: bool = False
    forget_bias: float | GateBias | None = 1.0
    initializers: str | Mapping[str, Initializer] = "standard"
    param_dtype: Any = jnp.float32
    dtype: Any = None
    backend: str = "auto"
    remat_chunk: int | None = None
    deterministic: bool = False

    def __post_init__(self) -> None:
        positive("LSTM: features", self.features)
        self._layers()  # whose checks are wanted here, not at the first call
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        xs: jax.Array,
        lengths: jax.typing.ArrayLike | None = None,
        *,
        initial_state: States | None = None,
        resets: jax.Array | None = None,
        time_major: bool = False,
        deterministic: bool | None = None,
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
        """
        layers = self._layers()
        init_options = _init_options(self)
        if self.has_variable("params", "stack"):  # before Flax compares the leaves that happen to stand beside others
            layers.check(nn.meta.unbox(self.get_variable("params", "stack")))
        stack = self.param("stack", lambda key: layers.init(key, jnp.shape(xs)[-1], **init_options))
        start = self.param("start", lambda _: layers.blank((), self.param_dtype)) if self.learn_initial_state else None
        off = self.deterministic if deterministic is None else deterministic
        key = self.make_rng("dropout") if layers.drops and not off and not self.is_initializing() else None
        return layers.run(
            stack,
            start,
            xs,
            time_major=time_major,
            lengths=lengths,
            initial_state=initial_state,
            resets=resets,
            dropout_key=key,
        )

    @nn.nowrap
    def blank_states(self, batch_size: int) -> States:
        """The states ``(B, H)`` that ``initial_state=None`` stands for where none are learned: a carry for loops."""
        return self._layers().blank_states(batch_size, self.param_dtype)

    @nn.nowrap
    def _layers(self) -> Layers:
        return Layers(
            resolve(self.variant),
            self.features,
            self.num_layers,
            self.bidirectional,
            self.dropout,
            self.dtype,
            self.backend,
            self.remat_chunk,
        )


class LSTMCell(nn.RNNCellBase):
    """One step of any variant, for ``nn.RNN``; its carry is ``State(c, y, gates)``. Attributes as in ``LSTM``."""

    features: int
    variant: Variant | str = "V"
    forget_bias: float | GateBias | None = 1.0
    initializers: str | Mapping[str, Initializer] = "standard"
    param_dtype: Any = jnp.float32
    dtype: Any = None

    def __post_init__(self) -> None:
        positive("LSTMCell: features", self.features)
        check_dtype("LSTMCell", self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, carry: State, inputs: jax.Array) -> tuple[State, jax.Array]:
        """The next carry and its output ``(..., H)`` for inputs ``(..., I)``."""
        sizes = jnp.shape(inputs)[-1], self.features
        params = self.param("cell", lambda key: init_params(key, self.variant, *sizes, **_init_options(self)))
        state, _ = lstm_step(self.variant, cast(params, self.dtype), check_carry(carry), inputs)
        return state, state.y

    @nn.nowrap
    def initialize_carry(self, rng: jax.Array, input_shape: tuple[int, ...]) -> State:
        """The blank state; ``rng`` is not used."""
        dtype = widened_dtype(self.param_dtype if self.dtype is None else self.dtype)
        return initial_state(self.variant, input_shape[:-1], self.features, dtype)

    @property
    def num_feature_axes(self) -> int:
        """One: features are the last axis."""
        return 1


def core_params(variables: Mapping[str, Any]) -> Any:
    """The weights as ``unroll_stack`` takes them (a cell's: as ``unroll`` and ``lstm_step`` take them)."""
    params = variables.get("params", variables)
    for name in ("stack", "cell"):
        if name in params:
            inner = params[name]
            return core_params(inner) if isinstance(inner, Mapping) else inner  # nn.RNN holds a cell as "cell"
    raise KeyError(f"no weights of an lj.linen LSTM or LSTMCell: expected 'stack' or 'cell', got {sorted(params)}")


def core_variables(params: Any) -> dict[str, Any]:
    """The variables of an ``LSTM`` with those weights (of an ``LSTMCell``, for the Params of one cell)."""
    return {"params": {"cell" if hasattr(params, "W") else "stack": params}}


def _init_options(module: LSTM | LSTMCell) -> dict[str, Any]:
    options = {"forget_bias": module.forget_bias, "initializers": module.initializers}
    return {**options, "dtype": module.param_dtype}
