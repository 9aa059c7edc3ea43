"""CTC against all alignments, edit distance against the textbook's, the beam against all strings."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.tasks.batch import Batch
from lstm_jax.train import ctc
from lstm_jax.train.cuts import first_steps
from lstm_jax.train.network import init_network
from lstm_jax.train.objective import divide, measure, measure_both_ways
from lstm_jax.train.parallel import BATCH_AXES, data_mesh, sharded_gradient
from lstm_jax.train.step import gradient_sums

LABELS = 2


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Repetitions merged, then blanks left out."""
    return tuple(label for label, _ in itertools.groupby(path) if label)


def every_string(logits: np.ndarray) -> dict[tuple[int, ...], float]:
    """The log probability of each string of labels, alignment by alignment."""
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    found: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        string, value = collapse(path), sum(logs[t, label] for t, label in enumerate(path))
        found[string] = np.logaddexp(found.get(string, -np.inf), value)
    return found


def batch_of(strings: list[tuple[int, ...]], frames: list[int], steps: int) -> Batch:
    targets = np.zeros((max(map(len, strings)), len(strings)), np.int32)
    for n, string in enumerate(strings):
        targets[: len(string), n] = string
    mask = np.arange(steps)[:, None] < np.array(frames)
    inputs = jnp.zeros((steps, len(strings), 1))
    return Batch(inputs, jnp.asarray(targets), jnp.asarray(frames, jnp.int32), jnp.asarray(mask))


STRINGS, FRAMES, STEPS = [(1,), (1, 1), (2, 1), (), (2, 1, 2), ()], [3, 4, 5, 2, 5, 0], 6
"""The last row fills a batch: no frame, nothing counts."""


def test_the_loss_sums_over_all_alignments_and_counts_sequences():
    logits = np.random.default_rng(0).normal(size=(STEPS, len(STRINGS), 1 + LABELS)) * 2
    found = measure("ctc", jnp.asarray(logits, jnp.float32), batch_of(STRINGS, FRAMES, STEPS))
    wanted = [
        -every_string(logits[:length, n])[string]
        for n, (string, length) in enumerate(zip(STRINGS, FRAMES, strict=True))
        if length
    ]
    assert float(found["nll"].count) == len(wanted)
    np.testing.assert_allclose(found["nll"].total, sum(wanted), rtol=1e-5)


def test_padding_reaches_neither_the_metrics_nor_the_gradient():
    logits = jnp.asarray(np.random.default_rng(1).normal(size=(STEPS, len(STRINGS), 1 + LABELS)), jnp.float32)
    batch = batch_of(STRINGS, FRAMES, STEPS)

    def loss(logits: jax.Array) -> jax.Array:
        return measure("ctc", logits, batch)["nll"].total

    spoiled = jnp.where(batch.loss_mask[..., None], logits, jnp.nan)
    for one, other in zip(*(measure("ctc", values, batch).values() for values in (logits, spoiled)), strict=True):
        np.testing.assert_array_equal(one, other)
    gradient = np.asarray(jax.grad(loss)(spoiled))
    np.testing.assert_array_equal(gradient, jax.grad(loss)(logits))
    assert np.isfinite(gradient).all() and not gradient[~np.asarray(batch.loss_mask)].any()
    assert gradient[np.asarray(batch.loss_mask)].any()


def test_errors_are_counted_over_labels_and_wrong_strings_over_strings():
    paths = [(0, 1, 1), (1, 0, 1, 2), (1, 1, 0, 2, 2), (0, 0), (0, 2, 2, 1, 0), ()]  # 1, 112, 12, nothing, 21
    logits = np.zeros((STEPS, len(paths), 1 + LABELS), np.float32)
    for n, path in enumerate(paths):
        logits[range(len(path)), n, list(path)] = 5
    batch = batch_of(STRINGS, FRAMES, STEPS)
    found = measure("ctc", jnp.asarray(logits), batch)
    assert (float(found["error"].total), float(found["error"].count)) == (1 + 2 + 1, 8)
    assert (float(found["wrong"].total), float(found["wrong"].count)) == (3, 5)
    apart = measure_both_ways("ctc", jnp.asarray(logits), batch)
    assert {name: float(apart[name].total) for name in found} == {
        name: float(mean.total) for name, mean in found.items()
    }
    np.testing.assert_allclose(divide(apart["error_by_sequence"]), (0 + 1 / 2 + 2 / 2 + 1 / 3) / 4, rtol=1e-6)


