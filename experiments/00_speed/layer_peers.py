"""One layer in every framework, ours among them; PyTorch is in layer_torch.py. See layer.py.

Each is imported by the function that needs it: JAX takes threads, and any peer may be absent.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import layer_cases as cases
import numpy as np
from layer_cases import OURS, Arrays, Spec
from layer_jax import PEAK_SIZE, PEAK_TRIES, Layer, OnJax, names_of, stack_of
from layer_torch import Torch

__all__ = ["FRAMEWORKS", "Spec"]


class Ours(OnJax):
    """``unroll_stack`` with each backend; V starts with peepholes of 0, and so computes what NP does."""

    def __init__(self, threads: int) -> None:
        from lstm_jax.train.machine import describe_machine

        super().__init__(threads)
        self.about = describe_machine()

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        import jax
        import jax.numpy as jnp

        import lstm_jax as lj
        from lstm_jax.unroll.stack import unroll_stack

        variant, backend, chunked = OURS[spec.contestant]
        record, chunk = lj.VARIANTS[variant], cases.chunk_of(spec) if chunked else None
        stack = stack_of(drawn)
        if record.peepholes:
            blank = jnp.zeros((len(record.peephole_gates), spec.hidden), spec.dtype)
            stack = tuple(tuple(params._replace(p=blank) for params in layer) for layer in stack)

        def run(stack: Any, xs: Any, lengths: Any) -> tuple[Any, ...]:
            ys, states = unroll_stack(record, stack, xs, lengths, backend=backend, remat_chunk=chunk)
            return (ys,) if lengths is None else (ys, states[-1].y)

        def named(stack: Any) -> Arrays:
            return names_of(tuple(tuple(params._replace(p=None) for params in layer) for layer in stack))

        return Layer(run, jax.tree.map(jnp.asarray, stack), named)

    def peak(self) -> float:
        """GFLOP/s of the best of some large float32 products."""
        import jax
        import jax.numpy as jnp

        square = jnp.asarray(np.random.default_rng(0).standard_normal((PEAK_SIZE, PEAK_SIZE), np.float32))
        multiply, seconds = jax.jit(jnp.matmul), []
        for _ in range(PEAK_TRIES):
            start = time.perf_counter()
            multiply(square, square).block_until_ready()
            seconds.append(time.perf_counter() - start)
        return 2e-9 * PEAK_SIZE**3 / min(seconds)


def scan_of_twenty_lines(weights: Any, xs: Any) -> Any:
    """What one writes first: the equations and ``lax.scan``; W ``(I, 4H)``, R ``(H, 4H)``, b, gates i f z o."""
    import jax
    import jax.numpy as jnp

    W, R, b = weights

    def step(state: Any, x: Any) -> Any:
        y, c = state
        i, f, z, o = jnp.split(x @ W + y @ R + b[None], 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(z)
        y = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (y, c), y

    blank = jnp.zeros((xs.shape[1], R.shape[0]), xs.dtype)
    return jax.lax.scan(step, (blank, blank), xs)[1]


class Naive(OnJax):
    """That scan, with JAX's own gradient."""

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        def run(weights: Any, xs: Any, lengths: Any) -> tuple[Any, ...]:
            return (scan_of_twenty_lines(weights, xs),)

        W, R, b = drawn.values()
        names = tuple(drawn)
        return Layer(run, (W.T, R.T, b), lambda d: dict(zip(names, (d[0].T, d[1].T, d[2]), strict=True)))


class Flax(OnJax):
    """The optimised cells of linen and nnx under Flax's own RNN, a layer and direction at a time."""

    module, package = "flax", "flax"

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        import jax
        import jax.numpy as jnp

        from lstm_jax import convert

        apply, put = {"linen": _linen, "nnx": _nnx}[spec.contestant](spec.hidden)

        def run(weights: Any, xs: Any, lengths: Any) -> tuple[Any, ...]:
            for layer in weights:
                runs = [apply(one, xs, lengths, bool(backwards)) for backwards, one in enumerate(layer)]
                xs = jnp.concatenate(runs, axis=-1) if len(runs) > 1 else runs[0]
            return (xs,) if lengths is None else (xs[1], xs[0][1])

        def named(gradient: Any) -> Arrays:
            return names_of(tuple(tuple(convert.from_flax(one) for one in layer) for layer in gradient))

        return Layer(run, jax.tree.map(put, stack_of(drawn), is_leaf=lambda node: hasattr(node, "_fields")), named)


def _linen(hidden: int) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """``apply(weights, xs, lengths, backwards)``, where lengths add the final carry; and our weights as its own."""
    import jax
    import jax.numpy as jnp
    from flax import linen

    from lstm_jax import convert

    rnn = linen.RNN(linen.OptimizedLSTMCell(hidden), time_major=True, keep_order=True)

    def apply(weights: Any, xs: Any, lengths: Any, backwards: bool) -> Any:
        return rnn.apply(weights, xs, seq_lengths=lengths, return_carry=lengths is not None, reverse=backwards)

    def put(params: Any) -> Any:
        (cell,) = jax.eval_shape(rnn.init, jax.random.key(0), jnp.zeros((1, 1, params.W.shape[0])))["params"]
        return {"params": {cell: convert.to_flax("NP", params, "linen")}}

    return apply, put


