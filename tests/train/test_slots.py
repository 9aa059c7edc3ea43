"""Many trials through few slots: each is the run that its config names, whoever ran beside it."""

from __future__ import annotations

import dataclasses
import gc

import jax
import numpy as np
import pytest

from lstm_jax.names import UsageError
from lstm_jax.train.population import run_population
from lstm_jax.train.slots import _begin, run_trials, side_by_side, trial_bytes
from lstm_jax.train.source import load_problem


def configs_of(tiny, count, placement="map", sizes=(4,), rates=(0.02,), **changes):
    base = tiny(placement=placement, **{"data_seed": 0, "clip_norm": None, "patience": 2, **changes})
    return [
        dataclasses.replace(
            base,
            model=dataclasses.replace(base.model, hidden_size=sizes[n % len(sizes)], width=max(sizes)),
            optimizer=dataclasses.replace(base.optimizer, learning_rate=rates[n % len(rates)]),
            train=dataclasses.replace(base.train, seed=n),
        )
        for n in range(count)
    ]


def run(configs, problem, **options):
    outcomes = {}
    run_trials(configs, problem, outcomes.__setitem__, **options)
    assert sorted(outcomes) == list(range(len(configs)))
    return [outcomes[n] for n in range(len(configs))]


@pytest.fixture(scope="module")
def problem(tiny):
    return load_problem(tiny().data)


def told(outcome):
    """Everything but the clock."""
    return jax.tree.map(np.asarray, {**dataclasses.asdict(outcome), "seconds": 0.0})


def test_a_trial_is_bitwise_the_same_alone_and_in_company(tiny, problem, assert_same_bits):
    configs = configs_of(tiny, 6, sizes=(4, 3), rates=(0.02, 3e38, 0.01))
    together = run(configs, problem)
    assert [outcome.diverged for outcome in together] == [False, True, False] * 2
    for n in (0, 2, 5):
        (alone,) = run(configs[n : n + 1], problem)
        assert_same_bits(told(alone), told(together[n]))


def test_more_trials_than_slots_wait_for_a_free_one(tiny, problem, assert_same_bits):
    configs = configs_of(tiny, 7, rates=(0.02, 3e38))
    few, many = (run(configs, problem, slots=slots) for slots in (1, 8))
    assert_same_bits([told(outcome) for outcome in few], [told(outcome) for outcome in many])


def test_a_shorter_last_chunk_of_one_trial_leaves_the_others_alone(tiny, problem, assert_same_bits):
    configs = configs_of(tiny, 6, rates=(0.02, 3e38, 0.01), steps=14)
    together = run(configs, problem, slots=4)
    assert [outcome.steps for outcome in together] == [14, 1, 14] * 2
    for n in (0, 3, 5):
        assert_same_bits(told(run(configs[n : n + 1], problem)[0]), told(together[n]))


@pytest.mark.parametrize("slots", [None, 4])
def test_side_by_side_and_one_after_another_agree_to_rounding(tiny, problem, slots):
    """Ten trials side by side, in one generation or in three, of which most end early and are packed away."""
    rates = (0.02, 3e38, 3e38)
    one, other = (run(configs_of(tiny, 10, p, (4, 3), rates), problem, slots=slots) for p in ("map", "vmap"))
    for a, b in zip(one, other, strict=True):
        assert (a.diverged, a.steps, a.best_step, a.parameters) == (b.diverged, b.steps, b.best_step, b.parameters)
        np.testing.assert_allclose(a.test["mse"], b.test["mse"], rtol=1e-3)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=1e-5), a.network, b.network)


def test_a_trial_gives_what_a_population_of_one_gives(tiny, problem):
    (config,) = configs_of(tiny, 1, data_seed=None)
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, width=None))
    (outcome,) = run([config], problem)
    expected = run_population(config, problem=problem)
    assert (outcome.best_step, outcome.steps) == (expected.best_step[0], expected.steps_run[0])
    np.testing.assert_allclose(outcome.test["mse"], expected.test["mse"][0], rtol=1e-5)
    assert outcome.parameters == expected.parameters


