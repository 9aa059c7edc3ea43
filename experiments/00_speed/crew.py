"""The processes of the population benchmark: one framework each, asleep until told to work; see population.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lstm_jax.train.machine import cores

NAMES = {
    "ours": "lstm_jax",
    "torch processes": "PyTorch nn.LSTM, one process a core",
    "torch threads": "PyTorch nn.LSTM, one process, all cores",
    "flax": "Flax linen + Optax, one program",
}


def tell(text: str) -> None:
    """One line of progress."""
    print(f"population: {text}", file=sys.stderr, flush=True)


class Worker:
    """A process that waits for orders; ``missing`` says why its framework cannot be had."""

    def __init__(self, framework: str, threads: int) -> None:
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), framework, str(threads)]
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


def hire(stack: ExitStack) -> Crew:
    """The processes of every team, started together; a team whose framework is not installed has none."""
    teams = {
        "ours": [Worker("ours", cores())],
        "torch processes": [Worker("torch", 1) for _ in range(cores())],
        "torch threads": [Worker("torch", cores())],
        "flax": [Worker("flax", cores())],
    }
    workers = [stack.enter_context(worker) for team in teams.values() for worker in team]
    for worker in workers:
        stack.callback(worker.dismiss)  # all of them, before the first is waited for
    tell(f"{len(workers)} processes start")
    for worker in workers:
        worker.greet()
    for team, members in teams.items():
        if members[0].missing:
            tell(f"{NAMES[team]} is left out: {members[0].missing}")
    return {team: members for team, members in teams.items() if not members[0].missing}
