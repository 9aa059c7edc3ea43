"""Embedded Reber strings follow the grammar of 1997 and its derived statistics."""

from __future__ import annotations

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.tasks import TASKS
from lstm_jax.tasks.reber import ALPHABET, LEGAL, NEXT, TO_END, legal

COUNT = 20_000
# The automaton once more, as a list of edges: (from, symbol, to).
EDGES = "0T1 0P2 1S1 1X3 2T2 2V4 3X2 3S5 4P3 4V5".split()


def draw(task, key, count):
    """The symbols of a task, compiled."""
    return jax.tree.map(np.asarray, jax.jit(task.symbols, static_argnums=1)(key, count))


def successors(prefix: str) -> set[str]:
    """What may follow a prefix of a stream, by trying every edge."""
    string = prefix
    while "E" in string[3:] and (end := string.index("E", 3) + 3) <= len(string):  # whole strings in front fall away
        string = string[end:]
    if len(string) < 4:
        return [{"B"}, {"T", "P"}, {"B"}, {"T", "P"}][len(string)]
    state, position = "0", 3
    while state != "5" and position < len(string):
        (state,) = [edge[2] for edge in EDGES if edge[0] == state and edge[1] == string[position]]
        position += 1
    if state != "5":
        return {edge[1] for edge in EDGES if edge[0] == state}
    return [{"E"}, {string[1]}, {"E"}][len(string) - position]


@pytest.fixture(scope="module")
def strings():
    """20,000 strings as texts, their symbols in the form of 1997, and the batch of multi-hot targets."""
    task, key = TASKS["reber"](length=60), jax.random.key(4)
    drawn = draw(task, key, COUNT)
    texts = []
    for b in range(COUNT):
        shown = drawn.inputs[: drawn.lengths[b], b]
        texts.append("".join(ALPHABET[s] for s in (*shown, drawn.targets[drawn.lengths[b] - 1, b])))
    return task, texts, drawn


def test_strings_have_the_lengths_of_the_grammar(strings):
    _, texts, drawn = strings
    lengths = np.array([len(text) for text in texts])
    np.testing.assert_array_equal(lengths, drawn.lengths + 1)
    assert lengths.min() == 9
    assert lengths.mean() == pytest.approx(12, abs=0.12) and lengths.std() == pytest.approx(3.37, abs=0.12)
    for length, share in ((9, 0.25), (10, 0.1875), (11, 0.125), (12, 0.109375)):
        assert (lengths == length).mean() == pytest.approx(share, abs=0.015)
    assert (lengths > 30).mean() == pytest.approx(0.0013, abs=0.0013)


def test_strings_of_each_length_are_as_many_as_the_grammar_has(strings):
    distinct = collections.defaultdict(set)
    for text in strings[1]:
        distinct[len(text)].add(text)
    assert [len(distinct[length]) for length in range(9, 15)] == [4, 6, 8, 14, 22, 32]


def test_every_string_is_framed_twice_and_says_its_second_symbol_again(strings):
    texts = strings[1]
    assert {text[0] + text[2] + text[-3] + text[-1] for text in texts} == {"BBEE"}
    assert all(text[1] == text[-2] for text in texts)
    assert np.mean([text[1] == "T" for text in texts]) == pytest.approx(0.5, abs=0.02)


def test_targets_are_the_legal_successors_and_hold_the_next_symbol(strings):
    task, texts, drawn = strings
    targets = np.asarray(jax.jit(legal)(drawn.inputs))
    for b in range(200):
        for t in range(len(texts[b]) - 1):
            assert {ALPHABET[o] for o in np.flatnonzero(targets[t, b])} == successors(texts[b][: t + 1])
    inside = drawn.inputs >= 0
    assert np.take_along_axis(targets, drawn.targets[..., None], -1)[inside].all() and not targets[~inside].any()
    np.testing.assert_array_equal(drawn.loss_mask, inside)
    assert task.max_length == 59 and drawn.inputs.shape == (59, COUNT)


def test_sample_is_symbols_made_one_hot():
    for task in (TASKS["reber"](length=12), TASKS["continual_reber"](length=20)):
        symbols, shown = jax.jit(lambda key, task=task: (task.symbols(key, 64), task.sample(key, 64)))(
            jax.random.key(1)
        )
        np.testing.assert_array_equal(shown.inputs, np.asarray(symbols.inputs)[..., None] == np.arange(7))
        np.testing.assert_array_equal(shown.lengths, symbols.lengths)
        np.testing.assert_array_equal(shown.loss_mask, symbols.loss_mask)
        assert symbols.inputs.dtype == symbols.targets.dtype == jnp.int32


def test_a_limit_changes_only_strings_that_would_be_longer():
    key = jax.random.key(8)
    free, cut = (draw(TASKS["reber"](length=length), key, 64).lengths + 1 for length in (60, 12))
    assert cut.max() == 12 and (cut <= 12).all()
    np.testing.assert_array_equal(cut[free <= 12], free[free <= 12])
    assert [round(TASKS["reber"](length=length).cut_probability, 6) for length in (9, 10, 12)] == [
        0.75, 0.5625, 0.328125,
    ]  # fmt: skip
    assert TASKS["reber"](length=30).cut_probability == pytest.approx(0.0013, abs=0.00005)
    assert TASKS["reber"]().cut_probability == pytest.approx(0.00006, abs=0.000005)


def test_the_shortest_limit_leaves_the_four_strings_of_nine():
    task = TASKS["reber"](length=9)
    batch = draw(task, jax.random.key(0), 64)
    texts = {"".join(ALPHABET[s] for s in (*column, 6)) for column in batch.inputs.T}
    assert texts == {"BTBTXSETE", "BTBPVVETE", "BPBTXSEPE", "BPBPVVEPE"}
    assert (batch.lengths == 8).all() and task.required_lag == 5


def test_tables_agree_about_how_far_the_end_is():
    assert NEXT.shape == LEGAL.shape == (21, 7) and LEGAL.sum() == 1 + 2 + 2 * (1 + 10 + 3)
    for node in range(1, 20):
        assert TO_END[node] == 1 + min(TO_END[NEXT[node, symbol]] for symbol in np.flatnonzero(LEGAL[node]))


def test_a_forbidden_symbol_leaves_nothing_legal():
    symbols = jnp.asarray([[ALPHABET.index(s) for s in "BTBXTB"]], jnp.int32).T
    np.testing.assert_array_equal(jax.jit(legal)(symbols)[:, 0].any(axis=-1), [True, True, True, False, False, False])


def test_a_stream_goes_on_with_the_next_string_and_counts_every_step():
    task = TASKS["continual_reber"](length=60)
    drawn = draw(task, jax.random.key(3), 50)
    assert drawn.loss_mask.all() and (drawn.lengths == 60).all()
    np.testing.assert_array_equal(drawn.inputs[1:], drawn.targets[:-1])
    targets = np.asarray(jax.jit(legal)(drawn.inputs))
    assert np.take_along_axis(targets, drawn.targets[..., None], -1).all()
    for b in range(50):
        text = "".join(ALPHABET[s] for s in drawn.inputs[:, b])
        for t in range(60):
            assert {ALPHABET[o] for o in np.flatnonzero(targets[t, b])} == successors(text[: t + 1])
