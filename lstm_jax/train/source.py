"""Where batches come from: tasks and data sets as the same two pure functions, ``plan`` and ``batch``.

A batch is a function of (seed, step) and nothing else, so a resumed run needs no memory of where the data stood.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.names import UsageError, nearest
from lstm_jax.tasks import TASKS
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.batching import BucketSource, DatasetSource, in_rows, wasted_share
from lstm_jax.train.config import DataConfig, Options
from lstm_jax.train.cuts import best_cuts, longest_in_batches
from lstm_jax.train.disk import DiskSource
from lstm_jax.train.held_out import by_example, evaluation_sets
from lstm_jax.train.objective import metric_names
from lstm_jax.train.records import warn
from lstm_jax.train.streams import StreamSource, in_streams

PARAMETERS, DATA, NOISE, VALIDATION, TEST, DROPOUT = range(6)
"""Purposes of randomness: each has its own stream of keys."""

EVALUATION_SEED = 0
FACTS = ("name", "input_size", "output_size", "loss", "metric", "higher_is_better")


def stream(seed: jax.Array | int, purpose: int) -> jax.Array:
    """The key of one purpose within a run; fold the step (or epoch) into it."""
    return jax.random.fold_in(jax.random.key(seed), purpose)


class Source(Protocol):
    """Training data: a pytree whose arrays are leaves, so that programs take them as arguments."""

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> Any:
        """What ``steps`` batches from ``first_step`` on are made of; every leaf has a leading axis ``steps``."""
        ...

    def batch(self, item: Any) -> Batch:
        """The batch of one item of a plan."""
        ...


@partial(jax.tree_util.register_dataclass, data_fields=[], meta_fields=["task", "batch_size"])
@dataclass(frozen=True)
class TaskSource:
    """Batches drawn by a task; a plan is one key for each step."""

    task: Any
    batch_size: int

    def plan(self, key: jax.Array, first_step: jax.Array, steps: int) -> jax.Array:
        """Keys ``(steps,)``."""
        return jax.vmap(partial(jax.random.fold_in, key))(first_step + jnp.arange(steps))

    def batch(self, item: jax.Array) -> Batch:
        """A fresh draw."""
        return self.task.sample(item, self.batch_size)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What a problem is about, without its data.

    Attributes:
        name, input_size, output_size, loss, metric, higher_is_better: as tasks have them.
        length: T of the training batches; ``cuts``: the lengths that batches run at, for ``at_length``.
        streams: batches are windows of texts, and states are carried from one to the next.
    """

    name: str = ""
    input_size: int = 0
    output_size: int = 0
    length: int = 0
    loss: str = "squared_error"
    metric: str = "mse"
    higher_is_better: bool = False
    cuts: tuple[int, ...] = ()
    streams: bool = False


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["train", "validation", "test"],
    meta_fields=[*FACTS, "length", "cuts", "streams"],
)
@dataclass(frozen=True)
class Problem(Outline):
    """What is learned: a training source, and the fixed validation and test sets.

    Attributes:
        train: batches of training.
        validation, test: ``Batch`` with a leading axis of batches; rows that fill the last one have length 0 and an
            empty ``loss_mask``.
    """

    train: Any
    validation: Batch
    test: Batch

    def wasted_share(self, key: jax.Array) -> float | None:
        """Share of the steps computed in an epoch in that order that are padding; None where nothing lies in rows."""
        rows = isinstance(self.train, DatasetSource | BucketSource)
        return wasted_share(self.train, self.cuts, key) if rows else None

    def check_noise(self, noise: float) -> None:
        """Refuse noise on symbols."""
        if noise > 0 and jnp.issubdtype(self.validation.inputs.dtype, jnp.integer):
            raise UsageError(f"{self.name}: symbols take no noise, got input_noise={noise}; leave it out")


def load_problem(config: DataConfig, from_disk: bool = False) -> Problem:
    """The problem that ``config`` names: a task in ``TASKS``, or a data set in ``DATASETS``.

    ``from_disk`` leaves the training part of a data set on disk, see ``disk.py``; the others are in memory always.

    Raises:
        UsageError: an unknown name, an unknown or impossible option, what cannot be read from disk row by row;
            ValueError: an empty split.
    """
    if config.name in TASKS:
        if from_disk:
            raise UsageError(f"task {config.name!r} is drawn anew for every batch and lies on no disk; leave it out")
        return _task_problem(config)
    from lstm_jax.datasets import DATASETS

    if config.name in DATASETS and config.test_options:
        raise UsageError(f"data set {config.name!r} brings its own test part, got test_options; leave them out")
    if config.name in DATASETS and config.train_size is not None:
        raise UsageError(f"data set {config.name!r} brings its own training part, got train_size; leave it out")
    if config.name in DATASETS:
        return _disk_problem(config) if from_disk else _dataset_problem(config)
    raise UsageError(f"no task or data set is called {config.name!r}; {nearest(config.name, [*TASKS, *DATASETS])}")


def outline(config: DataConfig) -> Outline:
    """What ``load_problem`` says of ``config`` without any data; lengths and cuts, which data decide, are left out."""
    from lstm_jax.datasets import DATASETS

    if config.name in TASKS:
        return Outline(**_facts(_task(config.name, config.options)))
    about = DATASETS[config.name]
    return Outline(streams=about.symbols is not None, **_facts(about))


def data_version(config: DataConfig) -> str | None:
    """Of the data set that a run learns; a task has the version of the code."""
    from lstm_jax.datasets import DATASETS

    return None if config.name in TASKS else DATASETS[config.name].version