def _nnx(hidden: int) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """The same for nnx."""
    from flax import nnx

    from lstm_jax import convert

    @cache
    def parts(inputs: int) -> tuple[Any, Any, Any]:
        cell = nnx.OptimizedLSTMCell(inputs, hidden, rngs=nnx.Rngs(0))
        return nnx.split(nnx.RNN(cell, time_major=True, keep_order=True), nnx.Param, ...)

    def apply(weights: Any, xs: Any, lengths: Any, backwards: bool) -> Any:
        graph, _, others = parts(xs.shape[-1])
        rnn = nnx.merge(graph, weights, others, copy=True)  # counters of this trace
        return rnn(xs, seq_lengths=lengths, return_carry=lengths is not None, reverse=backwards)

    def put(params: Any) -> Any:
        weights = parts(params.W.shape[0])[1]
        nnx.replace_by_pure_dict(weights, {"cell": convert.to_flax("NP", params, "nnx_optimized")})
        return weights

    return apply, put


class Haiku(OnJax):
    """``hk.LSTM``: gates i z f o in one linear layer over inputs and outputs, a 1 added to the forget gate."""

    module, package = "haiku", "dm-haiku"

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        import haiku as hk

        def forward(xs: Any) -> Any:
            core = hk.LSTM(spec.hidden)
            return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]

        def swap(array: Any) -> np.ndarray:
            """Gates i f z o to i z f o, and back, along the first axis."""
            i, second, third, o = np.split(np.asarray(array), 4)
            return np.concatenate([i, third, second, o])

        run, names = hk.without_apply_rng(hk.transform(forward)).apply, tuple(drawn)
        W, R, b = (swap(array) for array in drawn.values())
        b[2 * spec.hidden : 3 * spec.hidden] -= 1.0
        weights = {"lstm/linear": {"w": np.concatenate([W, R], axis=1).T, "b": b}}

        def named(gradient: Any) -> Arrays:
            linear = gradient["lstm/linear"]
            W, R = np.split(np.asarray(linear["w"]).T, [spec.inputs], axis=1)
            return dict(zip(names, map(swap, (W, R, linear["b"])), strict=True))

        return Layer(lambda weights, xs, lengths: (run(weights, xs),), weights, named)


class Equinox(OnJax):
    """``eqx.nn.LSTMCell`` under ``vmap`` over the batch, in a scan; its weights are laid out as PyTorch's."""

    module, package = "equinox", "equinox"

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        def leaves(cell: Any) -> tuple[Any, ...]:
            return cell.weight_ih, cell.weight_hh, cell.bias

        def run(cell: Any, xs: Any, lengths: Any) -> tuple[Any, ...]:
            def step(state: Any, x: Any) -> Any:
                state = jax.vmap(cell)(x, state)
                return state, state[0]

            blank = jnp.zeros((xs.shape[1], spec.hidden), xs.dtype)
            return (jax.lax.scan(step, (blank, blank), xs)[1],)

        cell = eqx.nn.LSTMCell(spec.inputs, spec.hidden, key=jax.random.key(0))
        cell = eqx.tree_at(leaves, cell, tuple(map(jnp.asarray, drawn.values())))
        return Layer(run, cell, lambda gradient: dict(zip(drawn, leaves(gradient), strict=True)))


class Keras(OnJax):
    """``keras.layers.LSTM``, stateless, batch first as it wants them; gates i f z o."""

    module, package = "keras", "keras"

    def __init__(self, threads: int) -> None:
        os.environ["KERAS_BACKEND"] = "jax"
        with tempfile.TemporaryDirectory() as home:  # where it writes its settings, on import
            os.environ["KERAS_HOME"] = home
            super().__init__(threads)

    def build(self, spec: Spec, drawn: Arrays) -> Layer:
        import keras

        layer = keras.layers.LSTM(spec.hidden, return_sequences=True)
        layer.build((None, None, spec.inputs))
        others = [variable.value for variable in layer.non_trainable_variables]
        W, R, b = drawn.values()

        def run(weights: Any, xs: Any, lengths: Any) -> tuple[Any, ...]:
            return (layer.stateless_call(weights, others, xs)[0],)

        def named(gradient: Any) -> Arrays:
            W, R, b = gradient
            return dict(zip(drawn, (W.T, R.T, b), strict=True))

        return Layer(run, [W.T, R.T, b], named, batch_first=True)


FRAMEWORKS = {
    "ours": Ours,
    "naive": Naive,
    "flax": Flax,
    "haiku": Haiku,
    "equinox": Equinox,
    "keras": Keras,
    "torch": Torch,
}
"""Name to what runs the layer: ``(threads)``, then ``about``, ``prepare(spec)``, ``check(spec, {})``, ``forget()``."""
