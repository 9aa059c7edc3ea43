"""Trials of one experiment, side by side in one compiled loop, each until it has learned (sequence by sequence)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.names import check_names
from lstm_jax.online.material import AT_ONCE
from lstm_jax.online.net import BlockNet, Weights
from lstm_jax.online.sequences import PATHS, RULES, Sequence, add, answer, gradient

WEIGHTS, TRAINING, JUDGED, TESTED = range(4)
"""Purposes of randomness: each has its own stream of keys within a trial."""


@dataclass(frozen=True)
class Goal:
    """What counts as learned: fewer than ``wrong`` of the judged sequences, a mean absolute error below ``mean``."""

    wrong: int
    mean: float = math.inf


@dataclass(frozen=True)
class Protocol:
    """How one experiment trains, and when it stops.

    Attributes:
        task: of ``lstm_jax.tasks``; the target of a sequence is that of its last step.
        net: the layout.
        rate: constant learning rate of plain gradient descent on half the squared error, an update a sequence.
        tolerance: a sequence is right when every output is closer than this to its target.
        goals: in the order in which they are met; the last one ends the trial.
        judged: ``recent``: the ``window`` training sequences before, each as it was when it was learned from; or
            ``test``: ``window`` sequences set aside, looked at every ``every`` training sequences.
        window, every: see there.
        scale, gate_biases: initial weights, see ``BlockNet.draw``.
        path: gradient, ``truncated`` or ``full``.
        rule: error signal of the output units, ``slope`` (as printed) or ``plain``.
    """

    task: Any
    net: BlockNet
    rate: float
    tolerance: float
    goals: tuple[Goal, ...]
    judged: str = "recent"
    window: int = 2000
    every: int = 100
    scale: float = 0.1
    gate_biases: tuple[tuple[str, tuple[float, ...]], ...] = ()
    path: str = "truncated"
    rule: str = "slope"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        check_names(self, {"judged": ("recent", "test"), "path": PATHS, "rule": RULES})

    def answer(self, weights: Weights, sequence: Sequence) -> jax.Array:
        """The output units ``(O, N)`` after the last step."""
        return answer(self.net, weights, sequence)


class Trials(NamedTuple):
    """N trials on their way; G goals.

    Attributes:
        weights: of each trial, now.
        reached: the weights that first met each goal, a leading axis G.
        met: ``(G, N)`` int32, sequences seen when each goal was met; 0: not yet.
        worst, mean: ``(window, N)`` largest and mean absolute error of recent training sequences, a ring.
        seen: ``()`` int32, sequences seen by every trial that still learns.
    """

    weights: Weights
    reached: Weights
    met: jax.Array
    worst: jax.Array
    mean: jax.Array
    seen: jax.Array


class Score(NamedTuple):
    """Fresh sequences of each trial: how many were wrong, mean absolute and root mean squared error, each ``(N,)``."""

    wrong: jax.Array
    mean: jax.Array
    rmse: jax.Array


def begin(protocol: Protocol, seeds: jax.Array) -> Trials:
    """Initial weights of the trials with these seeds ``(N,)``, nothing seen."""
    weights = initial_weights(protocol, seeds)
    goals, trials = len(protocol.goals), len(seeds)
    reached = jax.tree.map(lambda w: jnp.stack([w] * goals), weights)
    window = protocol.window if protocol.judged == "recent" else 0
    worst, mean = (jnp.full((window, trials), jnp.inf) for _ in range(2))
    return Trials(weights, reached, jnp.zeros((goals, trials), jnp.int32), worst, mean, jnp.int32(0))


def initial_weights(protocol: Any, seeds: jax.Array) -> Weights:
    """What the trials with these seeds ``(N,)`` start from; of the protocol its net, ``scale`` and ``gate_biases``."""
    draw = partial(protocol.net.draw, scale=protocol.scale, gate_biases=dict(protocol.gate_biases))
    return jax.vmap(draw, out_axes=-1)(keys_of(seeds, WEIGHTS))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def advance(protocol: Protocol, trials: Trials, seeds: jax.Array, until: jax.Array) -> tuple[Trials, jax.Array]:
    """Go on until ``until`` sequences have been seen or every trial has met its last goal.

    A trial that has met it learns no more, and what is beside it has no part in its numbers.

    Returns:
        The trials, and the steps that were learned from in this call, all trials together.
    """
    training, judged = keys_of(seeds, TRAINING), keys_of(seeds, JUDGED)

    def going_on(carry: tuple[Trials, jax.Array]) -> jax.Array:
        trials, _ = carry
        return (trials.seen < until) & jnp.any(trials.met[-1] == 0)

    def one_sequence(carry: tuple[Trials, jax.Array]) -> tuple[Trials, jax.Array]:
        trials, steps = carry
        learning = trials.met[-1] == 0
        keys = jax.vmap(jax.random.fold_in, (0, None))(training, trials.seen)
        sequence, _ = draw(protocol.task, keys)
        change, errors = gradient(protocol.net, trials.weights, sequence, path=protocol.path, rule=protocol.rule)
        weights = add(trials.weights, change, protocol.rate, learning)
        count = trials.seen + 1
        trials = trials._replace(weights=weights, seen=count)
        if protocol.judged == "recent":
            place = (count - 1) % protocol.window
            trials = trials._replace(
                worst=trials.worst.at[place].set(jnp.max(jnp.abs(errors), axis=0)),
                mean=trials.mean.at[place].set(jnp.mean(jnp.abs(errors), axis=0)),
            )
            wrong = jnp.sum(trials.worst >= protocol.tolerance, axis=0)
            trials = _judge(protocol, trials, wrong, jnp.mean(trials.mean, axis=0))
        else:
            trials = lax.cond(count % protocol.every == 0, partial(_judge_on_tests, protocol, judged), _same, trials)
        return trials, steps + jnp.sum(jnp.where(learning, sequence.lengths, 0))

    return lax.while_loop(going_on, one_sequence, (trials, jnp.int32(0)))


@partial(jax.jit, static_argnums=(0, 3))
def examine(protocol: Any, weights: Any, seeds: jax.Array, sequences: int = 2560) -> Score:
    """Fresh test sequences for each trial, the same whatever was trained, or found without training."""
    keys = keys_of(seeds, TESTED)
    worst, mean, squared = _errors(protocol, weights, keys, sequences)
    wrong = jnp.sum(worst >= protocol.tolerance, axis=0)
    return Score(wrong, jnp.mean(mean, axis=0), jnp.sqrt(jnp.mean(squared, axis=0)))


def draw(task: Any, keys: jax.Array) -> tuple[Sequence, jax.Array]:
    """A sequence for each key ``(N,)``, and its target ``(O, N)`` without noise."""

    def one(key: jax.Array) -> tuple[Sequence, jax.Array]:
        batch = (task.symbols if hasattr(task, "symbols") else task.sample)(key, 1)
        last = batch.lengths[0] - 1
        target = batch.targets[last, 0]
        if batch.targets.ndim == 2:
            target = jax.nn.one_hot(target, task.output_size)
        clean = task.clean_targets(key, 1)[last, 0] if hasattr(task, "clean_targets") else target
        return Sequence(batch.inputs[:, 0], batch.lengths[0], target), clean

    return jax.vmap(one, out_axes=-1)(keys)


def keys_of(seeds: jax.Array, purpose: int) -> jax.Array:
    """The key of one purpose in each trial ``(N,)``."""
    return jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), purpose))(seeds)


def _same(trials: Trials) -> Trials:
    return trials


def _judge_on_tests(protocol: Protocol, keys: jax.Array, trials: Trials) -> Trials:
    """No further look once every trial that learns has more wrong than any goal allows."""
    learning, most = trials.met[-1] == 0, max(goal.wrong for goal in protocol.goals)
    numbers = jnp.arange(math.gcd(protocol.window, AT_ONCE))

    def going_on(carry: tuple[jax.Array, ...]) -> jax.Array:
        return (carry[0] < protocol.window) & jnp.any(learning & (carry[1] < most))

    def look(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        number, wrong, total = carry
        worst, mean, _ = _errors_on(protocol, trials.weights, keys, number + numbers)
        wrong = wrong + jnp.sum(worst >= protocol.tolerance, axis=0)
        return number + len(numbers), wrong, total + jnp.sum(mean, axis=0)

    none = jnp.zeros(learning.shape, jnp.int32)
    _, wrong, total = lax.while_loop(going_on, look, (jnp.int32(0), none, none.astype(trials.mean.dtype)))
    return _judge(protocol, trials, wrong, total / protocol.window)


def _judge(protocol: Protocol, trials: Trials, wrong: jax.Array, average: jax.Array) -> Trials:
    """Note the goals that are met for the first time; a goal waits for the one before it.

    Args:
        protocol: theirs.
        trials: N of them.
        wrong, average: ``(N,)`` of the judged sequences, those that are wrong and the mean absolute error.
    """
    met, reached, open_way = [], [], jnp.ones_like(wrong, bool)
    for n, goal in enumerate(protocol.goals):
        here = open_way & (wrong < goal.wrong) & (average < goal.mean)
        newly = here & (trials.met[n] == 0)
        met.append(jnp.where(newly, trials.seen, trials.met[n]))
        reached.append(newly)
        open_way = met[-1] > 0
    newly = jnp.stack(reached)
    kept = jax.tree.map(
        lambda old, now: jnp.where(newly[:, None, None], now[None], old), trials.reached, trials.weights
    )
    return trials._replace(met=jnp.stack(met), reached=kept)


def _errors(protocol: Any, weights: Any, keys: jax.Array, sequences: int) -> tuple[jax.Array, ...]:
    """Largest, mean and mean squared error over the outputs ``(sequences, N)`` of fresh sequences."""
    numbers = jnp.arange(sequences).reshape(-1, math.gcd(sequences, 256))
    found = lax.map(partial(_errors_on, protocol, weights, keys), numbers)
    return jax.tree.map(lambda a: a.reshape(sequences, -1), found)


def _errors_on(protocol: Any, weights: Any, keys: jax.Array, numbers: jax.Array) -> tuple[jax.Array, ...]:
    """Those of the sequences with these ``numbers (K,)``, at once: each ``(K, N)``."""

    def one(number: jax.Array) -> tuple[jax.Array, ...]:
        sequence, clean = draw(protocol.task, jax.vmap(jax.random.fold_in, (0, None))(keys, number))
        errors = jnp.abs(clean - protocol.answer(weights, sequence))
        return jnp.max(errors, axis=0), jnp.mean(errors, axis=0), jnp.mean(errors**2, axis=0)

    return jax.vmap(one)(numbers)
