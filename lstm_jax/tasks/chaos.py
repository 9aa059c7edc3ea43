"""Forecasting chaotic series: Mackey-Glass, whose memory is a delay, and Lorenz, of which one coordinate is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import step_numbers

BETA, GAMMA = 0.2, 0.1
TAUS = {17: (0.9302, 0.2262), 30: (0.8954, 0.2809)}
"""Delay -> mean and standard deviation of the series, of 8000 sequences of 1100 steps from key 2024."""
FINE = 2  # steps of integration in a unit of time
SETTLING, PHASES = 1000, 200  # units of time thrown away at the beginning: always, and at most that many more


def _delayed_step(history: jax.Array, spacing: float) -> jax.Array:
    """Move the Mackey-Glass series ahead by one step of the fourth-order Runge-Kutta rule.

    Args:
        history: ``(D + 2, ...)``, x at now - (D + 1) ``spacing`` .. now; D ``spacing`` is the delay.
        spacing: units of time from one value to the next.

    Returns:
        ``(D + 2, ...)``, the history one spacing later.
    """
    earlier, then, later, latest = history[:4]  # around the delay: at -1, 0, 1, 2 spacings
    halfway = (9 * (then + later) - earlier - latest) / 16  # the cubic through the four

    def slope(x: jax.Array, delayed: jax.Array) -> jax.Array:
        return BETA * delayed / (1 + delayed**10) - GAMMA * x

    x = history[-1]
    k1 = slope(x, then)
    k2 = slope(x + spacing / 2 * k1, halfway)
    k3 = slope(x + spacing / 2 * k2, halfway)
    k4 = slope(x + spacing * k3, later)
    return jnp.concatenate([history[1:], (x + spacing / 6 * (k1 + 2 * (k2 + k3) + k4))[None]])


def mackey_glass(past: jax.Array, steps: int) -> jax.Array:
    """``(steps, ...)``: x at 1, 2, ... units of time after now, from ``past (FINE tau + 2, ...)``, FINE a unit."""

    def unit(history: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        for _n in range(FINE):
            history = _delayed_step(history, 1 / FINE)
        return history, history[-1]

    return jax.lax.scan(unit, past, length=steps)[1]


def _forecast(seen: jax.Array, asked: jax.Array, horizon: int, washout: int) -> Batch:
    """Batch with inputs ``seen (T + horizon, B, I)`` and, after the washout, targets ``asked`` horizon steps later."""
    steps, batch_size = seen.shape[0] - horizon, seen.shape[1]
    counted = jnp.broadcast_to(step_numbers(steps) >= washout, (steps, batch_size))
    targets = jnp.where(counted[..., None], asked[horizon:], 0.0)
    return Batch(seen[:steps], targets, jnp.full((batch_size,), steps, jnp.int32), counted)


@dataclass(frozen=True)
class MackeyGlass(Task):
    """Forecast the Mackey-Glass series: dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x(t).

    Inputs ``(T, B, 1)``: x at each unit of time, less its mean, over its standard deviation; T = washout + length.
    Targets ``(T, B, 1)``: the input ``horizon`` steps later. The last ``length`` steps count. Each sequence grows
    from a constant past, uniform on 0.5 to 1.5, and begins at a random time after it has settled.

    Attributes:
        length: steps that count, at least 1.
        horizon: how many units of time ahead, at least 1. 6 and 84 are customary.
        tau: the delay, 17 (mildly chaotic) or 30.
        washout: steps before the first that counts, more than tau, for the whole state is the last tau units of time.

    Source: Mackey & Glass, "Oscillation and chaos in physiological control systems", 1977; fourth-order Runge-Kutta in
    steps of 1/2, the delayed value half-way between two steps by a cubic. Mean and deviation were measured here.
    """

    length: int = 400
    horizon: int = 84
    tau: int = 17
    washout: int = 100

    name: ClassVar[str] = "mackey_glass"
    summary: ClassVar[str] = "forecast the Mackey-Glass series 84 steps ahead"
    published: ClassVar[str] = ""
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"mse": 1.0})
    """Of the mean, which ignores even the present value. Exact within 1 %, as the measured deviation is."""
    solved: ClassVar[float] = 1e-5
    """Mean squared error that ``solve`` reaches at most, up to a horizon of 84: it sees the past once in a unit."""

    def __post_init__(self) -> None:
        check_choice(self.name, "tau", self.tau, TAUS)
        check_integer(self.name, "length", self.length, 1)
        check_integer(self.name, "horizon", self.horizon, 1)
        check_integer(self.name, "washout", self.washout, self.tau + 1)

    @property
    def max_length(self) -> int:
        """The washout and the counted steps."""
        return self.washout + self.length

    @property
    def required_lag(self) -> int:
        """The delay: what x does next depends on what it was tau ago."""
        return self.tau

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(T, B, 1)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        past_key, phase_key = jax.random.split(key)
        # No arithmetic before the scan: chaos would turn another rounding of it into another series.
        level = jax.random.uniform(past_key, (1, batch_size), jnp.float32, 0.5, 1.5)
        past = jnp.broadcast_to(level, (FINE * self.tau + 2, batch_size))
        steps = self.max_length + self.horizon
        series = mackey_glass(past, SETTLING + PHASES + steps)
        begin = SETTLING + jax.random.randint(phase_key, (1, batch_size), 0, PHASES, dtype=jnp.int32)
        mean, deviation = TAUS[self.tau]
        series = (jnp.take_along_axis(series, begin + step_numbers(steps), axis=0) - mean) / deviation
        return _forecast(series[..., None], series[..., None], self.horizon, self.washout)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B, 1)``: the equation itself, integrated in steps of 1 from the last tau + 2 inputs; zero before.

        Nearly right: what x was between two inputs is the cubic's guess.
        """
        mean, deviation = TAUS[self.tau]
        x = mean + deviation * batch.inputs
        ages = np.arange(self.tau + 1, -1, -1)[:, None]
        past = x[np.maximum(np.arange(self.max_length) - ages, 0)]  # (tau + 2, T, B, 1)
        ahead, _ = jax.lax.scan(lambda past, _: (_delayed_step(past, 1.0), None), past, length=self.horizon)
        counted = step_numbers(self.max_length)[..., None] >= self.washout
        return jnp.where(counted, (ahead[-1] - mean) / deviation, 0.0)


