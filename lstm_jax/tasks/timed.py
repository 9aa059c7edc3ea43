"""Precise timing: measuring the time between spikes, making spikes at given times, making periodic functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import step_numbers

LEVELS = ("all", "two")
SHAPES = ("cos", "triangle", "rectangle")


@dataclass(frozen=True)
class _Spikes(Task):
    """What the spike tasks share: spikes at 0 and then F + I(n) steps after the one before, I(n) drawn anew.

    Options are documented where they are used.
    """

    length: int = 200
    interval: int = 10
    extra: int = 1
    levels: str = "all"

    name: ClassVar[str] = "spikes"
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer(self.name, "interval", self.interval, 1)
        check_integer(self.name, "extra", self.extra, 1)
        check_integer(self.name, "length", self.length, self.interval + self.extra + 1)
        check_choice(self.name, "levels", self.levels, LEVELS)

    @property
    def max_length(self) -> int:
        """T of the batches."""
        return self.length

    @property
    def required_lag(self) -> int:
        """F: the spike before is at least so old."""
        return self.interval

    @property
    def delays(self) -> np.ndarray:
        """The values of I, each as likely as the others."""
        return np.arange(self.extra + 1) if self.levels == "all" else np.array([0, self.extra])

    @property
    def _spike_rate(self) -> np.ndarray:
        """``(T,)``: the probability of a spike at each step."""
        rate = np.zeros(self.length)
        rate[0] = 1.0
        for step in range(1, self.length):
            before = step - self.interval - self.delays
            rate[step] = rate[before[before >= 0]].sum() / self.delays.size
        return rate

    def _draw(self, key: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """``(T, B)`` each: is there a spike; at spikes, the delay before it (0 at the first); and the one after it."""
        check_batch_size(self.name, batch_size)
        shape = (1 + (self.length - 1) // self.interval, batch_size)  # as many spikes as would fit without delays
        delays = jnp.asarray(self.delays, jnp.int32)[
            jax.random.randint(key, shape, 0, self.delays.size, dtype=jnp.int32)
        ]
        nothing = jnp.zeros((1, batch_size), jnp.int32)
        before = jnp.concatenate([nothing, delays[:-1]])
        times = jnp.concatenate([nothing, jnp.cumsum(self.interval + delays[:-1], axis=0)])
        columns = jnp.broadcast_to(jnp.arange(batch_size)[None, :], shape)

        def at_spikes(values: jax.Array) -> jax.Array:
            empty = jnp.zeros((self.length, batch_size), values.dtype)
            return empty.at[times, columns].set(values, mode="drop")  # spikes past the end fall away

        return at_spikes(jnp.ones(shape, bool)), at_spikes(before), at_spikes(delays)

    def _lengths(self, batch_size: int) -> jax.Array:
        return jnp.full((batch_size,), self.length, jnp.int32)


def _channel(values: jax.Array) -> jax.Array:
    return values.astype(jnp.float32)[..., None]


@dataclass(frozen=True)
class SpikeDelays(_Spikes):
    """Measure spike delays (MSD): at each spike, say by how much it came later than F steps after the one before.

    Spikes stand at steps 0, F + I(1), 2 F + I(1) + I(2) ... Inputs ``(length, B, 1)``: 1 at spikes, else 0. Targets
    ``(length, B, 1)``: I(n) in steps at spike n, asked at every spike but the first.

    Attributes:
        length: steps; at least F + extra + 1, room for one delay. That length gives one delay a sequence, the form
            without continuation (NMSD), if F is greater than ``extra``.
        interval: F (the paper has 10 and more).
        extra: the largest delay.
        levels: ``"all"``: I uniform on 0..extra; ``"two"``: 0 or extra.

    Source: Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", 2002.
    """

    name: ClassVar[str] = "spike_delays"
    summary: ClassVar[str] = "measure the delay before each spike of a train (precise timing, 2002)"
    published: ClassVar[str] = ""

    @property
    def chances(self) -> Mapping[str, float]:
        """Variance of the delays asked for: nearly that of I, short ones being a little more frequent in T steps."""
        rate = self._spike_rate
        asked = np.array([rate[: self.length - self.interval - delay].sum() for delay in self.delays])
        share = asked / asked.sum()
        return {"mse": float(share @ self.delays**2 - (share @ self.delays) ** 2)}

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(length, B, 1)``; a pure function of the key."""
        spikes, before, _ = self._draw(key, batch_size)
        asked = spikes & (step_numbers(self.length) > 0)
        return Batch(_channel(spikes), _channel(before), self._lengths(batch_size), asked)

    def solve(self, batch: Batch) -> jax.Array:
        """``(length, B, 1)``: steps since the spike before, less F, at every spike but the first; else zero."""
        steps = step_numbers(self.length)
        spikes = batch.inputs[..., 0] == 1
        latest = jax.lax.cummax(jnp.where(spikes, steps, 0), axis=0)
        previous = jnp.concatenate([jnp.zeros_like(latest[:1]), latest[:-1]])
        return _channel(jnp.where(spikes & (steps > 0), steps - previous - self.interval, 0))


