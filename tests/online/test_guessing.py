"""Random guessing: the net against NumPy, the first right guess against trying them one by one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.online import guessing, trials
from lstm_jax.online.guessing import GuessProtocol, UnitNet
from lstm_jax.online.sequences import Sequence
from lstm_jax.online.trials import JUDGED, WEIGHTS, Goal
from lstm_jax.tasks import TASKS

EASY = GuessProtocol(TASKS["two_sequence"](length=6), UnitNet(1, 1), 0.3, Goal(4, 0.2), window=24, every=8)


def by_hand(weights: np.ndarray, xs: np.ndarray, length: int, outputs: int = 1) -> np.ndarray:
    """One net ``(K, U)`` on one sequence ``(T, I)``, in float64."""
    y = np.zeros(weights.shape[1])
    for x in xs[:length]:
        y = 1 / (1 + np.exp(-np.concatenate([x, y, [1.0]]) @ weights))
    return y[-outputs:]


def test_every_unit_sees_inputs_units_and_a_bias_and_rests_beyond_the_length():
    rng, net = np.random.default_rng(0), UnitNet(3, 2, hidden=4)
    assert net.weight_count == 6 * (3 + 6 + 1)
    weights, xs = rng.normal(size=(10, 6, 5)) * 2, rng.normal(size=(7, 3, 5))
    lengths = np.array([1, 7, 3, 5, 2])
    protocol = GuessProtocol(None, net, 0.1, Goal(1))
    sequence = Sequence(jnp.asarray(xs, jnp.float32), jnp.asarray(lengths), jnp.zeros((2, 5)))
    found = protocol.answer(jnp.asarray(weights, jnp.float32), sequence)
    for n in range(5):
        np.testing.assert_allclose(found[:, n], by_hand(weights[..., n], xs[..., n], lengths[n], 2), atol=2e-6)


def test_the_first_right_guess_is_found_whatever_is_beside_it_and_however_often_one_stops():
    seeds, most = np.array([5, 2, 9]), 400
    guesses = guessing.begin(EASY, jnp.asarray(seeds))
    for until in (16, 120, most):
        guesses, steps = guessing.advance(EASY, guesses, jnp.asarray(seeds), jnp.int32(until))
    assert (np.asarray(guesses.met) > 0).all()
    for n, seed in enumerate(seeds):
        key = jax.random.key(int(seed))
        weight_key, test_key = (jax.random.fold_in(key, purpose) for purpose in (WEIGHTS, JUDGED))
        tests = [EASY.task.sample(jax.random.fold_in(test_key, number), 1) for number in range(EASY.window)]
        tests = [(np.asarray(t.inputs[:, 0]), int(t.lengths[0]), float(t.targets[t.lengths[0] - 1, 0, 0]))
                 for t in tests]  # fmt: skip
        for number in range(int(guesses.met[0, n])):
            weights = np.asarray(EASY.net.draw(jax.random.fold_in(weight_key, number), EASY.scale), np.float64)
            with np.errstate(over="ignore"):
                errors = np.array([abs(target - by_hand(weights, xs, length)[0]) for xs, length, target in tests])
            right = (errors >= EASY.tolerance).sum() < EASY.goal.wrong and errors.mean() < EASY.goal.mean
            assert right == (number == int(guesses.met[0, n]) - 1)
        np.testing.assert_allclose(guesses.reached[0, ..., n], weights, rtol=1e-5)
    score = trials.examine(EASY, guesses.reached[0], jnp.asarray(seeds), 256)
    assert (np.asarray(score.wrong) < 256 * 0.4).all()  # better than chance on fresh sequences too
