"""How fast is it?

    python experiments/00_speed/run.py                     # or: make bench
    python experiments/00_speed/run.py --shapes 4,1000,64,128 --rounds 15 --population none

Our cells beside Flax's, forward alone and with gradient, one process, contestants in turn, same weights, outputs
checked equal before anything is timed; before that a population beside PyTorch (population.py). Writes results.csv,
table.md and manifest.json; quote ratios, not milliseconds.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import linen
from flax import nnx as flax_nnx

import lstm_jax as lj
from lstm_jax.analysis.report import embed
from lstm_jax.cli.dispatch import guarded
from lstm_jax.train.machine import cores, describe_machine

if str(Path(__file__).parent) not in sys.path:  # as for a script, where this file is loaded by its path
    sys.path.insert(0, str(Path(__file__).parent))

PEER = "flax linen OptimizedLSTMCell"


@dataclass(frozen=True)
class Options:
    """Forward and gradient times of one layer, side by side with Flax; a population, side by side with PyTorch."""

    shapes: tuple[str, ...] = ("32,1000,64,128", "4,1000,64,128", "1,61,88,100")
    """B,T,I,H: batch, steps, inputs, cells; none times no single layer."""
    rounds: int = 15
    """Times that each contestant is timed, in turn with the others."""
    population: Literal["search", "toy", "none"] = "search"
    """Time a population beside PyTorch too: the search's net, or one that only shows that everything works."""
    population_rounds: int = 9
    """Times that each of its contestants is timed."""
    out: Path = Path("results/speed")
    """Folder of the results."""
    readme: tuple[Path, ...] = ()
    """Time nothing; bring the tables in these Markdown files up to date with the results in OUT."""


def contestants(steps: int, batch: int, inputs: int, hidden: int) -> dict[str, tuple[Callable, object]]:
    """Each contestant: ``f(weights, xs) -> ys`` and its weights; all but V (peepholes) compute the same numbers."""
    core = lj.init_params(jax.random.key(0), "NP", inputs, hidden)
    to_flax = lj.convert.to_flax("NP", core, "linen")
    optimized = linen.RNN(linen.OptimizedLSTMCell(hidden), time_major=True)
    names = optimized.init(jax.random.key(1), jnp.zeros((1, batch, inputs)))
    (cell_name,) = names["params"].keys()
    cell = flax_nnx.OptimizedLSTMCell(inputs, hidden, rngs=flax_nnx.Rngs(0))
    graph, state = flax_nnx.split(flax_nnx.RNN(cell, time_major=True))
    flax_nnx.replace_by_pure_dict(state, {"cell": lj.convert.to_flax("NP", core, "nnx_optimized")})

    def ours(variant: str, backend: str) -> Callable:
        return lambda params, xs: lj.unroll(variant, params, xs, backend=backend)[0]

    return {
        PEER: (lambda weights, xs: optimized.apply(weights, xs), {"params": {cell_name: to_flax}}),
        "flax nnx OptimizedLSTMCell": (lambda weights, xs: flax_nnx.merge(graph, weights)(xs), state),
        "NP, scan": (ours("NP", "scan"), core),
        "NP, fused": (ours("NP", "fused"), core),
        "V, fused": (ours("V", "fused"), lj.init_params(jax.random.key(0), "V", inputs, hidden)),
    }


def measure(shape: tuple[int, int, int, int], rounds: int) -> list[dict[str, object]]:
    """One row a contestant and mode."""
    batch, steps, inputs, hidden = shape
    xs = jax.random.normal(jax.random.key(2), (steps, batch, inputs))
    weigh = jax.random.normal(jax.random.key(3), (steps, batch, hidden))
    programs, compile_seconds = {}, {}
    for name, (function, weights) in contestants(steps, batch, inputs, hidden).items():
        gradient = jax.value_and_grad(lambda w, x, f=function: (f(w, x) * weigh).sum(), allow_int=True)
        for mode, run in (("forward", function), ("forward + gradient", gradient)):
            start = time.perf_counter()
            compiled = jax.jit(run).lower(weights, xs).compile()
            compile_seconds[name, mode] = time.perf_counter() - start
            programs[name, mode] = (compiled, weights)
    _same_numbers(programs, xs)
    times: dict[tuple[str, str], list[float]] = {key: [] for key in programs}
    for n in range(rounds + 3):  # three rounds of warm-up
        for key, (compiled, weights) in programs.items():
            start = time.perf_counter()
            jax.block_until_ready(compiled(weights, xs))
            if n >= 3:
                times[key].append(time.perf_counter() - start)
    rows = []
    for (name, mode), seconds in times.items():
        peer = [a / b for a, b in zip(times[PEER, mode], seconds, strict=True)]
        rows.append(
            {
                "shape (B,T,I,H)": ",".join(map(str, shape)),
                "mode": mode,
                "contestant": name,
                "median ms": round(1e3 * median(seconds), 3),
                "min ms": round(1e3 * min(seconds), 3),
                "p90 ms": round(1e3 * float(np.quantile(seconds, 0.9)), 3),
                "us/step": round(1e6 * median(seconds) / steps, 3),
                "times flax linen": round(median(peer), 2),
                "compile s": round(compile_seconds[name, mode], 2),
                "temporary MiB": round(programs[name, mode][0].memory_analysis().temp_size_in_bytes / 2**20, 1),
            }
        )
    return rows


