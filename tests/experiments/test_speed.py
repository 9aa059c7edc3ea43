"""Experiment 00: one layer beside its peers, a population beside PyTorch, at toy size; no time is judged here."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "00_speed"
TORCH = "timed" if importlib.util.find_spec("torch") else "not installed"  # a peer on Python 3.11 only


@pytest.fixture
def population(speed):
    import population

    return population


@pytest.mark.slow
def test_the_whole_population_runs_and_its_table_comes_from_its_files_alone(speed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    assert speed.main(["--shapes", "--population", "toy", "--population-rounds", "2", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    with (tmp_path / "population.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        "contestant", "cell", "cells", "trials", "status", "updates/s", "us/update", "min us/update", "p90 us/update",
        "spread", "times PyTorch processes", "times PyTorch threads",
    ]  # fmt: skip
    assert [row["status"] for row in rows] == [TORCH, TORCH] + ["timed"] * 3
    assert [row["trials"] for row in rows if row["contestant"] == "lstm_jax"] == ["1", "2"]
    for row in [row for row in rows if row["status"] == "timed"]:
        least, middle, tail = (float(row[name]) for name in ("min us/update", "us/update", "p90 us/update"))
        assert 0 < least <= middle <= tail and float(row["updates/s"]) > 0
        assert TORCH != "timed" or float(row["times PyTorch processes"]) > 0
    manifest = json.loads((tmp_path / "population.json").read_text())
    assert {"commit", "cores", "versions", "load_begin", "load_end", "rounds"} <= set(manifest)
    assert all(len(rates.split()) == 2 for rates in manifest["updates/s"].values())
    assert speed.population_section(tmp_path) in printed


@pytest.mark.slow
def test_the_whole_layer_benchmark_runs_and_its_tables_come_from_its_files_alone(speed, tmp_path, capsys):
    options = ["--shapes", "2,3,5,4", "--contestants", "linen", "torch", "NP/fused", "--rounds", "1"]
    assert speed.main([*options, "--population", "none", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    with (tmp_path / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 12 if TORCH == "timed" else 10  # two modes and passes; who is missing has one row a mode
    assert {row["status"] for row in rows if row["contestant"] == "torch"} == {TORCH}
    for row in [row for row in rows if row["status"] == "timed"]:
        least, middle, tail = (float(row[name]) for name in ("min ms", "median ms", "p90 ms"))
        assert 0 < least <= middle <= tail and float(row["error"]) < 1e-5
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {"commit", "cores", "versions", "load_begin", "load_end", "peak_gflops", "rounds"} <= set(manifest)
    assert speed.readme_section(tmp_path) in printed and speed.layers_section(tmp_path) in printed
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "table.md").exists()


def test_tables_between_markers_follow_the_results(speed, tmp_path):
    for name in ("population.csv", "population.json"):
        (tmp_path / name).write_text((FOLDER / "results" / name).read_text())
    both, one = tmp_path / "both.md", tmp_path / "one.md"
    one.write_text("<!-- begin: speed -->\n<!-- end: speed -->\n")
    both.write_text(one.read_text() + "<!-- begin: speed/population -->\n<!-- end: speed/population -->\n")
    assert speed.main(["--out", str(tmp_path), "--readme", str(both), str(one)]) == 0
    before = both.read_text()
    assert before.startswith(one.read_text()) and speed.population_section(tmp_path) in before
    (tmp_path / "population.csv").write_text((tmp_path / "population.csv").read_text().replace("lstm_jax", "other"))
    speed.update_tables(both, tmp_path)
    assert both.read_text() == before.replace("| lstm_jax, ", "| other, ")


NUMBERS = {
    "loss": np.float32(3.0),
    "weight readout.bias": np.zeros(2, np.float32),
    "gradient readout.bias": np.array([0.5, -2.0], np.float32),
}


class Pretender:
    """A worker whose gradients are off by a factor."""

    def __init__(self, factor):
        self.factor = factor

    def send(self, do, spec, given, into):
        assert do == "check" and spec["cell"] == "NP"
        np.savez(into, **NUMBERS | {"gradient readout.bias": NUMBERS["gradient readout.bias"] * self.factor})

    def receive(self):
        return {}

    def ask(self, **order):
        self.send(**order)


@pytest.mark.parametrize("factor", [1.001, -1.0, np.nan])
def test_a_wrong_gradient_is_refused_before_anything_is_timed(population, factor):
    crew = {"ours": [Pretender(1)], "torch processes": [Pretender(1), Pretender(factor)]}
    with pytest.raises(RuntimeError, match=r"PyTorch.*gradient readout\.bias.*nothing is timed"):
        population.check(crew, population.SCALES["toy"])
    crew["torch processes"] = [Pretender(1), Pretender(1 + 1e-6)]
    population.check(crew, population.SCALES["toy"])


def test_a_wrong_loss_is_refused(population):
    with pytest.raises(RuntimeError, match="its loss differs"):
        population.expect_equal(NUMBERS, NUMBERS | {"loss": np.float32(3.01)}, "PyTorch")


def test_gradients_may_round_as_a_long_sum_does_and_outputs_may_not(population):
    for name, terms, fine in (
        ("gradient R", 100_000, True),
        ("gradient R", 1_000, False),
        ("outputs", 100_000, False),
    ):
        exact, found = {name: np.array([1.0, -0.5])}, {name: np.array([1.0 + 1.2e-5, -0.5])}
        if fine:
            assert population.expect_equal(exact, found, "PyTorch", terms) == pytest.approx(1.2e-5)
        else:
            with pytest.raises(RuntimeError, match=r"differs from ours by 1\.2e-05"):
                population.expect_equal(exact, found, "PyTorch", terms)


def test_a_framework_that_is_not_installed_has_a_row_that_says_so(population, tmp_path, monkeypatch, capsys):
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{FOLDER.parents[1]}")
    with ExitStack() as stack:
        crew = population.hire(stack, "frameworks", population.teams())
    assert set(crew) == {"ours", "flax"} and "no torch here" in capsys.readouterr().err
    wanted = population.contestants(population.SCALES["toy"])
    rows = [population.row_of(one, {one: [10.0, 20.0] for one in wanted if one.team in crew}) for one in wanted]
    assert [row["status"] for row in rows] == ["not installed"] * 2 + ["timed"] * 3
    assert len({tuple(row) for row in rows}) == 1 and rows[-1]["times PyTorch threads"] == ""


def test_ratios_are_taken_within_a_round_between_nets_of_one_width(population):
    ours, rival, wide = (
        population.Contestant(team, "NP", hidden, 2)
        for team, hidden in (("ours", 3), ("torch processes", 3), ("torch processes", 9))
    )
    row = population.row_of(ours, {ours: [10.0, 40.0, 30.0], rival: [10.0, 10.0, 5.0], wide: [1.0] * 3})
    assert row["times PyTorch processes"] == "4" and row["updates/s"] == "30"


def test_a_trial_that_stopped_learning_is_an_error_and_no_speed(speed):
    import worker

    order = {"do": "go", "name": "frozen", "times": 1}
    assert "stopped" in worker.answer(None, dict, {"frozen": lambda chunks: (1.0, False)}, order)["error"]


def test_the_search_scale_has_the_populations_and_widths_that_are_asked_for(population):
    ours = [one for one in population.contestants(population.SCALES["search"]) if one.team == "ours"]
    for cell in ("NP", "V"):
        assert {one.trials for one in ours if (one.cell, one.hidden) == (cell, 100)} == {1, 2, 8, 32, 128}
        assert {one.hidden for one in ours if one.cell == cell} == {64, 100, 200}
