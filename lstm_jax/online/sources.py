"""Where streams come from: the next input and target of each of N streams, made inside the loop that learns.

A stream may be a million steps long, so it is never stored. Whatever is random in it is a pure function of the trial,
the number of the stream and a number within it: trials keep their streams whoever is beside them, and a stream that
was interrupted goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.online.trials import keys_of
from lstm_jax.tasks import languages, reber, temporal_order
from lstm_jax.tasks.timed import Periodic, SpikeDelays, TimedSpikes

STREAMS = 20
"""Purpose of randomness of its own."""
SUCCESSORS = "legal_successors"
"""Name of the source of Reber streams whose targets are all symbols that may follow."""
SIGNED = "signed_counting"
"""Name of the source of counting languages whose inputs and targets are 1 and -1 instead of 1 and 0."""

Draw = Callable[[jax.Array, int], jax.Array]
"""From numbers ``(N,)`` within the streams, and a purpose, to random uint32 ``(N,)``."""
State = tuple[jax.Array, ...]
"""What a source remembers of a stream: whole numbers ``(N,)``, anything at its first step."""


class Shown(NamedTuple):
    """One step of N streams.

    Attributes:
        x: ``(I, N)`` inputs, symbols one-hot; ``target``: ``(O, N)``.
        asked: ``(N,)`` bool, the target counts.
        unit: ``(N,)`` bool, one more of what the length of a stream is counted in, if the answer is right.
        begins: ``(N,)`` bool, a string of the stream begins, where a net may be reset that is told so.
    """

    x: jax.Array
    target: jax.Array
    asked: jax.Array
    unit: jax.Array
    begins: jax.Array


Source = Callable[[Any, State, jax.Array, Draw, jax.Array], tuple[State, Shown]]
"""From the task, the state, the steps ``(N,)`` since the streams began, randomness, and whether it is a test stream
``(N,)``, to the next step."""


def keys(seeds: jax.Array) -> jax.Array:
    """``(2, N)`` uint32, the keys of all streams of the trials with these seeds."""
    return jax.vmap(lambda key: jax.random.bits(key, (2,)), out_axes=-1)(keys_of(seeds, STREAMS))


def draw(keys: jax.Array, stream: jax.Array) -> Draw:
    """The randomness of streams ``(N,)``: a keyed hash, as Threefry would take longer than the net.

    Source of the constants of ``_mix``: C. Wellons, "Prospecting for hash functions", 2018 (lowbias32).
    """
    stream = stream.astype(jnp.uint32)
    first, second = _mix(stream ^ keys[0]), _mix(stream * jnp.uint32(0x9E3779B1) + keys[1])

    def words(number: jax.Array, purpose: int = 0) -> jax.Array:
        salt = jnp.uint32(purpose * 0x85EBCA77 % 2**32)
        return _mix(_mix(number.astype(jnp.uint32) + first) ^ (second + salt))

    return words


def _mix(word: jax.Array) -> jax.Array:
    word = (word ^ (word >> 16)) * jnp.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


def below(word: jax.Array, count: int) -> jax.Array:
    """A whole number in [0, count), as even as 32 bits make it."""
    return (word % jnp.uint32(count)).astype(jnp.int32)


_BEGIN = reber.ALPHABET.index("B")
_SYMBOLS = reber.EDGES.ravel().astype(np.int32)
_NODES = np.take_along_axis(reber.NEXT, reber.EDGES, axis=1).ravel().astype(np.int32)
_LEGAL = (reber.LEGAL << np.arange(reber.LEGAL.shape[1])).sum(axis=1).astype(np.int32)
"""The symbols that may follow a node, a bit each: one number is looked up for a trial, not a row."""


def _reber(
    task: reber.ContinualReber, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """Embedded Reber strings; remembers the symbol to be read and the node that it leads to. Counted in symbols."""
    symbol, node = (jnp.where(t == 0, first, now) for first, now in zip((_BEGIN, reber.OPENED), state, strict=True))
    edge = 2 * node + (words(t, 0) >> 31).astype(jnp.int32)
    following, target_node = jnp.asarray(_SYMBOLS)[edge], jnp.asarray(_NODES)[edge]
    always = jnp.ones_like(t, bool)
    x, target = _one_hot(symbol, task.input_size), _one_hot(following, task.output_size)
    return (following, target_node), Shown(x, target, always, always, node == reber.OPENED)


def _reber_successors(
    task: reber.ContinualReber, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """The same strings; the target shows every symbol that may come next, not only the one that does."""
    after, shown = _reber(task, state, t, words, tested)
    node = jnp.where(t == 0, reber.OPENED, state[1])
    legal = jnp.asarray(_LEGAL)[node][None] >> jnp.arange(task.output_size)[:, None]
    return after, shown._replace(target=(legal & 1).astype(jnp.float32))


def _order(
    task: temporal_order.ContinualTemporalOrder, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """Sequences of experiment 6; remembers the sequence's number and the step in it. Counted in sequences."""
    number, step = (jnp.where(t == 0, 0, now) for now in state)
    place = temporal_order.ALPHABET.index
    symbol = place("a") + (words(t, 0) >> 30).astype(jnp.int32)
    is_y = words(number, 1)
    classes = jnp.zeros_like(t)
    for n, (low, high) in enumerate(task.one.windows):
        y = (is_y >> n & 1).astype(jnp.int32)
        here = low - 1 + below(words(number, 3 + n), high - low + 1)
        symbol = jnp.where(step == here, place("X") + y, symbol)
        classes = 2 * classes + y
    last = step == task.one.length - 1 + below(words(number, 2), task.one.max_length - task.one.length + 1)
    symbol = jnp.where(last, place("B"), jnp.where(step == 0, place("E"), symbol))
    x, target = _one_hot(symbol, task.input_size), _one_hot(classes, task.output_size)
    return (number + last, jnp.where(last, 0, step + 1)), Shown(x, target, last, last, step == 0)


