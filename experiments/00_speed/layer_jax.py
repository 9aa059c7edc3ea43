"""What the layers of layer_peers.py that run on JAX share: one program is compiled, checked and timed."""

from __future__ import annotations

import importlib
import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import layer_cases as cases
import numpy as np
from layer_cases import Arrays, Spec

Work = Callable[[int], tuple[float, bool]]
PEAK_SIZE, PEAK_TRIES = 2048, 12
"""Rows of the square float32 product whose best time is the machine's peak, and how often it is tried."""


@dataclass(frozen=True)
class Layer:
    """``run(weights, xs, lengths)`` to outputs and, if there are lengths, last outputs; ``named`` their gradient."""

    run: Callable[[Any, Any, Any], tuple[Any, ...]]
    weights: Any
    named: Callable[[Any], Arrays]
    batch_first: bool = False


@dataclass(frozen=True)
class Program:
    """A compiled program and what it is called with."""

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    layer: Layer

    def __call__(self, times: int) -> tuple[float, bool]:
        import jax

        start = time.perf_counter()
        for _ in range(times):
            results = jax.block_until_ready(self.call(*self.arguments))
        seconds = time.perf_counter() - start
        return seconds, bool(np.isfinite(np.asarray(results[0])).all())


class OnJax:
    """What the frameworks on JAX share: compile ahead, time until the result is there, read the numbers back."""

    module, package = "jax", "jax"

    def __init__(self, threads: int) -> None:
        import jax

        jax.config.update("jax_enable_compilation_cache", False)  # the seconds of compiling are a result
        importlib.import_module(self.module)
        self.about: dict[str, object] = {self.package: importlib.metadata.version(self.package)}
        self.programs: dict[Spec, Program] = {}

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        raise NotImplementedError

    def prepare(self, spec: Spec) -> tuple[Work, dict[str, object]]:
        import jax
        import jax.numpy as jnp

        with jax.enable_x64(spec.dtype == "float64"):
            drawn = {name: array.astype(spec.dtype) for name, array in cases.weights(spec).items()}
            layer = self.build(spec, drawn)

            def forward(weights: Any, xs: Any, lengths: Any, weigh: Any) -> Any:
                return layer.run(weights, xs, lengths)

            def loss(*arguments: Any) -> Any:
                return sum((a * b).sum() for a, b in zip(forward(*arguments), arguments[-1], strict=True))

            lengths = jnp.asarray(cases.lengths(spec)) if spec.ragged else None
            xs, *weigh = (array.astype(spec.dtype) for array in (cases.inputs(spec), *cases.loss_weights(spec)))
            if layer.batch_first:
                xs, weigh = xs.swapaxes(0, 1), [array.swapaxes(0, 1) for array in weigh]
            arguments = jax.device_put((layer.weights, xs, lengths, tuple(weigh)))
            start = time.perf_counter()
            compiled = jax.jit(jax.value_and_grad(loss) if spec.gradient else forward).lower(*arguments).compile()
            seconds = time.perf_counter() - start
        self.programs[spec] = Program(compiled, arguments, layer)
        return self.programs[spec], {"compile": seconds, "bytes": compiled.memory_analysis().temp_size_in_bytes}

    def check(self, spec: Spec, given: Arrays) -> Arrays:
        """Outputs, 0 past the lengths, or the gradient for every weight."""
        program = self.programs[spec]
        results = program.call(*program.arguments)
        if spec.gradient:
            return {f"gradient {name}": np.asarray(array) for name, array in program.layer.named(results[1]).items()}
        outputs = np.asarray(results[0])
        outputs = (outputs.swapaxes(0, 1) if program.layer.batch_first else outputs) * cases.valid(spec)
        return {"outputs": outputs} | {f"last outputs {n}": np.asarray(a) for n, a in enumerate(results[1:])}

    def forget(self) -> None:
        self.programs.clear()


def stack_of(drawn: Arrays) -> Any:
    """Our weights from PyTorch's names; the second bias, which is left out there, is 0."""
    from lstm_jax import convert

    second = {n.replace("_ih_", "_hh_"): np.zeros_like(a) for n, a in drawn.items() if n.startswith("bias")}
    return convert.from_torch(drawn | second)


def names_of(stack: Any) -> Arrays:
    """The way back, for weights and for their gradient."""
    from lstm_jax import convert

    return {name: array for name, array in convert.to_torch("NP", stack).items() if "bias_hh" not in name}
