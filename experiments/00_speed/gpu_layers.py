"""Who takes part in ``gpu.py``: one layer by each of them, and how far its numbers are from those of 32 bits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

if str(Path(__file__).parent) not in sys.path:  # as for a script, where this file is loaded by its path
    sys.path.insert(0, str(Path(__file__).parent))

import layer_cases  # noqa: E402


@dataclass(frozen=True, kw_only=True)
class Case(layer_cases.Case):
    """One layer, or several trials of it, forward or with its gradient."""

    trials: int = 1
    gradient: bool = False


Run = Callable[[int], Callable[[], Any]]
"""Steps to a call that returns, once all is there, outputs ``(T, B, H)`` or gradients of weights and inputs."""


def weights_of(case: Case) -> tuple[Any, dict[str, Any]]:
    """The flat weights of cuDNN and the same by PyTorch's names, float32; the second bias is 0."""
    import jax
    from jax.experimental import rnn

    shape = case.inputs, case.hidden, 1, False
    flat = rnn.init_lstm_weight(jax.random.key(1), *shape).at[-4 * case.hidden :].set(0.0)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return flat, {name: part[0] for name, part in zip(names, rnn.unpack_lstm_weights(flat, *shape), strict=True)}


@cache
def drawn(case: Case, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs ``(steps, B, I)`` and what the loss weighs each output by, ``(steps, B, H)``, normal, float32.

    Drawn by NumPy: each draw of JAX would be a program to compile.
    """
    rng = np.random.default_rng(2)
    shapes = (steps, case.batch, case.inputs), (steps, case.batch, case.hidden)
    inputs, weigh = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return inputs, weigh


def on_jax(
    case: Case, run: Callable[[Any, Any], Any], weights: Any, dtype: Any, options: Mapping[str, Any] | None = None
) -> Run:
    """A layer of JAX: compiled, by ``vmap`` over trials where there are several."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, xs: Any, weigh: Any) -> Any:
        return (run(weights, xs).astype(jnp.float32) * weigh).sum()

    def prepare(steps: int) -> Callable[[], Any]:
        xs, weigh = map(jnp.asarray, drawn(replace(case, trials=1, gradient=False), steps))
        work = jax.grad(loss, (0, 1)) if case.gradient else lambda weights, xs, weigh: run(weights, xs)
        given = jax.tree.map(lambda w: w.astype(dtype), weights)
        if case.trials > 1:
            work = jax.vmap(work, (0, None, None))
            given = jax.tree.map(lambda w: jnp.stack([w] * case.trials), given)
        arguments = given, xs.astype(dtype), weigh
        compiled = jax.jit(work).lower(*arguments).compile(compiler_options=dict(options or {}))
        return lambda: jax.block_until_ready(compiled(*arguments))

    return prepare


def ours(backend: str, graph: bool = False) -> Callable[[Case, str], Run]:
    """A backend of the library; ``graph``: with the options that ``lj.xla_options`` recommends."""

    def build(case: Case, kind: str) -> Run:
        import jax

        import lstm_jax as lj
        from lstm_jax import convert

        ((params,),) = convert.from_torch(weights_of(case)[1])
        options = lj.xla_options(jax.default_backend()) if graph else None
        return on_jax(case, lambda p, xs: lj.unroll("NP", p, xs, backend=backend)[0], params, jax_type(kind), options)

    return build


def naive(case: Case, kind: str) -> Run:
    """What one writes first."""
    from layer_peers import scan_of_twenty_lines

    W, R, b, _ = weights_of(case)[1].values()
    return on_jax(case, scan_of_twenty_lines, (W.T, R.T, b), jax_type(kind))


def cudnn(case: Case, kind: str) -> Run:
    """``jax.experimental.rnn``, batch first as it wants it."""
    import jax.numpy as jnp
    from jax.experimental import rnn

    if kind not in ("float32", "tf32") or case.trials > 1:
        raise NotImplementedError("32 bits and one trial only")
    precision = "highest" if kind == "float32" else "tensorfloat32"

    def run(flat: Any, xs: Any) -> Any:
        blank = jnp.zeros((1, case.batch, case.hidden))
        lengths = jnp.full(case.batch, xs.shape[0], jnp.int32)
        shape = case.inputs, case.hidden, 1, 0.0, False
        return rnn.lstm(xs.swapaxes(0, 1), blank, blank, flat, lengths, *shape, precision)[0].swapaxes(0, 1)

    return on_jax(case, run, weights_of(case)[0], jnp.float32)


def torch_cudnn(case: Case, kind: str) -> Run:
    """``nn.LSTM`` on the GPU."""
    import torch

    if not torch.cuda.is_available() or case.trials > 1:
        raise NotImplementedError("a GPU for PyTorch, and one trial")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
    dtype = getattr(torch, jax_type(kind))
    lstm = torch.nn.LSTM(case.inputs, case.hidden).to("cuda", dtype)
    lstm.load_state_dict({name: torch.from_numpy(np.array(w)) for name, w in weights_of(case)[1].items()})

    def prepare(steps: int) -> Callable[[], Any]:
        arrays = drawn(replace(case, gradient=False), steps)
        xs, weigh = (torch.from_numpy(np.array(array)).to("cuda") for array in arrays)
        xs = xs.to(dtype).requires_grad_(case.gradient)

        def call() -> Any:
            if case.gradient:
                lstm.zero_grad()
                xs.grad = None
                (lstm(xs)[0].float() * weigh).sum().backward()
                found = None, xs.grad
            else:
                with torch.inference_mode():
                    found = lstm(xs)[0]
            torch.cuda.synchronize()
            return found

        return call

    return prepare


PALLAS = "ours, pallas"
CONTESTANTS: dict[str, Callable[[Case, str], Run]] = {
    "ours, scan": ours("scan"),
    "ours, fused": ours("fused"),
    "ours, fused, CUDA graph": ours("fused", graph=True),
    "scan of 20 lines": naive,
    "cuDNN, jax.experimental.rnn": cudnn,
    "cuDNN, PyTorch": torch_cudnn,
    PALLAS: ours("pallas"),
}


def jax_type(kind: str) -> str:
    """What arrays of a type are stored in."""
    return "float32" if kind == "tf32" else kind


@cache
def reference(case: Case) -> list[np.ndarray]:
    """What our scan finds in 32 bits, for one trial: outputs, or the gradients of weights and inputs."""
    import jax

    with jax.default_matmul_precision("highest"):
        found = ours("scan")(replace(case, trials=1), "float32")(case.steps)()
    return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]


def error_of(case: Case, found: Any) -> float:
    """The largest difference from that, for the first trial; 1 is the largest number of an array.

    Of a contestant whose weights lie otherwise than ours the gradient of the inputs alone is compared.
    """
    import jax

    want = reference(replace(case, trials=1))
    leaves = jax.tree.leaves(found)
    got = [leaf.float().cpu().numpy() if hasattr(leaf, "cpu") else np.asarray(leaf, np.float32) for leaf in leaves]
    got = [leaf[0] if case.trials > 1 else leaf for leaf in got]
    if [leaf.shape for leaf in got] != [leaf.shape for leaf in want]:
        want, got = want[-1:], got[-1:]
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(got, want, strict=True))