@dataclass(frozen=True)
class TimedSpikes(_Spikes):
    """Generate timed spikes (GTS): told each delay in advance, make the spike train; ``SpikeDelays`` turned round.

    Spikes stand at steps 0, F + I(1), 2 F + I(1) + I(2) ... Inputs ``(length, B, 1)``: I(n + 1) at spike n, else 0, so
    that a delay of 0 is told by silence. Targets ``(length, B, 1)``: 1 at spikes, else 0; every step counts.

    Attributes:
        length: steps; at least F + extra + 1, room for a second spike.
        interval: F (the paper has 10 and more).
        extra: the largest delay.
        levels: ``"all"``: I uniform on 0..extra; ``"two"``: 0 or extra.

    Source: Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", 2002. What the
    input is between the delays is our reading.
    """

    name: ClassVar[str] = "timed_spikes"
    summary: ClassVar[str] = "make spikes at the times that delays tell (precise timing, 2002)"
    published: ClassVar[str] = "on line: solved with peepholes (Gers et al. 2002, secondary)"

    @property
    def chances(self) -> Mapping[str, float]:
        """MSE of a predictor that sees the current input: a spike where a delay is told, else the share of spikes."""
        spikes = self._spike_rate.sum()
        silent_spikes = spikes / self.delays.size  # with the delay 0, which is one of the equally likely values
        silent = self.length - spikes + silent_spikes
        share = silent_spikes / silent
        return {"mse": float(silent * share * (1 - share) / self.length)}

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(length, B, 1)``; a pure function of the key."""
        spikes, _, after = self._draw(key, batch_size)
        return Batch(_channel(after), _channel(spikes), self._lengths(batch_size), jnp.ones(spikes.shape, bool))

    def solve(self, batch: Batch) -> jax.Array:
        """``(length, B, 1)``: 1 whenever the countdown that a spike starts has run out."""
        told = batch.inputs[..., 0].astype(jnp.int32)

        def step(left: jax.Array, delay: jax.Array) -> tuple[jax.Array, jax.Array]:
            spike = left == 0
            return jnp.where(spike, self.interval + delay, left) - 1, spike

        _, spikes = jax.lax.scan(step, jnp.zeros(told.shape[1:], jnp.int32), told)
        return _channel(spikes)


@dataclass(frozen=True)
class Periodic(Task):
    """Periodic function generation (PFG): make a periodic function of time out of silence.

    Inputs ``(length, B, 1)`` are zero. Targets ``(length, B, 1)`` in [0, 1], the same in all sequences; every step
    counts. With tau = t mod F, t counted from 0: cos ``(1 - cos(2 pi t / F)) / 2``; triangle ``2 tau / F`` up to F/2,
    then ``2 - 2 tau / F``; rectangle 1 if tau > F/2, else 0.

    Attributes:
        length: steps, at least 2.
        period: F, at least 2 (the paper has 10 and 25).
        shape: ``"cos"``, ``"triangle"`` or ``"rectangle"``.

    Source: Gers, Schraudolph & Schmidhuber, "Learning Precise Timing with LSTM Recurrent Networks", 2002.
    """

    length: int = 200
    period: int = 10
    shape: str = "cos"

    name: ClassVar[str] = "periodic"
    summary: ClassVar[str] = "make a periodic function without any input (precise timing, 2002)"
    published: ClassVar[str] = "cos, F = 25: RMSE 0.086 after 2.7 million streams (Gers et al. 2002, secondary)"
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 2)
        check_integer(self.name, "period", self.period, 2)
        check_choice(self.name, "shape", self.shape, SHAPES)

    @property
    def max_length(self) -> int:
        """T of the batches."""
        return self.length

    @property
    def wave(self) -> np.ndarray:
        """``(length,)`` float32: the function."""
        phase = np.arange(self.length) % self.period / self.period
        by_shape = {
            "cos": 0.5 * (1 - np.cos(2 * np.pi * phase)),
            "triangle": np.where(phase <= 0.5, 2 * phase, 2 - 2 * phase),
            "rectangle": phase > 0.5,
        }
        return by_shape[self.shape].astype(np.float32)

    @property
    def chances(self) -> Mapping[str, float]:
        """Variance of the function over the ``length`` steps."""
        return {"mse": float(np.var(self.wave, dtype=np.float64))}

    @property
    def required_lag(self) -> int:
        """The input tells nothing but when the sequence began, which at the last step was so long ago."""
        return self.length - 1

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """A ``Batch`` with inputs and targets ``(length, B, 1)``; the key makes no difference."""
        check_batch_size(self.name, batch_size)
        inputs = jnp.zeros((self.length, batch_size, 1), jnp.float32)
        lengths = jnp.full((batch_size,), self.length, jnp.int32)
        batch = Batch(inputs, inputs, lengths, jnp.ones((self.length, batch_size), bool))
        return batch._replace(targets=self.solve(batch))

    def solve(self, batch: Batch) -> jax.Array:
        """``(length, B, 1)``: the function, by counting steps."""
        return jnp.broadcast_to(jnp.asarray(self.wave)[:, None, None], batch.inputs.shape)
