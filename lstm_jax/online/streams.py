"""Trials on streams of any length, learning after every step (continual prediction of 2000, counting of 2001, precise
timing of 2002).

A trial reads a training stream to its first wrong answer, then test streams with its weights held, each to its
first wrong answer, then the next training stream. Trials go at their own pace, side by side in one compiled loop: at
each round every trial is one step further in whatever stream it is in, so none waits, and what a trial does depends on
its seed and the number of rounds alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.names import check_names, nearest
from lstm_jax.online import sources, steps
from lstm_jax.online.net import BlockNet, Weights
from lstm_jax.online.sequences import RULES
from lstm_jax.online.trials import initial_weights


@dataclass(frozen=True)
class StreamProtocol:
    """How one experiment trains, and when it stops.

    Attributes:
        task: of ``lstm_jax.tasks``; its ``length`` (``sequences``) has no part here.
        net: the layout.
        rate: learning rate on half the squared error, at every step that has a target.
        tolerance: an answer is right when every output is closer than this to its target; 0.7 is a squared error of
            0.49.
        longest_training, longest_test: streams end there at the latest, in units of the source: symbols, sequences,
            spikes or periods.
        most: training streams, at most.
        stops: a training stream ends at its first wrong answer, as in the papers; if not, at the longest length only.
        tests: test streams after each training stream; a trial is perfect when all of them are of the longest length.
        enough: a trial is perfect already when the test streams are this long on average, which are read on all the
            same: how far it gets beyond what it was trained for.
        full_scores: read all test streams; if not, a test ends with its first stream that is not of the longest
            length, which decides as well whether a trial is perfect, and leaves a score of fewer streams.
        rate_decay: the rate is multiplied by it after every training stream.
        momentum: of the changes of weights; 0 for none.
        reset: the state is blank again wherever a string of the stream begins (the net is told where).
        scale, gate_biases: initial weights, see ``BlockNet.draw``.
        rule: error signal of the output units, see ``Protocol``.
        source: of ``SOURCES``, where it is not the one that is named as the task.
    """

    task: Any
    net: BlockNet
    rate: float
    tolerance: float
    longest_training: int
    longest_test: int
    most: int
    stops: bool = True
    tests: int = 10
    enough: int | None = None
    full_scores: bool = True
    rate_decay: float = 1.0
    momentum: float = 0.0
    reset: bool = False
    scale: float = 0.2
    gate_biases: tuple[tuple[str, tuple[float, ...]], ...] = ()
    rule: str = "slope"
    source: str | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown rule, a task without a source, and a length that tests do not tell."""
        check_names(self, {"rule": RULES})
        if self.enough is not None and not (self.full_scores and 1 <= self.enough <= self.longest_test):
            raise ValueError(
                f"enough is at least 1 and at most longest_test={self.longest_test}, with full_scores, "
                f"got {self.enough} and full_scores={self.full_scores}"
            )
        name = self.source or self.task.name
        if name not in sources.SOURCES:
            raise ValueError(f"no stream of task {name!r}; {nearest(name, sources.SOURCES)}")

    @property
    def streams(self) -> tuple[int, sources.Source]:
        """How many numbers the source remembers, and the source."""
        return sources.SOURCES[self.source or self.task.name]


class StreamTrials(NamedTuple):
    """N trials on their way; every array ends in N, so some can be picked, with their seeds, and go on alone.

    Attributes:
        weights: of each trial, now; ``velocity``: of the weights, or None without momentum.
        rate: ``(N,)`` learning rate, now.
        past: of the stream that is being read.
        source: state of its source; ``t``: ``(N,)`` int32 its steps so far; ``units``: ``(N,)`` int32 its length.
        streams: ``(N,)`` int32, training streams that have ended.
        test: ``(N,)`` int32, which test stream is being read; 0: a training stream.
        total: ``(N,)`` int32, units of the test streams of this test that have ended.
        score: ``(N,)`` mean length of the streams of the last test; ``best``: of the best one.
        met: ``(N,)`` int32, training streams when it was perfect; 0: not yet.
    """

    weights: Weights
    velocity: Weights | None
    rate: jax.Array
    past: steps.Past
    source: sources.State
    t: jax.Array
    units: jax.Array
    streams: jax.Array
    test: jax.Array
    total: jax.Array
    score: jax.Array
    best: jax.Array
    met: jax.Array

    @property
    def seen(self) -> jax.Array:
        """``(N,)`` int32, training streams that have ended and were tested after."""
        return self.streams - (self.test > 0)


class Work(NamedTuple):
    """Steps that each trial ``(N,)`` has learned from, and steps that it was tested on, in one call."""

    learned: jax.Array
    tested: jax.Array


