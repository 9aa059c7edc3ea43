"""Experiment 3 of 1997: two classes told apart by the first few values of one noisy channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.options import check_batch_size, check_choice, check_integer
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.timing import answer_at, at, coins, draw_lengths, step_numbers, valid

NOISE = ("after", "everywhere")
TARGETS = {"exact": (1.0, 0.0), "noisy": (0.2, 0.8)}
"""What classes 1 and 2 are asked for, noise aside. The noisy form exchanges which class is the high one."""
INPUT_VARIANCE = 0.2
TARGET_VARIANCE = 0.1


def _gaussian(key: jax.Array, shape: tuple[int, ...], variance: float) -> jax.Array:
    """Noise of mean 0, rounded to 16 bits after each factor: what a compiler may then fuse changes no number."""
    rounded = jax.lax.reduce_precision(jax.random.normal(key, shape, jnp.float32), exponent_bits=8, mantissa_bits=16)
    return jax.lax.reduce_precision(math.sqrt(variance) * rounded, exponent_bits=8, mantissa_bits=16)


@dataclass(frozen=True)
class TwoSequence(Task):
    """Experiment 3 of 1997: say the class of a sequence whose first N values are about +1 or -1, then noise.

    Sequences have a length L uniform on T..T + T/10. Inputs ``(T + T/10, B, 1)``: +1 (class 1) or -1 (class 2) at the
    first N steps, then Gaussian noise of mean 0 and variance 0.2. Target ``(T + T/10, B, 1)`` at step L only.

    The paper's three forms: 3a ``("after", "exact")``, 3b ``("everywhere", "exact")``, 3c ``("after", "noisy")``.
    With noise everywhere not even the best rule is always right: it errs with probability Phi(-sqrt(5 N)), 0.013 at
    N = 1 and 0.00005 at N = 3. With noisy targets no predictor has a mean squared error below 0.1.

    Attributes:
        length: T, greater than N (the paper has 100 and 1000).
        relevant: N (the paper has 1 and 3).
        noise: ``"after"`` the N values, which are exact, or ``"everywhere"``, also added to them.
        targets: ``"exact"``: 1 for class 1, 0 for class 2; ``"noisy"``: 0.2 and 0.8, plus Gaussian noise of variance
            0.1. ``clean_targets`` has them without the noise.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, section 5.3.
    """

    length: int = 100
    relevant: int = 3
    noise: str = "after"
    targets: str = "exact"

    name: ClassVar[str] = "two_sequence"
    summary: ClassVar[str] = "tell two classes by the first values of a noisy channel (experiment 3 of 1997)"
    published: ClassVar[str] = "3a: 39,850 sequences, 0.0195 % wrong (Hochreiter & Schmidhuber 1997, verified)"
    loss: ClassVar[str] = "squared_error"
    metric: ClassVar[str] = "mse"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_integer(self.name, "relevant", self.relevant, 1)
        check_integer(self.name, "length", self.length, self.relevant + 1)
        check_choice(self.name, "noise", self.noise, NOISE)
        check_choice(self.name, "targets", self.targets, TARGETS)

    @property
    def max_length(self) -> int:
        """T + T/10, the longest sequence."""
        return self.length + self.length // 10

    @property
    def target_variance(self) -> float:
        """Variance of the noise on the targets, which no predictor can undercut: 0, or 0.1."""
        return TARGET_VARIANCE if self.targets == "noisy" else 0.0

    @property
    def chances(self) -> Mapping[str, float]:
        """MSE of the constant 0.5: 0.25, or 0.09 + 0.1 with noisy targets."""
        first, second = TARGETS[self.targets]
        return {"mse": (first - second) ** 2 / 4 + self.target_variance}

    @property
    def required_lag(self) -> int:
        """The youngest of the N values is at least this many steps old at the last step."""
        return self.length - self.relevant

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw a ``Batch`` with inputs and targets ``(T + T/10, B, 1)``; a pure function of the key."""
        batch, noise_key = self._without_target_noise(key, batch_size)
        if self.targets == "exact":
            return batch
        noise = _gaussian(noise_key, (batch_size,), TARGET_VARIANCE)
        return batch._replace(targets=batch.targets + answer_at(batch.loss_mask, noise)[..., None])

    def clean_targets(self, key: jax.Array, batch_size: int) -> jax.Array:
        """``(T + T/10, B, 1)``: the targets that ``sample`` draws from the same key, without their noise."""
        return self._without_target_noise(key, batch_size)[0].targets

    def _without_target_noise(self, key: jax.Array, batch_size: int) -> tuple[Batch, jax.Array]:
        """A batch whose targets are not noisy yet, and the key of their noise."""
        check_batch_size(self.name, batch_size)
        length_key, class_key, value_key, noise_key = jax.random.split(key, 4)
        steps = self.max_length
        lengths = draw_lengths(length_key, batch_size, self.length, steps)
        is_first = coins(class_key, (batch_size,))
        values = _gaussian(value_key, (steps, batch_size), INPUT_VARIANCE)
        signal = jnp.where(is_first, 1.0, -1.0)[None, :]
        heard = signal if self.noise == "after" else signal + values
        values = jnp.where(step_numbers(steps) < self.relevant, heard, values)
        inputs = jnp.where(valid(lengths, steps), values, 0.0)[..., None]
        last = at(lengths - 1, steps)
        return Batch(inputs, self._answers(last, is_first), lengths, last), noise_key

    def _answers(self, last: jax.Array, is_first: jax.Array) -> jax.Array:
        first, second = jnp.float32(TARGETS[self.targets])
        return answer_at(last, jnp.where(is_first, first, second))[..., None]

    def solve(self, batch: Batch) -> jax.Array:
        """``(T + T/10, B, 1)``: the noise-free answer for the more likely class at the last step, zero before."""
        is_first = jnp.sum(batch.inputs[: self.relevant, :, 0], axis=0) > 0
        return self._answers(at(batch.lengths - 1, batch.inputs.shape[0]), is_first)
