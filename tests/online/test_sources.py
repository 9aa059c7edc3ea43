"""Streams against the tasks they are streams of."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from lstm_jax.online import sources
from lstm_jax.tasks import reber
from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.languages import AnBn, AnBnCn
from lstm_jax.tasks.reber import ContinualReber
from lstm_jax.tasks.temporal_order import ContinualTemporalOrder
from lstm_jax.tasks.timed import Periodic, SpikeDelays, TimedSpikes


def shown(
    task, length: int, streams: int, number: int = 0, name: str | None = None, tested: bool = False
) -> sources.Shown:
    """``length`` steps of ``streams`` streams, a leading axis each."""
    remembered, source = sources.SOURCES[name or task.name]

    @jax.jit
    def go(number):
        words = sources.draw(sources.keys(jnp.arange(streams)), jnp.full(streams, number, jnp.int32))
        left = tuple(jnp.full(streams, 77, jnp.int32) for _ in range(remembered))  # by whatever was before
        steps_ = jnp.arange(length)
        tests = jnp.full(streams, tested)
        return lax.scan(lambda state, t: source(task, state, jnp.full(streams, t), words, tests), left, steps_)[1]

    return go(number)


def batch(given: sources.Shown) -> Batch:
    """The same streams as a batch ``(T, B, I)`` of their task, which ``solve`` can read."""
    steps_, _, streams = given.x.shape
    return Batch(given.x.swapaxes(1, 2), jnp.nan, jnp.full(streams, steps_, jnp.int32), given.asked)


def test_reber_streams_are_whole_strings_of_the_grammar_with_fair_coins():
    given = shown(ContinualReber(), 600, 128)
    symbols, following = (np.argmax(a, axis=1) for a in (given.x, given.target))
    np.testing.assert_array_equal(symbols[1:], following[:-1])
    nodes = np.full(128, reber.START)
    coins = []
    for read, coming, begins in zip(symbols, following, given.begins, strict=True):
        np.testing.assert_array_equal(begins, nodes == reber.START)
        nodes = reber.NEXT[nodes, read]
        assert (nodes != reber.DEAD).all()
        assert reber.LEGAL[nodes, coming].all()
        choice = reber.EDGES[nodes, 0] != reber.EDGES[nodes, 1]
        coins.append(np.where(choice, coming == reber.EDGES[nodes, 1], np.nan))
    coins = np.array(coins)
    assert np.nanmean(coins) == pytest.approx(0.5, abs=0.01)
    assert np.nanstd(np.nanmean(coins, axis=0)) < 0.04  # 0.027 for fair and independent ones
    lengths = np.diff(np.flatnonzero(np.asarray(given.begins).T.ravel()))
    assert lengths.mean() == pytest.approx(12, abs=0.2)
    assert np.mean(lengths == 9) == pytest.approx(0.25, abs=0.02)


def test_successors_are_asked_for_as_the_task_solves_them_in_the_same_streams():
    task = ContinualReber(length=300)
    given = shown(task, 300, 16, name=sources.SUCCESSORS)
    np.testing.assert_array_equal(given.x, shown(task, 300, 16).x)
    np.testing.assert_array_equal(given.target.swapaxes(1, 2), task.solve(batch(given)))
    assert set(np.asarray(given.target).sum(axis=1).ravel()) == {1, 2}


def test_a_stream_is_a_function_of_trial_and_number():
    first, again, other = (np.asarray(shown(ContinualReber(), 200, n, k).x) for n, k in [(4, 0), (3, 0), (4, 1)])
    np.testing.assert_array_equal(first[..., :3], again)
    assert (first != other).any(axis=(0, 1)).all()
    assert (first[..., 0] != first[..., 1]).any()


def test_order_streams_ask_for_what_their_task_solves():
    task = ContinualTemporalOrder(length=100, relevant=3)
    given = shown(task, 3000, 48)
    classes = np.argmax(given.target, axis=1)
    asked = np.asarray(given.asked)
    np.testing.assert_array_equal(asked, np.asarray(given.x)[:, 1] == 1)
    np.testing.assert_array_equal(asked, given.unit)
    np.testing.assert_array_equal(np.where(asked, classes, 0), task.solve(batch(given)))
    np.testing.assert_allclose(np.bincount(classes[asked]) / asked.sum(), 1 / 8, atol=0.04)
    lengths = np.concatenate([np.diff(np.flatnonzero(column), prepend=-1) for column in asked.T])
    assert set(lengths) == set(range(100, 111))
    steps_ = np.arange(3000)[:, None] - np.maximum.accumulate(np.where(given.begins, np.arange(3000)[:, None], 0))
    relevant = steps_[np.asarray(given.x)[:, 2:4].any(axis=1)] + 1
    assert set(relevant) == {step for low, high in task.one.windows for step in range(low, high + 1)}


def strings_of(given: sources.Shown, stream: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The whole strings of one stream: symbols read ``(T,)`` and targets ``(T, O)``."""
    ends = np.flatnonzero(np.asarray(given.unit)[:, stream]) + 1
    starts = np.flatnonzero(np.asarray(given.begins)[:, stream])
    np.testing.assert_array_equal(starts[1:], ends[: len(starts) - 1])
    symbols, targets = np.argmax(given.x, axis=1)[:, stream], np.asarray(given.target)[..., stream]
    return [(symbols[i:j], targets[i:j]) for i, j in zip(starts, ends, strict=False)]


