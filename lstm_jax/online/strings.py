"""Trials that predict the next symbol of strings and learn after every symbol (experiments 1, 2a and 2b of 1997)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from lstm_jax.names import check_names
from lstm_jax.online import steps
from lstm_jax.online.material import AT_ONCE, Strings, fresh
from lstm_jax.online.net import BlockNet, Weights, outputs
from lstm_jax.online.sequences import RULES, input_rows, run
from lstm_jax.online.trials import JUDGED, TRAINING, initial_weights, keys_of
from lstm_jax.tasks.reber import legal


@dataclass(frozen=True)
class StringProtocol:
    """How one experiment trains, and when it stops.

    Attributes:
        task: with ``symbols(key, batch_size)``: what is read, and the symbol that comes next.
        net: the layout.
        rate: constant learning rate on half the squared error against the next symbol, at every step.
        material: ``sets``: each presentation is one of 256 strings, drawn anew for every ``trials_a_set`` seeds;
            ``all``: one of all sequences there are; ``fresh``: a new one.
        success: ``order``: at every step of the training set and of a test set without its strings every legal
            symbol has a larger output than every illegal one; ``close``: all errors below 0.25 at every step;
            ``close_at_end``: at the last step of 10,000 sequences set aside, looked at when those just learned were.
        update: after each ``step``, or the sum after each ``sequence``.
        grows: the cells join once the inputs alone no longer reduce the error: when the summed error of 100
            sequences is not 0.1 % below that of the 100 before.
        every: presentations between looks at success.
        scale, gate_biases, rule: as in ``Protocol``.
    """

    task: Any
    net: BlockNet
    rate: float
    material: str
    success: str
    update: str = "step"
    grows: bool = False
    every: int = 100
    scale: float = 0.2
    gate_biases: tuple[tuple[str, tuple[float, ...]], ...] = ()
    rule: str = "slope"
    trials_a_set: int = 10

    def __post_init__(self) -> None:
        """Refuse unknown names, and weights that would not be learned."""
        if self.net.peepholes:
            raise ValueError("nets with peepholes learn from streams: see StreamProtocol")
        choices = {"material": ("sets", "all", "fresh"), "success": ("order", "close", "close_at_end")}
        check_names(self, {**choices, "update": ("step", "sequence"), "rule": RULES})


class StringTrials(NamedTuple):
    """N trials on their way.

    Attributes:
        weights: of each trial, now.
        from_cells: ``(C, O, N)`` weights from the cells to the outputs that wait for growth.
        grown: ``(N,)`` bool; ``error``: ``(N,)`` summed error of the last presentations.
        met: ``(N,)`` int32, presentations when it had learned; 0: not yet.
        seen: ``()`` int32, presentations to every trial that still learns.
    """

    weights: Weights
    from_cells: jax.Array
    grown: jax.Array
    error: jax.Array
    met: jax.Array
    seen: jax.Array


def begin(protocol: StringProtocol, seeds: jax.Array) -> StringTrials:
    """Initial weights of the trials with these seeds ``(N,)``; cells that are to grow send nothing yet."""
    weights = initial_weights(protocol, seeds)
    cells, trials = protocol.net.cells, len(seeds)
    from_cells = jnp.array(weights.out[:cells])
    if protocol.grows:
        weights = weights._replace(out=weights.out.at[:cells].set(0.0))
    grown = jnp.full(trials, not protocol.grows)
    return StringTrials(
        weights, from_cells, grown, jnp.full(trials, jnp.inf), jnp.zeros(trials, jnp.int32), jnp.int32(0)
    )


@partial(jax.jit, static_argnums=0, donate_argnums=1)
def advance(
    protocol: StringProtocol,
    trials: StringTrials,
    seeds: jax.Array,
    train: Strings | None,
    judged: Strings | None,
    until: jax.Array,
) -> tuple[StringTrials, jax.Array]:
    """Go on until ``until`` presentations have been made or every trial has succeeded.

    Returns:
        The trials, and the steps that were learned from in this call, all trials together.
    """
    keys, fresh_keys = keys_of(seeds, TRAINING), keys_of(seeds, JUDGED)

    def going_on(carry: tuple[StringTrials, jax.Array]) -> jax.Array:
        return (carry[0].seen < until) & jnp.any(carry[0].met == 0)

    def some(carry: tuple[StringTrials, jax.Array]) -> tuple[StringTrials, jax.Array]:
        trials, total = carry
        now = jax.vmap(jax.random.fold_in, (0, None))(keys, trials.seen)
        if train is None:
            strings = fresh(protocol.task, now, protocol.every)
            numbers = jnp.arange(protocol.every, dtype=jnp.int32)
            picks = jnp.broadcast_to(numbers[:, None], (protocol.every, len(seeds)))
        else:
            strings, last = train, train.read.shape[0]
            picks = jax.vmap(lambda key: jax.random.randint(key, (protocol.every,), 0, last), out_axes=-1)(now)
        learning = trials.met == 0
        weights, error, far, read = _present(protocol, trials, strings, picks, learning)
        trials = trials._replace(weights=weights, seen=trials.seen + protocol.every)
        trials = _grow(protocol, trials, error)
        succeeded = _succeeded(protocol, trials.weights, judged, fresh_keys, far)
        met = jnp.where(learning & trials.grown & succeeded, trials.seen, trials.met)
        return trials._replace(met=met), total + jnp.sum(jnp.where(learning, read, 0))

    return lax.while_loop(going_on, some, (trials, jnp.int32(0)))


def _present(
    protocol: StringProtocol, trials: StringTrials, strings: Strings, picks: jax.Array, learning: jax.Array
) -> tuple[Weights, jax.Array, jax.Array, jax.Array]:
    """Each trial reads its ``picks (K, N)`` one after the other, at its own pace.

    Returns:
        Weights; the summed squared error, the largest error at a last step, and the steps read, each ``(N,)``.
    """
    net, trial = protocol.net, jnp.arange(picks.shape[1])
    symbols = jnp.arange(net.inputs)[:, None]
    rule = RULES[protocol.rule][net.output]

    def going_on(carry: tuple[Any, ...]) -> jax.Array:
        return jnp.any(carry[2] < picks.shape[0])

    def one_step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        weights, past, k, t, held, error, far, read = carry
        going = k < picks.shape[0]
        pick = picks[jnp.minimum(k, picks.shape[0] - 1), trial]
        target = (symbols == strings.next[pick, t, trial][None]).astype(jnp.float32)
        last = t == strings.lengths[pick, trial] - 1
        past, now = steps.step(net, weights, past, strings.read[pick, t, trial])
        errors = target - now.output
        signal = jnp.where((going & learning)[None], errors * rule(now.output), 0.0)
        change = steps.gradient(net, weights, past, now, signal)
        if protocol.grows:
            change = change._replace(out=_hold_cells(net, change.out, trials.grown))
        if protocol.update == "step":
            weights = _changed(net, weights, change, now, signal, protocol.rate)
        else:
            held = _changed(net, held, change, now, signal, 1.0)
            weights, held = lax.cond(jnp.any(last), partial(_apply, protocol.rate, last), _later, weights, held)
        error = error + jnp.where(going, jnp.sum(errors**2, axis=0), 0.0)
        far = jnp.where(going & last, jnp.maximum(far, jnp.max(jnp.abs(errors), axis=0)), far)
        past = steps.forget(past, last)
        return weights, past, k + (going & last), jnp.where(last, 0, t + 1), held, error, far, read + going

    zero = jnp.zeros(len(trial))
    count = jnp.zeros(len(trial), jnp.int32)
    held = jax.tree.map(jnp.zeros_like, trials.weights) if protocol.update == "sequence" else None
    start = (trials.weights, steps.blank(net, len(trial)), count, count, held, zero, zero, count)
    weights, _, _, _, _, error, far, read = lax.while_loop(going_on, one_step, start)
    return weights, error, far, read


def _changed(
    net: BlockNet, weights: Weights, change: Weights, now: steps.Now, signal: jax.Array, rate: float
) -> Weights:
    """``weights + rate * change``, where the weights from symbols to outputs change in one row only."""
    direct = weights.direct
    if direct is not None:
        direct = steps.add_direct(net, direct, now, rate * signal)
    hidden, out = weights.hidden + rate * change.hidden, weights.out + rate * change.out
    return Weights(hidden, out, direct, weights.peep)


def _apply(rate: float, last: jax.Array, weights: Weights, held: Weights) -> tuple[Weights, Weights]:
    """The held changes of the sequences that have just ended go into the weights."""
    weights = jax.tree.map(lambda w, h: w + rate * jnp.where(last[None, None], h, 0.0), weights, held)
    return weights, jax.tree.map(lambda h: jnp.where(last[None, None], 0.0, h), held)


def _later(weights: Weights, held: Weights) -> tuple[Weights, Weights]:
    return weights, held


def _hold_cells(net: BlockNet, out: jax.Array, grown: jax.Array) -> jax.Array:
    """No change of the weights from cells that have not joined."""
    from_cells = jnp.arange(len(out))[:, None, None] < net.cells
    return jnp.where(from_cells & ~grown[None, None], 0.0, out)


def _grow(protocol: StringProtocol, trials: StringTrials, error: jax.Array) -> StringTrials:
    """The cells of a trial join, with the weights they were drawn with, when its error has stopped falling."""
    if not protocol.grows:
        return trials._replace(error=error)
    stuck = ~trials.grown & (error > 0.999 * trials.error)
    cells = protocol.net.cells
    out = trials.weights.out
    joined = out.at[:cells].set(jnp.where(stuck[None, None], trials.from_cells, out[:cells]))
    return trials._replace(weights=trials.weights._replace(out=joined), grown=trials.grown | stuck, error=error)


def _succeeded(
    protocol: StringProtocol, weights: Weights, judged: Strings | None, keys: jax.Array, far: jax.Array
) -> jax.Array:
    if protocol.success == "close_at_end":
        look = partial(_close_on_fresh, protocol, weights, keys)
        return (far < 0.25) & lax.cond(jnp.any(far < 0.25), look, lambda: jnp.zeros(far.shape, bool))
    assert judged is not None
    return _right_on_all(protocol, weights, judged)


def _right_on_all(protocol: StringProtocol, weights: Weights, judged: Strings) -> jax.Array:
    """``(N,)``: whether every string satisfies the criterion; no further look once every trial has failed."""
    some = jax.tree.map(lambda a: a.reshape(-1, AT_ONCE, *a.shape[1:]), judged)

    def going_on(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        return (carry[0] < len(some.read)) & jnp.any(carry[1])

    def look(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        number, right = carry
        here = jax.vmap(partial(_right, protocol, weights))(jax.tree.map(lambda a: a[number], some))
        return number + 1, right & jnp.all(here, axis=0)

    return lax.while_loop(going_on, look, (jnp.int32(0), jnp.ones(judged.lengths.shape[1], bool)))[1]


def _right(protocol: StringProtocol, weights: Weights, string: Strings) -> jax.Array:
    """``(N,)``: whether one string (no axis M) satisfies the criterion at every step."""
    net = protocol.net
    output = along(net, weights, string.read)
    valid = jnp.arange(len(output))[:, None] < string.lengths[None]
    if protocol.success == "order":
        allowed = legal(string.read).swapaxes(1, 2)
        least = jnp.min(jnp.where(allowed, output, jnp.inf), axis=1)
        right = least > jnp.max(jnp.where(allowed, -jnp.inf, output), axis=1)
    else:
        target = (jnp.arange(net.outputs)[None, :, None] == string.next[:, None]).astype(jnp.float32)
        right = jnp.max(jnp.abs(target - output), axis=1) < 0.25
    return jnp.all(right | ~valid, axis=0)


def _close_on_fresh(protocol: StringProtocol, weights: Weights, keys: jax.Array) -> jax.Array:
    """``(N,)``: whether the last output of each of 10,000 fresh sequences is within 0.25 of its target."""

    def hundred(number: jax.Array) -> jax.Array:
        strings = fresh(protocol.task, jax.vmap(jax.random.fold_in, (0, None))(keys, number), 100)

        def one(string: Strings) -> jax.Array:
            output = along(protocol.net, weights, string.read, only_last=True)
            target = (jnp.arange(protocol.net.outputs)[:, None] == string.next[-1:]).astype(jnp.float32)
            return jnp.max(jnp.abs(target - output[0]), axis=0) < 0.25

        return jnp.all(jax.vmap(one)(strings), axis=0)

    return jnp.all(lax.map(hundred, jnp.arange(100)), axis=0)


def along(net: BlockNet, weights: Weights, symbols: jax.Array, only_last: bool = False) -> jax.Array:
    """The outputs ``(T, O, N)`` of N nets that read symbols ``(T, N)`` from the blank state."""
    y = run(net, weights, input_rows(net, weights, symbols)).y
    if only_last:
        y, symbols = y[-1:], symbols[-1:]
    return jax.vmap(partial(outputs, net, weights))(y, symbols)
