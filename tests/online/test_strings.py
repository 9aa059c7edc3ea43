"""Learning after every symbol of strings: what is read, what success means, and the update by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.online import steps, strings
from lstm_jax.online.material import Strings, material
from lstm_jax.online.net import BlockNet
from lstm_jax.online.strings import StringProtocol
from lstm_jax.tasks import TASKS
from lstm_jax.tasks.reber import ALPHABET, legal

REBER = StringProtocol(
    TASKS["reber"](length=20), BlockNet(7, 7, 2, 1, biases=("gates",)), 0.5, "sets", "order", every=10, trials_a_set=2
)
LAG = BlockNet(5, 5, 1, 1, ("i",), (), "none", True, block_input="logistic", block_output="identity")
PAIR = StringProtocol(TASKS["lag_2a"](length=4), LAG, 1.0, "all", "close", grows=True, every=10)
SEEDS = np.array([0, 1, 2])


def read_as_text(strings: Strings, trial: int) -> list[str]:
    return ["".join(ALPHABET[s] for s in row if s >= 0) for row in np.asarray(strings.read[:, :, trial])]


def test_test_strings_are_not_among_those_that_are_learned():
    train, judged = material(REBER.task, "sets", SEEDS, 2)
    assert train is not None and judged is not None
    texts, looked_at = read_as_text(train, 0), set(read_as_text(judged, 0))
    assert len(texts) == 256 and set(texts) < looked_at
    assert read_as_text(train, 1) == texts != read_as_text(train, 2)  # two trials share a set
    assert all(text[0] == "B" and text[1] == text[-1] for text in texts)  # the last E is never read
    np.testing.assert_array_equal(
        train.next[:, :-1][train.read[:, 1:] >= 0], train.read[:, 1:][train.read[:, 1:] >= 0]
    )


def test_there_are_two_sequences_in_2a():
    train, _ = material(PAIR.task, "all", SEEDS, 2)
    rows = np.concatenate([np.asarray(train.read[:, :1, 0]), np.asarray(train.next[..., 0])], axis=1)
    np.testing.assert_array_equal(sorted(rows.tolist()), [[3, 0, 1, 2, 3], [4, 0, 1, 2, 4]])


@pytest.mark.parametrize("update", ["step", "sequence"])
@pytest.mark.parametrize(
    "protocol",
    [replace(REBER, every=3), replace(PAIR, grows=False), replace(PAIR, grows=False, rule="plain")],
    ids=["reber", "2a", "2a:plain"],
)
def test_an_update_is_the_gradient_of_each_step(protocol, update):
    """The compiled loop against the same steps taken one by one."""
    protocol = replace(protocol, update=update)
    seeds = jnp.asarray(SEEDS)
    train, _ = material(protocol.task, protocol.material, SEEDS, 2)
    trials = strings.begin(protocol, seeds)
    picks = jax.random.randint(jax.random.key(0), (3, 3), 0, train.read.shape[0])
    learning = jnp.asarray([True, True, False])
    got, error, far, read = jax.jit(partial(strings._present, protocol))(trials, train, picks, learning)
    take = jax.jit(partial(steps.step, protocol.net))
    for trial in range(3):
        weights = jax.tree.map(lambda w, n=trial: w[..., n : n + 1], trials.weights)
        total, worst, count = 0.0, 0.0, 0
        for pick in np.asarray(picks)[:, trial]:
            past, held = steps.blank(protocol.net, 1), jax.tree.map(jnp.zeros_like, weights)
            length = int(train.lengths[pick, trial])
            for t in range(length):
                past, now = take(weights, past, train.read[pick, t, trial][None])
                errors = jax.nn.one_hot(train.next[pick, t, trial][None], protocol.net.outputs, axis=0) - now.output
                signal = errors * (now.output * (1 - now.output) if protocol.rule == "slope" else 1.0)
                change = steps.gradient(protocol.net, weights, past, now, signal)
                held = jax.tree.map(jnp.add, held, change)
                if trial < 2 and update == "step":
                    weights = jax.tree.map(lambda w, c: w + protocol.rate * c, weights, change)
                total, count = total + float((errors**2).sum()), count + 1
            worst = max(worst, float(jnp.abs(errors).max()))
            if trial < 2 and update == "sequence":
                weights = jax.tree.map(lambda w, c: w + protocol.rate * c, weights, held)
        for one, other in zip(jax.tree.leaves(weights), jax.tree.leaves(got), strict=True):
            np.testing.assert_allclose(other[..., trial], one[..., 0], rtol=2e-4, atol=1e-6)
        assert float(error[trial]) == pytest.approx(total, rel=1e-4)
        assert float(far[trial]) == pytest.approx(worst, rel=1e-4) and int(read[trial]) == count


@pytest.mark.parametrize("protocol", [REBER, replace(PAIR, grows=False)], ids=["reber", "2a"])
def test_success_is_what_the_paper_says(protocol):
    _, judged = material(protocol.task, protocol.material, SEEDS, 2)
    judged = jax.tree.map(lambda a: a[:16], judged)
    weights = strings.begin(replace(protocol, scale=2.0), jnp.asarray(SEEDS)).weights
    by_string = np.asarray(jax.vmap(partial(strings._right, protocol, weights))(judged))
    outputs = np.asarray(jax.vmap(partial(strings.along, protocol.net, weights))(judged.read))
    may_follow = np.asarray(jax.vmap(legal)(judged.read)) if protocol.success == "order" else None
    judged = jax.tree.map(np.asarray, judged)
    for number in range(16):
        for trial in range(3):
            right = True
            for t in range(int(judged.lengths[number, trial])):
                shown = outputs[number, t, :, trial]
                if protocol.success == "order":
                    allowed = may_follow[number, t, trial]
                    right &= shown[allowed].min() > shown[~allowed].max()
                else:
                    right &= np.abs(shown - np.eye(5)[int(judged.next[number, t, trial])]).max() < 0.25
            assert by_string[number, trial] == right
    everywhere = strings._right_on_all(protocol, weights, jax.tree.map(jnp.asarray, judged))
    np.testing.assert_array_equal(everywhere, by_string.all(0))


def test_peepholes_are_not_left_unlearned_in_silence():
    with pytest.raises(ValueError, match="learn from streams"):
        replace(REBER, net=replace(REBER.net, peepholes=True))


def test_two_short_sequences_are_learned_and_the_cell_joins_late():
    seeds = jnp.arange(3)
    train, judged = material(PAIR.task, "all", np.arange(3), 2)
    trials = strings.begin(PAIR, seeds)
    assert not np.asarray(trials.weights.out).any() and not np.asarray(trials.grown).any()
    trials, _ = strings.advance(PAIR, trials, seeds, train, judged, jnp.int32(20))
    assert not np.asarray(trials.weights.out)[..., ~np.asarray(trials.grown)].any()
    trials, _ = strings.advance(PAIR, trials, seeds, train, judged, jnp.int32(5000))
    assert (np.asarray(trials.met) > 0).all() and np.asarray(trials.grown).all()


def test_fresh_sequences_are_judged_at_their_last_step():
    protocol = StringProtocol(TASKS["lag_2b"](length=2), replace(LAG, inputs=3, outputs=3), 1.0, "fresh",
                              "close_at_end", every=10)  # fmt: skip
    seeds = jnp.arange(2)
    trials = strings.begin(protocol, seeds)
    trials, read = strings.advance(protocol, trials, seeds, None, None, jnp.int32(3000))
    assert (np.asarray(trials.met) > 0).all() and int(read) == 2 * int(np.asarray(trials.met).sum())
    untrained = strings.begin(protocol, seeds).weights
    keys = jax.random.split(jax.random.key(0), 2)
    assert not np.asarray(strings._close_on_fresh(protocol, untrained, keys)).any()


def test_when_a_trial_succeeds_is_nobody_elses_business():
    """A neighbour that is right at its last steps must not make others be looked at sooner."""
    protocol = StringProtocol(TASKS["lag_2b"](length=2), replace(LAG, inputs=3, outputs=3), 1.0, "fresh",
                              "close_at_end", every=10)  # fmt: skip

    def met(seeds: list[int]) -> list[int]:
        numbers = jnp.asarray(seeds)
        trials = strings.begin(protocol, numbers)
        return np.asarray(strings.advance(protocol, trials, numbers, None, None, jnp.int32(3000))[0].met).tolist()

    together = met([0, 1, 2, 3])
    assert len(set(together)) > 1
    assert together == [met([seed] * 4)[0] for seed in range(4)]
