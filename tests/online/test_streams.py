"""Trials on streams, beside others, interrupted and by hand."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.cell.adjoint import SLOPE
from lstm_jax.online import sources, steps
from lstm_jax.online.net import BlockNet
from lstm_jax.online.streams import StreamProtocol, advance, begin, going
from lstm_jax.tasks import reber
from lstm_jax.tasks.languages import AnBn
from lstm_jax.tasks.reber import ContinualReber
from lstm_jax.tasks.timed import Periodic, TimedSpikes

N = 8
SEEDS = jnp.arange(N)
UP, DOWN = (0.5, 1.0, 1.5, 2.0), (-0.5, -1.0, -1.5, -2.0)
FORGETTING = BlockNet(
    7, 7, 4, 2, gates=("i", "f", "o"), biases=("gates", "outputs"), feedback="cells", inputs_to_outputs=True
)
CERG = StreamProtocol(
    ContinualReber(), FORGETTING, rate=0.5, tolerance=0.7, longest_training=30, longest_test=20, most=6, tests=3,
    gate_biases=(("i", DOWN), ("f", UP), ("o", DOWN)),
)  # fmt: skip
TIMING = BlockNet(
    1, 1, 1, gates=("i", "f", "o"), biases=("cells", "gates", "outputs"), feedback="cells", peepholes=True,
    block_input="identity", block_output="identity", output="identity",
)  # fmt: skip
PFG = StreamProtocol(
    Periodic(period=5), TIMING, rate=1e-3, tolerance=0.3, longest_training=2, longest_test=3, most=10**6, tests=1,
    momentum=0.9, scale=0.1, gate_biases=(("i", (0.0,)), ("f", (-2.0,)), ("o", (2.0,))),
)  # fmt: skip


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def until_done(protocol: StreamProtocol, rounds: int = 100_000):
    trials, work = advance(protocol, begin(protocol, SEEDS), SEEDS, jnp.int32(rounds))
    assert not going(protocol, trials).any()
    return trials, work


def test_a_protocol_names_its_source():
    protocol = replace(CERG, source=sources.SUCCESSORS)
    assert protocol.streams is sources.SOURCES[sources.SUCCESSORS]
    with pytest.raises(ValueError, match="no stream of task 'legal_succesors'.*'legal_successors'"):
        replace(CERG, source="legal_succesors")


def a_counter(step_back: float) -> tuple[BlockNet, jax.Array, jax.Array]:
    """A net of one open cell, 1 more at every a, ``step_back`` less at every b; its weights hidden and out."""
    net = BlockNet(3, 3, 1, 1, biases=("cells", "gates", "outputs"), feedback="none", inputs_to_outputs=True,
                   block_input="identity", block_output="identity")  # fmt: skip
    hidden = jnp.zeros((4, 3)).at[1, 0].set(1.0).at[2, 0].set(-step_back).at[3, 1:].set(30.0)
    return net, hidden, jnp.array([[0.0, 20.0, -20.0], [0.0, -10.0, 10.0]])


@pytest.mark.parametrize(("step_back", "reach"), [(1.0, 40), (1.1, 6)])
def test_a_net_that_counts_is_tested_up_to_the_first_string_that_it_gets_wrong(step_back, reach):
    net, hidden, out = a_counter(step_back)
    direct = jnp.array([[90.0, -90.0, -90.0], [90.0, 90.0, -90.0], [-90.0, 0.0, 0.0]])  # S, a, b
    protocol = StreamProtocol(AnBn(4), net, 0.0, 0.5, 2, 40, 3, stops=False, tests=1, enough=5, reset=True)
    start = begin(protocol, SEEDS)
    weights = start.weights._replace(
        **{name: jnp.stack([w] * N, -1) for name, w in [("hidden", hidden), ("out", out), ("direct", direct)]}
    )
    done, work = advance(protocol, start._replace(weights=weights), SEEDS, jnp.int32(5000))
    # by hand: before the last of n letters b the cell holds n - 1.1 (n - 1), which has to be above 0.5
    assert done.met.tolist() == [1] * N and done.best.tolist() == [reach] * N
    read = sum(1 + 2 * n for n in range(1, reach + 1))
    assert (work.tested.min() >= read) and (work.tested.max() <= read + 1 + 2 * (reach + 1))
    assert (work.learned >= 2 * 3).all() and (work.learned <= 2 * 9).all()


def test_what_is_enough_is_a_length_that_tests_can_have():
    with pytest.raises(ValueError, match="at most longest_test=20, with full_scores, got 21"):
        replace(CERG, enough=21)
    with pytest.raises(ValueError, match="full_scores=False"):
        replace(CERG, enough=3, full_scores=False)


@pytest.mark.parametrize(("output", "right"), [(0.5, True), (0.31, True), (0.29, False)])
def test_an_answer_is_right_when_every_squared_error_is_below_0_49(output, right):
    """Nets that say the same whatever they read: 0.31 is 0.69 from a target of 1, 0.29 is 0.71 from it."""
    trials = begin(CERG, SEEDS)
    silent = jax.tree.map(jnp.zeros_like, trials.weights)
    silent = silent._replace(out=silent.out.at[-1].set(np.log(output / (1 - output))))
    trials = trials._replace(weights=silent, rate=jnp.zeros(N))
    trials, work = advance(CERG, trials, SEEDS, jnp.int32(10_000))
    if right:
        np.testing.assert_array_equal(trials.met, 1)
        np.testing.assert_array_equal(trials.score, 20)
        np.testing.assert_array_equal(work.learned, 30)
        np.testing.assert_array_equal(work.tested, 3 * 20)
    else:
        np.testing.assert_array_equal(trials.met, 0)
        np.testing.assert_array_equal(trials.best, 0)
        np.testing.assert_array_equal(work.learned, CERG.most)
        np.testing.assert_array_equal(work.tested, 3 * CERG.most)


def test_a_trial_is_the_same_whoever_is_beside_it():
    whole, _ = until_done(CERG)
    others = jnp.array([50, 3, 51, 52, 53, 54, 6, 55])
    beside, _ = advance(CERG, begin(CERG, others), others, jnp.int32(100_000))
    for here, there in [(3, 1), (6, 6)]:
        assert same(*(jax.tree.map(lambda a, n=n: a[..., n], t) for t, n in [(whole, here), (beside, there)]))


def test_an_interrupted_run_goes_on_as_if_it_had_not_been():
    protocol = replace(PFG, task=TimedSpikes(interval=3, extra=2), tolerance=0.2)
    whole, work = advance(protocol, begin(protocol, SEEDS), SEEDS, jnp.int32(333))
    parts, learned = begin(protocol, SEEDS), 0
    for rounds in (1, 100, 232):
        parts, now = advance(protocol, parts, SEEDS, jnp.int32(rounds))
        learned = learned + now.learned
    assert same(whole, parts)
    np.testing.assert_array_equal(learned, work.learned)
    np.testing.assert_array_equal(work.learned + work.tested, 333)


def test_a_finished_trial_learns_no_more():
    trials, work = until_done(CERG)
    assert ((trials.streams == CERG.most) | (trials.met > 0)).all()
    assert (work.tested > 0).all()
    before = jax.tree.map(np.array, (trials.weights, trials.streams, trials.score, trials.met))
    trials, work = advance(CERG, trials, SEEDS, jnp.int32(100))
    assert same(before, (trials.weights, trials.streams, trials.score, trials.met))
    assert not work.learned.any()
    assert not work.tested.any()


def test_a_training_stream_that_does_not_stop_has_the_longest_length():
    trials, work = until_done(replace(CERG, stops=False))
    assert (trials.met == 0).all()
    np.testing.assert_array_equal(work.learned, CERG.most * CERG.longest_training)
    assert (work.tested < CERG.most * CERG.tests * CERG.longest_test).all()


def test_short_tests_change_neither_what_is_learned_nor_who_is_perfect():
    full, work = until_done(CERG)
    short, less = until_done(replace(CERG, full_scores=False))
    assert same((full.weights, full.streams, full.met), (short.weights, short.streams, short.met))
    np.testing.assert_array_equal(less.learned, work.learned)
    assert (less.tested <= work.tested).all()
    assert less.tested.sum() < work.tested.sum()


@pytest.mark.parametrize(("output", "rule"), [("identity", "slope"), ("logistic", "slope"), ("logistic", "plain")])
def test_a_training_stream_by_hand_with_momentum_and_a_falling_rate(output, rule):
    """Two streams of one period each, with a test of one wrong answer between them."""
    net = replace(TIMING, output=output)
    protocol = replace(
        PFG, net=net, tolerance=1e9, longest_training=1, longest_test=1, most=2, rate_decay=0.5, rate=0.1, rule=rule
    )  # fmt: skip
    got = begin(protocol, SEEDS)
    weights, velocity = got.weights, jax.tree.map(jnp.zeros_like, got.weights)
    wave, silence = protocol.task.wave, jnp.zeros((1, N))

    @jax.jit
    def by_hand(weights, velocity, past, rate, target):
        past, now = steps.step(net, weights, past, silence)
        signal = (target - now.output) * (SLOPE[output](now.output) if rule == "slope" else 1.0)
        change = steps.gradient(net, weights, past, now, signal)
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, change)
        return jax.tree.map(lambda w, v: w + rate * v, weights, velocity), velocity, past

    past = steps.blank(net, N)
    for target in wave[:5]:
        weights, velocity, past = by_hand(weights, velocity, past, 0.1, target)
    got, work = advance(protocol, got, SEEDS, jnp.int32(5))
    np.testing.assert_array_equal(work.learned, 5)
    for a, b in zip(jax.tree.leaves((got.weights, got.velocity)), jax.tree.leaves((weights, velocity)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(got.rate, 0.05)
    got, _ = advance(protocol, got, SEEDS, jnp.int32(5))
    np.testing.assert_array_equal(got.met, 1)  # every answer is right: the trial has ended, its weights as they were
    np.testing.assert_allclose(got.weights.out, weights.out, rtol=1e-5, atol=1e-7)


def test_with_reset_every_string_begins_blank():
    protocol = replace(CERG, rate=0.0, tolerance=2.0, longest_training=10**6, reset=True)
    trials, _ = advance(protocol, begin(protocol, SEEDS), SEEDS, jnp.int32(1))
    after_first = np.asarray(trials.past.c)
    seen = np.zeros(N, int)
    for _ in range(40):
        begins = np.asarray(trials.source[1]) == reber.OPENED
        trials, _ = advance(protocol, trials, SEEDS, jnp.int32(1))
        equal = (np.asarray(trials.past.c) == after_first).all(axis=0)
        np.testing.assert_array_equal(equal, begins)
        seen += begins
    assert (seen > 0).all()


def test_local_transitions_of_the_grammar_are_learned():
    """Steps to the first wrong answer in test streams: in the first 250 streams of a trial, and after 1750 more.

    In the first, as the net that knows nothing says 0.5 to everything, which no criterion of 0.7 refutes: it has to
    learn that most symbols are unlikely before it can be wrong.
    """
    protocol = replace(CERG, most=10**6, tests=1)
    trials, lengths = begin(protocol, SEEDS), []
    for rounds in (2000, 14_000, 2000):
        before = trials.streams.sum()
        trials, work = advance(protocol, trials, SEEDS, jnp.int32(rounds))
        lengths.append(float(work.tested.sum() / (trials.streams.sum() - before)))
    assert lengths[-1] > lengths[0] + 0.25


def test_weights_are_counted_as_in_the_papers():
    assert FORGETTING.weight_count == 424
    assert replace(FORGETTING, gates=("i", "o")).weight_count == 360
    assert TIMING.weight_count == 17
