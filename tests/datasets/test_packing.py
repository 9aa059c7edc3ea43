"""Several sequences in a row: nothing is lost, nothing is mixed, few rows are needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_jax.datasets.packing import first_fit, pack
from lstm_jax.datasets.sequences import Sequences, label_each, next_step


def clips(lengths: list[int], seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return label_each([rng.standard_normal((n, 2)) for n in lengths], rng.integers(0, 5, len(lengths)))


def parts(packed: Sequences) -> list[tuple[np.ndarray, ...]]:
    """Inputs, targets and mask of every sequence in every row."""
    found = []
    for inputs, targets, lengths, mask in zip(*packed, strict=True):
        ends = np.cumsum(lengths)
        found += [
            (inputs[e - n : e], targets[e - n : e], mask[e - n : e]) for e, n in zip(ends, lengths, strict=True) if n
        ]
    return found


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any), st.integers(0, 4))
def test_every_sequence_lies_whole_in_one_row_and_the_rest_is_blank(lengths, beyond):
    plain = clips(lengths)
    packed = pack(plain, max(lengths) + beyond)
    assert packed.inputs.shape[1] == max(lengths) + beyond and packed.lengths.dtype == np.int32
    want = [tuple(array[n, :size] for array in (plain.inputs, plain.targets, plain.loss_mask))
            for n, size in enumerate(lengths) if size]  # fmt: skip
    found = parts(packed)
    assert sorted(a.tobytes() + b.tobytes() + c.tobytes() for a, b, c in found) == sorted(
        a.tobytes() + b.tobytes() + c.tobytes() for a, b, c in want
    )
    for array in (packed.inputs, packed.targets, packed.loss_mask):
        for row, used in zip(array, packed.lengths.sum(1), strict=True):
            assert not row[used:].any()


@given(st.lists(st.integers(1, 10), min_size=1, max_size=30))
def test_few_rows_are_needed(lengths):
    rows = first_fit(np.array(lengths), 10)
    assert sorted(n for row in rows for n in row) == list(range(len(lengths)))
    assert all(sum(lengths[n] for n in row) <= 10 for row in rows)
    assert len(rows) <= -(-sum(lengths) // 10) * 11 / 9 + max(sum(n > 5 for n in lengths), 1)
    assert sum(sum(lengths[n] for n in row) <= 5 for row in rows) <= 1, "two half-empty rows would have been one"


def test_what_cannot_be_packed_says_why():
    with pytest.raises(ValueError, match="rows of 3 steps do not hold the longest sequence of 5"):
        pack(clips([2, 5]), 3)
    with pytest.raises(ValueError, match="packed once"):
        pack(pack(clips([2, 5])))
    labels = clips([2, 5])._replace(targets=np.zeros((2, 3), np.int32))
    with pytest.raises(ValueError, match=r"got \(2,\) and \(2, 3\)"):
        pack(labels)


def test_targets_of_many_outputs_are_packed_too():
    rolls = [np.random.default_rng(n).integers(0, 2, (n + 2, 3), np.uint8) for n in range(4)]
    packed = pack(next_step(rolls))
    assert packed.targets.shape[1:] == (4, 3) and packed.lengths.sum() == sum(len(roll) - 1 for roll in rolls)
