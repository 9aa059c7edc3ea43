"""Batches cut to a few lengths: the fewest wasted steps, and the same numbers."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import DataConfig
from lstm_jax.train.cuts import at_length, best_cuts, longest_in_batches
from lstm_jax.train.source import load_problem
from lstm_jax.train.step import default_hyper, init_state, make_train_step


def steps_run(lengths, cuts) -> int:
    return sum(min(cut for cut in cuts if cut >= length) for length in lengths)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(1, 4), st.integers(0, 3))
def test_no_other_cuts_waste_fewer_steps(lengths, count, beyond):
    longest = max(lengths) + beyond
    cuts = best_cuts(np.array(lengths), count, longest)
    assert cuts[-1] == longest and len(cuts) <= count and list(cuts) == sorted(set(cuts))
    others = itertools.combinations(range(1, longest), min(count, longest) - 1)  # there are not more lengths
    assert steps_run(lengths, cuts) == min(steps_run(lengths, (*other, longest)) for other in others)


def test_a_batch_is_as_long_as_its_longest_sequence():
    longest = longest_in_batches(np.arange(1, 11), 4)
    assert len(longest) == 3 and longest.max() == 10
    assert sorted(longest_in_batches(np.array([3, 1, 2]), 1)) == [1, 2, 3]


@pytest.mark.parametrize("lengths", [[0, 0], [1, 2], [3, 0], [4, 1], [6, 2]])
def test_a_batch_runs_at_the_shortest_cut_that_holds_it(lengths):
    batch = Batch(jnp.ones((6, 2, 1)), jnp.ones((6, 2, 1)), jnp.asarray(lengths, jnp.int32), jnp.ones((6, 2), bool))
    seen = jax.jit(lambda batch: at_length((2, 3), lambda b: jnp.int32(b.inputs.shape[0]), batch))(batch)
    assert seen == min(cut for cut in (2, 3, 6) if cut >= max(lengths))


def test_a_cut_changes_neither_gradient_nor_noise(tiny):
    config = tiny(variant="V", input_noise=0.3, batch_size=1)
    problem = load_problem(config.data)
    state = init_state(config, problem, 3, default_hyper(config))
    batch = problem.train.batch(jax.random.key(0))
    short = batch._replace(lengths=jnp.int32([4]), loss_mask=jnp.arange(6)[:, None] < 4)
    step = jax.jit(make_train_step(config, problem.loss), static_argnums=2)
    whole, cut = step(state, short, ()), step(state, short, (2, 4))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), cut[0].params, whole[0].params)
    np.testing.assert_allclose(cut[1]["mse"].total, whole[1]["mse"].total, rtol=1e-6)


def test_a_problem_knows_its_cuts_and_sorts_what_it_evaluates():
    configs = (DataConfig("temporal_order", {"length": 40}, 1, eval_size=20, cuts=n) for n in (1, 3))
    plain, cut = map(load_problem, configs)
    assert plain.cuts == () and len(cut.cuts) == 3 and cut.cuts[-1] == cut.length
    lengths = np.asarray(cut.validation.lengths).reshape(-1)
    assert (np.diff(lengths[lengths > 0]) >= 0).all() and len(set(lengths.tolist())) > 3
    np.testing.assert_array_equal(np.sort(lengths), np.sort(np.asarray(plain.validation.lengths).reshape(-1)))