SIGMA, RHO, RATIO = 10.0, 28.0, 8 / 3
LORENZ_MEAN, LORENZ_DEVIATION = (0.0, 0.0, 23.551), (7.925, 9.011, 8.622)
"""Of x, y, z, of 8000 sequences of 2100 steps from key 2024; the means of x and y are 0 by symmetry."""
SPACING, SUBSTEPS = 0.05, 5  # time from one step of a sequence to the next, and steps of integration in it
LORENZ_SETTLING = 400
OBSERVED = {"x": 1, "xyz": 3}
_UNITS = np.array([LORENZ_MEAN, LORENZ_DEVIATION], np.float32)


def _lorenz_slope(state: jax.Array) -> jax.Array:
    x, y, z = state
    return jnp.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - RATIO * z])


def lorenz(state: jax.Array) -> jax.Array:
    """``(3, ...)`` the Lorenz system one SPACING after ``state (3, ...)``, by fourth-order Runge-Kutta."""
    dt = SPACING / SUBSTEPS

    def step(_: int, state: jax.Array) -> jax.Array:
        k1 = _lorenz_slope(state)
        k2 = _lorenz_slope(state + dt / 2 * k1)
        k3 = _lorenz_slope(state + dt / 2 * k2)
        k4 = _lorenz_slope(state + dt * k3)
        return state + dt / 6 * (k1 + 2 * (k2 + k3) + k4)

    return jax.lax.fori_loop(0, SUBSTEPS, step, state)


def _scaled(states: jax.Array) -> jax.Array:
    """``(..., 3)`` states less their mean, over their deviation."""
    mean, deviation = (jnp.broadcast_to(value, states.shape) for value in _UNITS)
    return (states - mean) / deviation


