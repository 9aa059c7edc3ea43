"""What every task promises: its options, its yardsticks, and two pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol, runtime_checkable

import jax

from lstm_jax.tasks.batch import Batch


@runtime_checkable
class Task(Protocol):
    """A problem made of random numbers: a frozen, hashable dataclass whose fields are its options.

    Inherit from it: what follows from the rest is written here.

    Attributes:
        name: the key in ``TASKS``; ``summary``: one line on it.
        published: the row of a paper to compare with, its source and how it is known; empty where there is none.
        loss: ``"squared_error"``, ``"softmax"`` or ``"bernoulli"`` (several outputs may be 1).
        metric: the yardstick that tables print: ``"mse"``, ``"accuracy"`` or ``"nll"`` (nats).
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    published: ClassVar[str]
    loss: ClassVar[str]
    metric: ClassVar[str]

    @property
    def input_size(self) -> int:
        """I of the inputs."""
        ...

    @property
    def output_size(self) -> int:
        """Number of network outputs; classes for softmax."""
        ...

    @property
    def chances(self) -> Mapping[str, float]:
        """Each metric's value for the best predictor that remembers nothing."""
        ...

    @property
    def chance(self) -> float:
        """``chances[metric]``."""
        return self.chances[self.metric]

    @property
    def higher_is_better(self) -> bool:
        """Of the metric."""
        return self.metric == "accuracy"

    @property
    def required_lag(self) -> int:
        """Every sequence asks for an input at least this many steps old."""
        ...

    @property
    def max_length(self) -> int:
        """T of the batches."""
        ...

    def sample(self, key: jax.Array, batch_size: int) -> Batch:
        """Draw ``batch_size`` sequences; the same key gives the same batch. ``batch_size`` is static under jit."""
        ...

    def solve(self, batch: Batch) -> jax.Array:
        """The right answers, by rule from ``batch.inputs`` and ``batch.lengths``, in the form of the targets."""
        ...
