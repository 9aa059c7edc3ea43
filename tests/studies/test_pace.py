"""Times of batches: every way is timed, says what it wastes and how many sequences an update has."""

from __future__ import annotations

import numpy as np
import pytest

from lstm_jax.datasets.sequences import label_each
from lstm_jax.studies.collect import read_table, write_table
from lstm_jax.studies.pace import Pace, measure_pace
from lstm_jax.train.config import Config, DataConfig, ModelConfig


def test_every_way_is_timed_in_turn(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)
    lengths = [9, *rng.integers(1, 4, 23)]
    part = label_each([rng.standard_normal((n, 1)) for n in lengths], rng.integers(0, 10, len(lengths)))
    monkeypatch.setattr("lstm_jax.datasets.load", lambda *_, **__: part)
    ways = {"padded": ("random", 1), "bucketed": ("bucketed", 2), "packed": ("packed", 1)}
    configs = {
        way: Config(ModelConfig("NP", 2), data=DataConfig("digits", (), 4, batching=batching, cuts=cuts))
        for way, (batching, cuts) in ways.items()
    }
    said = []
    paces = measure_pace(configs, 2, 2, said.append)
    assert [one.way for one in paces] == list(ways) and [one.lengths for one in paces] == [1, 2, 1]
    assert paces[0].wasted == pytest.approx(1 - sum(lengths) / (9 * 24))
    assert paces[0].wasted > paces[1].wasted and paces[0].wasted > paces[2].wasted
    assert paces[0].sequences == paces[1].sequences == 4 < paces[2].sequences
    assert all(one.updates >= one.slowest > 0 and one.first_seconds > 0 for one in paces)
    assert len(said) == 3 + 2 and "round 2 of 2: padded" in said[-1]
    write_table(tmp_path / "a folder to be" / "batching.csv", Pace, paces)
    assert read_table(tmp_path / "a folder to be" / "batching.csv", Pace) == paces


def test_a_task_has_no_rows_to_put_together():
    with pytest.raises(ValueError, match="expected a data set of sequences, got 'adding'"):
        measure_pace({"alone": Config(ModelConfig("NP", 2), data=DataConfig("adding", {"length": 6}))}, 1, 1, print)