def test_the_greedy_reading_is_made_once_for_all_that_is_reported_of_it(monkeypatch):
    calls, real = [], ctc.edit_distance
    monkeypatch.setattr(ctc, "edit_distance", lambda *both: calls.append(1) or real(*both))
    logits = jnp.zeros((STEPS, len(STRINGS), 1 + LABELS))
    assert set(measure_both_ways("ctc", logits, batch_of(STRINGS, FRAMES, STEPS))) >= {"error", "wrong_by_sequence"}
    assert len(calls) == 1


def levenshtein(one: list[int], other: list[int]) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


strings = st.lists(st.integers(1, 3), max_size=6)


@given(pairs=st.lists(st.tuples(strings, strings), min_size=3, max_size=3), gap=st.integers(0, 2))
def test_edit_distance_is_levenshteins_wherever_the_zeros_stand(pairs, gap):
    read, labels = np.zeros((20, 3), np.int32), np.zeros((6, 3), np.int32)
    for n, (guess, truth) in enumerate(pairs):
        read[[(gap + 1) * k + gap for k in range(len(guess))], n] = guess
        labels[: len(truth), n] = truth
    found = ctc.edit_distance(jnp.asarray(read), jnp.asarray(labels))
    assert found.tolist() == [levenshtein(*pair) for pair in pairs]


def test_greedy_reading_merges_repetitions_and_drops_blanks():
    path = [0, 1, 1, 0, 1, 2, 2, 0]
    assert ctc.greedy_labels(np.eye(3)[path]) == [1, 1, 2]
    assert ctc.greedy_labels(np.eye(3)[:0]) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_most_probable_string_and_its_probability(seed):
    logits = np.random.default_rng(seed).normal(size=(6, 1 + LABELS))
    strings = every_string(logits)
    best = max(strings, key=strings.__getitem__)
    found, value = ctc.beam_labels(logits, width=500)
    assert tuple(found) == best and value == pytest.approx(strings[best], abs=1e-9)


def test_the_best_of_a_lexicon_is_the_most_probable_string_in_it():
    logits = np.random.default_rng(5).normal(size=(6, 1 + LABELS))
    strings, lexicon = every_string(logits), [(1, 2), (2, 2, 1), (2,), (1, 1)]
    table = np.zeros((3, 4), np.int32)
    for column, labels in enumerate(lexicon):
        table[: len(labels), column] = labels
    assert ctc.best_of(logits, table) == int(np.argmax([strings[labels] for labels in lexicon]))


def test_the_beam_knows_what_the_greedy_reading_misses():
    logits = np.log(np.array([[0.6, 0.4], [0.6, 0.4]]))  # blank, blank: 0.36; the label in any way: 0.64
    assert ctc.greedy_labels(logits) == [] and ctc.beam_labels(logits, 4)[0] == [1]
    with pytest.raises(ValueError, match="1 prefix or more, got width=0"):
        ctc.beam_labels(logits, 0)


def test_a_cut_of_the_frames_leaves_the_labels_whole():
    batch = batch_of([(1, 2, 1)], [2], 6)
    cut = first_steps(batch, 2)
    assert cut.inputs.shape[0] == cut.loss_mask.shape[0] == 2
    np.testing.assert_array_equal(cut.targets, batch.targets)


def test_a_batch_split_by_pmap_or_shard_map_has_the_gradient_of_the_whole(tiny):
    config = tiny()
    gradient = gradient_sums(config, "ctc")
    network = init_network(jax.random.key(0), config.model, 1, 1 + LABELS)
    batch = batch_of([(1,), (2, 1), (1, 2), (2,)], [3, 5, 4, 6], 6)
    batch = batch._replace(inputs=jax.random.normal(jax.random.key(1), batch.inputs.shape))
    whole = jax.jit(gradient)(network, batch)[:2]
    pieces = Batch._make(jnp.stack(jnp.split(part, 4, axis)) for part, axis in zip(batch, BATCH_AXES, strict=True))
    summed = jax.pmap(
        lambda *both: jax.lax.psum(gradient(*both)[:2], "data"), "data", in_axes=(None, 0), out_axes=None
    )
    split = jax.jit(sharded_gradient(gradient, data_mesh(jax.devices()[:4])))
    for parts in (summed(network, pieces), split(network, batch)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), parts[:2], whole)
