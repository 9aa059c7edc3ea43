"""Characters are stretched or padded, and the one before the present one is asked for."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest

from lstm_jax.tasks import TASKS

COUNT = 500


def draw(name, **options):
    task = TASKS[name](length=23, stretch=3, symbols=4, **options)
    batch = jax.tree.map(np.asarray, jax.jit(task.sample, static_argnums=1)(jax.random.key(1), COUNT))
    return task, batch, batch.inputs.argmax(-1).T


def runs(text):
    """``[(character, steps)]``."""
    return [(character, len(list(run))) for character, run in itertools.groupby(text)]


@pytest.mark.parametrize("variable", [False, True])
def test_warped_text_repeats_each_character_and_asks_for_the_one_before(variable):
    task, batch, texts = draw("time_warp", variable=variable)
    lengths = []
    for text, targets, mask in zip(texts, batch.targets.T, batch.loss_mask.T, strict=True):
        found = runs(text.tolist())
        expected = [before for (before, _), (_, steps) in itertools.pairwise(found) for _ in range(steps)]
        assert targets[mask].tolist() == expected and mask.tolist() == [False] * found[0][1] + [True] * len(expected)
        lengths += [steps for _, steps in found[:7]]  # the last one may be cut
    shares = np.bincount(lengths, minlength=4)[1:] / len(lengths)
    np.testing.assert_allclose(shares, [1 / 3] * 3 if variable else [0, 0, 1], atol=0.04)
    assert task.required_lag == (1 if variable else 3)
    np.testing.assert_allclose(np.bincount(texts[:, 0]) / COUNT, 0.25, atol=0.09)


@pytest.mark.parametrize("variable", [False, True])
def test_padded_text_shows_each_character_once_and_asks_at_blanks_too(variable):
    task, batch, texts = draw("time_padding", variable=variable)
    apart = []
    for text, targets, mask in zip(texts, batch.targets.T, batch.loss_mask.T, strict=True):
        places = np.flatnonzero(text != 4)
        assert places[0] == 0 and not mask[: places[1]].any() and mask[places[1] :].all()
        for before, place, after in zip(places, places[1:], [*places[2:], 23], strict=False):
            assert (targets[place:after] == text[before]).all()
        apart += np.diff(places)[:7].tolist()
    shares = np.bincount(apart, minlength=4)[1:] / len(apart)
    np.testing.assert_allclose(shares, [1 / 3] * 3 if variable else [0, 0, 1], atol=0.04)
    assert task.required_lag == (1 if variable else 5)


def test_uniform_warp_needs_the_lag_it_states():
    _, batch, texts = draw("time_warp", variable=False)
    ages = [step - max(np.flatnonzero(texts[0, :step] == batch.targets[step, 0])) for step in range(3, 23)]
    assert max(ages) == 3