def begin(protocol: StreamProtocol, seeds: jax.Array) -> StreamTrials:
    """Initial weights of the trials with these seeds ``(N,)``, nothing read."""
    trials, weights = len(seeds), initial_weights(protocol, seeds)
    velocity = jax.tree.map(jnp.zeros_like, weights) if protocol.momentum else None
    remembered, _ = protocol.streams

    def nothing(dtype: jax.typing.DTypeLike = jnp.int32) -> jax.Array:
        return jnp.zeros(trials, dtype)

    return StreamTrials(
        weights=weights,
        velocity=velocity,
        rate=jnp.full(trials, protocol.rate),
        past=steps.blank(protocol.net, trials),
        source=tuple(nothing() for _ in range(remembered)),
        t=nothing(),
        units=nothing(),
        streams=nothing(),
        test=nothing(),
        total=nothing(),
        score=nothing(float),
        best=nothing(float),
        met=nothing(),
    )


def going(protocol: StreamProtocol, trials: StreamTrials) -> jax.Array:
    """``(N,)``: trials that are not perfect, and have training streams left or a test to bring to its end."""
    return (trials.met == 0) & ((trials.streams < protocol.most) | (trials.test > 0))


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def advance(
    protocol: StreamProtocol, trials: StreamTrials, seeds: jax.Array, rounds: jax.Array
) -> tuple[StreamTrials, Work]:
    """Go on for so many rounds, a step of every trial that goes on each, or until none does.

    How rounds are shared among calls makes no difference, nor does what is beside a trial.
    """
    keys = sources.keys(seeds)
    none = jnp.zeros(len(seeds), jnp.int32)

    def going_on(carry: tuple[StreamTrials, Work, jax.Array]) -> jax.Array:
        return (carry[2] > 0) & jnp.any(going(protocol, carry[0]))

    def one_round(carry: tuple[StreamTrials, Work, jax.Array]) -> tuple[StreamTrials, Work, jax.Array]:
        trials, work, left = carry
        active, tested = going(protocol, trials), trials.test > 0
        source, shown, first = _next(protocol, keys, trials)
        past, now = steps.step(protocol.net, trials.weights, steps.forget(trials.past, first), shown.x)
        errors = shown.target - now.output
        right = reduce(jnp.logical_and, jnp.abs(errors) < protocol.tolerance) | ~shown.asked
        weights, velocity = _learned(protocol, trials, past, now, shown.asked, errors, active & ~tested)
        trials = trials._replace(weights=weights, velocity=velocity, past=past, source=source)
        work = Work(work.learned + (active & ~tested), work.tested + (active & tested))
        return _counted(protocol, trials, active, shown.unit, right), work, left - 1

    trials, work, _ = lax.while_loop(going_on, one_round, (trials, Work(none, none), rounds))
    return trials, work


def _next(
    protocol: StreamProtocol, keys: jax.Array, trials: StreamTrials
) -> tuple[sources.State, sources.Shown, jax.Array]:
    """The next step of each stream, and whether the net is blank before it ``(N,)``."""
    _, source = protocol.streams
    number = trials.streams * (protocol.tests + 1) + trials.test
    state, shown = source(protocol.task, trials.source, trials.t, sources.draw(keys, number), trials.test > 0)
    return state, shown, shown.begins if protocol.reset else trials.t == 0


def _learned(
    protocol: StreamProtocol,
    trials: StreamTrials,
    past: steps.Past,
    now: steps.Now,
    asked: jax.Array,
    errors: jax.Array,
    learns: jax.Array,
) -> tuple[Weights, Weights | None]:
    """Weights and velocity after this step, in the trials ``(N,)`` that learn from it."""
    net, velocity = protocol.net, trials.velocity
    signal = jnp.where(asked[None], errors * RULES[protocol.rule][net.output](now.output), 0.0)
    change = steps.gradient(net, trials.weights, past, now, signal)
    here, rate = learns[None, None], trials.rate[None, None]
    if velocity is not None:
        change = velocity = jax.tree.map(lambda v, g: jnp.where(here, protocol.momentum * v + g, v), velocity, change)
    return jax.tree.map(lambda w, d: jnp.where(here, w + rate * d, w), trials.weights, change), velocity


def _counted(
    protocol: StreamProtocol, trials: StreamTrials, active: jax.Array, unit: jax.Array, right: jax.Array
) -> StreamTrials:
    """The active streams are a step further; some of them end, and some of those end a test."""
    tested = trials.test > 0
    right = right if protocol.stops else right | ~tested
    units = trials.units + (unit & right)
    whole = right & (units >= jnp.where(tested, protocol.longest_test, protocol.longest_training))
    ended = active & (whole | ~right)
    trained = ended & ~tested
    streams = trials.streams + trained
    total = jnp.where(trained, 0, trials.total + jnp.where(ended, units, 0))
    last = trials.test == protocol.tests
    over = ended & tested & (last if protocol.full_scores else last | ~whole)
    score = jnp.where(over, total / jnp.maximum(trials.test, 1), trials.score)
    perfect = over & (total >= protocol.tests * (protocol.enough or protocol.longest_test))
    return trials._replace(
        rate=jnp.where(trained, trials.rate * protocol.rate_decay, trials.rate),
        t=jnp.where(active & ~ended, trials.t + 1, 0),
        units=jnp.where(active & ~ended, units, 0),
        streams=streams,
        test=jnp.where(over, 0, trials.test + ended),
        total=total,
        score=score,
        best=jnp.maximum(trials.best, score),
        met=jnp.where(perfect, streams, trials.met),
    )