@dataclass(frozen=True)
class Lorenz(Task):
    """Forecast the Lorenz system, sigma = 10, rho = 28, beta = 8/3, from one coordinate or from all three.

    Inputs ``(T, B, 1)`` x, or ``(T, B, 3)`` x, y, z, every 0.05 units of time, less the mean, over the standard
    deviation; T = washout + length. Targets ``(T, B, 3)``: x, y, z ``horizon`` steps later, in the same units. The
    last ``length`` steps count. From x alone, y and z must be inferred from how x moved.

    Attributes:
        length: steps that count, at least 1.
        horizon: how many steps ahead, at least 1; errors grow e-fold in about 22 steps.
        observed: ``"x"`` or ``"xyz"``.
        washout: steps before the first that counts.

    Source: Lorenz, "Deterministic Nonperiodic Flow", 1963; fourth-order Runge-Kutta in steps of 0.01. Means and
    deviations were measured here.
    """

    length: int = 200
    horizon: int = 10
    observed: str = "x"
    washout: int = 150

    name: ClassVar[str] = "lorenz"
    summary: ClassVar[str] = "forecast the Lorenz system from one coordinate"
    published: ClassVar[str] = ""
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    output_size: ClassVar[int] = 3
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"mse": 1.0})
    """Of the mean, which ignores even the present value. Exact within 1 %, as the measured deviations are."""
    solved: ClassVar[float] = 1e-4
    """Mean squared error that ``solve`` reaches at most at a horizon of 10 after a washout of 150."""

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 1)
        check_integer(self.name, "horizon", self.horizon, 1)
        check_choice(self.name, "observed", self.observed, OBSERVED)
        check_integer(self.name, "washout", self.washout, 0)

    @property
    def input_size(self) -> int:
        """1 or 3 coordinates."""
        return OBSERVED[self.observed]

    @property
    def max_length(self) -> int:
        """The washout and the counted steps."""
        return self.washout + self.length

    @property
    def required_lag(self) -> int:
        """Three values of x to fix three coordinates; the present ones if all are seen."""
        return 3 - self.input_size

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, 1 or 3)`` and targets ``(T, B, 3)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        steps = self.max_length + self.horizon
        box = np.array([[[-10], [-10], [15]], [[10], [10], [35]]], np.float32)
        begin = jax.random.uniform(key, (3, batch_size), jnp.float32, *box)  # as above: no arithmetic after it

        def move(state: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            state = lorenz(state)
            return state, state

        series = jax.lax.scan(move, begin, length=LORENZ_SETTLING + steps)[1][LORENZ_SETTLING:]
        series = _scaled(jnp.moveaxis(series, 1, -1))
        return _forecast(series[..., : self.input_size], series, self.horizon, self.washout)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B, 3)``: the system itself, run from the state that the inputs tell; zero in the washout.

        With x alone, y and z follow a copy of the system whose x is set right at every step: they come to agree, but
        for what the washout leaves.
        """
        seen = jnp.moveaxis(batch.inputs, -1, 1)  # (T, 1 or 3, B)
        mean, deviation = _UNITS[:, None, : self.input_size, None]
        seen = mean + deviation * seen

        def follow(state: jax.Array, seen: jax.Array) -> tuple[jax.Array, jax.Array]:
            state = jnp.concatenate([seen, lorenz(state)[self.input_size :]])
            return state, state

        begin = jnp.broadcast_to(_UNITS[0][:, None], (3, seen.shape[-1]))
        states = jnp.moveaxis(jax.lax.scan(follow, begin, seen)[1], 1, 0)  # (3, T, B)
        ahead = jax.lax.fori_loop(0, self.horizon, lambda _, state: lorenz(state), states)
        counted = step_numbers(self.max_length)[..., None] >= self.washout
        return jnp.where(counted, _scaled(jnp.moveaxis(ahead, 0, -1)), 0.0)
