"""Several short sequences in one row, one behind the other, so that few of the steps that are computed are padding."""

from __future__ import annotations

import numpy as np

from lstm_jax.datasets.sequences import Sequences


def pack(sequences: Sequences, steps: int | None = None) -> Sequences:
    """The same sequences in fewer rows: ``lengths`` becomes ``(R, P)``, at most P sequences one after another in each.

    A network that is blank at the beginning of each (``unroll.lengths.packed_starts``) computes what it computes of
    them one by one. Sequences of length 0 have no steps and are left out.

    Args:
        sequences: N sequences with a target for every step, ``lengths (N,)``.
        steps: of a row; by default the longest sequence fills one.

    Raises:
        ValueError: labels without times, rows packed already, or a sequence longer than a row.
    """
    lengths, width = np.asarray(sequences.lengths), sequences.inputs.shape[1]
    if lengths.ndim != 1 or sequences.targets.shape[1] != width:
        raise ValueError(
            f"pack: expected lengths (N,) and targets (N, {width}, ...), got {lengths.shape} and "
            f"{sequences.targets.shape}; rows are packed once, and labels without times (CTC) not at all"
        )
    longest = int(lengths.max(initial=1))
    steps = longest if steps is None else steps
    if steps < longest:
        raise ValueError(f"pack: rows of {steps} steps do not hold the longest sequence of {longest}; take more")
    rows = first_fit(lengths, steps)

    def joined(array: np.ndarray) -> np.ndarray:
        packed = np.zeros((len(rows), steps, *array.shape[2:]), array.dtype)
        for place, members in zip(packed, rows, strict=True):
            whole = np.concatenate([array[n, : lengths[n]] for n in members])
            place[: len(whole)] = whole
        return packed

    each = np.zeros((len(rows), max(map(len, rows), default=1)), np.int32)
    for place, members in zip(each, rows, strict=True):
        place[: len(members)] = lengths[members]
    return Sequences(joined(sequences.inputs), joined(sequences.targets), each, joined(sequences.loss_mask))


def first_fit(lengths: np.ndarray, steps: int) -> list[list[int]]:
    """Which sequences share a row of ``steps``: the longest first, each into the first row that has room for it.

    Never more than 11/9 of the fewest rows possible, and two thirds of one. Source: Dosa, "The tight bound of first
    fit decreasing bin-packing algorithm is FFD(I) <= 11/9 OPT(I) + 6/9", 2007.
    """
    rows: list[list[int]] = []
    room = np.full(len(lengths), steps)
    for n in np.argsort(-lengths, kind="stable"):
        if lengths[n] == 0:
            break
        row = int(np.argmax(room >= lengths[n]))
        if row == len(rows):
            rows.append([])
        rows[row].append(int(n))
        room[row] -= lengths[n]
    return rows
