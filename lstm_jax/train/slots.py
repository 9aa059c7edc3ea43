"""Many trials through few slots: one compiled program that always works on live trials.

Trials that share a program (they differ in seed, rate, momentum, noise, and in size up to a common width) wait in a
queue. After each evaluation the finished ones leave. Where trials run one after another (``map``) the next in the
queue takes the free slot at once; where they run side by side (``vmap``) all slots must see the same batch at the same
moment, so a generation starts together and is packed into half as many slots whenever half of it has finished. What a
trial gives does not depend on which others ran beside it, nor on when.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.cell.variants import positive
from lstm_jax.names import UsageError
from lstm_jax.train.config import Config, ModelConfig
from lstm_jax.train.network import Network, count_parameters, init_network
from lstm_jax.train.objective import divide
from lstm_jax.train.padding import crop, embed
from lstm_jax.train.parallel import build_program, shared_config
from lstm_jax.train.population import refuse_divergence
from lstm_jax.train.program import Program, placement_of, validate
from lstm_jax.train.source import PARAMETERS, Problem, stream
from lstm_jax.train.step import TrainState, blank_state, default_hyper
from lstm_jax.train.trials import Trials, final_scores, with_best


@dataclass(frozen=True)
class Outcome:
    """What one trial gave.

    Attributes:
        test: every metric on the test set of the best network; NaN if there never was one.
        validation: best value of the problem's metric on the validation set, at ``best_step``.
        steps: updates done; ``diverged``: a loss or gradient was not finite.
        parameters: numbers learned; ``network``: the best one, at its exact size.
        seconds: its share of the wall time.
    """

    test: dict[str, float]
    validation: float
    best_step: int
    steps: int
    diverged: bool
    parameters: int
    network: Network
    seconds: float


@dataclass(frozen=True)
class Running:
    """A trial under way: its place among the configs, and how far it is."""

    trial: int
    step: int
    validation: float


def run_trials(
    configs: Sequence[Config],
    problem: Problem,
    on_finish: Callable[[int, Outcome], None],
    on_progress: Callable[[list[Running]], None] = lambda running: None,
    slots: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> None:
    """Train every config to its end, in one program; ``on_finish(n, outcome)`` tells each as soon as it is done.

    Args:
        configs: of single trials that share a program, see ``shared_config``.
        problem: what ``load_problem`` gives for their common data.
        on_finish: takes the place of the config and what came of it.
        on_progress: told after each evaluation who is running.
        slots: trials at a time, at least one a device; by default what suits the placement and fits the memory.
        devices: where they run; by default all local ones.

    Raises:
        ValueError: no configs, or some that need another program than the first.
    """
    _check(configs)
    problem.check_noise(max(config.data.input_noise for config in configs))
    devices = jax.local_devices() if devices is None else devices
    program = build_program(configs[0], problem.loss, devices)
    together = placement_of(configs[0], devices[0]) == "vmap"
    slots = side_by_side(configs, problem, devices) if slots is None else positive("run_trials: slots", slots)
    places = -(-slots // program.devices) * program.devices
    problem = program.place(problem)
    crew = _Crew(configs, problem, program, deque(range(len(configs))))
    crew.admit([None] * places)
    while crew.running():
        crew.advance()
        on_progress(crew.running())
        finished = crew.finished()
        if not finished:
            continue
        crew.dismiss(finished, on_finish)
        alive = [trial for trial in crew.trial_of if trial is not None]
        if not together:
            crew.admit(crew.trial_of)
        elif not alive and crew.queue:
            crew.admit([None] * places)
        elif alive and 2 * len(alive) <= len(crew.trial_of) > program.devices:
            crew.pack(-(-len(alive) // program.devices) * program.devices)


def _check(configs: Sequence[Config]) -> None:
    if not configs:
        raise ValueError("run_trials needs at least one config, got none")
    first = shared_config(configs[0]), configs[0].train, configs[0].data
    if configs[0].train.parallel != "none":
        raise UsageError(f"trials of a study fill the devices one by one, got parallel={configs[0].train.parallel!r}")
    for n, config in enumerate(configs):
        if config.train.trials != 1:
            raise ValueError(f"run_trials: each config is one trial, number {n} has trials={config.train.trials}")
        train, data = replace(config.train, seed=first[1].seed), replace(config.data, input_noise=first[2].input_noise)
        if (shared_config(config), train, data) != first:
            raise ValueError(
                f"run_trials: config {n} needs another program than config 0; they may differ in seed, learning "
                "rate, momentum, input noise above 0, and in hidden_size where width is set"
            )


def trial_bytes(config: Config, problem: Problem) -> int:
    """Memory of one trial, estimated: weights, optimizer, best network, gradients, and what a sequence leaves."""
    sizes = problem.input_size, problem.output_size, problem.length
    trials = jax.eval_shape(partial(_begin, config, problem))
    state = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(trials))
    gradients = 2 * sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(trials.state.params))
    model, (_, outputs) = config.model, sizes[:2]
    directions = 2 if model.bidirectional else 1
    cells = (model.width or model.hidden_size) * model.num_layers * directions
    rows = problem.length * config.data.batch_size
    judged = problem.validation.inputs.shape[1] * problem.validation.inputs.shape[2]
    return int(state + gradients + 4 * (rows * (12 * cells + 3 * outputs) + judged * (3 * cells + 2 * outputs)))


def side_by_side(
    configs: Sequence[Config], problem: Problem, devices: Sequence[jax.Device], share: float = 0.8
) -> int:
    """How many trials run at a time: what fits into ``share`` of every device's memory, one a device under ``map``.

    A device that does not say what it has counts as one of 8 GiB.
    """
    if placement_of(configs[0], devices[0]) == "map":
        return 1
    limit = (devices[0].memory_stats() or {}).get("bytes_limit", 8 << 30)
    return min(len(configs), max(int(share * limit / trial_bytes(configs[0], problem)), 1) * len(devices))


# A few only: each size that a search draws is a program of its own, and a process has room for so many; see
# parallel.py.
@lru_cache(maxsize=8)
def _draw(model: ModelConfig, sizes: tuple[int, int, int]) -> Callable[[jax.Array], Network]:
    """Seed to weights, drawn at the exact size, whatever it is padded to: a trial is the run that its config names."""
    return jax.jit(lambda seed: embed(model, init_network(stream(seed, PARAMETERS), model, *sizes)))


def _begin(config: Config, problem: Problem) -> Trials:
    """One trial before its first step, without a leading axis."""
    seed = jnp.uint32(config.train.seed)
    params = _draw(config.model, (problem.input_size, problem.output_size, problem.length))(seed)
    return with_best(
        blank_state(config, problem.streams, params, seed, default_hyper(config)), problem.higher_is_better
    )


class _Crew:
    """Who is in which slot, and their common state on the devices."""

    def __init__(self, configs: Sequence[Config], problem: Problem, program: Program, queue: deque[int]) -> None:
        self.configs, self.problem, self.program, self.queue = configs, problem, program, queue
        self.trial_of: list[int | None] = []
        self.seconds = dict.fromkeys(range(len(configs)), 0.0)
        self.trials: Any = None
        self.values = np.zeros(0)
        self.clock = time.perf_counter()

    def admit(self, trial_of: list[int | None]) -> None:
        """Let the next of the queue into the free ones of these slots; free slots without one hold a frozen copy."""
        kept = None if self.trials is None or len(trial_of) != len(self.trial_of) else _host(self.trials)
        self.trial_of, rows = list(trial_of), []
        for slot, trial in enumerate(trial_of):
            if trial is None and self.queue:
                self.trial_of[slot] = new = self.queue.popleft()
                rows.append(_host(_begin(self.configs[new], self.problem)))
            elif kept is not None:
                rows.append(jax.tree.map(lambda leaf, slot=slot: leaf[slot], kept))
            else:
                rows.append(_frozen(rows[0]))
        self._place(jax.tree.map(lambda *leaves: np.stack(leaves), *rows))

    def pack(self, slots: int) -> None:
        """Bring the running trials into fewer slots."""
        alive = [slot for slot, trial in enumerate(self.trial_of) if trial is not None]
        chosen = np.array((alive + [alive[0]] * slots)[:slots])
        rows = jax.tree.map(lambda leaf: leaf[chosen], _host(self.trials))
        real = np.arange(slots) < len(alive)
        rows = rows._replace(state=rows.state._replace(active=rows.state.active & real))
        self.trial_of = [self.trial_of[slot] if n < len(alive) else None for n, slot in enumerate(chosen)]
        self._place(rows)

    def _place(self, rows: Trials) -> None:
        self.trials = self.program.place_trials(rows)
        self.values = np.full(len(self.trial_of), np.nan)

    def running(self) -> list[Running]:
        """The trials in the slots."""
        places = [(slot, trial) for slot, trial in enumerate(self.trial_of) if trial is not None]
        if not places:
            return []
        steps = np.asarray(self.trials.state.step)
        return [Running(trial, int(steps[slot]), float(self.values[slot])) for slot, trial in places]

    def advance(self) -> None:
        """To the next evaluation: everyone who has as far to go as the one who has farthest; the others wait."""
        config, program, problem = self.configs[0], self.program, self.problem
        state, busy = self.trials.state, np.array([trial is not None for trial in self.trial_of])
        at = np.asarray(state.step)
        ahead = np.where(busy, np.minimum(config.train.eval_every, config.train.steps - at), 0)
        waiting = np.asarray(state.active) & (ahead < ahead.max())
        state = self._activate(state, np.asarray(state.active) & ~waiting)
        first = jnp.int32(at[ahead == ahead.max()].max())
        longest = min(config.train.eval_every, config.train.steps)
        state, _ = program.advance(state, problem, first, int(ahead.max()), longest)
        trials, metrics = validate(program, problem, Trials(state, self.trials.best), config.train.patience)
        refuse_divergence(config, trials.state)
        self.trials = trials._replace(state=self._activate(trials.state, np.asarray(trials.state.active) | waiting))
        self.values = np.where(waiting, self.values, divide(metrics[problem.metric]))
        now, alive = time.perf_counter(), [trial for trial in self.trial_of if trial is not None]
        for trial in alive:
            self.seconds[trial] += (now - self.clock) / len(alive)
        self.clock = now

    def finished(self) -> list[int]:
        """Slots whose trial is done."""
        active, step = np.asarray(self.trials.state.active), np.asarray(self.trials.state.step)
        done = ~active | (step >= self.configs[0].train.steps)
        return [slot for slot, trial in enumerate(self.trial_of) if trial is not None and done[slot]]

    def dismiss(self, slots: list[int], on_finish: Callable[[int, Outcome], None]) -> None:
        """Look at the test set, for the first and only time of these trials, and let them go."""
        tested = self.program.evaluate(self.trials.best.params, self.problem.test, self.problem.cuts)
        state, best, tested = _host((self.trials.state, self.trials.best, tested))
        scores = final_scores(best, tested)
        for slot in slots:
            trial = self.trial_of[slot]
            assert trial is not None
            padded = jax.tree.map(lambda leaf, slot=slot: leaf[slot], best.params)
            network = jax.tree.map(np.asarray, crop(self.configs[trial].model, padded))
            outcome = Outcome(
                test={name: float(values[slot]) for name, values in scores.items()},
                validation=float(best.value[slot]),
                best_step=int(best.step[slot]),
                steps=int(state.step[slot]),
                diverged=bool(state.diverged[slot]),
                parameters=count_parameters(network),
                network=network,
                seconds=self.seconds[trial],
            )
            self.trial_of[slot] = None
            on_finish(trial, outcome)
        busy = state.active & np.array([trial is not None for trial in self.trial_of])
        self.trials = self.trials._replace(state=self._activate(self.trials.state, busy))

    def _activate(self, state: TrainState, active: np.ndarray) -> TrainState:
        """The same states with these as the active ones."""
        return state._replace(active=self.program.place_trials(active))


def _host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)


def _frozen(row: Trials) -> Trials:
    state: TrainState = row.state
    return row._replace(state=state._replace(active=np.zeros_like(state.active)))
