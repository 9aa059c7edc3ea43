"""One step of learning: ``train_step(state, batch) -> (state, metrics)``, pure, so N trials are its ``vmap``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config
from lstm_jax.train.cuts import at_length
from lstm_jax.train.network import Network, blank_carry, init_network, run_network
from lstm_jax.train.objective import Mean, loss_name, measure
from lstm_jax.train.optimizer import build_optimizer
from lstm_jax.train.padding import embed, keep_live, live_cells
from lstm_jax.train.source import DROPOUT, NOISE, PARAMETERS, Outline, stream
from lstm_jax.unroll.stack import States

Metrics = dict[str, Mean]
Gradient = Callable[..., tuple[Network, Metrics, States | None]]
"""``(params, batch, carry=None, key=None)`` to the summed gradient, metrics, and the states to carry on, if any."""
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
        carry: states of all streams after the last window, ``(B, H)``, one a layer; None where sequences are whole.
        average: running mean of the weights; None where the weights themselves are judged.
    """

    params: Network
    opt_state: Any
    step: jax.Array
    seed: jax.Array
    hyper: Hyper
    live: jax.Array | None
    active: jax.Array
    diverged: jax.Array
    carry: States | None = None
    average: Network | None = None

    @property
    def judged(self) -> Network:
        """The weights that are validated, tested and kept."""
        return self.params if self.average is None else self.average


def default_hyper(config: Config) -> Hyper:
    """The values that ``config`` states."""
    values = config.optimizer.learning_rate, config.optimizer.momentum, config.data.input_noise
    return Hyper(*(jnp.float32(value) for value in values))


def init_state(config: Config, problem: Outline, seed: jax.Array, hyper: Hyper) -> TrainState:
    """The state before the first step of the run with ``seed``."""
    sizes = problem.input_size, problem.output_size, problem.length
    exact = init_network(stream(seed, PARAMETERS), config.model, *sizes)
    return blank_state(config, problem.streams, embed(config.model, exact), seed, hyper)


def blank_state(config: Config, streams: bool, params: Network, seed: jax.Array, hyper: Hyper) -> TrainState:
    """The state of weights that have learned nothing yet; ``streams``: it carries the network's states as well."""
    live = live_cells(config.model)
    carry = blank_carry(config.model, config.data.batch_size) if streams else None
    average = params if config.optimizer.ema else None
    opt_state = _optimizer(config, hyper).init(params)
    live = None if live is None else jnp.asarray(live)
    seed = jnp.asarray(seed, jnp.uint32)
    flags = jnp.bool_(True), jnp.bool_(False)
    return TrainState(params, opt_state, jnp.int32(0), seed, hyper, live, *flags, carry, average)


def gradient_sums(config: Config, loss: str) -> Gradient:
    """The function that gives the gradient of the *summed* loss, the metrics, and the states to carry on.

    The gradient ends where a window begins: states that were carried there are constants (truncated back-propagation
    through time). Sums, not means: parts of a batch are added over devices and divided once by the count of all of
    them, so masks may differ from part to part.
    """

    def total(params: Network, batch: Batch, carry: States | None, key: jax.Array | None) -> tuple[jax.Array, Any]:
        outputs, states = run_network(config.model, params, batch, carry, config.dropout, key)
        metrics = measure(loss, outputs, batch)
        return metrics[loss_name(loss)].total, (metrics, None if carry is None else states)

    def gradient(
        params: Network, batch: Batch, carry: States | None = None, key: jax.Array | None = None
    ) -> tuple[Network, Metrics, States | None]:
        gradients, (metrics, states) = jax.grad(total, has_aux=True)(params, batch, carry, key)
        return gradients, metrics, states

    return gradient


def make_train_step(config: Config, loss: str, gradient: Gradient | None = None) -> TrainStep:
    """``train_step(state, batch, cuts=()) -> (state, metrics)``; for the static ``cuts`` see ``at_length``.

    Args:
        config: the run; the values in ``state.hyper`` win over those of ``config``, but noise is drawn only where
            ``config.data.input_noise`` is above 0.
        loss: a name in ``objective.LOSSES``.
        gradient: another way to compute ``gradient_sums`` (spread over devices, say).
    """
    gradient = gradient_sums(config, loss) if gradient is None else gradient

    def train_step(state: TrainState, batch: Batch, cuts: tuple[int, ...] = ()) -> tuple[TrainState, Metrics]:
        def learn(batch: Batch) -> tuple[Network, Metrics, States | None]:
            noisy = add_noise(state, batch) if config.data.input_noise > 0 else batch
            return gradient(state.params, noisy, state.carry, dropout_key(config, state))

        return update(config, loss, state, *at_length(cuts, learn, batch))

    return train_step


def add_noise(state: TrainState, batch: Batch) -> Batch:
    """Gaussian noise on the inputs, a function of (seed, step); a shorter batch gets the beginning of a longer's."""
    key = jax.random.fold_in(stream(state.seed, NOISE), state.step)
    noise = state.hyper.input_noise * jax.random.normal(key, batch.inputs.shape, batch.inputs.dtype)
    return batch._replace(inputs=batch.inputs + noise)


def dropout_key(config: Config, state: TrainState) -> jax.Array | None:
    """The key of this update's masks, a function of (seed, step); None where nothing is dropped."""
    return jax.random.fold_in(stream(state.seed, DROPOUT), state.step) if config.dropout.used else None


def update(
    config: Config,
    loss: str,
    state: TrainState,
    gradients: Network,
    metrics: Metrics,
    carry: States | None = None,
) -> tuple[TrainState, Metrics]:
    """Divide the summed gradients, move the weights; a bad step changes nothing and counts in no metric."""
    summed = metrics[loss_name(loss)]
    shared_by = jnp.maximum(summed.count, 1) if config.optimizer.average == "steps" else config.data.batch_size
    gradients = jax.tree.map(lambda g: g / shared_by, gradients)
    gradients = keep_live(config.model, state.live, gradients)
    norm = optax.tree.norm(gradients)
    finite = jnp.isfinite(norm) & jnp.isfinite(summed.total)
    moves, opt_state = _optimizer(config, state.hyper).update(gradients, state.opt_state, state.params)
    good = finite & state.active
    params = optax.apply_updates(state.params, moves)
    new = params, opt_state, carry, _averaged(config, state, params)
    old = state.params, state.opt_state, state.carry, state.average
    params, opt_state, carry, average = _choose(good, new, old)
    stays = finite | (config.train.nan_policy == "skip")
    metrics = {**metrics, "grad_norm": Mean(norm, jnp.float32(1))}
    return state._replace(
        params=params,
        opt_state=opt_state,
        step=state.step + (state.active & stays),
        active=state.active & stays,
        diverged=state.diverged | (state.active & ~stays),
        carry=carry,
        average=average,
    ), jax.tree.map(lambda value: jnp.where(good, value, 0), metrics)


def _averaged(config: Config, state: TrainState, params: Network) -> Network | None:
    """The running mean with the new weights in it; it forgets faster at first, so that the start does not linger."""
    if state.average is None:
        return None
    decay = jnp.minimum(config.optimizer.ema, (1 + state.step) / (10 + state.step))
    return optax.incremental_update(params, state.average, 1 - decay)


def _optimizer(config: Config, hyper: Hyper) -> optax.GradientTransformation:
    return build_optimizer(config.optimizer, config.train.steps, hyper.learning_rate, hyper.momentum)


def _choose(condition: jax.Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda n, o: jnp.where(condition, n, o), new, old)
