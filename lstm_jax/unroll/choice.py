"""The backends by name, which one ``"auto"`` is, and what to tell XLA.

========  ==================================  ==========================================================
backend   where                               what
========  ==================================  ==========================================================
scan      everywhere                          the plain loop; every mode of differentiation
fused     everywhere                          own reverse loop, weight gradients after it
native    CPU, once ``lstm-jax native build``  all steps in one call of a C++ kernel, each way
pallas    GPU of compute capability 9.0        all steps in one launch each way, for small cells with 16-bit weights
========  ==================================  ==========================================================

What ``"auto"`` is, on the CPU, kernel built, in float32 or float64:

==================================  =======
R of one direction up to ``LARGE``  native
everything else, everywhere else    fused
==================================  =======

Native was the faster one, or as fast, in every case up to there that was timed, see ``experiments/00_speed``; with R
of 64 MiB (H = 2048) neither was always faster. Pallas is nowhere chosen by itself: no device has timed it yet.
"""

from __future__ import annotations

from types import MappingProxyType

import jax
import jax.numpy as jnp

from lstm_jax.cell.params import Params
from lstm_jax.names import nearest
from lstm_jax.unroll import build
from lstm_jax.unroll.backends import fused, scan
from lstm_jax.unroll.native import native
from lstm_jax.unroll.pallas import pallas, refusal

# Compiled under their own names, so that a call outside ``jit`` compiles once a shape and not once a call.
_COMPILED = {run.__name__: jax.jit(run, static_argnums=(0, 1)) for run in (scan, fused, native, pallas)}
BACKENDS = ("auto", *_COMPILED)


LARGE = 16 << 20
"""Bytes of recurrent weights up to which the kernel is worth its call."""

XLA_OPTIONS = MappingProxyType(
    {
        "cpu": MappingProxyType({}),
        "gpu": MappingProxyType(
            {
                "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,DYNAMIC_SLICE_FUSION,WHILE",
            }
        ),
        "tpu": MappingProxyType({}),
    }
)
"""``xla_options`` by platform."""


def backend_named(name: str, params: Params):
    """The backend of that name for these weights.

    Raises:
        ValueError: the name is unknown.
        RuntimeError: a kernel cannot be had on this machine.
    """
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; {nearest(name, BACKENDS)}")
    if name == "auto":
        name = automatic(params)
    if name == "native":
        if jax.default_backend() != "cpu":
            raise RuntimeError(f"backend='native' is for CPUs, JAX computes on {jax.default_backend()}: take 'auto'")
        if not build.load():  # unless another process has built it since
            build.load.cache_clear()
        if not build.load():
            raise RuntimeError(f"backend='native' was not built on this machine: {build.HOW}")
    if name == "pallas" and (why := refusal()):
        raise RuntimeError(f"backend='pallas' {why}: take 'auto'")
    return _COMPILED[name]


def automatic(params: Params) -> str:
    """What ``backend="auto"`` is for these weights."""
    size = jnp.dtype(params.R.dtype).itemsize
    return "native" if size >= 4 and params.R.size * size <= LARGE and kernel_is_here() else "fused"


def kernel_is_here() -> bool:
    """Whether JAX computes on the CPU and the native kernel was built for it."""
    return jax.default_backend() == "cpu" and build.load()


def xla_options(platform: str) -> dict[str, str]:
    """Recommended options of XLA for programs with a loop over time, given to one compilation and never set globally.

    On the CPU there are none: of the dot libraries, schedulers, vector widths and fast mathematics that were timed on
    the fused backend, none was faster at one shape without being slower at another. On a GPU the loop is put into a
    CUDA graph (what XLA puts there by itself, and ``WHILE``), since its kernels are small and each launch costs the
    host some microseconds. XLA takes that option, but no device has timed it yet: compare before you keep it. On a
    TPU nothing was tried, and there are none.

    Args:
        platform: ``"cpu"``, ``"gpu"`` or ``"tpu"``, as ``jax.default_backend()`` says.

    Raises:
        ValueError: another platform.

    Examples:
        >>> import jax, lstm_jax as lj
        >>> params = lj.init_params(jax.random.key(0), "NP", input_size=3, hidden_size=5)
        >>> run = jax.jit(lambda xs: lj.unroll("NP", params, xs)[0])
        >>> lowered = run.lower(jax.numpy.ones((7, 2, 3)))
        >>> compiled = lowered.compile(compiler_options=lj.xla_options(jax.default_backend()))
        >>> compiled(jax.numpy.ones((7, 2, 3))).shape
        (7, 2, 5)
    """
    if platform not in XLA_OPTIONS:
        raise ValueError(f"no XLA options for platform {platform!r}; {nearest(platform, XLA_OPTIONS)}")
    return dict(XLA_OPTIONS[platform])
