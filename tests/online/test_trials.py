"""Trials side by side: alone or in company, in one call or in two, and when they count as having learned."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.online import trials as side_by_side
from lstm_jax.online.net import BlockNet
from lstm_jax.online.trials import Goal, Protocol, Score, Trials
from lstm_jax.tasks import TASKS

NET = BlockNet(1, 1, 2, 1, biases=("cells", "gates", "outputs"))
EASY = Protocol(TASKS["two_sequence"](length=6), NET, 1.0, 0.2, (Goal(5), Goal(1, 0.15)), window=20, every=10)
ON_TESTS = replace(EASY, judged="test", window=32)
both = pytest.mark.parametrize("protocol", [EASY, ON_TESTS], ids=["recent", "test"])


def learn(protocol: Protocol, seeds: list[int], *stops: int) -> Trials:
    numbers = jnp.asarray(seeds)
    trials = side_by_side.begin(protocol, numbers)
    for stop in stops:
        trials, _ = side_by_side.advance(protocol, trials, numbers, jnp.int32(stop))
    return trials


def same(one: Trials, other: Trials, lane: int, fields: tuple[str, ...] = Trials._fields) -> None:
    pairs = [(getattr(one, name), getattr(other, name)) for name in fields]
    for a, b in zip(*map(jax.tree.leaves, zip(*pairs, strict=True)), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_array_equal(*((a[..., lane], b[..., lane]) if a.ndim else (a, b)))


@both
def test_a_trial_learns_the_same_whatever_is_beside_it(protocol):
    fields = ("weights", "reached", "met")  # the others go on until every trial has met its goal
    same(learn(protocol, [3, 1, 2, 0], 300), learn(protocol, [3, 7, 8, 9], 300), 0, fields)


@both
def test_two_calls_are_one(protocol):
    one, two = learn(protocol, [0, 1, 2, 3], 300), learn(protocol, [0, 1, 2, 3], 130, 300)
    for lane in range(4):
        same(one, two, lane)


@both
def test_trials_meet_their_goals_in_order_and_then_rest(protocol):
    trials = learn(protocol, [0, 1, 2, 3], 4000)
    met = np.asarray(trials.met)
    assert (met > 0).all() and (met[0] <= met[1]).all()
    assert int(trials.seen) == met[1].max() < 4000
    for n in range(4):  # the weights of a trial that has met its last goal are those that met it
        np.testing.assert_array_equal(trials.weights.hidden[..., n], trials.reached.hidden[1, ..., n])
    if protocol.judged == "test":
        assert (met % protocol.every == 0).all()
    score = side_by_side.examine(protocol, trials.weights, jnp.arange(4), 256)
    assert isinstance(score, Score) and (np.asarray(score.wrong) < 26).all() and (np.asarray(score.mean) < 0.2).all()
    assert (np.asarray(score.rmse) >= np.asarray(score.mean)).all()


def test_a_goal_is_met_by_few_enough_wrong_and_a_small_enough_mean_over_a_whole_window():
    protocol = replace(EASY, goals=(Goal(2), Goal(1, 0.05)), window=4)
    trials = side_by_side.begin(protocol, jnp.arange(4))._replace(seen=jnp.int32(9))
    # trials: never looked at a whole window; one wrong; none wrong but a large mean; all well
    worst = jnp.asarray(
        [[0.1, 0.1, 0.1, 0.1], [0.1, 0.9, 0.1, 0.1], [jnp.inf, 0.1, 0.1, 0.1], [jnp.inf, 0.1, 0.1, 0.1]]
    )
    mean = jnp.asarray([[0.1, 0.1, 0.1, 0.01]] * 4).at[2:, 0].set(jnp.inf)
    wrong = jnp.sum(worst >= protocol.tolerance, axis=0)
    judged = side_by_side._judge(protocol, trials, wrong, jnp.mean(mean, axis=0))
    np.testing.assert_array_equal(judged.met, [[0, 9, 9, 9], [0, 0, 0, 9]])


def test_looking_no_further_than_needed_judges_as_looking_at_all(monkeypatch):
    looked, parts, errors_on = [], list[int](), side_by_side._errors_on

    def spied(protocol, weights, keys, numbers):
        jax.debug.callback(lambda number: looked.append(int(number)), numbers[0])
        return errors_on(protocol, weights, keys, numbers)

    protocol = replace(ON_TESTS, window=64)
    keys = side_by_side.keys_of(jnp.arange(4), side_by_side.JUDGED)
    for seen in (0, 100, 300):  # all wrong; a few; none
        learned = learn(replace(protocol, goals=(Goal(0),)), [0, 1, 2, 3], seen).weights
        trials = side_by_side.begin(protocol, jnp.arange(4))._replace(weights=learned, seen=jnp.int32(seen))
        worst, mean, _ = side_by_side._errors(protocol, trials.weights, keys, protocol.window)
        wrong = np.asarray(worst >= protocol.tolerance).cumsum(axis=0)
        hopeful = (wrong[15::16] < 5).any(axis=1)  # after each part, some trial may still pass
        parts.append(1 + int(np.argmin([*hopeful[:-1], False])))
        want = side_by_side._judge(protocol, trials, jnp.asarray(wrong[-1]), jnp.mean(mean, axis=0))
        monkeypatch.setattr(side_by_side, "_errors_on", spied)
        got = side_by_side._judge_on_tests(protocol, keys, trials)
        monkeypatch.undo()
        jax.effects_barrier()
        np.testing.assert_array_equal(got.met, want.met)
        assert looked == list(range(0, 16 * parts[-1], 16)) and (np.asarray(got.met) > 0).all() == (seen == 300)
        looked.clear()
    assert parts[0] < parts[1] < parts[2] == 4


def test_targets_without_noise_are_what_a_trial_is_judged_by():
    task = TASKS["two_sequence"](length=6, targets="noisy")
    keys = jax.random.split(jax.random.key(0), 8)
    sequence, clean = side_by_side.draw(task, keys)
    assert sequence.xs.shape == (6, 1, 8) and np.unique(clean).tolist() == pytest.approx([0.2, 0.8])
    assert np.abs(np.asarray(sequence.targets) - np.asarray(clean)).min() > 0


def test_symbols_and_classes_become_gathers_and_one_hot_targets():
    task = TASKS["temporal_order"](length=20)
    sequence, _ = side_by_side.draw(task, jax.random.split(jax.random.key(1), 5))
    assert sequence.xs.shape == (22, 5) and sequence.xs.dtype == jnp.int32
    np.testing.assert_array_equal(np.asarray(sequence.targets).sum(0), 1)


def test_a_wrong_name_is_refused_with_the_nearest():
    for record, field, wrong, right in (
        (NET, "feedback", "cell", "cells"),
        (NET, "gates", ("i", "g"), "i"),
        (EASY, "path", "ful", "full"),
        (EASY, "judged", "tests", "test"),
        (EASY, "rule", "slop", "slope"),
    ):
        with pytest.raises(ValueError, match=f"{field}.*known: .*{right}"):
            replace(record, **{field: wrong})
