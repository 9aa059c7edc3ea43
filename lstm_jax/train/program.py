"""The compiled functions of a run: begin, advance by a chunk of steps, evaluate; trials spread over the devices.

On each device trials run side by side (``vmap``) or one after another (``map``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config
from lstm_jax.train.network import Network, apply_network
from lstm_jax.train.objective import measure
from lstm_jax.train.source import DATA, Problem, stream
from lstm_jax.train.step import Hyper, Metrics, TrainState, init_state, make_train_step
from lstm_jax.train.trials import Trials, with_best


@dataclass(frozen=True)
class Program:
    """The compiled functions of one config; all take and give trials with a leading axis N.

    Attributes:
        init: ``(problem, seeds (N,), hyper) -> Trials``.
        advance: ``(state, problem, first_step, steps) -> (state, metrics)``; ``steps`` is static; metrics are sums
            over the steps.
        evaluate: ``(params, batches) -> metrics`` of all batches.
        place: puts a problem where the program reads it; ``place_trials``: trials.
        devices: N must be a multiple of it.
    """

    init: Callable[[Problem, jax.Array, Hyper], Trials]
    advance: Callable[[TrainState, Problem, jax.Array, int], tuple[TrainState, Metrics]]
    evaluate: Callable[[Network, Batch], Metrics]
    place: Callable[[Any], Any]
    place_trials: Callable[[Any], Any]
    devices: int


def run_chunk(
    train_step: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
    problem: Problem,
    state: TrainState,
    first_step: jax.Array,
    steps: int,
) -> tuple[TrainState, Metrics]:
    """``steps`` updates of one trial, on the batches that its seed plans from ``first_step`` on; metrics summed."""
    plan = problem.train.plan(stream(state.seed, DATA), first_step, steps)
    state, metrics = jax.lax.scan(lambda state, item: train_step(state, problem.train.batch(item)), state, plan)
    return state, jax.tree.map(lambda value: value.sum(0), metrics)


def evaluate(config: Config, loss: str, params: Network, batches: Batch) -> Metrics:
    """Metrics of one network over batches ``(E, T, B, ...)``, one batch at a time."""

    def one(batch: Batch) -> Metrics:
        return measure(loss, apply_network(config.model, params, batch), batch)

    return jax.tree.map(lambda value: value.sum(0), jax.lax.map(one, batches))


def trial_program(config: Config, loss: str, devices: tuple[jax.Device, ...]) -> Program:
    """The program that spreads trials over ``devices``."""
    placement = config.train.placement
    if placement == "auto":
        placement = "map" if devices[0].platform == "cpu" else "vmap"
    mesh = Mesh(np.array(devices), ("trial",), axis_types=(AxisType.Auto,))
    spread = partial(_spread, placement, mesh)
    train_step = make_train_step(config, loss)

    def chunk(steps: int, state: TrainState, problem: Problem, first_step: jax.Array) -> tuple[TrainState, Metrics]:
        run = partial(run_chunk, train_step, problem, first_step=first_step, steps=steps)
        return _unless_frozen(run, state) if placement == "map" else run(state)

    def advance(state: TrainState, problem: Problem, first_step: jax.Array, steps: int) -> tuple[TrainState, Metrics]:
        return spread(partial(chunk, steps))(state, problem, first_step)

    def init(problem: Problem, seeds: jax.Array, hyper: Hyper) -> Trials:
        def one(trial: tuple[jax.Array, Hyper], problem: Problem) -> Trials:
            return with_best(init_state(config, problem, *trial), problem)

        return spread(one)((seeds, hyper), problem)

    return Program(
        jax.jit(init),
        jax.jit(advance, static_argnums=3, donate_argnums=0),
        jax.jit(spread(partial(evaluate, config, loss))),
        partial(jax.device_put, device=NamedSharding(mesh, P())),
        partial(jax.device_put, device=NamedSharding(mesh, P("trial"))),
        len(devices),
    )


def _spread(placement: str, mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """``function(trial, *shared)`` for every trial; no device ever waits for another."""

    def local(trials: Any, *shared: Any) -> Any:
        def one(trial: Any) -> Any:
            return function(trial, *shared)

        return jax.vmap(one)(trials) if placement == "vmap" else jax.lax.map(one, trials)

    def everywhere(trials: Any, *shared: Any) -> Any:
        specs = (P("trial"), *(P() for _ in shared))
        return jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=P("trial"), check_vma=False)(trials, *shared)

    return everywhere


def _unless_frozen(
    run: Callable[[TrainState], tuple[TrainState, Metrics]], state: TrainState
) -> tuple[TrainState, Metrics]:
    """A frozen trial costs nothing: its chunk is skipped."""
    nothing = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), jax.eval_shape(run, state)[1])
    return jax.lax.cond(state.active, run, lambda state: (state, nothing), state)


def begin(program: Program, problem: Problem, seeds: Sequence[int], hypers: Hyper) -> Trials:
    """The trials before their first step; see ``fill``."""
    wanted = jnp.asarray(np.array(seeds, np.uint32)), hypers
    return _freeze_fillers(program.init(problem, *fill(program, wanted, len(seeds))), len(seeds))


def restore(program: Program, trials: Trials, count: int) -> Trials:
    """Trials that were read to the host, back where the program runs, on however many devices it has now."""
    return _freeze_fillers(program.place_trials(fill(program, trials, count)), count)


def fill(program: Program, tree: Any, count: int) -> Any:
    """Repeat the last of ``count`` rows until every device has the same number; the repeated trials stay frozen."""
    filled = -(-count // program.devices) * program.devices
    rows = np.minimum(np.arange(filled), count - 1)
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def _freeze_fillers(trials: Trials, count: int) -> Trials:
    real = np.arange(trials.state.active.shape[0]) < count
    return trials._replace(state=trials.state._replace(active=trials.state.active & real))


def to_host(tree: Any, count: int) -> Any:
    """The first ``count`` rows of every leaf, as numpy arrays."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:count], tree)
