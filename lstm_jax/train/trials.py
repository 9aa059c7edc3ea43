"""N trials side by side, and early stopping: who is best so far, who has waited long enough."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.train.network import Network
from lstm_jax.train.objective import divide
from lstm_jax.train.step import Metrics, TrainState


class Best(NamedTuple):
    """The best validation so far: ``value`` and ``params`` at ``step``, and ``waits`` evaluations since."""

    value: jax.Array
    step: jax.Array
    waits: jax.Array
    params: Network


class Trials(NamedTuple):
    """N trials; every leaf has a leading axis N."""

    state: TrainState
    best: Best


def with_best(state: TrainState, higher_is_better: bool) -> Trials:
    """A trial that has not been evaluated yet."""
    worst = jnp.float32(-jnp.inf if higher_is_better else jnp.inf)
    return Trials(state, Best(worst, jnp.int32(0), jnp.int32(0), state.judged))


@partial(jax.jit, static_argnames=("higher_is_better", "patience"))
def judge(trials: Trials, values: jax.Array, *, higher_is_better: bool, patience: int | None) -> Trials:
    """Early stopping on validation ``values (N,)``: keep the best parameters, freeze who waited long enough."""
    state, best = trials
    better = (values > best.value) if higher_is_better else (values < best.value)
    better &= state.active
    waits = jnp.where(better, 0, best.waits + state.active)

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    now = Best(values, state.step, waits, state.judged)
    best = jax.tree.map(choose, now, best)._replace(waits=waits)
    active = state.active if patience is None else state.active & (waits < patience)
    return Trials(state._replace(active=active), best)


def unless_ended(metrics: Metrics, active: jax.Array) -> Metrics:
    """NaN for trials that diverged or stopped before: what their last weights give was not reached at this step."""
    return {name: mean._replace(total=jnp.where(active, mean.total, jnp.nan)) for name, mean in metrics.items()}


def final_scores(best: Best, tested: Metrics) -> dict[str, np.ndarray]:
    """Every metric ``(N,)`` of the best parameters; NaN where a trial ended before it was ever validated.

    What stands in ``best.params`` of such a trial is the untrained network, whose score is nobody's result.
    """
    return {name: np.where(best.step > 0, divide(mean), np.nan) for name, mean in tested.items()}
