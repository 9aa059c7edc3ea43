"""The processes of the benchmarks: one framework each, asleep until told to work; see population.py and layer.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.train.machine import cores

Arrays = dict[str, np.ndarray]
TOLERANCE = 1e-5
BUSY = 0.25
"""Load a core, before anything has started, that is too much to time anything."""


def tell(text: str) -> None:
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def load_now() -> float:
    """The load average, which is said aloud if it is too much to begin."""
    load = os.getloadavg()[0]
    if load > BUSY * cores():
        tell(f"load average {load:.1f} on {cores()} cores: other work is running, these numbers are not fit to quote")
    return load


class Worker:
    """A process that waits for orders; ``missing`` says why its framework cannot be had."""

    def __init__(self, benchmark: str, framework: str, threads: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), benchmark, framework, str(threads)]
        only = {"JAX_PLATFORMS": "cpu"} | ({"OMP_NUM_THREADS": str(threads)} if framework == "torch" else {})
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env={**os.environ, **only}, **pipes)
        self.name, self.missing, self.about = framework, "", {}

    def __enter__(self) -> Worker:
        return self

    def dismiss(self) -> None:
        """It finishes its block, finds that nobody asks for more, and ends."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already

    def __exit__(self, *_: object) -> None:
        self.dismiss()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def greet(self) -> None:
        """Wait until it is up."""
        reply = self.receive()
        self.missing, self.about = reply.get("missing", ""), reply.get("about", {})

    def send(self, **order: object) -> None:
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # ``receive`` says how it ended

    def receive(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with code {self.process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        return reply

    def ask(self, **order: object) -> dict[str, Any]:
        self.send(**order)
        return self.receive()


Crew = dict[str, list[Worker]]


def hire(stack: ExitStack, benchmark: str, teams: Mapping[str, Sequence[tuple[str, int]]]) -> Crew:
    """The processes of every team, started together; a team whose framework is not installed has none.

    Args:
        stack: dismisses them when it closes.
        benchmark: the module that worker.py runs.
        teams: framework and threads of each process of a team.
    """
    crew = {team: [stack.enter_context(Worker(benchmark, *one)) for one in ones] for team, ones in teams.items()}
    workers = [worker for team in crew.values() for worker in team]
    for worker in workers:
        stack.callback(worker.dismiss)  # all of them, before the first is waited for
    tell(f"{len(workers)} processes start")
    for worker in workers:
        worker.greet()
    for team, members in crew.items():
        if members[0].missing:
            tell(f"{team} is left out: {members[0].missing}")
    return {team: members for team, members in crew.items() if not members[0].missing}


def expect_equal(ours: Arrays, theirs: Arrays, who: str, terms: int = 1) -> float:
    """The largest error, relative to the largest entry of its array, of a loss, gradients and outputs.

    A weight's gradient is a sum over ``terms`` steps and rows. Added one after another in float32, random terms err by
    some eps sqrt(terms) of their sum; where that is more than ``TOLERANCE``, gradients may differ by it.

    Raises:
        RuntimeError: one of them is above that, as is whatever is not a number.
    """
    worst, summed = 0.0, max(TOLERANCE, float(np.finfo(np.float32).eps) * terms**0.5)
    for name in [name for name in ours if name == "loss" or "gradient " in name or "outputs" in name]:
        allowed = summed if "gradient " in name else TOLERANCE
        error = float(np.abs(ours[name] - theirs[name]).max() / max(np.abs(ours[name]).max(), 1e-30))
        if not error <= allowed:
            raise RuntimeError(
                f"{who}: its {name} differs from ours by {error:.1e} of the largest entry, more than {allowed:.1e}; "
                "nothing is timed, because it would compare different computations"
            )
        worst = max(worst, error)
    return worst


def short(number: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
