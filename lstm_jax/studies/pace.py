"""How fast training goes on sequences of many lengths: padded to the longest, cut, bucketed, packed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.train.config import Config
from lstm_jax.train.machine import code_label, describe_machine
from lstm_jax.train.parallel import build_program, devices_for
from lstm_jax.train.population import stack_hypers
from lstm_jax.train.program import begin
from lstm_jax.train.source import DATA, load_problem, stream


class Pace(NamedTuple):
    """One way to put batches together.

    Attributes:
        way: its name.
        lengths: different lengths that are compiled.
        wasted: share of the computed steps that are padding.
        sequences: in an update, on average.
        updates: a second, the median of ``rounds`` times ``chunk`` updates; ``slowest`` of them.
        first_seconds: until the first chunk was done, compilation included.
        chunk, rounds: see ``updates``.
        device, commit: the machine and the code.
    """

    way: str
    lengths: int
    wasted: float
    sequences: float
    updates: float
    slowest: float
    first_seconds: float
    chunk: int
    rounds: int
    device: str
    commit: str


@dataclass
class Runner:
    """A run that goes on by a chunk at every call; the state is handed over, for the program gives its memory away."""

    program: Any
    problem: Any
    state: Any
    wasted: float
    step: int = 0

    def chunk(self, updates: int) -> float:
        """Seconds that so many updates take, until their results are there."""
        begun = time.perf_counter()
        self.state, metrics = self.program.advance(self.state, self.problem, jnp.int32(self.step), updates, updates)
        jax.block_until_ready((self.state, metrics))
        self.step += updates
        return time.perf_counter() - begun


def runner(config: Config) -> Runner:
    """Before its first update."""
    problem = load_problem(config.data)
    wasted = problem.wasted_share(stream(config.train.seed, DATA))
    if wasted is None:
        raise ValueError(f"expected a data set of sequences, got {config.data.name!r}, which lies in no rows")
    program = build_program(config, problem.loss, devices_for(config, 1))
    problem = program.place(problem)
    trials = begin(program, problem, [config.train.seed], stack_hypers(config, 1, None))
    return Runner(program, problem, trials.state, wasted)


def measure_pace(
    configs: Mapping[str, Config], chunk: int, rounds: int, say: Callable[[str], None] = print
) -> list[Pace]:
    """Times every way in turn, so that whatever else the machine does meets all of them.

    Args:
        configs: a run for each way, on a data set.
        chunk: updates of one call.
        rounds: calls that are timed, after a first one that is not.
        say: takes a line of progress.
    """
    runners, firsts = {}, {}
    for way, config in configs.items():
        runners[way] = runner(config)
        firsts[way] = runners[way].chunk(chunk)
        say(f"{way}: compiled, {firsts[way]:.1f} s")
    seconds: dict[str, list[float]] = {way: [] for way in configs}
    for n in range(rounds):
        for way, run in runners.items():
            seconds[way].append(run.chunk(chunk))
        say(f"round {n + 1} of {rounds}: " + ", ".join(f"{way} {times[-1]:.2f} s" for way, times in seconds.items()))
    machine = describe_machine()
    device, commit = str(machine["processor"]), code_label(machine)
    found = []
    for way, config in configs.items():
        problem, times = runners[way].problem, seconds[way]
        rates = chunk / statistics.median(times), chunk / max(times)
        each = _sequences(problem) * config.data.batch_size
        lengths = max(len(problem.cuts), 1)
        found.append(Pace(way, lengths, runners[way].wasted, each, *rates, firsts[way], chunk, rounds, device, commit))
    return found


def _sequences(problem: Any) -> float:
    """Sequences in a row, on average."""
    lengths = np.asarray(problem.train.sequences.lengths)
    return float((lengths > 0).reshape(len(lengths), -1).sum(1).mean())
