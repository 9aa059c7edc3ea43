"""How a run is spread over devices: trials (see ``program.py``), or one run with each batch split.

A split batch costs one sum over the devices a step, of gradients and metrics together, after the loop over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config, DataConfig, TrainConfig
from lstm_jax.train.network import Network
from lstm_jax.train.program import Advance, Program, evaluate, run_chunk, trial_program
from lstm_jax.train.source import DATA, Problem, stream
from lstm_jax.train.step import (
    Gradient,
    Hyper,
    Metrics,
    TrainState,
    add_noise,
    gradient_sums,
    init_state,
    make_train_step,
    update,
)
from lstm_jax.train.trials import Trials, with_best

BATCH_AXES = (1, 1, 0, 1)
"""Where the batch axis stands in inputs, targets, lengths and loss mask."""


def data_mesh(devices: Sequence[jax.Device]) -> Mesh:
    """All ``devices`` along one axis, ``"data"``."""
    return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))


def sharded_gradient(gradient: Gradient, mesh: Mesh) -> Gradient:
    """``gradient`` with the batch split over ``mesh`` and one sum of the results.

    Which values vary from device to device is not tracked (``check_vma``). Where it is, a gradient by weights that
    all devices share is added up over them in every reverse step of the time loop, and ``optax.ctc_loss`` is refused,
    since its loops begin with constants. Nothing is lost: the one result is a sum over the devices.
    """
    specs = Batch._make(P(*[None] * axis, "data") for axis in BATCH_AXES)

    def local(params: Network, batch: Batch) -> tuple[Network, Metrics, None]:
        return jax.lax.psum(gradient(params, batch), "data")

    split = jax.shard_map(local, mesh=mesh, in_specs=(P(), specs), out_specs=P(), check_vma=False)
    return lambda params, batch, carry=None, key=None: split(params, batch)


def shard_map_program(config: Config, loss: str, devices: tuple[jax.Device, ...]) -> Program:
    """One run under ``jit``, its gradient under ``shard_map``; N must be 1."""
    mesh = data_mesh(devices)
    train_step = make_train_step(config, loss, sharded_gradient(gradient_sums(config, loss), mesh))

    @partial(jax.jit, static_argnums=4, donate_argnums=0)
    def advance(
        state: TrainState, problem: Problem, first_step: jax.Array, steps: int, longest: int
    ) -> tuple[TrainState, Metrics]:
        return _stacked(run_chunk(config, train_step, problem, _single(state), first_step, steps, longest))

    return _split_batch_program(config, loss, devices, advance)


def pmap_program(config: Config, loss: str, devices: tuple[jax.Device, ...]) -> Program:
    """One run under ``pmap``, a step at a time, as the field's older scripts do it; the same numbers, slower."""
    gradient = gradient_sums(config, loss)

    @partial(jax.pmap, axis_name="data", in_axes=(None, 0), out_axes=None, devices=devices)
    def parallel_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        return update(config, loss, state, *jax.lax.psum(gradient(state.params, batch), "data"))

    @partial(jax.jit, static_argnums=3)
    def draw(seed: jax.Array, problem: Problem, first_step: jax.Array, longest: int) -> Any:
        seed = seed if config.train.data_seed is None else jnp.uint32(config.train.data_seed)
        return problem.train.plan(stream(seed, DATA), first_step, longest)

    @partial(jax.jit, out_shardings=NamedSharding(data_mesh(devices), P("data")))
    def parts(state: TrainState, problem: Problem, item: Any) -> Batch:
        batch = problem.train.batch(item)
        noisy = add_noise(state, batch) if config.data.input_noise > 0 else batch
        pieces = zip(noisy, BATCH_AXES, strict=True)
        return Batch._make(_split(part, len(devices), axis) for part, axis in pieces)

    def advance(
        state: TrainState, problem: Problem, first_step: jax.Array, steps: int, longest: int
    ) -> tuple[TrainState, Metrics]:
        single, totals = _single(state), None
        plan = draw(single.seed, problem, first_step, longest)
        for n in range(steps):
            item = jax.tree.map(itemgetter(n), plan)
            single, metrics = parallel_step(single, parts(single, problem, item))
            totals = metrics if totals is None else jax.tree.map(jnp.add, totals, metrics)
        return _stacked((single, totals))

    return _split_batch_program(config, loss, devices, advance)


