"""Bucketed and packed batches: the numbers of one sequence after the other, and as much padding as is said."""

from __future__ import annotations

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_jax.datasets import DATASETS, take
from lstm_jax.datasets.packing import pack
from lstm_jax.datasets.sequences import Sequences, label_each, next_step
from lstm_jax.names import UsageError
from lstm_jax.train import source as problems
from lstm_jax.train.batching import BucketSource, DatasetSource, wasted_share
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from lstm_jax.train.cuts import at_length
from lstm_jax.train.loop import train
from lstm_jax.train.network import init_network
from lstm_jax.train.source import DATA, load_problem, stream
from lstm_jax.train.step import gradient_sums

T = 8
LENGTHS = st.lists(st.integers(1, T), min_size=4, max_size=4)


def rolls(lengths: list[int], seed: int = 0) -> Sequences:
    """Sequences whose every step predicts the next, padded to T with what must never be read."""
    rng = np.random.default_rng(seed)
    part = next_step([rng.standard_normal((n + 1, 2)) for n in [*lengths, T]])
    part = Sequences(*(array[:-1] for array in part))
    beyond = np.arange(T)[None, :, None] >= part.lengths[:, None, None]
    return part._replace(inputs=np.where(beyond, np.nan, part.inputs).astype(np.float32))


@cache
def gradient(variant: str, bidirectional: bool):
    """Loss and gradient of the sum, compiled; the network is drawn once."""
    config = Config(ModelConfig(variant, 3, bidirectional=bidirectional, num_layers=2))
    network = init_network(jax.random.key(1), config.model, 2, 2)
    sums = gradient_sums(config, "squared_error")

    @partial(jax.jit, static_argnums=1)
    def run(batch, cuts=()):
        gradients, metrics, _ = at_length(cuts, partial(sums, network), batch)
        return gradients, metrics["mse"]

    return run


def one_by_one(run, part: Sequences):
    """The sum over batches of one sequence each, at its own length and no step more."""
    batches = [take(part, np.array([n])) for n in range(len(part.lengths))]
    found = []
    for batch, n in zip(batches, part.lengths, strict=True):
        found.append(run(batch._replace(inputs=batch.inputs[:n], targets=batch.targets[:n],
                                        loss_mask=batch.loss_mask[:n])))  # fmt: skip
    return jax.tree.map(lambda *leaves: sum(leaves), *found)


def close(got, want) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=3e-5, atol=3e-6), got, want)


@pytest.mark.parametrize(("variant", "bidirectional"), [("V", False), ("GRU", True)])
@settings(max_examples=8)
@given(lengths=LENGTHS)
def test_packed_rows_give_loss_and_gradient_of_one_by_one(variant, bidirectional, lengths):
    part, run = rolls(lengths), gradient(variant, bidirectional)
    packed = pack(part._replace(inputs=np.nan_to_num(part.inputs)), 2 * T)
    rows, most = 4, 4  # one shape, one program
    grown = Sequences(*(np.pad(a, [(0, rows - len(a))] + [(0, 0)] * (a.ndim - 1)) for a in packed))
    lengths_of = np.pad(grown.lengths, [(0, 0), (0, most - grown.lengths.shape[1])])
    beyond = np.arange(2 * T)[None, :, None] >= lengths_of.sum(1)[:, None, None]
    dirty = np.where(beyond, np.nan, grown.inputs)
    close(run(take(Sequences(dirty, grown.targets, lengths_of, grown.loss_mask), np.arange(rows))),
          one_by_one(run, part))  # fmt: skip


@settings(max_examples=8)
@given(lengths=LENGTHS)
def test_bucketed_batches_give_loss_and_gradient_of_one_by_one(lengths):
    part, run = rolls(lengths), gradient("V", False)
    cuts = (3, 5, T)
    bucket = jnp.asarray(np.searchsorted(cuts, part.lengths))
    source = BucketSource(jax.tree.map(jnp.asarray, part), bucket, take, 2)
    plan = source.plan(jax.random.key(0), jnp.int32(0), 2)
    found = [run(source.batch(item), cuts) for item in plan]
    close(jax.tree.map(lambda *leaves: sum(leaves), *found), one_by_one(run, part))


@cache
def bucketed(count: int, size: int) -> tuple[BucketSource, np.ndarray]:
    part = rolls([*np.random.default_rng(count).integers(1, T + 1, count)])
    bucket = np.searchsorted((3, 5, T), part.lengths)
    return BucketSource(jax.tree.map(jnp.asarray, part), jnp.asarray(bucket), take, size), bucket


@pytest.mark.parametrize(("count", "size"), [(23, 4), (12, 3), (4, 4)])
def test_an_epoch_sees_no_row_twice_and_mixes_buckets_where_they_meet_only(count, size):
    source, bucket = bucketed(count, size)
    each = count // size
    plan = np.asarray(source.plan(jax.random.key(3), jnp.int32(0), 3 * each))
    for epoch in plan.reshape(3, -1):
        assert len(set(epoch.tolist())) == each * size
        spread = np.array([len(set(rows)) for rows in bucket[epoch.reshape(each, size)].tolist()])
        assert (spread - 1).sum() <= 2
    if each > 1:
        assert (plan[:each] != plan[each : 2 * each]).any()
    left = [set(range(count)) - set(epoch.tolist()) for epoch in plan.reshape(3, -1)]
    assert count % size == 0 or left[0] != left[1] or left[1] != left[2]