@pytest.mark.parametrize("kind", [AnBn, AnBnCn])
@pytest.mark.parametrize("tested", [False, True])
def test_counting_streams_ask_for_the_legal_symbols_of_their_task_by_chance_or_in_order(kind, tested):
    task = kind(6, 2)
    given, counts = shown(task, 900, 12, tested=tested), []
    for stream in range(12):
        whole = strings_of(given, stream)
        counts.append([len(symbols) // len(task.blocks) for symbols, _ in whole])
        for symbols, targets in whole:
            legal = np.asarray(task.legal(jnp.asarray(symbols)[:, None]))[:, 0]
            np.testing.assert_array_equal(targets, legal[:, 1:])  # S never follows
            assert not legal[:, 0].any() and len(symbols) == 1 + len(task.blocks) * (symbols == 1).sum()
    if tested:
        assert counts[0] == list(range(1, len(counts[0]) + 1)) and len(counts[0]) > 20
    else:
        share = np.bincount(np.concatenate(counts), minlength=7) / sum(map(len, counts))
        np.testing.assert_allclose(share, [0, 0, *[0.2] * 5], atol=0.05)
        assert counts[0] != counts[1]


def test_signed_counting_shows_the_same_strings():
    plain, signed = (shown(AnBnCn(6), 200, 5, name=name) for name in (None, sources.SIGNED))
    for one, other in ((plain.x, signed.x), (plain.target, signed.target)):
        np.testing.assert_array_equal(np.where(np.asarray(one) == 1, 1, -1), other)
    np.testing.assert_array_equal(plain.unit, signed.unit)


@pytest.mark.parametrize("levels", ["all", "two"])
@pytest.mark.parametrize("kind", [TimedSpikes, SpikeDelays])
def test_spike_streams_ask_for_what_their_task_solves(kind, levels):
    task = kind(length=300, interval=7, extra=4, levels=levels)
    given = shown(task, 300, 32)
    target = np.asarray(given.target)[:, 0]
    np.testing.assert_array_equal(target, task.solve(batch(given))[..., 0])
    if kind is SpikeDelays:
        spikes = np.asarray(given.x)[:, 0] == 1
        np.testing.assert_array_equal(given.asked, spikes & (np.arange(300)[:, None] > 0))
        values, counts = np.unique(target[np.asarray(given.asked)], return_counts=True)
        np.testing.assert_array_equal(values, task.delays)
        np.testing.assert_allclose(counts / counts.sum(), 1 / len(values), atol=0.06)
    else:
        assert np.asarray(given.asked).all()
        np.testing.assert_array_equal(given.unit, target == 1)


@pytest.mark.parametrize("shape", ["cos", "triangle", "rectangle"])
def test_waves_are_those_of_the_task(shape):
    task = Periodic(length=40, period=10, shape=shape)
    given = shown(task, 40, 8)
    np.testing.assert_array_equal(given.target[:, 0], task.solve(batch(given))[..., 0])
    assert not np.asarray(given.x).any()
    np.testing.assert_array_equal(np.flatnonzero(given.unit[:, 0]), [9, 19, 29, 39])