def _split(part: jax.Array, devices: int, axis: int) -> jax.Array:
    """``(..., B, ...)`` to ``(devices, ..., B / devices, ...)``."""
    pieces = part.reshape(*part.shape[:axis], devices, part.shape[axis] // devices, *part.shape[axis + 1 :])
    return jnp.moveaxis(pieces, axis, 0)


def _split_batch_program(config: Config, loss: str, devices: tuple[jax.Device, ...], advance: Advance) -> Program:
    size, count = config.data.batch_size, len(devices)
    if size % count:
        raise UsageError(
            f"parallel={config.train.parallel!r} splits each batch over {count} devices, but batch_size={size} is not "
            f"a multiple of {count}; take batch_size={size + count - size % count}, or parallel='none'"
        )

    @jax.jit
    def init(problem: Problem, seeds: jax.Array, hyper: Hyper) -> Trials:
        if problem.streams:
            raise UsageError(f"parallel={config.train.parallel!r} does not split streams; use parallel='none'")
        return _stacked(with_best(init_state(config, problem, seeds[0], _single(hyper)), problem.higher_is_better))

    @partial(jax.jit, static_argnums=2)
    def judge_set(params: Network, batches: Batch, cuts: tuple[int, ...] = ()) -> Metrics:
        return _stacked(evaluate(config, loss, cuts, _single(params), batches))

    everywhere = partial(jax.device_put, device=NamedSharding(data_mesh(devices), P()))
    return Program(init, advance, judge_set, everywhere, everywhere, devices=1)


def _single(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _stacked(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[None], tree)


PROGRAMS = MappingProxyType({"none": trial_program, "shard_map": shard_map_program, "pmap": pmap_program})
"""``TrainConfig.parallel`` to the builder of its program."""


def build_program(config: Config, loss: str, devices: Sequence[jax.Device] | None = None) -> Program:
    """The program of ``config`` on ``devices`` (all local ones).

    Raises:
        UsageError: dropout in a split batch, or a batch that does not split evenly.
    """
    if config.train.parallel != "none" and config.dropout.used:
        raise UsageError(f"parallel={config.train.parallel!r} does not split dropout's masks; use parallel='none'")
    return _cached(shared_config(config), loss, tuple(jax.local_devices() if devices is None else devices))


def devices_for(config: Config, trials: int) -> list[jax.Device]:
    """As many local devices as so many trials can use: one each, all where each batch of a trial is split.

    More would hold a copy of the data, and of a trial that nobody asked for, each.
    """
    devices = jax.local_devices()
    return devices[:trials] if config.train.parallel == "none" else devices


def check_alone(config: Config, trials: int) -> None:
    """Refuse what only the trials of a study can have, or one trial alone.

    Raises:
        UsageError: a width, to which only ``run_trials`` pads; several trials of which each fills all devices.
    """
    model, parallel = config.model, config.train.parallel
    if model.width not in (None, model.hidden_size):
        raise UsageError(
            f"model.width={model.width} pads the trials of a study to a common size; a run of its own has its "
            f"hidden_size={model.hidden_size} cells: leave width out, the numbers are the same to rounding"
        )
    if parallel != "none" and trials > 1:
        raise UsageError(f"parallel={parallel!r} spreads the batch of one trial, got {trials} of them; give one seed")


def shared_config(config: Config) -> Config:
    """What of a config its program depends on; equal for runs that differ only in what is traced.

    That is: seed, rate, momentum, size of the noise, data, and the cells that exist where a width is given.
    """
    model, train, data = config.model, config.train, config.data
    return Config(
        model if model.width is None else replace(model, hidden_size=model.width),
        replace(config.optimizer, learning_rate=1.0, momentum=0.0),
        DataConfig(batch_size=data.batch_size, input_noise=float(data.input_noise > 0)),
        TrainConfig(
            data_seed=train.data_seed,
            steps=train.steps,
            nan_policy=train.nan_policy,
            parallel=train.parallel,
            placement=train.placement,
        ),
        config.dropout,
    )


# As many as may be in use side by side. A study of hundreds of programs that kept them all came to the bound on memory
# maps (Linux: 65,530 a process), of which a compiled loop takes hundreds.
@lru_cache(maxsize=8)
def _cached(config: Config, loss: str, devices: tuple[jax.Device, ...]) -> Program:
    return PROGRAMS[config.train.parallel](config, loss, devices)
