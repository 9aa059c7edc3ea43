"""The control of 1997: no learning at all, nets drawn at random until one is right on every test sequence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.cell.step import SQUASH
from lstm_jax.online.sequences import Sequence
from lstm_jax.online.trials import JUDGED, WEIGHTS, Goal, draw, keys_of


@dataclass(frozen=True)
class UnitNet:
    """A fully recurrent net of logistic units without gates; the last ones are the outputs.

    Every unit sees the inputs, all units a step before, and a bias.

    Attributes:
        inputs, outputs: I and O.
        hidden: units that are not outputs.
    """

    inputs: int
    outputs: int
    hidden: int = 1

    @property
    def units(self) -> int:
        """U: hidden and output units."""
        return self.hidden + self.outputs

    @property
    def weight_count(self) -> int:
        """Weights and biases."""
        return (self.inputs + self.units + 1) * self.units

    def draw(self, key: jax.Array, scale: float) -> jax.Array:
        """``(I + U + 1, U)`` weights, uniform on [-scale, scale]."""
        shape = (self.inputs + self.units + 1, self.units)
        return jax.random.uniform(key, shape, minval=-scale, maxval=scale)


@dataclass(frozen=True)
class GuessProtocol:
    """How often one guesses, and what a guess must reach.

    Attributes:
        task: of ``lstm_jax.tasks``; the target of a sequence is that of its last step.
        net: the layout of every guess.
        tolerance: a sequence is right when every output is closer than this to its target.
        goal: on the ``window`` test sequences of a trial, which are those that the learners of the same seed have.
        scale: weights are uniform on [-scale, scale].
        every: guesses that are tried side by side.
    """

    task: Any
    net: UnitNet
    tolerance: float
    goal: Goal
    window: int = 256
    scale: float = 100.0
    every: int = 100

    def answer(self, weights: jax.Array, sequence: Sequence) -> jax.Array:
        """The output units ``(O, N)`` after the last step, of nets with weights ``(I + U + 1, U, N)``."""

        def step(y: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            t, x = now
            seen = jnp.concatenate([x, y, jnp.ones_like(x[:1])])
            new = SQUASH["logistic"](jnp.sum(weights * seen[:, None], axis=0))
            return jnp.where(t[None] < sequence.lengths[None], new, y), None

        xs = sequence.xs
        start = jnp.zeros((self.net.units, xs.shape[-1]), xs.dtype)
        y, _ = lax.scan(step, start, (jnp.arange(len(xs))[:, None], xs))
        return y[self.net.hidden :]


class Guesses(NamedTuple):
    """N trials on their way.

    Attributes:
        reached: ``(1, I + U + 1, U, N)`` the first guess that was right.
        met: ``(1, N)`` int32, how many guesses that took; 0: not yet.
        seen: ``()`` int32, guesses tried by every trial that has found none.
    """

    reached: jax.Array
    met: jax.Array
    seen: jax.Array


def begin(protocol: GuessProtocol, seeds: jax.Array) -> Guesses:
    """Nothing tried by the trials with these seeds ``(N,)``."""
    blank = jnp.zeros((1, *jax.eval_shape(partial(protocol.net.draw, scale=1.0), jax.random.key(0)).shape, len(seeds)))
    return Guesses(blank, jnp.zeros((1, len(seeds)), jnp.int32), jnp.int32(0))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def advance(
    protocol: GuessProtocol, guesses: Guesses, seeds: jax.Array, until: jax.Array
) -> tuple[Guesses, jax.Array]:
    """Go on until ``until`` guesses have been tried or every trial has a right one.

    Returns:
        The trials, and the steps that guesses read in this call, of all trials that had none yet.
    """
    weight_keys, test_keys = keys_of(seeds, WEIGHTS), keys_of(seeds, JUDGED)

    def going_on(carry: tuple[Guesses, jax.Array]) -> jax.Array:
        return (carry[0].seen < until) & jnp.any(carry[0].met[0] == 0)

    def some(carry: tuple[Guesses, jax.Array]) -> tuple[Guesses, jax.Array]:
        guesses, steps = carry
        numbers = guesses.seen + jnp.arange(protocol.every, dtype=jnp.int32)
        weights = _drawn(protocol, weight_keys, numbers)
        looking = guesses.met[0] == 0
        right, read = _right(protocol, weights, test_keys, looking)
        first = jnp.argmax(right, axis=0)
        found = looking & jnp.any(right, axis=0)
        met = jnp.where(found, numbers[first] + 1, guesses.met[0])
        picked = jnp.take_along_axis(weights, first[None, None, None], axis=2)[:, :, 0]
        reached = jnp.where(found[None, None], picked, guesses.reached[0])
        return Guesses(reached[None], met[None], guesses.seen + protocol.every), steps + read

    return lax.while_loop(going_on, some, (guesses, jnp.int32(0)))


def _drawn(protocol: GuessProtocol, keys: jax.Array, numbers: jax.Array) -> jax.Array:
    """The guesses with these numbers ``(G,)`` of each trial: ``(I + U + 1, U, G, N)``."""

    def one(number: jax.Array, key: jax.Array) -> jax.Array:
        return protocol.net.draw(jax.random.fold_in(key, number), protocol.scale)

    return jax.vmap(jax.vmap(one, (None, 0), -1), (0, None), -2)(numbers, keys)


def _right(
    protocol: GuessProtocol, weights: jax.Array, keys: jax.Array, looking: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Which guesses ``(G, N)`` reach the goal, and the steps read; no further sequence once none of them can."""
    count, trials = weights.shape[2:]
    flat = weights.reshape(*weights.shape[:2], count * trials)

    def for_each(values: jax.Array) -> jax.Array:
        """Of each trial ``(..., N)``, hence of each guess ``(..., G * N)``."""
        wide = jnp.broadcast_to(values[..., None, :], (*values.shape[:-1], count, trials))
        return wide.reshape(*values.shape[:-1], count * trials)

    def hopeful(wrong: jax.Array) -> jax.Array:
        return (wrong < protocol.goal.wrong) & looking[None]

    def going_on(carry: tuple[jax.Array, ...]) -> jax.Array:
        return (carry[0] < protocol.window) & jnp.any(hopeful(carry[1]))

    def one_sequence(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        number, wrong, total, read = carry
        sequence, clean = draw(protocol.task, jax.vmap(jax.random.fold_in, (0, None))(keys, number))
        output = protocol.answer(flat, jax.tree.map(for_each, sequence))
        errors = jnp.abs(for_each(clean) - output).reshape(-1, count, trials)
        read = read + jnp.sum(jnp.where(hopeful(wrong), sequence.lengths[None], 0))
        wrong = wrong + (jnp.max(errors, axis=0) >= protocol.tolerance)
        return number + 1, wrong, total + jnp.mean(errors, axis=0), read

    start = jnp.int32(0), jnp.zeros((count, trials), jnp.int32), jnp.zeros((count, trials)), jnp.int32(0)
    _, wrong, total, read = lax.while_loop(going_on, one_sequence, start)
    return hopeful(wrong) & (total < protocol.goal.mean * protocol.window), read