def _task_problem(config: DataConfig) -> Problem:
    if config.batching != "random" and config.train_size is None:
        raise UsageError(
            f"task {config.name!r} draws all anew, got batching={config.batching!r}; set train_size, or leave it out"
        )
    task, tested = _task(config.name, config.options), _task(config.name, config.options_of_test)
    facts, others = _facts(task), _facts(tested)
    if facts != others:
        differing = ", ".join(
            f"{name} {facts[name]} and {others[name]}" for name in FACTS if facts[name] != others[name]
        )
        raise UsageError(f"task {config.name!r}: training and test differ in more than their strings: {differing}")
    drawn = (
        _draw(one, stream(EVALUATION_SEED, purpose), config.eval_size)
        for one, purpose in ((task, VALIDATION), (tested, TEST))
    )
    validation, test = (by_example(batch) for batch in drawn)
    length = validation.inputs.shape[1]
    if config.train_size is None:
        source: Source = TaskSource(task, config.batch_size)
        cuts = _cuts(config, np.asarray(validation.lengths), length)
    else:
        from lstm_jax.datasets import Sequences, take

        few = _draw(task, stream(EVALUATION_SEED, DATA), config.train_size)
        rows = Sequences(*map(np.asarray, by_example(few)))
        cuts = _cuts(config, rows.lengths, length)
        source = in_rows(config, rows, take, cuts)
    return _problem(config, task, source, evaluation_sets(config, validation, test), length, cuts)


def _task(name: str, options: Options) -> Any:
    kind, options = TASKS[name], dict(options)
    known = [option.name for option in fields(kind)]
    for option in options:
        if option not in known:
            raise UsageError(f"task {name!r} has no option {option!r}; {nearest(option, known)}")
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _dataset_problem(config: DataConfig) -> Problem:
    from lstm_jax.datasets import DATASETS, load, take

    options = _options(config)
    splits = {split: load(config.name, split, **options) for split in ("train", "validation", "test")}
    for split, sequences in splits.items():
        if len(sequences.lengths) == 0:
            raise ValueError(f"data set {config.name!r}: its {split} split is empty; prepare it again")
    if DATASETS[config.name].symbols is not None:
        return _text_problem(config, DATASETS[config.name], take, *splits.values())
    held_out = evaluation_sets(config, splits["validation"], splits["test"])
    length = splits["train"].inputs.shape[1]
    cuts = _cuts(config, splits["train"].lengths, length)
    return _problem(
        config, DATASETS[config.name], in_rows(config, splits["train"], take, cuts), held_out, length, cuts
    )


def _disk_problem(config: DataConfig) -> Problem:
    from lstm_jax.datasets import DATASETS, load, open_reader

    about, options = DATASETS[config.name], _options(config)
    if config.batching != "random":
        raise UsageError(
            f"{config.name}: rows on disk are read at random, got batching={config.batching!r}; leave it out"
        )
    reader = open_reader(config.name, "train", tell=warn, **options)
    held_out = evaluation_sets(config, *(load(config.name, split, **options) for split in ("validation", "test")))
    length = reader.survey.inputs
    cuts = _cuts(config, reader.survey.lengths, length)
    return _problem(config, about, DiskSource(reader, config.batch_size), held_out, length, cuts)


def _options(config: DataConfig) -> dict[str, Any]:
    """Those of the view, known ones."""
    from lstm_jax.datasets import DATASETS

    try:
        DATASETS[config.name].options(**dict(config.options))
    except TypeError as error:
        raise UsageError(str(error)) from error
    return dict(config.options)


def _cuts(config: DataConfig, lengths: np.ndarray, length: int) -> tuple[int, ...]:
    """The lengths that batches run at, ``length`` at most, so that the fewest steps are wasted."""
    held = lengths if config.batching == "bucketed" else longest_in_batches(lengths, config.batch_size)
    return best_cuts(held, config.cuts, length)


def _problem(
    config: DataConfig, about: Any, train: Source, held_out: list[Batch], length: int, cuts: tuple[int, ...]
) -> Problem:
    """What is made of rows, in memory or on disk, or drawn; ``length``: the steps that training is padded to."""
    known = metric_names(about.loss)
    if about.metric not in known:
        hint = nearest(about.metric, known)
        raise ValueError(f"{about.name}: loss {about.loss!r} has no metric {about.metric!r}; {hint}")
    validation, test = held_out
    problem = Problem(train, validation, test, length=length, cuts=cuts if len(cuts) > 1 else (), **_facts(about))
    problem.check_noise(config.input_noise)
    return problem


def _text_problem(config: DataConfig, about: Any, take: Any, train: Any, *held_out: Any) -> Problem:
    """Streams through windows; what would need sequences of their own is refused."""
    if config.input_noise > 0 or config.cuts > 1 or config.batching != "random":
        raise UsageError(
            f"{config.name}: symbols take no noise and windows have one length, got input_noise={config.input_noise}, "
            f"cuts={config.cuts}, batching={config.batching!r}; leave them out"
        )
    whole = train.lengths == train.inputs.shape[1]
    if whole.sum() < config.batch_size:
        raise UsageError(
            f"{config.name}: its training part has {whole.sum()} windows of {train.inputs.shape[1]}, too few for "
            f"{config.batch_size} streams; take a shorter window or a smaller batch_size"
        )
    source = StreamSource(jax.tree.map(lambda array: jnp.asarray(array[whole]), train), take, config.batch_size)
    validation, test = (in_streams(part, config.eval_batch_size) for part in held_out)
    return Problem(source, validation, test, length=train.inputs.shape[1], streams=True, **_facts(about))


def _facts(about: Any) -> dict[str, Any]:
    """What a task or a data set says of itself, and a problem repeats."""
    return {name: getattr(about, name) for name in FACTS}


@partial(jax.jit, static_argnums=(0, 2))
def _draw(task: Any, key: jax.Array, count: int) -> Batch:
    return task.sample(key, count)
