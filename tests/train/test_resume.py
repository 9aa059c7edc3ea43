"""A resumed run is the run that never stopped, whichever program computes it."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from lstm_jax.train.loop import train
from lstm_jax.train.population import run_population


@pytest.mark.parametrize(
    "program",
    [
        {"placement": "map", "trials": 2},
        {"placement": "vmap", "trials": 2},
        {"parallel": "shard_map"},
        {"parallel": "pmap"},
    ],
    ids=lambda program: next(iter(program.values())),
)
def test_no_batch_is_repeated_or_left_out(tmp_path, tiny, arrays, assert_same_bits, program):
    config = tiny(input_noise=0.1, **program)
    whole, part = tmp_path / "whole", tmp_path / "part"
    summary = train(config, whole, progress=False)
    shutil.copytree(whole, part)
    (part / "summary.json").unlink()
    for step in (8, 12):
        shutil.rmtree(part / "checkpoints" / f"step_{step:09d}")
    assert train(config, part, resume=True, progress=False) == summary
    for name in ("metrics.csv", "summary.json"):
        assert (part / name).read_bytes() == (whole / name).read_bytes(), name
    assert_same_bits(arrays(config, part), arrays(config, whole))

    rows = list(csv.DictReader((whole / "metrics.csv").read_text().splitlines()))
    seen = [float(row["validation_mse"]) for row in rows if row["validation_mse"]]
    expected = run_population(config, range(config.train.trials)).curve  # in memory, in chunks of another length
    np.testing.assert_allclose(np.reshape(seen, (-1, config.train.trials)).T, expected, rtol=1e-4)
