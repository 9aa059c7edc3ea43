"""Where weights start: one draw a gate, schemes of the papers, and rules for the gates' biases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.variants import Variant
from lstm_jax.names import nearest

Initializer = Callable[[jax.Array, tuple[int, ...], Any], jax.Array]
"""``f(key, shape, dtype) -> array`` of one weight: ``(I, H)``, ``(H, H)``, ``(H,)``."""

GateBias = Callable[[jax.Array, Variant, int, Any], dict[str, jax.Array]]
"""``f(key, variant, n, dtype) -> {"b_f": (n,), ...}``: the biases that a rule sets."""

KINDS = ("W", "R", "b", "p", "Q")


def uniform(bound: float) -> Initializer:
    """Uniform on [-bound, bound]."""
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)


def normal(stddev: float) -> Initializer:
    """Normal with mean 0."""
    return jax.nn.initializers.normal(stddev)


def constant(value: float) -> Initializer:
    """The same value everywhere."""
    return jax.nn.initializers.constant(value)


def identity(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """The identity matrix: without inputs a relu network then keeps its outputs."""
    return jnp.eye(*shape, dtype=dtype)


def ladder(step: float) -> Initializer:
    """Biases ``step, 2 step, 3 step, ...`` over the blocks, as 1997 starts its gates (-1, -2, -3, ...)."""
    return lambda key, shape, dtype: (step * jnp.arange(1, shape[-1] + 1)).astype(dtype)


def _per_width(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """Uniform on +-1 / sqrt(n), n the gate's width."""
    return uniform(shape[-1] ** -0.5)(key, shape, dtype)


def _every(initializer: Initializer, **exceptions: Initializer) -> Mapping[str, Initializer]:
    return MappingProxyType({**dict.fromkeys(KINDS, initializer), **exceptions})


SCHEMES = MappingProxyType(
    {
        "standard": MappingProxyType(
            {
                "W": jax.nn.initializers.lecun_normal(),
                "R": jax.nn.initializers.orthogonal(),
                "b": constant(0.0),
                "p": constant(0.0),
                "Q": constant(0.0),
            }
        ),
        "odyssey": _every(normal(0.1), b=constant(0.0)),
        "hs97": _every(uniform(0.1)),
        "pytorch": _every(_per_width),
        "irnn": _every(normal(0.001), R=identity, b=constant(0.0)),
    }
)
"""Initial weights by name: ours, Greff et al. 2015, Hochreiter & Schmidhuber 1997, the range of PyTorch, and Le,
Jaitly & Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015.

Ours draws one orthogonal matrix a gate, and starts what one variant adds to another at 0: V (peepholes) starts as NP,
FGR (gates to gates) as V, so an ablation compares what is learned and not where it began.
"""


def scheme(initializers: str | Mapping[str, Initializer], names: Mapping[str, Any]) -> dict[str, Initializer]:
    """The initializer of each weight name; a mapping's exact names win over its kinds, those over ``"standard"``."""
    if isinstance(initializers, str):
        if initializers not in SCHEMES:
            raise ValueError(f"unknown initializers {initializers!r}; {nearest(initializers, SCHEMES)}")
        initializers = SCHEMES[initializers]
    if not isinstance(initializers, Mapping):
        raise TypeError(f"initializers must be a scheme's name or a mapping, got {type(initializers).__name__}")
    for name, initializer in initializers.items():
        if name not in KINDS and name not in names:
            raise ValueError(f"initializers: no weight {name!r} here; {nearest(name, [*KINDS, *names])}")
        if not callable(initializer):
            raise TypeError(f"initializers[{name!r}] must be a function f(key, shape, dtype), got {initializer!r}")
    table = {**SCHEMES["standard"], **initializers}
    return {name: table.get(name, table[_kind(name)]) for name in names}


def _kind(name: str) -> str:
    letter, _, gates = name.partition("_")
    return "Q" if len(gates) == 2 else letter


def forget_bias_rule(value: float | GateBias) -> GateBias:
    """A number stands for the rule that starts every forget gate from it."""
    if callable(value):
        return value
    if isinstance(value, (bool, str)) or np.ndim(value) != 0:
        raise TypeError(f"forget_bias must be a number, a rule such as chrono(max_lag), or None; got {value!r}")
    if not isinstance(value, jax.core.Tracer) and not math.isfinite(value):
        raise ValueError(f"forget_bias must be finite, got {value!r}")
    return lambda key, variant, n, dtype: _forget_only(variant, jnp.full((n,), value, dtype))


def chrono(max_lag: float) -> GateBias:
    """Forget biases log U(1, max_lag - 1), input biases their negatives: time scales up to ``max_lag`` steps.

    Source: Tallec & Ollivier, "Can recurrent neural networks warp time?", 2018, eq. 16.

    Raises:
        TypeError: ``max_lag`` is not a number.
        ValueError: 2 steps or fewer, or not finite.
    """
    if not hasattr(max_lag, "__float__") or np.ndim(max_lag) != 0:
        raise TypeError(f"chrono: max_lag must be a number of steps, such as chrono(750.0); got {max_lag!r}")
    if not 2 < max_lag < math.inf:
        raise ValueError(f"chrono: max_lag must be finite and exceed 2 steps, got {max_lag!r}")

    def rule(key: jax.Array, variant: Variant, n: int, dtype: Any) -> dict[str, jax.Array]:
        return _forget_and_input(variant, jnp.log(jax.random.uniform(key, (n,), dtype, 1.0, max_lag - 1.0)))

    return rule


def uniform_gates() -> GateBias:
    """Forget gates that start uniformly spread over (0, 1), input biases the negatives of the forget biases.

    With u uniform on (1/n, 1 - 1/n) the bias is logit(u). Source: Gu et al., "Improving the gating mechanism of
    recurrent neural networks", 2020.
    """

    def rule(key: jax.Array, variant: Variant, n: int, dtype: Any) -> dict[str, jax.Array]:
        margin = min(1.0 / n, 0.25)
        u = jax.random.uniform(key, (n,), dtype, margin, 1.0 - margin)
        return _forget_and_input(variant, jnp.log(u) - jnp.log1p(-u))

    return rule


def _forget_only(variant: Variant, bias: jax.Array) -> dict[str, jax.Array]:
    if variant.forget_gate == "coupled":
        return {"b_i": -bias}
    return {"b_f": bias} if variant.forget_gate == "learned" else {}


def _forget_and_input(variant: Variant, bias: jax.Array) -> dict[str, jax.Array]:
    wanted = {"i": -bias, "f": bias}
    return {f"b_{gate}": value for gate, value in wanted.items() if gate in variant.learned_gates}