def test_a_plan_is_a_function_of_the_step_alone():
    source, _ = bucketed(23, 4)
    whole = np.asarray(source.plan(jax.random.key(3), jnp.int32(0), 20))
    for first, steps in ((0, 7), (7, 4), (11, 9)):
        np.testing.assert_array_equal(source.plan(jax.random.key(3), jnp.int32(first), steps),
                                      whole[first : first + steps])  # fmt: skip


def test_the_wasted_share_is_counted_batch_by_batch():
    part = rolls([1, 1, 4, 8])
    source = DatasetSource(jax.tree.map(jnp.asarray, part), take, 4)
    key = jax.random.key(0)
    assert wasted_share(source, (), key) == pytest.approx(1 - 14 / 32)
    assert wasted_share(DatasetSource(source.sequences, take, 1), (1, 4, 8), key) == 0
    assert wasted_share(DatasetSource(source.sequences, take, 1), (4, 8), key) == pytest.approx(1 - 14 / 20)
    alike = BucketSource(source.sequences, jnp.array([0, 0, 1, 1]), take, 2)
    assert wasted_share(alike, (1, 8), key) == pytest.approx(1 - 14 / 18)
    packed = jax.tree.map(jnp.asarray, pack(part._replace(inputs=np.nan_to_num(part.inputs))))
    assert wasted_share(DatasetSource(packed, take, 2), (), key) == pytest.approx(1 - 14 / 16)
    whole = DatasetSource(jax.tree.map(jnp.asarray, rolls([T, T])), take, 1)
    assert wasted_share(whole, (), key) == 0


@pytest.fixture
def clips(monkeypatch):
    """``digits`` as sequences of 1 to 40 steps, half of them short."""
    rng = np.random.default_rng(0)
    lengths = np.where(rng.random(60) < 0.5, rng.integers(1, 6, 60), rng.integers(6, 41, 60))
    lengths[0] = 40
    part = label_each([rng.standard_normal((n, 1)) for n in lengths], rng.integers(0, 10, 60))
    monkeypatch.setattr("lstm_jax.datasets.load", lambda *_, **__: part)
    return DATASETS["digits"], part


def test_buckets_and_packing_waste_less_than_padding(clips):
    share = {}
    for way, cuts in (("random", 1), ("bucketed", 4), ("packed", 1)):
        problem = load_problem(DataConfig("digits", batch_size=5, batching=way, cuts=cuts))
        share[way] = problem.wasted_share(stream(0, DATA))
        assert len(problem.cuts) == (4 if way == "bucketed" else 0) and problem.length == 40
        assert problem.validation.lengths.shape[0] >= 1 and problem.validation.lengths.ndim == 2
    assert share["random"] > 0.5 > 0.35 > share["bucketed"] > share["packed"]
    assert load_problem(DataConfig("adding", {"length": 6})).wasted_share(stream(0, DATA)) is None


@pytest.mark.parametrize(("way", "cuts"), [("bucketed", 2), ("packed", 1)])
def test_training_says_what_is_wasted(clips, way, cuts, tmp_path, capsys):
    every = TrainConfig(steps=4, log_every=2, eval_every=4, checkpoint_every=2)
    config = Config(ModelConfig("NP", 3), data=DataConfig("digits", (), 4, batching=way, cuts=cuts), train=every)
    summary = train(config, tmp_path / "run")
    share = load_problem(config.data).wasted_share(stream(0, DATA))
    assert f"{share:.1%} of the steps computed in an epoch are padding" in capsys.readouterr().err
    assert summary.steps_run == [4] and summary.test["nll"][0] > 0


def test_what_does_not_go_together_says_so(monkeypatch, clips):
    for way, cuts in (("bucketed", 1), ("packed", 2)):
        with pytest.raises(ValueError, match=f"got batching='{way}' and cuts={cuts}"):
            DataConfig("digits", batching=way, cuts=cuts)
    with pytest.raises(ValueError, match="batching"):
        DataConfig("digits", batching="sorted")
    with pytest.raises(ValueError, match="no fixed number of sequences"):
        Config(optimizer=OptimizerConfig(average="sequences"), data=DataConfig("digits", batching="packed"))
    with pytest.raises(UsageError, match="task 'adding' draws all anew"):
        load_problem(DataConfig("adding", batching="bucketed", cuts=2))
    with pytest.raises(UsageError, match="60 sequences fill no batch of 64"):
        load_problem(DataConfig("digits", batch_size=64, batching="bucketed", cuts=2))
    symbols = clips[1]._replace(inputs=np.zeros((60, 40), np.int32))
    monkeypatch.setattr("lstm_jax.datasets.load", lambda *_, **__: symbols)
    with pytest.raises(UsageError, match="symbols take no noise"):
        problems.load_problem(DataConfig("digits", input_noise=0.1))
