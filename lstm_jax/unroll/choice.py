"""The backends by name, and which one ``"auto"`` is.

========  ==================================  ==========================================================
backend   where                               what
========  ==================================  ==========================================================
scan      everywhere                          the plain loop; every mode of differentiation
fused     everywhere                          own reverse loop, weight gradients after it
native    CPU, once ``lstm-jax native build``  all steps in one call of a C++ kernel, each way
========  ==================================  ==========================================================

``"auto"`` is native where it was built, JAX computes on the CPU and weights are float32 or float64, and fused
otherwise: native was faster at every shape that ``experiments/00_speed`` measured.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lstm_jax.names import nearest
from lstm_jax.unroll import build
from lstm_jax.unroll.backends import fused, scan
from lstm_jax.unroll.native import native

# Compiled under their own names, so that a call outside ``jit`` compiles once a shape and not once a call.
_COMPILED = {run.__name__: jax.jit(run, static_argnums=(0, 1)) for run in (scan, fused, native)}
BACKENDS = ("auto", *_COMPILED)


def backend_named(name: str, dtype: jax.typing.DTypeLike):
    """The backend of that name for weights of a type.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: the native kernel cannot be had.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; {nearest(name, BACKENDS)}")
    if name == "auto":
        name = automatic(dtype)
    if name == "native":
        if jax.default_backend() != "cpu":
            raise RuntimeError(f"backend='native' is for CPUs, JAX computes on {jax.default_backend()}: take 'auto'")
        if not build.load():
            raise RuntimeError(f"backend='native' was not built on this machine: {build.HOW}")
    return _COMPILED[name]


def automatic(dtype: jax.typing.DTypeLike = jnp.float32) -> str:
    """What ``backend="auto"`` means here."""
    native_here = jax.default_backend() == "cpu" and jnp.dtype(dtype).itemsize >= 4 and build.load()
    return "native" if native_here else "fused"
