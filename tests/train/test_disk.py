"""Rows read from disk, a chunk ahead, give the run that has them in memory, to the bit, interrupted or not."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.datasets import RawDataError
from lstm_jax.datasets.sequences import Sequences, take
from lstm_jax.names import UsageError
from lstm_jax.train import loop
from lstm_jax.train.checkpoint import checkpoint_steps
from lstm_jax.train.config import DataConfig
from lstm_jax.train.disk import ChunkSource, DiskSource, feeding
from lstm_jax.train.loop import train
from lstm_jax.train.population import run_population
from lstm_jax.train.source import DATA, DatasetSource, Problem, load_problem, stream

SECONDS = 60


def sequences(count=13, steps=5):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, steps + 1, count).astype(np.int32)
    targets = rng.integers(1, 4, (count, 2)).astype(np.int32)
    mask = np.arange(steps) < lengths[:, None]
    return Sequences(rng.normal(size=(count, steps, 3)).astype(np.float32), targets, lengths, mask)


class Shelf:
    """Stands for a reader; remembers what was asked of it, and breaks when told to."""

    def __init__(self, whole):
        self.whole, self.asked, self.read_ahead, self.broken = whole, [], threading.Event(), False

    def __len__(self):
        return len(self.whole.lengths)

    def read(self, numbers):
        if self.broken:
            raise RawDataError("row 3 is damaged")
        self.asked.append(threading.current_thread().name)
        if len(self.asked) > 1:
            self.read_ahead.set()
        return Sequences(*(array[numbers] for array in self.whole))


def test_batches_from_disk_are_those_of_the_same_seed_in_memory():
    whole, key = sequences(), stream(3, DATA)
    memory, disk = DatasetSource(jax.tree.map(jnp.asarray, whole), take, 4), DiskSource(Shelf(whole), 4)
    for first, steps in ((0, 5), (5, 1), (6, 9)):  # 60 rows of 13: epochs end within batches
        chunk = ChunkSource(jax.tree.map(jnp.asarray, disk.read(key, first, steps)))
        plans = [source.plan(key, jnp.int32(first), 9) for source in (memory, chunk)]  # longer than some chunks
        for n in range(steps):
            batches = [source.batch(plan[n]) for source, plan in zip((memory, chunk), plans, strict=True)]
            for expected, found in zip(*batches, strict=True):
                np.testing.assert_array_equal(found, expected)


@pytest.fixture
def shelf():
    return Shelf(sequences())


@pytest.fixture
def fed(shelf):
    """Chunks of two steps, five steps in all."""
    nothing = SimpleNamespace()
    problem = Problem(DiskSource(shelf, 4), nothing, nothing)
    with feeding(problem, stream(0, DATA), lambda step: min(step // 2 * 2 + 2, 5), 5, jax.device_put) as fed:
        yield fed


def test_the_next_chunk_is_read_while_one_is_learned_from_and_each_once(shelf, fed):
    first = fed(0).train
    assert shelf.read_ahead.wait(SECONDS)  # nobody has asked for it yet
    chunks = [first, *(fed(step).train for step in (2, 4))]
    assert [chunk.batches.inputs.shape[0] for chunk in chunks] == [2, 2, 1]
    assert all(isinstance(chunk.batches.inputs, jax.Array) for chunk in chunks)
    assert len(shelf.asked) == 3 and threading.current_thread().name not in shelf.asked


def test_what_goes_wrong_in_reading_is_raised_where_the_chunk_is_asked_for(shelf, fed):
    fed(0)
    assert shelf.read_ahead.wait(SECONDS)
    shelf.broken = True
    fed(2)  # it was read before
    with pytest.raises(RawDataError, match="row 3 is damaged"):
        fed(4)


def test_a_problem_in_memory_is_given_back_as_it_is():
    problem = Problem(DatasetSource(sequences(), take, 4), None, None)
    with feeding(problem, stream(0, DATA), lambda step: step + 1, 5, jax.device_put) as fed:
        assert fed(0) is problem


@pytest.fixture(scope="module")
def pixels(tiny, tmp_path_factory):
    """A run on digits, prepared in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LSTM_JAX_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        data = DataConfig("digits", batch_size=8, eval_batch_size=300, input_noise=0.1)
        yield replace(tiny(steps=6, eval_every=6), data=data)


def test_a_run_from_disk_is_bitwise_the_run_from_memory_also_when_it_was_interrupted(pixels, monkeypatch, tmp_path):
    whole = train(pixels, tmp_path / "memory", progress=False)
    metrics = (tmp_path / "memory" / "metrics.csv").read_bytes()
    assert train(pixels, tmp_path / "disk", progress=False, from_disk=True) == whole
    assert (tmp_path / "disk" / "metrics.csv").read_bytes() == metrics

    real = loop.save

    def save_and_stop(*words):
        real(*words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "save", save_and_stop)
        train(pixels, tmp_path / "cut", progress=False, from_disk=True)
    assert checkpoint_steps(tmp_path / "cut" / "checkpoints") == [4]
    assert train(pixels, tmp_path / "cut", progress=False, from_disk=True, resume=True) == whole
    assert (tmp_path / "cut" / "metrics.csv").read_bytes() == metrics


def test_what_cannot_be_read_ahead_is_refused_with_what_to_do(pixels, tiny, tmp_path):
    with pytest.raises(UsageError, match="task 'adding' is drawn anew for every batch"):
        load_problem(DataConfig("adding"), from_disk=True)
    with pytest.raises(UsageError, match="read at random, got batching='bucketed'"):
        load_problem(replace(pixels.data, batching="bucketed", cuts=2), from_disk=True)
    with pytest.raises(UsageError, match="2 trials would read the disk each in an order of its own.*data_seed"):
        train(tiny(trials=2), tmp_path / "two", from_disk=True)
    with pytest.raises(UsageError, match="learned from by `train` only"):
        run_population(pixels, problem=load_problem(pixels.data, from_disk=True))
