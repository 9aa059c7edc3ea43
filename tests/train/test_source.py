"""Batches are functions of (seed, step); every example is seen once an epoch; evaluation covers every row once."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.datasets.sequences import Sequences, take
from lstm_jax.names import UsageError
from lstm_jax.tasks import TASKS
from lstm_jax.train.config import DataConfig
from lstm_jax.train.held_out import evaluation_sets
from lstm_jax.train.source import DATA, TEST, VALIDATION, DatasetSource, TaskSource, load_problem, stream


def sequences(count, steps=3):
    """Row n holds the number n everywhere."""
    rows = np.arange(count, dtype=np.float32)
    return Sequences(
        np.broadcast_to(rows[:, None, None], (count, steps, 1)),
        np.broadcast_to(rows[:, None].astype(np.int32), (count, steps)),
        np.full(count, steps, np.int32),
        np.ones((count, steps), bool),
    )


def dataset(count, batch_size):
    return DatasetSource(jax.tree.map(jnp.asarray, sequences(count)), take, batch_size)


@pytest.mark.parametrize(("count", "batch_size"), [(7, 3), (4, 4), (3, 8), (1, 2), (10, 1)])
def test_every_example_is_seen_once_an_epoch(count, batch_size):
    source = dataset(count, batch_size)
    steps = 3 * count
    seen = np.asarray(source.plan(stream(1, DATA), jnp.int32(0), steps)).reshape(-1, count)
    np.testing.assert_array_equal(np.sort(seen, axis=1), np.broadcast_to(np.arange(count), seen.shape))
    assert count < 3 or (seen != seen[0]).any(), "every epoch has the same order"


@pytest.mark.parametrize("source", [dataset(7, 3), TaskSource(TASKS["adding"](length=6), 2)])
def test_a_plan_in_pieces_is_the_whole_plan(source):
    key = stream(3, DATA)
    whole = source.plan(key, jnp.int32(0), 11)
    pieces = [source.plan(key, jnp.int32(first), steps) for first, steps in ((0, 4), (4, 1), (5, 6))]
    as_data = jax.random.key_data if jnp.issubdtype(whole.dtype, jax.dtypes.prng_key) else np.asarray
    np.testing.assert_array_equal(as_data(whole), np.concatenate([as_data(piece) for piece in pieces]))


def test_other_seeds_and_purposes_have_other_keys():
    keys = [stream(seed, purpose) for seed in (0, 1) for purpose in range(5)]
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 10


def test_a_batch_of_rows_is_time_major():
    batch = dataset(5, 2).batch(jnp.array([4, 1]))
    assert batch.inputs.shape == (3, 2, 1)
    np.testing.assert_array_equal(batch.targets, np.broadcast_to([4, 1], (3, 2)))


@pytest.mark.parametrize(("count", "size"), [(5, 2), (4, 2), (3, 10)])
def test_evaluation_sees_every_row_once_and_blanks_count_nothing(count, size):
    batches, _ = evaluation_sets(DataConfig(eval_batch_size=size), sequences(count), sequences(1))
    real = np.asarray(batches.loss_mask).all(axis=1)
    np.testing.assert_array_equal(np.asarray(batches.targets)[:, 0][real], np.arange(count))
    np.testing.assert_array_equal(np.asarray(batches.lengths) == 0, ~real)
    assert not np.asarray(batches.loss_mask).any(axis=1)[~real].any()


def test_validation_test_and_training_sets_are_disjoint():
    config = DataConfig("adding", {"length": 8}, batch_size=50, eval_size=50)
    problem = load_problem(config)
    training = problem.train.batch(problem.train.plan(stream(0, DATA), jnp.int32(0), 1)[0])
    sets = [problem.validation.inputs[0], problem.test.inputs[0], training.inputs]
    rows = [{tuple(row.tolist()) for row in np.asarray(inputs[..., 0]).T} for inputs in sets]
    assert [len(part) for part in rows] == [50, 50, 50]
    assert len(set.union(*rows)) == 150
    assert len({VALIDATION, TEST, DATA}) == 3


def test_validation_and_test_sets_do_not_depend_on_the_training_batch_size():
    sets = [load_problem(DataConfig("adding", {"length": 8}, batch_size=size, eval_size=6)) for size in (2, 3)]
    jax.tree.map(np.testing.assert_array_equal, *[(problem.validation, problem.test) for problem in sets])


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'adding'"):
        load_problem(DataConfig("addin"))


def test_an_unknown_option_is_named():
    with pytest.raises(ValueError, match="'adding' has no option 'lenght'; did you mean 'length'"):
        load_problem(DataConfig("adding", {"lenght": 3}))


def test_the_test_set_alone_may_hold_longer_sequences():
    config = DataConfig("parity", {"length": 5}, test_options={"length": 9, "shortest": 8}, eval_size=20)
    longer, usual = load_problem(config), load_problem(DataConfig("parity", {"length": 5}, eval_size=20))
    assert set(np.asarray(longer.test.lengths).ravel().tolist()) <= {0, 9, 10}  # with the question mark
    assert longer.length == usual.length == 6 and longer.train == usual.train
    np.testing.assert_array_equal(longer.validation.lengths, usual.validation.lengths)
    np.testing.assert_array_equal(longer.validation.inputs[:, :6], usual.validation.inputs)
    assert load_problem(DataConfig("parity", {"length": 9, "shortest": 8}, eval_size=20)).test.inputs.shape[1] == 10


def rows_of(inputs):
    """Every sequence ``(T, B, I)`` as the tuple of its numbers."""
    return [tuple(row.ravel().tolist()) for row in np.asarray(inputs).swapaxes(0, 1)]


def test_a_task_may_be_learned_from_a_few_sequences_the_same_for_every_seed():
    config = DataConfig("adding", {"length": 8}, batch_size=5, eval_size=20, train_size=15)
    problem = load_problem(config)
    seen = []
    for seed in (0, 7):
        plan = problem.train.plan(stream(seed, DATA), jnp.int32(0), 6)
        epochs = [sum((rows_of(problem.train.batch(item).inputs) for item in plan[n : n + 3]), []) for n in (0, 3)]
        assert len(set(epochs[0])) == 15 and set(epochs[0]) == set(epochs[1]) and epochs[0] != epochs[1]
        seen.append(set(epochs[0]))
    assert seen[0] == seen[1]
    endless = load_problem(replace(config, train_size=None))
    held_out = rows_of(problem.validation.inputs[0]) + rows_of(problem.test.inputs[0])
    assert len(seen[0].union(held_out)) == 15 + 40
    assert held_out == rows_of(endless.validation.inputs[0]) + rows_of(endless.test.inputs[0])
    (batch,) = (endless.train.batch(item) for item in endless.train.plan(stream(0, DATA), jnp.int32(0), 1))
    assert not seen[0].intersection(rows_of(batch.inputs))


def test_a_task_of_a_few_sequences_has_cuts_buckets_and_packed_rows_as_data_sets_have():
    config = DataConfig("parity", {"length": 12}, batch_size=4, eval_size=8, train_size=40, cuts=3)
    cut, bucketed = load_problem(config), load_problem(replace(config, batching="bucketed"))
    packed = load_problem(replace(config, batching="packed", cuts=1))
    assert len(cut.cuts) == 3 and packed.train.sequences.lengths.shape[1] > 1
    assert packed.wasted_share(stream(0, DATA)) < bucketed.wasted_share(stream(0, DATA))
    valid = [np.asarray(problem.train.sequences.lengths).sum() for problem in (cut, bucketed, packed)]
    assert valid[0] == valid[1] == valid[2]


def test_a_training_set_of_no_size_is_refused():
    with pytest.raises(ValueError, match="train_size must be"):
        DataConfig("adding", train_size=0)
    with pytest.raises(UsageError, match="its own training part, got train_size; leave it out"):
        load_problem(DataConfig("digits", train_size=10))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig("tiny_shakespeare", test_options={"window": 9}), "its own test part"),
        (DataConfig("temporal_order", test_options={"relevant": 3}), "output_size 4 and 8"),
        (DataConfig("parity", test_options={"lenght": 3}), "no option 'lenght'; did you mean 'length'"),
    ],
)
def test_a_test_set_of_another_kind_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        load_problem(config)


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        evaluation_sets(DataConfig(), sequences(3), sequences(0))


def test_sets_of_other_sizes_and_lengths_share_one_shape():
    short, long = evaluation_sets(DataConfig(), sequences(4, steps=2), sequences(5, steps=7))
    assert short.inputs.shape == long.inputs.shape == (1, 7, 5, 1)
    assert np.asarray(short.loss_mask).sum() == 4 * 2 and np.asarray(short.lengths).tolist() == [[2, 2, 2, 2, 0]]
