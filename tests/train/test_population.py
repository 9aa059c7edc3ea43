"""N trials in one program are N single runs: same numbers, no trial touches another, no second compilation."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.names import UsageError
from lstm_jax.train.loop import train
from lstm_jax.train.objective import divide
from lstm_jax.train.parallel import build_program, devices_for
from lstm_jax.train.population import run_population, stack_hypers
from lstm_jax.train.program import begin, fill
from lstm_jax.train.source import load_problem
from lstm_jax.train.step import Hyper
from lstm_jax.train.trials import Best, Trials, judge

NORMAL, EXPLOSIVE = Hyper(0.02, 0.9, 0.0), Hyper(float("inf"), 0.9, 0.0)


@pytest.fixture(scope="module")
def problem(tiny):
    return load_problem(tiny().data)


@pytest.fixture(scope="module")
def five(tiny, problem):
    """Five trials on four devices: the share of the last ones is filled with frozen copies."""
    return run_population(tiny(), range(5), problem=problem)


def test_a_trial_is_the_same_alone_and_in_company(tiny, problem, five, assert_same_bits):
    alone = run_population(tiny(), [3], problem=problem)
    assert_same_bits(
        (alone.params, alone.curve, alone.loss, alone.test),
        jax.tree.map(lambda leaf: leaf[3:4], (five.params, five.curve, five.loss, five.test)),
    )
    assert len(np.unique(five.curve[:, -1])) == 5, "all seeds gave the same"


def test_side_by_side_and_one_after_another_agree(tiny, problem, five):
    side_by_side = run_population(tiny(placement="vmap"), range(5), problem=problem)
    np.testing.assert_allclose(side_by_side.curve, five.curve, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), side_by_side.params, five.params)


@pytest.mark.parametrize("placement", ["map", "vmap"])
def test_a_diverging_trial_never_touches_another(tiny, problem, assert_same_bits, placement):
    config = tiny(placement=placement, clip_norm=None)
    seeds = list(range(5))
    sane = run_population(config, seeds, [NORMAL] * 5, problem=problem)
    mixed = run_population(config, seeds, [NORMAL, EXPLOSIVE, NORMAL, NORMAL, NORMAL], problem=problem)
    assert mixed.diverged.tolist() == [False, True, False, False, False]
    assert mixed.steps_run.tolist() == [12, 1, 12, 12, 12]
    others = np.array([0, 2, 3, 4])
    pick = lambda result: jax.tree.map(lambda leaf: leaf[others], (result.params, result.curve, result.test))  # noqa: E731
    assert_same_bits(pick(mixed), pick(sane))
    assert mixed.best_step[1] == 0 and np.isnan(mixed.test["mse"][1]), "an untrained network's score is no result"
    assert np.isnan(mixed.curve[1]).all(), "nor what its first weights give at steps that it did not reach"
    assert all(np.isfinite(leaf[1]).all() for leaf in jax.tree.leaves(mixed.params)), "its weights stayed as they were"


def test_divergence_may_be_an_error_that_names_seed_and_step(tiny, problem):
    config = tiny(nan_policy="raise", clip_norm=None)
    with pytest.raises(FloatingPointError, match="seed 7, step 1"):
        run_population(config, [2, 7], [NORMAL, EXPLOSIVE], problem=problem)


def test_no_chunk_after_the_first_is_traced_again(tiny, problem):
    config = tiny(hidden_size=3)
    program = build_program(config, problem.loss)
    assert build_program(tiny(hidden_size=3, seed=9, trials=2, learning_rate=0.5, patience=3), problem.loss) is program
    assert build_program(tiny(hidden_size=3, input_noise=0.1), problem.loss) is not program
    run_population(config, [0, 1, 8, 9], problem=problem)
    run_population(config, [2, 3, 4, 5], problem=problem)
    assert program.advance._cache_size() == 1
    assert program.evaluate._cache_size() == 1
    assert program.init._cache_size() == 1


def test_chunks_of_all_lengths_are_one_program_and_change_no_bit(tiny, problem, tmp_path, assert_same_bits):
    """Rows after 5, looks after 4 and checkpoints after 3 updates: chunks of 3, 1, 1, 1, 2 ..."""
    config = tiny(hidden_size=3, log_every=5, checkpoint_every=3)
    program = build_program(config, problem.loss, devices_for(config, 1))
    traced = program.advance._cache_size()
    summary = train(config, tmp_path, progress=False)
    assert program.advance._cache_size() == traced + 1
    whole = run_population(config, [0], problem=problem)
    assert summary.validation == whole.validation.tolist()


def test_a_trial_has_one_device_and_a_split_batch_has_all(tiny):
    everything = jax.local_devices()
    assert len(everything) == 4
    assert devices_for(tiny(), 1) == everything[:1] and devices_for(tiny(), 3) == everything[:3]
    assert devices_for(tiny(), 9) == everything
    assert devices_for(tiny(parallel="shard_map"), 1) == everything


def test_early_stopping_waits_for_patience_and_keeps_the_best(tiny, problem):
    program = build_program(tiny(), problem.loss)
    trials = begin(program, program.place(problem), [0, 1, 2, 3], stack_hypers(tiny(), 4, None))
    scores = np.array([[1.0, 2.0, 1.5, 1.4, 0.1], [5.0, 4.0, 3.0, 2.0, 1.0], [np.nan] * 5, [1.0, 1.0, 0.5, 0.6, 0.7]])
    seen = []
    for n, column in enumerate(scores.T):
        marked = jax.tree.map(lambda leaf, mark=n: jnp.full_like(leaf, mark), trials.state.params)
        state = trials.state._replace(params=marked, step=jnp.full((4,), n, jnp.int32))
        trials = judge(Trials(state, trials.best), jnp.float32(column), higher_is_better=False, patience=2)
        seen.append(np.asarray(trials.state.active))
    assert np.array(seen).T.tolist() == [
        [True, True, False, False, False],
        [True] * 5,
        [True, False, False, False, False],
        [True, True, True, True, False],
    ]
    assert trials.best.value.tolist() == [1.0, 1.0, np.inf, 0.5]
    assert trials.best.step.tolist() == [0, 4, 0, 2]
    assert np.asarray(trials.best.params.readout.b)[[0, 1, 3], 0].tolist() == [0, 4, 2]


def test_higher_may_be_better(tiny, problem):
    best = Best(jnp.float32([0.5, 0.5]), jnp.int32([1, 1]), jnp.int32([0, 0]), jnp.zeros((2, 1)))
    program = build_program(tiny(), problem.loss)
    state = begin(program, program.place(problem), [0, 1, 2, 3], stack_hypers(tiny(), 4, None)).state
    state = jax.tree.map(lambda leaf: leaf[:2], state)._replace(params=jnp.ones((2, 1)))
    after = judge(Trials(state, best), jnp.float32([0.6, 0.4]), higher_is_better=True, patience=None)
    np.testing.assert_allclose(after.best.value, [0.6, 0.5])
    assert after.best.params.tolist() == [[1], [0]]


@pytest.mark.parametrize("higher", [True, False])
def test_to_be_as_good_again_is_no_gain(tiny, problem, higher):
    program = build_program(tiny(), problem.loss)
    trials = begin(program, program.place(problem), [0, 1, 2, 3], stack_hypers(tiny(), 4, None))
    if higher:
        trials = trials._replace(best=trials.best._replace(value=jnp.full(4, -jnp.inf)))
    active = []
    for n in range(3):
        state = trials.state._replace(step=jnp.full((4,), n, jnp.int32))
        same = jnp.full(4, 1.0)  # an accuracy of 1, say
        trials = judge(Trials(state, trials.best), same, higher_is_better=higher, patience=2)
        active.append(bool(trials.state.active.all()))
    assert active == [True, True, False] and trials.best.step.tolist() == [0] * 4


def test_a_stopped_trial_never_changes_again(tiny, problem, assert_same_bits):
    program = build_program(tiny(), problem.loss)
    placed = program.place(problem)
    trials = begin(program, placed, [0, 1, 2, 3], stack_hypers(tiny(), 4, None))
    state = trials.state._replace(active=jnp.array([True, False, True, True]))
    before = jax.tree.map(np.array, state)
    after, metrics = program.advance(state, placed, jnp.int32(0), 4, 4)
    row = lambda tree, n: jax.tree.map(lambda leaf: np.asarray(leaf)[n], tree)  # noqa: E731
    assert_same_bits(row(after, 1), row(before, 1))
    assert np.isnan(divide(metrics["mse"])[1]) and after.step.tolist() == [4, 0, 4, 4]


def test_early_stopping_never_looks_at_the_test_set(tiny, problem, assert_same_bits):
    config = tiny(patience=1)
    poisoned = dataclasses.replace(
        problem, test=problem.test._replace(targets=jnp.full_like(problem.test.targets, jnp.nan))
    )
    clean, dirty = (run_population(config, range(4), problem=p) for p in (problem, poisoned))
    assert np.isnan(dirty.test["mse"]).all() and np.isfinite(clean.test["mse"]).all()
    assert_same_bits((clean.params, clean.curve, clean.best_step), (dirty.params, dirty.curve, dirty.best_step))


def test_it_learns(problem, tiny):
    config = tiny(steps=600, eval_every=200, hidden_size=8, batch_size=16, learning_rate=0.02)
    result = run_population(config, range(4))
    assert (result.test["mse"] < 0.02).all(), result.test
    assert (result.curve[:, -1] < result.curve[:, 0]).all()


def test_hypers_must_fit_the_seeds(tiny, problem):
    with pytest.raises(ValueError, match="each of the 2 seeds"):
        run_population(tiny(), [0, 1], [NORMAL], problem=problem)
    with pytest.raises(ValueError, match="at least one seed"):
        run_population(tiny(), [], problem=problem)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True])
def test_an_impossible_seed_is_named(tiny, problem, seed):
    with pytest.raises(ValueError, match=rf"from 0 to 2\*\*32 - 1, got {seed}"):
        run_population(tiny(), [0, seed], problem=problem)


def test_filling_repeats_the_last_row(tiny, problem):
    program = build_program(tiny(), problem.loss)
    assert program.devices == 4
    assert fill(program, np.arange(5), 5).tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert fill(program, np.arange(4), 4).tolist() == [0, 1, 2, 3]


def test_cells_that_only_a_study_pads_are_refused(tmp_path, tiny):
    config = tiny()
    padded = dataclasses.replace(config, model=dataclasses.replace(config.model, width=2 * config.model.hidden_size))
    with pytest.raises(UsageError, match="leave width out"):
        train(padded, tmp_path / "padded", progress=False)
    with pytest.raises(UsageError, match="leave width out"):
        run_population(padded)
    assert not (tmp_path / "padded").exists()


def test_several_seeds_of_a_spread_batch_are_refused(tiny):
    config = tiny()
    spread = dataclasses.replace(config, train=dataclasses.replace(config.train, parallel="shard_map"))
    with pytest.raises(UsageError, match="give one seed"):
        run_population(spread, seeds=[0, 1])
