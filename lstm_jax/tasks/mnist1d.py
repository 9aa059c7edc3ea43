"""MNIST-1D: ten classes of noisy curves, made by a program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_flag, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at

CLASSES, POINTS = 10, 12
PADDING = (36, 60)  # points of nothing after a template, fewest and most
GRID = POINTS + PADDING[1]  # points of a padded curve before it is read off at `length` steps
SHIFTS = 48
SCALE, SHEAR = 0.4, 0.75  # widths of the uniform distributions of height and slope
CURVE_NOISE, POINT_NOISE = 0.25, 0.02  # standard deviations: of white noise before smoothing, and of each point
SMOOTHING = 2.0  # standard deviation of the Gaussian filter, in points; it is cut off at four of them
MEAN, SPREAD = -0.006, 0.153  # of all steps before they are scaled, at T = 40 (200,000 sequences)
ORDER_SEED = 42
NOISE_WITHIN, NOISE_AROUND = 0.03, 0.094  # what ``solve`` reckons with: point noise and misplacing; smooth noise

# fmt: off
_DRAWN = np.array([
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
])
# fmt: on
TEMPLATES = ((_DRAWN - _DRAWN[:, :1]) / _DRAWN.std(axis=1, keepdims=True) / 6).astype(np.float32)
"""``(10, 12)``: a curve for each digit, from 0 to 0, of standard deviation 1/6."""


def _curves(templates: jax.Array, padding: jax.Array, shifts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each template ``(12, N)`` with ``padding (N,)`` points of nothing behind, stretched to GRID, rolled.

    Returns:
        The curves ``(GRID, N)``, zero in the padding, and which of their points ``(GRID, N)`` are the template's.
    """
    place = (jnp.arange(GRID, dtype=jnp.int32)[:, None] - shifts[None, :]) % GRID
    place = place.astype(jnp.float32) * ((POINTS - 1 + padding[None, :]) / (GRID - 1)).astype(jnp.float32)
    left = jnp.minimum(place.astype(jnp.int32), POINTS)
    ended = jnp.pad(templates, ((0, 2), (0, 0)))
    before, after = (jnp.take_along_axis(ended, left + n, axis=0) for n in range(2))
    return before + (after - before) * (place - left), place < POINTS


def _smooth_noise(key: jax.Array, batch_size: int) -> jax.Array:
    """``(GRID, B)`` Gaussian noise whose neighbouring points are alike."""
    reach = int(4 * SMOOTHING)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING) ** 2)
    taps = (CURVE_NOISE * taps / taps.sum()).astype(np.float32)
    white = jax.random.normal(key, (GRID + 2 * reach, batch_size), jnp.float32)
    neighbours = np.arange(2 * reach + 1)[:, None] + np.arange(GRID)
    return jnp.sum(taps[:, None, None] * white[neighbours], axis=0)


def _read_off(curves: jax.Array, length: int) -> jax.Array:
    """``(length, N)``: curves ``(GRID, N)`` at ``length`` steps from the first to the last point."""
    place = np.linspace(0, GRID - 1, length)
    left = np.minimum(place.astype(int), GRID - 2)
    share = (place - left).astype(np.float32)[:, None]
    return curves[left] + (curves[left + 1] - curves[left]) * share