def _delay(task: TimedSpikes | SpikeDelays, word: jax.Array) -> jax.Array:
    values = task.delays
    return int(values[1]) * below(word, 2) if len(values) == 2 else below(word, len(values))


def _timed_spikes(
    task: TimedSpikes, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """Delays in, spikes out; remembers the steps to the next spike. Counted in spikes."""
    left = jnp.where(t == 0, 0, state[0])
    spike = left == 0
    delay = jnp.where(spike, _delay(task, words(t, 0)), 0)
    shown = Shown(_row(delay), _row(spike), jnp.ones_like(spike), spike, t == 0)
    return (jnp.where(spike, task.interval + delay, left) - 1,), shown


def _spike_delays(
    task: SpikeDelays, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """Spikes in, delays out; remembers the steps to the next spike, and its delay. Counted in delays asked for."""
    left, delay = (jnp.where(t == 0, 0, now) for now in state)
    spike = left == 0
    asked = spike & (t > 0)
    shown = Shown(_row(spike), _row(jnp.where(spike, delay, 0)), asked, asked, t == 0)
    coming = jnp.where(spike, _delay(task, words(t, 0)), delay)
    return (jnp.where(spike, task.interval + coming, left) - 1, coming), shown


def _periodic(task: Periodic, state: State, t: jax.Array, words: Draw, tested: jax.Array) -> tuple[State, Shown]:
    """Silence in, a periodic function out; remembers nothing. Counted in periods."""
    phase = t % task.period
    wave = jnp.asarray(Periodic(task.period, task.period, task.shape).wave)
    silence = jnp.zeros((1, len(t)))
    return (), Shown(silence, wave[phase][None], t >= 0, phase == task.period - 1, t == 0)


def _counting(
    task: languages.AnBn | languages.AnBnCn, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """Strings with blocks of n letters each: n at random, in a test 1, 2, 3 ... Counted in strings, so the length of a
    test stream is the largest n up to which every string was accepted.

    Remembers the string's number, the block (0: S is read) and the letter in it. T is never read and S never follows:
    inputs are S and the letters, targets the letters and T.
    """
    number, block, letter = (jnp.where(t == 0, 0, now) for now in state)
    blocks = len(task.blocks)
    drawn = task.shortest + below(words(number, 0), task.length - task.shortest + 1)
    n = jnp.where(tested, number + 1, drawn)
    begins, full = block == 0, letter == n
    stays = (block == 1) | ~(begins | full)
    last = full & (block == blocks)
    x, follows = _one_hot(block, blocks + 1), _one_hot(block, blocks + 1)
    target = jnp.where(begins | (block == 1) | full, follows, 0.0)
    target = target.at[:-1].max(jnp.where(stays, x[1:], 0.0))
    moves = begins | full
    after = (number + last, jnp.where(last, 0, block + moves), jnp.where(moves, ~last, letter + 1))
    return after, Shown(x, target, jnp.ones_like(last), last, begins)


def _signed_counting(
    task: languages.AnBn | languages.AnBnCn, state: State, t: jax.Array, words: Draw, tested: jax.Array
) -> tuple[State, Shown]:
    """The same strings, what is not shown and not legal being -1."""
    after, shown = _counting(task, state, t, words, tested)
    return after, shown._replace(x=2 * shown.x - 1, target=2 * shown.target - 1)


def _one_hot(numbers: jax.Array, count: int) -> jax.Array:
    return (jnp.arange(count)[:, None] == numbers[None]).astype(jnp.float32)


def _row(values: jax.Array) -> jax.Array:
    return values.astype(jnp.float32)[None]


SOURCES: dict[str, tuple[int, Source]] = {
    reber.ContinualReber.name: (2, _reber),
    SUCCESSORS: (2, _reber_successors),
    temporal_order.ContinualTemporalOrder.name: (2, _order),
    TimedSpikes.name: (1, _timed_spikes),
    SpikeDelays.name: (2, _spike_delays),
    Periodic.name: (0, _periodic),
    languages.AnBn.name: (3, _counting),
    languages.AnBnCn.name: (3, _counting),
    SIGNED: (3, _signed_counting),
}
"""By the name of the task, or their own: how many numbers its source remembers, and the source."""