def test_early_stopping_frees_the_slot(tiny, problem):
    configs = configs_of(tiny, 3, rates=(0.0,), steps=40, eval_every=4, patience=2)
    assert [outcome.steps for outcome in run(configs, problem)] == [12, 12, 12]


def test_progress_tells_who_runs_and_how_far(tiny, problem):
    seen = []
    run_trials(configs_of(tiny, 5), problem, lambda n, outcome: None, seen.append, slots=4)
    assert [one.trial for one in seen[0]] == [0, 1, 2, 3] and {one.step for one in seen[0]} == {4}
    assert np.isfinite([one.validation for one in seen[0]]).all()
    assert [one.trial for one in seen[-1]] == [4]


def test_no_trial_after_the_first_compiles_its_training_again(tiny, problem):
    from lstm_jax.train.parallel import build_program

    configs = configs_of(tiny, 6, sizes=(5, 3, 2))
    run(configs, problem)
    program = build_program(configs[0], problem.loss)
    assert program is build_program(configs[1], problem.loss)
    assert program.advance._cache_size() == 1 and program.evaluate._cache_size() == 1


def test_what_cannot_share_a_program_is_refused(tiny, problem):
    one, other = configs_of(tiny, 1)[0], configs_of(tiny, 1, sizes=(6,))[0]
    with pytest.raises(ValueError, match="config 1 needs another program than config 0"):
        run_trials([one, other], problem, lambda n, outcome: None)
    with pytest.raises(ValueError, match="at least one config"):
        run_trials([], problem, lambda n, outcome: None)
    with pytest.raises(ValueError, match="number 0 has trials=2"):
        run_trials([dataclasses.replace(one, train=dataclasses.replace(one.train, trials=2))], problem, print)
    with pytest.raises(ValueError, match="slots must be an integer >= 1, got 0"):
        run_trials([one], problem, print, slots=0)


def test_noise_on_symbols_is_refused_although_the_problem_was_loaded_without_it(tiny, problem):
    (config,) = configs_of(tiny, 1)
    noisy = dataclasses.replace(config, data=dataclasses.replace(config.data, input_noise=0.5))
    symbols = problem.validation._replace(inputs=problem.validation.inputs.astype(np.int32))
    with pytest.raises(UsageError, match="symbols take no noise, got input_noise=0.5"):
        run_trials([noisy], dataclasses.replace(problem, validation=symbols), print)


def test_the_estimate_of_memory_grows_with_the_network(tiny, problem):
    small, large = (trial_bytes(configs_of(tiny, 1, sizes=(size,))[0], problem) for size in (4, 40))
    assert 0 < small < large < 2**24


def test_as_many_trials_run_at_a_time_as_fit_into_a_device(tiny, problem):
    class Device:
        platform = "gpu"

        def __init__(self, trials):
            self.limit = trials and int(trials * trial_bytes(configs[0], problem) / 0.8) + 1

        def memory_stats(self):
            return {"bytes_limit": self.limit} if self.limit else None

    configs = configs_of(tiny, 9, "vmap")
    assert [side_by_side(configs, problem, [Device(n)]) for n in (0.1, 1, 2.5, 7, 40)] == [1, 1, 2, 7, 9]
    assert side_by_side(configs, problem, [Device(2)] * 3) == 6
    assert side_by_side(configs, problem, [Device(None)]) == 9, "8 GiB hold these"
    assert side_by_side(configs_of(tiny, 9), problem, [Device(7)]) == 1, "one after another"


def test_trials_that_would_each_fill_all_devices_are_refused(tiny):
    config = tiny()
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, parallel="shard_map"))
    with pytest.raises(UsageError, match="one by one, got parallel='shard_map'"):
        run_trials([config], None, print)


def test_a_search_over_many_sizes_keeps_few_programs(tiny, problem):
    """Each size is drawn by a program of its own; one that kept them all would end at the bound on memory maps."""

    def programs_after(sizes):
        options = {"sizes": (*sizes, 40), "initializer": "odyssey"}
        for config in configs_of(tiny, len(sizes), **options):
            _begin(config, problem)
        gc.collect()
        return len(jax.local_devices()[0].client.live_executables())

    few = programs_after(range(3, 13))
    assert programs_after(range(13, 18)) <= few
