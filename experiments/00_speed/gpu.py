"""How fast is one layer on a GPU, a type at a time, and what do many trials cost?

    python experiments/00_speed/gpu.py                                              # on a GPU, what nine minutes hold
    python experiments/00_speed/gpu.py --shapes 32,1000,64,128 --types bfloat16     # one shape in one type
    python experiments/00_speed/gpu.py --shapes 2,3,2,4 --rounds 1                  # anywhere: shows that it works

Beside our backends stand a scan as one writes it first, cuDNN through ``jax.experimental.rnn`` (32 bits only) and,
where PyTorch is installed, cuDNN through ``nn.LSTM``. Each must find what our scan finds in 32 bits, outputs or the
gradient of the inputs, to what its type rounds, before it is timed. The time of a step is a slope, (time of 2 T steps
- time of T) / T, so that a launch or a transfer once a call is not in it. One that fails says so in its row.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from timeit import timeit
from typing import Any, Literal

import tyro

from lstm_jax.analysis.report import markdown
from lstm_jax.cli.dispatch import guarded
from lstm_jax.train.machine import describe_machine
from lstm_jax.train.records import write_json

if str(Path(__file__).parent) not in sys.path:  # as for a script, where this file is loaded by its path
    sys.path.insert(0, str(Path(__file__).parent))

import layer_cases  # noqa: E402
from layer_cases import SHAPES, parse  # noqa: E402

TYPES = {"bfloat16": 5e-2, "float16": 2e-2, "tf32": 2e-2, "float32": 1e-4}
"""Each type and how far from the numbers of 32 bits its own may be, as a part of the largest of them."""
TRIALS = (8, 64)
"""Populations of the first shape, in the first type."""
FIELDS = ("B", "T", "I", "H", "trials", "type", "mode", "contestant", "status", "us a step", "ms", "error")


@dataclass(frozen=True, kw_only=True)
class Case(layer_cases.Case):
    """One layer, or several trials of it, forward or with its gradient."""

    trials: int = 1
    gradient: bool = False


@dataclass(frozen=True)
class Options:
    """Times of one layer on a GPU, by type and contestant."""

    shapes: tuple[str, ...] = tuple(",".join(map(str, shape)) for shape in SHAPES)
    """B,T,I,H: batch, steps, inputs, cells."""
    types: tuple[Literal["bfloat16", "float16", "tf32", "float32"], ...] = ("bfloat16", "float16", "tf32", "float32")
    """What weights are stored in; tf32 is float32 whose products the tensor cores make."""
    rounds: int = 7
    """Times that each contestant is timed, in turn with the others."""
    budget: float = 540.0
    """Seconds after which no further case is begun."""
    out: Path = Path("results/gpu")
    """Folder of results.csv, manifest.json and table.md."""


Row = dict[str, object]
Run = Callable[[int], Callable[[], Any]]
"""Steps to a call that returns, once all is there, outputs ``(T, B, H)`` or the gradient of the inputs."""


def weights_of(case: Case) -> tuple[Any, dict[str, Any]]:
    """The flat weights of cuDNN and the same by PyTorch's names, float32; the second bias is 0."""
    import jax
    from jax.experimental import rnn

    shape = case.inputs, case.hidden, 1, False
    flat = rnn.init_lstm_weight(jax.random.key(1), *shape).at[-4 * case.hidden :].set(0.0)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return flat, {name: part[0] for name, part in zip(names, rnn.unpack_lstm_weights(flat, *shape), strict=True)}


def drawn(case: Case, steps: int) -> tuple[Any, Any]:
    """Inputs ``(steps, B, I)`` and what the loss weighs each output by, ``(steps, B, H)``, normal, float32."""
    from jax.random import key, normal

    return normal(key(2), (steps, case.batch, case.inputs)), normal(key(3), (steps, case.batch, case.hidden))


