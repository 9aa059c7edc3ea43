"""How fast is one layer, beside every other LSTM that runs on this machine?

Each framework has a process of its own (crew.py, worker.py, layer_peers.py), and they take turns. Before a shape is
timed, each contestant's very program must find our outputs and gradients, in float64, from the same weights. Each
row is timed in two passes, with the other mode between them.
"""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
from crew import Crew, expect_equal, hire, load_now, tell
from layer_cases import CONTESTANTS, MODES, OURS, Case, lengths, takes_part

from lstm_jax.names import UsageError, nearest
from lstm_jax.train.machine import cores

PASSES, LEAST_ROUNDS = 2, 5
BLOCK_SECONDS, REST_SECONDS = 0.05, 0.05
"""A timed block is as many calls as fill the first; threads of the one before may spin during the second."""
WARM_SECONDS, WARM_CALLS = 0.5, 3
"""Calls that are not counted: so many, or as many as fit the time, but one at least besides the check."""


@dataclass
class Entry:
    """One contestant in one case and mode: what preparing it said, and its seconds a call by pass and round."""

    key: str
    facts: dict[str, float | None]
    error: float
    calls: int
    seconds: list[list[float]] = field(default_factory=lambda: [[] for _ in range(PASSES)])

    @property
    def all_seconds(self) -> list[float]:
        return [second for rounds in self.seconds for second in rounds]


def choose(wanted: Sequence[str]) -> list[str]:
    """The contestants by their keys, in the order of the table; none named means all.

    Raises:
        UsageError: a key that nobody has.
    """
    for key in wanted:
        if key not in CONTESTANTS:
            raise UsageError(f"unknown contestant {key!r}; {nearest(key, CONTESTANTS)}")
    return [key for key in CONTESTANTS if key in wanted or not wanted]


def order(case: Case, key: str, gradient: bool, dtype: str = "float32") -> dict[str, object]:
    """What a worker is told of a case: name and spec."""
    spec = asdict(case) | {"contestant": key, "gradient": gradient, "dtype": dtype}
    return {"name": f"{key} {MODES[gradient]} {dtype}", "spec": spec}


def numbers(crew: Crew, case: Case, key: str, gradient: bool, dtype: str, file: Path) -> tuple[dict, dict]:
    """Compile one contestant's program; what it says of that, and what the program computes."""
    (worker,), told = crew[CONTESTANTS[key][0]], order(case, key, gradient, dtype)
    facts = worker.ask(do="prepare", **told)
    worker.ask(do="check", given="", into=str(file), spec=told["spec"])
    with np.load(file) as arrays:
        return facts, dict(arrays)


def go(crew: Crew, case: Case, key: str, gradient: bool, calls: int) -> float:
    """Seconds a call, over a block of calls."""
    told = order(case, key, gradient)
    return crew[CONTESTANTS[key][0]][0].ask(do="go", name=told["name"], times=calls)["seconds"] / calls


def prepare(crew: Crew, case: Case, keys: Sequence[str], gradient: bool) -> list[Entry]:
    """Compile, compare and warm up; refuse to time a contestant that computes something else."""
    entries, start, terms = [], time.perf_counter(), int(lengths(case).sum())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "numbers.npz")
        _, reference = numbers(crew, case, "NP/scan", gradient, "float64", file)
        for key in keys:
            facts, found = numbers(crew, case, key, gradient, "float32", file)
            error = expect_equal(reference, found, f"{CONTESTANTS[key][1]}, {case}, {MODES[gradient]}", terms)
            warm = [go(crew, case, key, gradient, 1)]
            while len(warm) < WARM_CALLS and sum(warm) < WARM_SECONDS:
                warm.append(go(crew, case, key, gradient, 1))
            entries.append(Entry(key, facts, error, max(math.ceil(BLOCK_SECONDS / min(warm)), 1)))
    tell(f"{case} {MODES[gradient]}: {len(keys)} agree, ready after {time.perf_counter() - start:.0f} s")
    return entries


