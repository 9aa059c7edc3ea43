"""How fast is one layer on a GPU, a type at a time, and what do many trials cost?

    JAX_PLATFORMS=cuda python experiments/00_speed/gpu.py                       # on a GPU, what nine minutes hold
    python experiments/00_speed/gpu.py --shapes 32,1000,64,128 --types bfloat16 # one shape in one type
    python experiments/00_speed/gpu.py --contestants "ours, pallas"             # one alone: nobody ran it yet
    python experiments/00_speed/gpu.py --shapes 2,3,2,4 --rounds 1              # anywhere: shows that it works

It asks for nothing that a bare machine with JAX may lack: ``PYTHONPATH=.`` where the library is not installed.

Beside our backends stand a scan as one writes it first, cuDNN through ``jax.experimental.rnn`` (32 bits only) and,
where PyTorch is installed, cuDNN through ``nn.LSTM``; last, and only where it is named, the kernel in Pallas, which
may take the whole process down. What each finds, outputs or gradients, stands beside what our scan finds in 32 bits; a
row whose numbers are further off than its type rounds says so, and its time is no result. The time of a step is a
slope, (time of 2 T steps - time of T) / T, so that a launch or a transfer once a call is not in it: median, least and
90 % quantile over rounds, each as many calls as last a twentieth of a second. One that fails says so in its row.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from timeit import timeit
from typing import Any

import numpy as np

from lstm_jax.analysis.report import markdown
from lstm_jax.cli.dispatch import guarded
from lstm_jax.train.machine import describe_machine
from lstm_jax.train.records import write_json

if str(Path(__file__).parent) not in sys.path:  # as for a script, where this file is loaded by its path
    sys.path.insert(0, str(Path(__file__).parent))

from gpu_layers import CONTESTANTS, PALLAS, Case, Run, error_of  # noqa: E402
from layer_cases import SHAPES, parse  # noqa: E402

TYPES = {"bfloat16": 5e-2, "float16": 2e-2, "tf32": 5e-3, "float32": 1e-4}
"""Each type and how far from the numbers of 32 bits its own may be, as a part of the largest of them."""
TRIALS = (8, 64)
"""Populations of the first shape, in the first type."""
BLOCK_SECONDS = 0.05
FIELDS = (
    *("B", "T", "I", "H", "trials", "type", "mode", "contestant", "status"),
    *("us a step", "min", "p90", "ms", "compile s", "error"),
)


def options_of(arguments: list[str]) -> argparse.Namespace:
    """What the command line says; ``argparse``, which every Python has."""
    parser = argparse.ArgumentParser(prog="gpu.py", description="Times of one layer on a GPU, by type and contestant.")
    shapes = [",".join(map(str, shape)) for shape in SHAPES]
    parser.add_argument("--shapes", nargs="+", default=shapes, help="B,T,I,H: batch, steps, inputs, cells")
    parser.add_argument(
        "--types", nargs="+", default=list(TYPES), choices=list(TYPES), help="tf32: float32 in storage"
    )
    usual = [name for name in CONTESTANTS if name != PALLAS]
    parser.add_argument("--contestants", nargs="+", default=usual, choices=list(CONTESTANTS))
    parser.add_argument("--rounds", type=int, default=9, help="times that each is timed, in turn with the others")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds after which no further case is begun")
    out = Path(os.environ.get("OUT", "results")) / "gpu"
    parser.add_argument("--out", type=Path, default=out, help="folder of results.csv, manifest.json and table.md")
    return parser.parse_args(arguments)


Row = dict[str, object]


@dataclass
class Contest:
    """One contestant on one case: its calls over T and 2 T steps, and what was measured."""

    calls: tuple[Callable[[], Any], Callable[[], Any]] | None = None
    repeats: tuple[int, int] = (1, 1)
    status: str = "timed"
    error: float = math.nan
    compile_seconds: float = math.nan
    slopes: tuple[float, ...] = ()
    once: tuple[float, ...] = ()

    def fail(self, reason: Exception) -> None:
        """The others are timed all the same."""
        self.status = f"{type(reason).__name__}: {[*str(reason).splitlines(), ''][0][:90]}"
        self.calls = None

    def prepare(self, case: Case, kind: str, build: Callable[[Case, str], Run]) -> None:
        """Compile, compare, and see how many calls fill a block."""
        begun = time.perf_counter()
        run = build(case, kind)
        calls = run(case.steps), run(2 * case.steps)
        self.error, _ = error_of(case, calls[0]()), calls[1]()
        self.compile_seconds = time.perf_counter() - begun
        if not self.error <= TYPES[kind]:
            self.status = "wrong: its numbers are further off than its type rounds"
        one, two = (max(1, math.ceil(BLOCK_SECONDS / max(timeit(call, number=1), 1e-6))) for call in calls)
        self.calls, self.repeats = calls, (one, two)

    def time(self, steps: int) -> None:
        """One block of each length."""
        assert self.calls is not None
        short, long = (
            timeit(call, number=count) / count for call, count in zip(self.calls, self.repeats, strict=True)
        )
        self.slopes, self.once = (*self.slopes, (long - short) / steps), (*self.once, short)


def rows_of(case: Case, kind: str, rounds: int, contestants: Sequence[str] = ()) -> Iterator[Row]:
    """Contestants, by default all, on one case in one type, in turn."""
    import jax

    contests = {name: Contest() for name in contestants or CONTESTANTS}
    with ExitStack() as stack:
        if kind in ("float32", "tf32"):
            name = "highest" if kind == "float32" else "tensorfloat32"
            stack.enter_context(jax.default_matmul_precision(name))
        for name, contest in contests.items():
            try:
                contest.prepare(case, kind, CONTESTANTS[name])
            except Exception as reason:  # of any library
                contest.fail(reason)
        for _ in range(rounds):
            for contest in contests.values():
                try:
                    if contest.calls:
                        contest.time(case.steps)
                except Exception as reason:
                    contest.fail(reason)
    head = {"B": case.batch, "T": case.steps, "I": case.inputs, "H": case.hidden, "trials": case.trials, "type": kind}
    head["mode"] = "forward + gradient" if case.gradient else "forward"
    for name, contest in contests.items():
        row = dict.fromkeys(FIELDS, "") | head | {"contestant": name, "status": contest.status}
        row |= {"error": _text(contest.error, "{:.1e}"), "compile s": _text(contest.compile_seconds, "{:.1f}")}
        if contest.calls and contest.slopes:
            if min(contest.slopes) <= 0 and contest.status == "timed":
                row["status"] = "noise: more steps took no longer"
            middle, p90 = (1e6 * np.quantile(contest.slopes, share) for share in (0.5, 0.9))
            row |= {"us a step": f"{middle:.4g}", "min": f"{1e6 * min(contest.slopes):.4g}", "p90": f"{p90:.4g}"}
            row["ms"] = f"{1e3 * np.median(contest.once):.4g}"
        yield row


def _text(value: float, form: str) -> str:
    return "" if math.isnan(value) else form.format(value)


def cases_of(shapes: Sequence[str], types: Sequence[str]) -> list[tuple[Case, str]]:
    """What there is to time, what matters most first: gradients of all shapes in the first type, the populations of
    the first shape, then the other types and what is left.
    """
    layers = [Case(*parse(shape), gradient=True) for shape in shapes]
    populations = [(replace(layers[0], trials=n), types[0]) for n in TRIALS]
    gradients = [[(layer, kind) for layer in layers] for kind in types]
    rest = [(replace(layer, gradient=False), kind) for kind in types for layer in layers]
    return [*gradients[0], *populations, *(case for more in gradients[1:] for case in more), *rest]


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
    options = options_of(arguments)
    rows: list[Row] = []
    cases, start = cases_of(options.shapes, options.types), time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    for n, (case, kind) in enumerate(cases):
        if time.perf_counter() - start > options.budget:
            print(f"{len(cases) - n} of {len(cases)} cases not run: the budget of {options.budget:g} s is used up")
            break
        print(f"case {n + 1} of {len(cases)}: {case}, {kind}", flush=True)
        rows += rows_of(case, kind, options.rounds, options.contestants)
        write(rows, options.rounds, options.out)
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
