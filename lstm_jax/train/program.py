"""The compiled functions of a run: begin, advance by a chunk of steps, evaluate; trials spread over the devices.

On each device trials run side by side (``vmap``) or one after another (``map``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config
from lstm_jax.train.cuts import at_length
from lstm_jax.train.network import Network, blank_carry, run_network
from lstm_jax.train.objective import divide, measure_both_ways
from lstm_jax.train.source import DATA, Problem, stream
from lstm_jax.train.step import Hyper, Metrics, TrainState, TrainStep, init_state, make_train_step
from lstm_jax.train.trials import Trials, judge, unless_ended, with_best
from lstm_jax.unroll.stack import States

Advance = Callable[[TrainState, Problem, jax.Array, int, int], tuple[TrainState, Metrics]]


@dataclass(frozen=True)
class Program:
    """The compiled functions of one config; all take and give trials with a leading axis N.

    Attributes:
        init: ``(problem, seeds (N,), hyper) -> Trials``.
        advance: ``(state, problem, first_step, steps, longest) -> (state, metrics)``; metrics are sums over the steps.
            ``first_step`` is that of all active trials; one after another (``map``), each goes on from its own.
            ``longest`` is static, at least ``steps``: chunks of all lengths up to it share one compiled program.
        evaluate: ``(params, batches, cuts) -> metrics`` of all batches, by step and by sequence; ``cuts`` are static.
        place: puts a problem where the program reads it; ``place_trials``: trials.
        devices: N must be a multiple of it.
    """

    init: Callable[[Problem, jax.Array, Hyper], Trials]
    advance: Advance
    evaluate: Callable[[Network, Batch, tuple[int, ...]], Metrics]
    place: Callable[[Any], Any]
    place_trials: Callable[[Any], Any]
    devices: int


def run_chunk(
    config: Config,
    train_step: TrainStep,
    problem: Problem,
    state: TrainState,
    first_step: jax.Array,
    steps: int | jax.Array,
    longest: int,
) -> tuple[TrainState, Metrics]:
    """``steps`` updates of one trial, on the batches planned from ``first_step`` on; metrics summed.

    The plan has the static length ``longest``, and the loop stops after ``steps``, which may be traced.
    """
    seed = state.seed if config.train.data_seed is None else jnp.uint32(config.train.data_seed)
    plan = problem.train.plan(stream(seed, DATA), first_step, longest)

    def one(state: TrainState, item: Any) -> tuple[TrainState, Metrics]:
        return train_step(state, problem.train.batch(item), problem.cuts)

    def step(n: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, metrics = one(carry[0], jax.tree.map(lambda leaf: leaf[n], plan))
        return state, jax.tree.map(jnp.add, carry[1], metrics)

    first = jax.tree.map(lambda leaf: leaf[0], plan)
    nothing = jax.tree.map(lambda value: jnp.zeros(value.shape, value.dtype), jax.eval_shape(one, state, first)[1])
    return jax.lax.fori_loop(0, steps, step, (state, nothing))


def evaluate(config: Config, loss: str, cuts: tuple[int, ...], params: Network, batches: Batch) -> Metrics:
    """Metrics of one network over batches ``(E, T, B, ...)``, one batch at a time; streams carry their states on."""

    def measured(carry: States | None, batch: Batch) -> tuple[States | None, Metrics]:
        outputs, states = run_network(config.model, params, batch, carry)
        return (None if carry is None else states), measure_both_ways(loss, outputs, batch)

    carry = blank_carry(config.model, batches.targets.shape[2]) if batches.lengths is None else None
    _, totals = jax.lax.scan(lambda carry, batch: at_length(cuts, partial(measured, carry), batch), carry, batches)
    return jax.tree.map(lambda value: value.sum(0), totals)


def trial_program(config: Config, loss: str, devices: tuple[jax.Device, ...]) -> Program:
    """The program that spreads trials over ``devices``."""
    placement = placement_of(config, devices[0])
    mesh = Mesh(np.array(devices), ("trial",), axis_types=(AxisType.Auto,))
    spread = partial(_spread, placement, mesh)
    train_step = make_train_step(config, loss)

    def chunk(
        longest: int, state: TrainState, problem: Problem, first_step: jax.Array, steps: jax.Array
    ) -> tuple[TrainState, Metrics]:
        if placement == "map":  # each trial from where it stands
            run = partial(run_chunk, config, train_step, problem, first_step=state.step, steps=steps, longest=longest)
            return _unless_frozen(run, state)
        if config.train.data_seed is None:  # side by side on different batches, every branch of a cut would run
            problem = replace(problem, cuts=())
        return run_chunk(config, train_step, problem, state, first_step, steps, longest)

    def advance(
        state: TrainState, problem: Problem, first_step: jax.Array, steps: int, longest: int
    ) -> tuple[TrainState, Metrics]:
        return spread(partial(chunk, longest))(state, problem, first_step, jnp.int32(steps))

    def init(problem: Problem, seeds: jax.Array, hyper: Hyper) -> Trials:
        def one(trial: tuple[jax.Array, Hyper], problem: Problem) -> Trials:
            return with_best(init_state(config, problem, *trial), problem.higher_is_better)

        return spread(one)((seeds, hyper), problem)

    def judge_set(params: Network, batches: Batch, cuts: tuple[int, ...] = ()) -> Metrics:
        return spread(partial(evaluate, config, loss, cuts))(params, batches)

    return Program(
        jax.jit(init),
        jax.jit(advance, static_argnums=4, donate_argnums=0),
        jax.jit(judge_set, static_argnums=2),
        partial(jax.device_put, device=NamedSharding(mesh, P())),
        partial(jax.device_put, device=NamedSharding(mesh, P("trial"))),
        len(devices),
    )


def placement_of(config: Config, device: jax.Device) -> str:
    """``"vmap"`` or ``"map"``; where the config leaves it open, what is faster there."""
    if config.train.placement != "auto":
        return config.train.placement
    return "map" if device.platform == "cpu" else "vmap"


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


def validate(program: Program, problem: Problem, trials: Trials, patience: int | None) -> tuple[Trials, Metrics]:
    """Metrics on the validation set, and what they decide: the best parameters, who stops; NaN for who had ended."""
    metrics = program.evaluate(trials.state.judged, problem.validation, problem.cuts)
    values, higher = divide(metrics[problem.metric]), problem.higher_is_better
    judged = judge(trials, values, higher_is_better=higher, patience=patience)
    return judged, unless_ended(metrics, trials.state.active)


def check_fits(config: Config, problem: Problem, trials: Trials) -> None:
    """Raise what a network that does not fit the data would raise when it first sees them; nothing is computed."""

    def first(trials: Trials, batches: Batch) -> Metrics:
        params = jax.tree.map(lambda leaf: leaf[0], trials.state.judged)
        return evaluate(config, problem.loss, (), params, batches)

    jax.eval_shape(first, trials, problem.validation)


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
