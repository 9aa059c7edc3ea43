"""Results as files: exact round trips, and damage that is named."""

from __future__ import annotations

import math

import pytest

from lstm_jax.studies.collect import Row, find_results, load_cell, read_rows, save_cell, write_rows


def row(**changes) -> Row:
    values = dict(
        task="adding", variant="V", seed=0, metric="mse", higher_is_better=False, chance=1 / 6, test=0.1 + 0.2,
        validation=1e-17, best_step=30, steps=40, diverged=False, parameters=123, seconds=1.25,
    )  # fmt: skip
    return Row(**{**values, **changes})


@pytest.mark.parametrize("name", ["results.csv", "results.csv.gz"])
def test_rows_come_back_exactly(tmp_path, name):
    rows = [row(), row(seed=1, diverged=True, higher_is_better=True), row(task="temporal, order", test=-1e300)]
    write_rows(tmp_path / name, rows)
    assert read_rows(tmp_path / name) == rows
    assert find_results(tmp_path) == tmp_path / name
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_score_that_is_no_number_comes_back_as_such(tmp_path):
    write_rows(tmp_path / "results.csv", [row(test=math.nan)])
    assert math.isnan(read_rows(tmp_path / "results.csv")[0].test)


def test_same_rows_give_same_compressed_bytes(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_rows(tmp_path / name, [row()])
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_an_unreadable_number_is_named_with_line_and_column(tmp_path):
    write_rows(tmp_path / "results.csv", [row(), row(seed=1)])
    text = (tmp_path / "results.csv").read_text().replace("adding,V,1,mse", "adding,V,one,mse")
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(ValueError, match="line 3: column 'seed' cannot be read from 'one'"):
        read_rows(tmp_path / "results.csv")


def test_a_short_line_is_named(tmp_path):
    write_rows(tmp_path / "results.csv", [row()])
    text = (tmp_path / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(text[:-8])
    with pytest.raises(ValueError, match="line 2: column"):
        read_rows(tmp_path / "results.csv")


def test_a_missing_column_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "results.csv").write_text("task,variant\nadding,V\n")
    with pytest.raises(ValueError, match="'seed'.* are missing"):
        read_rows(tmp_path / "results.csv")
    with pytest.raises(FileNotFoundError, match="no results.csv or results.csv.gz in"):
        find_results(tmp_path / "elsewhere")


def test_the_same_trial_twice_is_refused(tmp_path):
    write_rows(tmp_path / "results.csv", [row(), row()])
    with pytest.raises(ValueError, match="adding, V, seed 0 stands there twice"):
        read_rows(tmp_path / "results.csv")


def test_a_finished_cell_comes_back_exactly(tmp_path):
    path = tmp_path / "cells" / "cell.json"
    assert load_cell(path) is None
    save_cell(path, [row(), row(seed=1)], {"key": "k"})
    assert load_cell(path) == ([row(), row(seed=1)], {"key": "k"})


@pytest.mark.parametrize(
    "damage", [lambda b: b.replace(b"123", b"124"), lambda b: b[:-20], lambda b: b"", lambda b: b"[]"]
)
def test_a_changed_cell_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "cell.json"
    save_cell(path, [row()], {})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="cell.json does not match its checksum"):
        load_cell(path)
