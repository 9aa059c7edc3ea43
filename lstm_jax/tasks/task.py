"""What every task promises: its options, its yardsticks, and three pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import jax

from lstm_jax.tasks.batch import Batch


@runtime_checkable
class Task(Protocol):
    """A problem made of random numbers: a frozen, hashable dataclass whose fields are its options.

    Attributes:
        name: the key in ``TASKS``; ``summary``: one line on it.
        input_size, output_size: I of the inputs, and the number of network outputs (classes for ``"softmax"``).
        loss: ``"squared_error"`` or ``"softmax"``.
        metric: the yardstick that tables print: ``"mse"``, ``"accuracy"`` or ``"nll"`` (nats).
        chances: each metric that applies -> its value for the best predictor that remembers nothing.
        chance: ``chances[metric]``.
        required_lag: every sequence asks for an input at least this many steps old.
        max_length: T of the batches, a function of the options.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    loss: ClassVar[str]
    metric: ClassVar[str]
    higher_is_better: ClassVar[bool]

    @property
    def input_size(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def chances(self) -> Mapping[str, float]: ...
    @property
    def chance(self) -> float: ...
    @property
    def required_lag(self) -> int: ...
    @property
    def max_length(self) -> int: ...

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw ``batch_size`` sequences; the same key gives the same batch. ``batch_size`` is static under jit."""
        ...

    def solve(self, batch: Batch) -> jax.Array:
        """The right answers, by rule from ``batch.inputs`` and ``batch.lengths``, in the form of the targets."""
        ...
