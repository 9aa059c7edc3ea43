"""How fast does a population learn, beside the same update in PyTorch?

    python experiments/00_speed/population.py                      # also a part of: make bench
    python experiments/00_speed/population.py --rounds 15 --out experiments/00_speed/results

The update of the search of experiment 02: one sequence, noise on its inputs, gradient, Nesterov momentum. Ours is the
training program itself. Each framework has its own processes (crew.py, worker.py), which take turns, so that only one
contestant runs at a time. Before anything is timed, all must find the same loss and gradient (frameworks.py). Writes
population.csv and population.json.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import tyro
from crew import Crew, expect_equal, hire, load_now, short, tell

from lstm_jax.cli.dispatch import guarded
from lstm_jax.train.machine import cores

NAMES = {
    "ours": "lstm_jax",
    "torch processes": "PyTorch nn.LSTM, one process a core",
    "torch threads": "PyTorch nn.LSTM, one process, all cores",
    "flax": "Flax linen + Optax, one program",
}
MEASURED = ("updates/s", "us/update", "min us/update", "p90 us/update", "spread")
PEERS = {"torch processes": "times PyTorch processes", "torch threads": "times PyTorch threads"}
"""Rivals to the columns that hold how many times as fast a contestant is, at the same width."""


@dataclass(frozen=True)
class Scale:
    """What is trained, and for how long a block of updates is timed."""

    cells: tuple[str, ...]
    hidden: int
    widths: tuple[int, ...]
    populations: tuple[int, ...]
    width_trials: int
    inputs: int
    steps: int
    sequences: int
    chunk: int
    block_seconds: float
    rest_seconds: float


SCALES = {
    # As many sequences as the chorales that the search learns.
    "search": Scale(
        ("NP", "V"), 100, (64, 200), (1, 2, 8, 32, 128), 8, 88, 61, 229, 100, block_seconds=0.5, rest_seconds=0.2
    ),
    "toy": Scale(("NP",), 3, (), (1, 2), 2, 5, 4, 3, 1, block_seconds=0.01, rest_seconds=0.0),
}


@dataclass(frozen=True)
class Contestant:
    """One row: trials of one cell that one team of processes trains."""

    team: str
    cell: str
    hidden: int
    trials: int

    def __str__(self) -> str:
        trials = f"{self.trials} trial{'s' * (self.trials > 1)}"
        return f"{NAMES[self.team]}, {self.cell}, {self.hidden} cells, {trials}"


def teams() -> dict[str, list[tuple[str, int]]]:
    """Framework and threads of each process of a team."""
    all_cores = cores()
    return {
        "ours": [("ours", all_cores)],
        "torch processes": [("torch", 1)] * all_cores,
        "torch threads": [("torch", all_cores)],
        "flax": [("flax", all_cores)],
    }


def contestants(scale: Scale) -> list[Contestant]:
    """Rivals first; at the first width every size of the population, at the others one."""
    found = []
    for hidden in (scale.hidden, *scale.widths):
        found += [Contestant("torch processes", "NP", hidden, cores()), Contestant("torch threads", "NP", hidden, 1)]
        if hidden == scale.hidden:
            found.append(Contestant("flax", "NP", hidden, 1))
        sizes = scale.populations if hidden == scale.hidden else (scale.width_trials,)
        found += [Contestant("ours", cell, hidden, trials) for cell in scale.cells for trials in sizes]
    return found


def chunk_of(scale: Scale, team: str) -> int:
    """Updates in one call of a compiled program; PyTorch makes one after another anyway."""
    return max(scale.chunk // 10, 1) if team.startswith("torch") else scale.chunk


def spec_of(scale: Scale, contestant: Contestant, workers: int) -> dict[str, object]:
    """What each of the contestant's workers trains."""
    sizes = {"inputs": scale.inputs, "steps": scale.steps, "sequences": scale.sequences}
    own = {"trials": contestant.trials // workers, "chunk": chunk_of(scale, contestant.team)}
    return {"cell": contestant.cell, "hidden": contestant.hidden, **own, **sizes}


def check(crew: Crew, scale: Scale) -> None:
    """Refuse to time unless all find our loss and gradient, from our weights and first sequence, without noise."""
    rivals = [(team, worker) for team, workers in crew.items() if team != "ours" for worker in workers]
    with tempfile.TemporaryDirectory() as folder:
        for hidden in (scale.hidden, *scale.widths):
            spec = spec_of(scale, Contestant("ours", "NP", hidden, 1), 1)
            reference = str(Path(folder, "ours.npz"))
            crew["ours"][0].ask(do="check", spec=spec, given="", into=reference)
            found = [str(Path(folder, f"{n}.npz")) for n in range(len(rivals))]
            for (_, worker), file in zip(rivals, found, strict=True):
                worker.send(do="check", spec=spec, given=reference, into=file)
            for _, worker in rivals:
                worker.receive()
            for (team, _), file in zip(rivals, found, strict=True):
                with np.load(reference) as ours, np.load(file) as theirs:
                    expect_equal(dict(ours), dict(theirs), f"{NAMES[team]}, {hidden} cells")


def prepare(crew: Crew, scale: Scale, contestant: Contestant) -> int:
    """Compile and warm up; the number of chunks in a timed block."""
    start, team, chunk = time.perf_counter(), crew[contestant.team], chunk_of(scale, contestant.team)
    for worker in team:
        worker.ask(do="prepare", name=str(contestant), spec=spec_of(scale, contestant, len(team)))
    for _ in range(2):  # each is hundreds of updates or more
        rate = updates_per_second(crew, scale, contestant, 1)
    chunks = max(round(scale.block_seconds * rate / (contestant.trials * chunk)), 1)
    tell(f"{contestant}: ready after {time.perf_counter() - start:.1f} s, {chunks} x {chunk} updates a block")
    return chunks


def updates_per_second(crew: Crew, scale: Scale, contestant: Contestant, chunks: int) -> float:
    """Of one block, over all its trials: of several processes the sum, each by its own clock."""
    team, chunk = crew[contestant.team], chunk_of(scale, contestant.team)
    for worker in team:
        worker.send(do="go", name=str(contestant), times=chunks)
    seconds = [worker.receive()["seconds"] for worker in team]
    return sum(chunks * chunk * contestant.trials / len(team) / own for own in seconds)


def rates(crew: Crew, scale: Scale, present: Sequence[Contestant], rounds: int) -> dict[Contestant, list[float]]:
    """Updates per second in every round; every other round goes backwards, so that nobody is always after the same."""
    chunks = {contestant: prepare(crew, scale, contestant) for contestant in present}
    found: dict[Contestant, list[float]] = {contestant: [] for contestant in present}
    for n in range(rounds):
        tell(f"round {n + 1} of {rounds}")
        for contestant in present[:: -1 if n % 2 else 1]:
            time.sleep(scale.rest_seconds)  # threads of the one before may spin a while before they sleep
            found[contestant].append(updates_per_second(crew, scale, contestant, chunks[contestant]))
    return found


def row_of(contestant: Contestant, found: dict[Contestant, list[float]]) -> dict[str, object]:
    """Costs are per update over the whole population; ratios are medians over rounds of ratios within a round."""
    row: dict[str, object] = {"contestant": NAMES[contestant.team], "cell": contestant.cell}
    row |= {"cells": contestant.hidden, "trials": contestant.trials}
    if contestant not in found:
        return row | {"status": "not installed"} | dict.fromkeys((*MEASURED, *PEERS.values()), "")
    own = found[contestant]
    cost = np.quantile(1e6 / np.array(own), (0.5, 0.0, 0.9))
    numbers = (median(own), *cost, (cost[2] - cost[1]) / cost[0])
    row |= {"status": "timed"} | {name: short(number) for name, number in zip(MEASURED, numbers, strict=True)}
    for team, column in PEERS.items():
        peer = [rates for one, rates in found.items() if (one.team, one.hidden) == (team, contestant.hidden)]
        row[column] = short(median(a / b for a, b in zip(own, peer[0], strict=True))) if peer else ""
    return row


def run(scale: Scale, rounds: int, out: Path) -> None:
    """Measure, write population.csv and population.json into ``out``."""
    if rounds < 1:
        raise ValueError(f"the population benchmark needs at least 1 round, got {rounds}")
    load, wanted = load_now(), contestants(scale)
    with ExitStack() as stack:
        crew = hire(stack, "frameworks", teams())
        check(crew, scale)
        found = rates(crew, scale, [one for one in wanted if one.team in crew], rounds)
    machine, torch = crew["ours"][0].about, crew.get("torch threads")
    versions = machine["versions"] | {"torch": torch[0].about["torch"] if torch else None}
    out.mkdir(parents=True, exist_ok=True)
    rows = [row_of(one, found) for one in wanted]
    with (out / "population.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    manifest = machine | {"versions": versions, "load_begin": load, "load_end": os.getloadavg()[0], "rounds": rounds}
    manifest |= {"scale": asdict(scale), "dtype": "float32"}
    manifest["updates/s"] = {str(one): " ".join(f"{rate:.1f}" for rate in own) for one, own in found.items()}
    (out / "population.json").write_text(json.dumps(manifest, indent=2) + "\n")


def section(folder: Path) -> str:
    """The table that READMEs show, from population.csv and population.json alone."""
    if not (folder / "population.csv").exists():
        return "Not measured yet."
    with (folder / "population.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    manifest = json.loads((folder / "population.json").read_text())
    heads = ["cells", "trials", "updates/s", "us/update", "min", "p90", *PEERS.values()]
    lines = ["| contestant | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for row in rows:
        shown = [row[name] for name in ("cells", "trials", *MEASURED[:4], *PEERS.values())]
        if row["status"] != "timed":
            shown[2] = row["status"]
        lines.append(f"| {row['contestant']}, {row['cell']} | " + " | ".join(shown) + " |")
    scale, versions, code = manifest["scale"], manifest["versions"], str(manifest["commit"])[:9]
    lines += [
        "",
        f"{scale['steps']} steps, {scale['inputs']} inputs, batch 1, float32, medians of {manifest['rounds']} rounds "
        f"(times PyTorch: of ratios within a round); {manifest['processor']}, {manifest['cores']} cores, load "
        f"{manifest['load_begin']:.1f} before and {manifest['load_end']:.1f} after, JAX {versions['jax']}, PyTorch "
        f"{versions['torch']}, Flax {versions['flax']}, commit {code}{'+changes' * bool(manifest['dirty'])}.",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Options:
    """Updates per second of a population, side by side with PyTorch."""

    scale: Literal["search", "toy"] = "search"
    """What is trained: the search's net, or one that only shows that everything works."""
    rounds: int = 9
    """Times that each contestant is timed, in turn with the others."""
    out: Path = Path("results/speed")
    """Folder of the results."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments)
    run(SCALES[options.scale], options.rounds, options.out)
    print(section(options.out))
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