def rounds_for(block: float, rounds: int, budget: float) -> list[int]:
    """Rounds of each pass, each of ``block`` seconds: as many as the budget holds, ``rounds`` at most, five in all."""
    least = min(LEAST_ROUNDS, PASSES * rounds)
    total = min(max(int(budget / max(block, 1e-9)), least), PASSES * rounds)
    return [(total + PASSES - 1 - n) // PASSES for n in range(PASSES)]


def one_round(crew: Crew, case: Case, gradient: bool, entries: Sequence[Entry], turn: int) -> list[float]:
    """Every contestant once; every other round goes backwards, so that nobody is always after the same."""
    found = [0.0] * len(entries)
    places = range(len(entries))
    for place in reversed(places) if turn % 2 else places:
        time.sleep(REST_SECONDS)
        found[place] = go(crew, case, entries[place].key, gradient, entries[place].calls)
    return found


def measure(crew: Crew, case: Case, keys: Sequence[str], rounds: int, budget: float) -> dict[bool, list[Entry]]:
    """Both modes of one case, each in two passes; a pass begins with a round that does not count.

    Contestants share processes, hence memory: the first call after another's finds it as that one left it.
    """
    entries = {gradient: prepare(crew, case, keys, gradient) for gradient in case.modes}
    counts: dict[bool, list[int]] = {}
    for nth in range(PASSES):
        for gradient, ones in entries.items():
            start = time.perf_counter()
            one_round(crew, case, gradient, ones, turn=1)
            counts.setdefault(gradient, rounds_for(time.perf_counter() - start, rounds, budget))
            for turn in range(counts[gradient][nth]):
                for entry, seconds in zip(ones, one_round(crew, case, gradient, ones, turn), strict=True):
                    entry.seconds[nth].append(seconds)
            tell(f"{case} {MODES[gradient]}: pass {nth + 1} of {PASSES}, {counts[gradient][nth]} rounds")
    for worker in {CONTESTANTS[key][0] for key in ("NP/scan", *keys)}:
        crew[worker][0].ask(do="forget")
    return entries


def rows_of(case: Case, gradient: bool, entries: Sequence[Entry], absent: Sequence[str], peak: float) -> list[dict]:
    """One row a contestant and pass; ratios are medians over rounds of ratios to the best peer within a round."""
    head = {"case": str(case), "B": case.batch, "T": case.steps, "I": case.inputs, "H": case.hidden}
    head |= {"mode": MODES[gradient]}
    peers = [entry for entry in entries if entry.key not in OURS]
    rival = min(peers, key=lambda entry: median(entry.all_seconds), default=None)
    rows = []
    for entry in entries:
        for nth, seconds in enumerate(entry.seconds):
            middle, least, tail = np.quantile(seconds, (0.5, 0.0, 0.9))
            speed = case.flops(gradient) / middle / 1e9
            ratio = rival and median(a / b for a, b in zip(rival.seconds[nth], seconds, strict=True))
            rows.append(
                head
                | {"contestant": entry.key, "status": "timed", "pass": nth + 1, "rounds": len(seconds)}
                | {"median ms": f"{1e3 * middle:.5g}", "min ms": f"{1e3 * least:.5g}", "p90 ms": f"{1e3 * tail:.5g}"}
                | {"spread": f"{(tail - least) / middle:.3f}", "us/step": f"{1e6 * middle / case.steps:.4g}"}
                | {"best peer": rival.key if rival else "", "times best peer": f"{ratio:.3f}" if rival else ""}
                | {"GFLOP/s": f"{speed:.4g}", "share of peak": f"{speed / peak:.3f}"}
                | {"compile s": "" if entry.facts["compile"] is None else f"{entry.facts['compile']:.2f}"}
                | {"temporary MiB": "" if entry.facts["bytes"] is None else f"{entry.facts['bytes'] / 2**20:.4g}"}
                | {"error": f"{entry.error:.1e}"}
            )
    blank = dict.fromkeys(rows[0] if rows else (), "")
    return rows + [blank | head | {"contestant": key, "status": "not installed"} for key in absent if rows]


def peak_of(crew: Crew) -> float:
    """GFLOP/s of the best large float32 product in JAX or PyTorch, whichever is faster."""
    return max(crew[name][0].ask(do="peak")["gflops"] for name in ("ours", "torch") if name in crew)


def run(cases: Sequence[Case], keys: Sequence[str], rounds: int, budget: float, out: Path) -> None:
    """Measure, write results.csv and manifest.json into ``out``, anew after every case."""
    if rounds < 1 or budget <= 0:
        raise UsageError(f"the layer benchmark needs rounds >= 1 and a budget > 0 s, got {rounds} and {budget}")
    start, load, found = time.perf_counter(), load_now(), []
    needed = {framework: [(framework, cores())] for framework, _ in map(CONTESTANTS.__getitem__, ("NP/scan", *keys))}
    with ExitStack() as stack:
        crew = hire(stack, "layer_peers", needed)
        if not any(CONTESTANTS[key][0] in crew for key in keys):
            raise UsageError(f"none of {', '.join(keys)} is installed: pip install 'lstm_jax[peers]'")
        abouts = {name: workers[0].about for name, workers in crew.items()}
        machine = abouts.pop("ours")
        versions = machine["versions"] | {
            name: version for about in abouts.values() for name, version in about.items()
        }
        manifest = machine | {"versions": versions, "load_begin": load}
        manifest |= {"rounds": rounds, "budget_seconds": budget, "passes": PASSES, "dtype": "float32"}
        manifest |= {"missing": sorted(set(needed) - set(crew))}
        peaks = [peak_of(crew)]
        for n, case in enumerate(cases):
            entered = [key for key in keys if takes_part(key, case)]
            present = [key for key in entered if CONTESTANTS[key][0] in crew]
            tell(f"case {n + 1} of {len(cases)}, {case}, {time.perf_counter() - start:.0f} s so far")
            if present:
                absent = [key for key in entered if key not in present]
                found += [(case, absent, *mode) for mode in measure(crew, case, present, rounds, budget).items()]
                peaks.append(peak_of(crew))
                rows = [row for case, absent, *mode in found for row in rows_of(case, *mode, absent, max(peaks))]
                late = {"peak_gflops": max(peaks), "load_end": os.getloadavg()[0]}
                write(rows, manifest | late | {"seconds": round(time.perf_counter() - start)}, out)


def write(rows: Sequence[dict], manifest: dict[str, object], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / "results.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2, default=str) + "\n")
