"""One step of learning: ``train_step(state, batch) -> (state, metrics)``, pure, so N trials are its ``vmap``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config
from lstm_jax.train.cuts import at_length
from lstm_jax.train.network import Network, apply_network, init_network
from lstm_jax.train.objective import Mean, loss_name, measure
from lstm_jax.train.optimizer import build_optimizer
from lstm_jax.train.padding import embed, keep_live, live_cells
from lstm_jax.train.source import NOISE, PARAMETERS, Problem, stream

Metrics = dict[str, Mean]
Gradient = Callable[[Network, Batch], tuple[Network, Metrics]]
TrainStep = Callable[..., tuple["TrainState", Metrics]]


class Hyper(NamedTuple):
    """What may differ between the trials of one program; all ``()`` float32."""

    learning_rate: jax.Array
    momentum: jax.Array
    input_noise: jax.Array


class TrainState(NamedTuple):
    """What the next step needs.

    Attributes:
        params, opt_state: weights, and what the optimizer remembers.
        step: ``()`` int32, updates done (or skipped).
        seed: ``()`` uint32; every key of the run is made of it.
        hyper: values of this trial.
        live: ``(H,)`` float32, 1 for the cells that exist (see ``padding.py``); None where all do.
        active: ``()`` bool; a trial that diverged or stopped early is inactive and never changes again.
        diverged: ``()`` bool; a loss or gradient was not finite, at ``step``.
    """

    params: Network
    opt_state: Any
    step: jax.Array
    seed: jax.Array
    hyper: Hyper
    live: jax.Array | None
    active: jax.Array
    diverged: jax.Array


def default_hyper(config: Config) -> Hyper:
    """The values that ``config`` states."""
    values = config.optimizer.learning_rate, config.optimizer.momentum, config.data.input_noise
    return Hyper(*(jnp.float32(value) for value in values))


def init_state(config: Config, problem: Problem, seed: jax.Array, hyper: Hyper) -> TrainState:
    """The state before the first step of the run with ``seed``."""
    sizes = problem.input_size, problem.output_size, problem.length
    exact = init_network(stream(seed, PARAMETERS), config.model, *sizes)
    return blank_state(config, embed(config.model, exact), seed, hyper, live_cells(config.model))


def blank_state(config: Config, params: Network, seed: jax.Array, hyper: Hyper, live: np.ndarray | None) -> TrainState:
    """The state of weights that have learned nothing yet."""
    opt_state = _optimizer(config, hyper).init(params)
    live = None if live is None else jnp.asarray(live)
    seed = jnp.asarray(seed, jnp.uint32)
    return TrainState(params, opt_state, jnp.int32(0), seed, hyper, live, jnp.bool_(True), jnp.bool_(False))


def gradient_sums(config: Config, loss: str) -> Gradient:
    """The function from (params, batch) to the gradient of the *summed* loss, and the metrics.

    Sums, not means: parts of a batch are added over devices and divided once by the count of all of them, so masks
    may differ from part to part.
    """

    def total(params: Network, batch: Batch) -> tuple[jax.Array, Metrics]:
        metrics = measure(loss, apply_network(config.model, params, batch), batch)
        return metrics[loss_name(loss)].total, metrics

    return jax.grad(total, has_aux=True)


def make_train_step(config: Config, loss: str, gradient: Gradient | None = None) -> TrainStep:
    """``train_step(state, batch, cuts=()) -> (state, metrics)``; for the static ``cuts`` see ``at_length``.

    Args:
        config: the run; the values in ``state.hyper`` win over those of ``config``, but noise is drawn only where
            ``config.data.input_noise`` is above 0.
        loss: a name in ``objective.METRICS``.
        gradient: another way to compute ``gradient_sums`` (spread over devices, say).
    """
    gradient = gradient_sums(config, loss) if gradient is None else gradient

    def train_step(state: TrainState, batch: Batch, cuts: tuple[int, ...] = ()) -> tuple[TrainState, Metrics]:
        def learn(batch: Batch) -> tuple[Network, Metrics]:
            noisy = add_noise(state, batch) if config.data.input_noise > 0 else batch
            return gradient(state.params, noisy)

        return update(config, loss, state, *at_length(cuts, learn, batch))

    return train_step


def add_noise(state: TrainState, batch: Batch) -> Batch:
    """Gaussian noise on the inputs, a function of (seed, step); a shorter batch gets the beginning of a longer's."""
    key = jax.random.fold_in(stream(state.seed, NOISE), state.step)
    noise = state.hyper.input_noise * jax.random.normal(key, batch.inputs.shape, batch.inputs.dtype)
    return batch._replace(inputs=batch.inputs + noise)


def update(
    config: Config, loss: str, state: TrainState, gradients: Network, metrics: Metrics
) -> tuple[TrainState, Metrics]:
    """Divide the summed gradients, move the weights; a bad step changes no weight and counts in no metric."""
    summed = metrics[loss_name(loss)]
    shared_by = jnp.maximum(summed.count, 1) if config.optimizer.average == "steps" else config.data.batch_size
    gradients = jax.tree.map(lambda g: g / shared_by, gradients)
    gradients = keep_live(config.model, state.live, gradients)
    norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(norm) & jnp.isfinite(summed.total)
    moves, opt_state = _optimizer(config, state.hyper).update(gradients, state.opt_state, state.params)
    good = finite & state.active
    params, opt_state = _choose(good, (optax.apply_updates(state.params, moves), opt_state), state[:2])
    stays = finite | (config.train.nan_policy == "skip")
    metrics = {**metrics, "grad_norm": Mean(norm, jnp.float32(1))}
    return state._replace(
        params=params,
        opt_state=opt_state,
        step=state.step + (state.active & stays),
        active=state.active & stays,
        diverged=state.diverged | (state.active & ~stays),
    ), jax.tree.map(lambda value: jnp.where(good, value, 0), metrics)


def _optimizer(config: Config, hyper: Hyper) -> optax.GradientTransformation:
    return build_optimizer(config.optimizer, config.train.steps, hyper.learning_rate, hyper.momentum)


def _choose(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)