def _same_numbers(programs: dict, xs: jax.Array) -> None:
    """Every contestant computes what the peer computes; V, which has peepholes that start at 0, too."""
    want = programs[PEER, "forward"][0](programs[PEER, "forward"][1], xs)
    for (name, mode), (compiled, weights) in programs.items():
        if mode == "forward":
            np.testing.assert_allclose(compiled(weights, xs), want, rtol=2e-5, atol=2e-5, err_msg=name)


def markdown(rows: list[dict[str, object]]) -> str:
    """Rows as a table, a block for each shape and mode."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "|".join(["---"] * 3 + ["---:"] * (len(columns) - 3)) + "|"]
    lines += ["| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def readme_section(folder: Path) -> str:
    """The table that READMEs show, from results.csv and manifest.json alone."""
    with (folder / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    manifest = json.loads((folder / "manifest.json").read_text())
    columns = list(dict.fromkeys((row["shape (B,T,I,H)"], row["mode"]) for row in rows))
    lines = [
        "| times as fast as Flax linen (ms) | " + " | ".join(f"({shape}) {mode}" for shape, mode in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in dict.fromkeys(row["contestant"] for row in rows):
        own = {(row["shape (B,T,I,H)"], row["mode"]): row for row in rows if row["contestant"] == name}
        cells = [f"{float(own[c]['times flax linen']):.2f} ({float(own[c]['median ms']):.3g})" for c in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("")
    lines.append(
        f"(B, T, I, H), float32, medians of {manifest['rounds']} rounds; {manifest['processor']}, {manifest['cores']} "
        f"cores, load {manifest['load'][0]:.1f} at the end, JAX {manifest['versions']['jax']}, Flax "
        f"{manifest['versions']['flax']}, commit {str(manifest['commit'])[:9]}."
    )
    return "\n".join(lines)


def population_section(folder: Path) -> str:
    """The table of the population, from population.csv and population.json alone."""
    from population import section

    return section(folder)


def parse(shape: str) -> tuple[int, int, int, int]:
    """``"32,1000,64,128"`` as four positive integers."""
    parts = tuple(int(n) if n.strip().isdigit() else 0 for n in shape.split(","))
    if len(parts) != 4 or min(parts) < 1:
        raise ValueError(f"a shape is B,T,I,H, four integers >= 1, got {shape!r}")
    return parts


def measure_layers(shapes: list[tuple[int, int, int, int]], rounds: int, out: Path) -> None:
    """Time one layer of each shape; results.csv, table.md and manifest.json."""
    rows: list[dict[str, object]] = []
    for n, shape in enumerate(shapes):
        print(f"shape {n + 1} of {len(shapes)}: B, T, I, H = {shape}", file=sys.stderr, flush=True)
        rows += measure(shape, rounds)
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (out / "results.csv").write_text(table.getvalue())
    (out / "table.md").write_text(markdown(rows))
    manifest = {**describe_machine(), "cores": cores(), "load": os.getloadavg(), "rounds": rounds, "dtype": "float32"}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, default=str) + "\n")
    print(markdown(rows))
    print(f"written to {out}: results.csv, table.md, manifest.json; load average {os.getloadavg()[0]:.1f}")


def update_tables(readme: Path, results: Path) -> None:
    """Bring the tables between the markers of a Markdown file up to date."""
    text = embed(readme.read_text(), "speed", readme_section(results))
    if "<!-- begin: speed/population -->" in text:
        text = embed(text, "speed/population", population_section(results))
    readme.write_text(text)


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, prog="lstm-jax bench")
    for readme in options.readme:
        update_tables(readme, options.out)
    if options.readme:
        return 0
    shapes = [parse(shape) for shape in options.shapes]
    if options.rounds < 1:
        raise ValueError(f"--rounds must be at least 1, got {options.rounds}")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.population != "none":
        import population  # timed first: what else runs on the machine shows only before we do

        population.run(population.SCALES[options.population], options.population_rounds, options.out)
        print(population.section(options.out), end="\n\n")
    if shapes:
        measure_layers(shapes, options.rounds, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