def _slope(steps: int) -> np.ndarray:
    """``(steps, 1)``: the line by which shearing tilts a curve."""
    return np.linspace(-0.5, 0.5, steps, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class Mnist1D(Task):
    """MNIST-1D: tell which of ten curves a noisy sequence holds.

    A template of 12 points is padded, stretched, rolled, scaled, laid into smooth noise that fills the padding,
    covered with a little noise at each point, and tilted. Inputs ``(T, B, 1)``: its height at T steps, of mean 0 and
    standard deviation 1 over the task. Target ``(T, B)`` int32 at the last step: the class.

    Templates and constants are those of the author's repository. But every batch is new, where the published data set
    has 4000 sequences to train on and 1000 to test, so figures are not strictly comparable.

    Attributes:
        length: T, at least 20; 40 in the source.
        shuffled: whether the steps come in another order, the same for all sequences (not the published one).

    Source: Greydanus, "Scaling down deep learning", 2020.
    """

    length: int = 40
    shuffled: bool = False

    name: ClassVar[str] = "mnist_1d"
    summary: ClassVar[str] = "ten classes of noisy curves of 40 steps"
    published: ClassVar[str] = "GRU 91 %, CNN 94 %; shuffled GRU 57 % (repository README, verified)"
    loss: ClassVar[str] = "softmax"
    metric: ClassVar[str] = "accuracy"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = CLASSES
    chances: ClassVar[Mapping[str, float]] = MappingProxyType({"accuracy": 1 / CLASSES, "nll": math.log(CLASSES)})
    solved: ClassVar[float] = 0.96
    """Accuracy that ``solve`` reaches at least at T = 40: no rule is exact on noisy curves."""

    def __post_init__(self) -> None:
        check_integer(self.name, "length", self.length, 20)
        check_flag(self.name, "shuffled", self.shuffled)

    @property
    def max_length(self) -> int:
        """T."""
        return self.length

    @property
    def required_lag(self) -> int:
        """Age of the template's beginning at the last step, at least: 13 at T = 40. Shuffled: of its oldest step."""
        if self.shuffled:
            return (POINTS - 1) * (self.length - 1) // (GRID - 1) - 1
        return (GRID - SHIFTS) * (self.length - 1) // (GRID - 1)

    def _order(self) -> jax.Array:
        """``(T,)``: the step of the curve that each step of the sequence shows."""
        steps = jnp.arange(self.length)
        return jax.random.permutation(jax.random.key(ORDER_SEED), steps) if self.shuffled else steps

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs ``(T, B, 1)`` and targets ``(T, B)``; a pure function of the key."""
        check_batch_size(self.name, batch_size)
        class_key, pad_key, shift_key, scale_key, shear_key, curve_key, point_key = jax.random.split(key, 7)
        row = (batch_size,)
        classes = jax.random.randint(class_key, row, 0, CLASSES, dtype=jnp.int32)
        padding = jax.random.randint(pad_key, row, PADDING[0], PADDING[1] + 1, dtype=jnp.int32)
        shifts = jax.random.randint(shift_key, row, 0, SHIFTS, dtype=jnp.int32)
        heights = jax.random.uniform(scale_key, row, jnp.float32, 1 - SCALE / 2, 1 + SCALE / 2)
        tilts = jax.random.uniform(shear_key, row, jnp.float32, -SHEAR / 2, SHEAR / 2)
        curves, drawn = _curves(jnp.asarray(TEMPLATES.T)[:, classes], padding, shifts)
        curves = jnp.where(drawn, curves * heights[None, :], _smooth_noise(curve_key, batch_size))
        curves = curves + POINT_NOISE * jax.random.normal(point_key, curves.shape, jnp.float32)
        curves = curves - tilts[None, :] * _slope(GRID)
        inputs = (_read_off(curves, self.length)[self._order()] - MEAN) / SPREAD
        lengths = jnp.full(row, self.length, jnp.int32)
        last = at(lengths - 1, self.length)
        return Batch(inputs[..., None], answer_at(last, classes), lengths, last)

    def solve(self, batch: Batch) -> jax.Array:
        """``(T, B)`` int32: the class of the likeliest curve at the last step, zero before.

        Among all classes, shifts, and paddings in steps of 4, each with its best height and tilt: the least squares,
        where a step counts little that may show only smooth noise.
        """
        digits, padding, shifts = (values.ravel() for values in _every_placing())
        curve, drawn = (
            _read_off(values.astype(jnp.float32), self.length)
            for values in _curves(jnp.asarray(TEMPLATES.T)[:, digits], padding, shifts)
        )
        heard = batch.inputs[jnp.argsort(self._order()), :, 0] * SPREAD + MEAN
        tilt = _slope(self.length)
        weight = jnp.where(drawn == 0, NOISE_AROUND, NOISE_WITHIN) ** -2.0  # (T, C), as all sums over T below are

        def over_time(values: jax.Array, weights: jax.Array) -> jax.Array:
            return jnp.matmul(values.T, weights, precision="highest")

        # Minimise the sum of weight (heard - height curve + slope tilt)^2 + stiff (height - 1)^2 + steep slope^2.
        stiff, steep = 12 / SCALE**2, 12 / SHEAR**2  # one over the variances of height and slope
        a = (jnp.sum(weight * curve**2, axis=0) + stiff)[None, :]
        b = -jnp.sum(weight * curve * tilt, axis=0)[None, :]
        c = (jnp.sum(weight * tilt**2, axis=0) + steep)[None, :]
        u = over_time(heard, weight * curve) + stiff
        v = -over_time(heard, weight * tilt)
        explained = (c * u**2 - 2 * b * u * v + a * v**2) / (a * c - b**2)
        fit = explained - over_time(heard**2, weight) + jnp.sum(jnp.log(weight), axis=0)[None, :]
        classes = digits[jnp.argmax(fit, axis=1)].astype(jnp.int32)
        return answer_at(at(batch.lengths - 1, self.length), classes)


def _every_placing() -> list[jax.Array]:
    """Classes, paddings in steps of 4, and shifts, in all combinations."""
    paddings = jnp.arange(PADDING[0], PADDING[1] + 1, 4)
    return jnp.meshgrid(jnp.arange(CLASSES), paddings, jnp.arange(SHIFTS), indexing="ij")