def on_jax(case: Case, run: Callable[[Any, Any], Any], weights: Any, dtype: Any) -> Run:
    """A layer of JAX: compiled, by ``vmap`` over trials where there are several."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, xs: Any, weigh: Any) -> Any:
        return (run(weights, xs).astype(jnp.float32) * weigh).sum()

    def prepare(steps: int) -> Callable[[], Any]:
        xs, weigh = drawn(case, steps)
        work = jax.value_and_grad(loss, (0, 1)) if case.gradient else lambda weights, xs, weigh: run(weights, xs)
        given = jax.tree.map(lambda w: w.astype(dtype), weights)
        if case.trials > 1:
            work = jax.vmap(work, (0, None, None))
            given = jax.tree.map(lambda w: jnp.stack([w] * case.trials), given)
        arguments = given, xs.astype(dtype), weigh
        compiled = jax.jit(work).lower(*arguments).compile()
        wanted = (lambda found: found[1][1]) if case.gradient else (lambda found: found)
        return lambda: wanted(jax.block_until_ready(compiled(*arguments)))

    return prepare


def ours(backend: str) -> Callable[[Case, str], Run]:
    def build(case: Case, kind: str) -> Run:
        import lstm_jax as lj
        from lstm_jax import convert

        ((params,),) = convert.from_torch(weights_of(case)[1])
        return on_jax(case, lambda p, xs: lj.unroll("NP", p, xs, backend=backend)[0], params, jax_type(kind))

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
    import numpy as np
    import torch

    if not torch.cuda.is_available() or case.trials > 1:
        raise NotImplementedError("a GPU for PyTorch, and one trial")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
    dtype = getattr(torch, jax_type(kind))
    lstm = torch.nn.LSTM(case.inputs, case.hidden).to("cuda", dtype)
    lstm.load_state_dict({name: torch.from_numpy(np.array(w)) for name, w in weights_of(case)[1].items()})

    def prepare(steps: int) -> Callable[[], Any]:
        xs, weigh = (torch.from_numpy(np.array(array)).to("cuda") for array in drawn(case, steps))
        xs = xs.to(dtype).requires_grad_(case.gradient)

        def call() -> Any:
            if case.gradient:
                lstm.zero_grad()
                xs.grad = None
                (lstm(xs)[0].float() * weigh).sum().backward()
                found = xs.grad
            else:
                with torch.inference_mode():
                    found = lstm(xs)[0]
            torch.cuda.synchronize()
            return found

        return call

    return prepare


CONTESTANTS: dict[str, Callable[[Case, str], Run]] = {
    "ours, scan": ours("scan"),
    "ours, fused": ours("fused"),
    "ours, pallas": ours("pallas"),
    "scan of 20 lines": naive,
    "cuDNN, jax.experimental.rnn": cudnn,
    "cuDNN, PyTorch": torch_cudnn,
}


def jax_type(kind: str) -> str:
    """What arrays of a type are stored in."""
    return "float32" if kind == "tf32" else kind


@cache
def reference(case: Case) -> Any:
    """What our scan finds in 32 bits, for one trial."""
    import jax
    import numpy as np

    with jax.default_matmul_precision("highest"):
        return np.asarray(ours("scan")(replace(case, trials=1), "float32")(case.steps)())


def error_of(case: Case, found: Any) -> float:
    """The largest difference from that, for the first trial; 1 is its largest number."""
    import numpy as np

    want = reference(replace(case, trials=1))
    got = found.float().cpu().numpy() if hasattr(found, "cpu") else np.asarray(found, np.float32)
    return float(np.abs((got[0] if case.trials > 1 else got) - want).max() / np.abs(want).max())


def rows_of(case: Case, kind: str, rounds: int) -> Iterator[Row]:
    """All contestants on one case in one type, in turn."""
    import jax

    ready, failed, errors = {}, {}, {}
    with ExitStack() as stack:
        if kind in ("float32", "tf32"):
            name = "highest" if kind == "float32" else "tensorfloat32"
            stack.enter_context(jax.default_matmul_precision(name))
        for name, build in CONTESTANTS.items():
            try:
                run = build(case, kind)
                calls = run(case.steps), run(2 * case.steps)
                errors[name], _ = error_of(case, calls[0]()), calls[1]()
                if not errors[name] <= TYPES[kind]:
                    raise ArithmeticError(f"it is off by {errors[name]:.1e} of the largest number")
                ready[name] = calls
            except Exception as reason:  # of any library: the others are timed all the same
                failed[name] = f"{type(reason).__name__}: {[*str(reason).splitlines(), ''][0][:90]}"
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
        for _ in range(rounds):
            for name, (once, twice) in ready.items():
                seconds[name].append((timeit(once, number=1), timeit(twice, number=1)))
    head = {"B": case.batch, "T": case.steps, "I": case.inputs, "H": case.hidden, "trials": case.trials, "type": kind}
    head["mode"] = "forward + gradient" if case.gradient else "forward"
    for name in CONTESTANTS:
        row = dict.fromkeys(FIELDS, "") | head | {"contestant": name, "status": failed.get(name, "timed")}
        row["error"] = f"{errors[name]:.1e}" if name in errors else ""
        if name in ready:
            short, long = (median(pair[n] for pair in seconds[name]) for n in range(2))
            row |= {"us a step": f"{1e6 * (long - short) / case.steps:.4g}", "ms": f"{1e3 * short:.4g}"}
        yield row


def cases_of(shapes: Sequence[str], types: Sequence[str]) -> list[tuple[Case, str]]:
    """What there is to time, what matters most first: a shape in all types, after the first its populations."""
    cases = [
        [(Case(*parse(shape), gradient=gradient), kind) for kind in types for gradient in (False, True)]
        for shape in shapes
    ]
    populations = [(replace(cases[0][0][0], trials=n, gradient=True), types[0]) for n in TRIALS]
    return [*cases[0], *populations, *(case for more in cases[1:] for case in more)]


def table(rows: Sequence[Row]) -> str:
    """Every row, as Markdown."""
    return markdown(list(FIELDS), [[str(row[name]) for name in FIELDS] for row in rows], left=9)


def write(rows: Sequence[Row], rounds: int, out: Path) -> None:
    """results.csv, table.md and manifest.json, anew after every case."""
    with (out / "results.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out / "table.md").write_text(table(rows) + "\n")
    write_json(out / "manifest.json", {"command": sys.argv, "rounds": rounds, **describe_machine()})


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, prog="gpu.py")
    rows: list[Row] = []
    cases, start = cases_of(options.shapes, options.types), time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    for n, (case, kind) in enumerate(cases):
        if time.perf_counter() - start > options.budget:
            print(f"{len(cases) - n} of {len(cases)} cases not run: the budget of {options.budget:g} s is used up")
            break
        print(f"case {n + 1} of {len(cases)}: {case}, {kind}", flush=True)
        rows += rows_of(case, kind, options.rounds)
        write(rows, options.rounds, options.out)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
