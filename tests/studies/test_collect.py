"""Results as files: exact round trips, and damage that is named."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from fabricated import TRIAL

from lstm_jax.studies.collect import (
    Row,
    TrialLog,
    find_results,
    forget,
    read_log,
    read_rows,
    read_table,
    write_rows,
    write_table,
)


def row(**changes) -> Row:
    values = dict(task="adding", metric="mse", chance=1 / 6, test=0.1 + 0.2, validation=1e-17, parameters=123)
    return TRIAL._replace(**{**values, **changes})


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
    text = (tmp_path / "results.csv").read_text().replace("adding,V,1,", "adding,V,one,")
    (tmp_path / "results.csv").write_text(text)
    with pytest.raises(ValueError, match="line 3: column 'seed' cannot be read from 'one'"):
        read_rows(tmp_path / "results.csv")


def test_a_short_line_is_named(tmp_path):
    write_rows(tmp_path / "results.csv", [row()])
    text = (tmp_path / "results.csv").read_text()
    for end in (text.rindex("36.0") - 1, text.rindex(",cpu")):
        (tmp_path / "results.csv").write_text(text[:end])
        with pytest.raises(ValueError, match="line 2: column '(seconds|device)' cannot be read from None"):
            read_rows(tmp_path / "results.csv")


class Verdict(NamedTuple):
    who: str
    right: bool


def test_truth_values_of_any_table_come_back_and_other_words_are_named(tmp_path):
    path, said = tmp_path / "made on the way" / "table.csv", [Verdict("a, b", False), Verdict("c", True)]
    write_table(path, Verdict, said)
    assert read_table(path, Verdict) == said
    path.write_text(path.read_text().replace("True", "yes"))
    with pytest.raises(ValueError, match="table.csv, line 3: column 'right' cannot be read from 'yes'"):
        read_table(path, Verdict)


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


def logged(path, *keys) -> None:
    with TrialLog(path) as log:
        for n, key in enumerate(keys):
            log.append(key, row(seed=n), {"commit": "c"})


def test_a_finished_trial_comes_back_exactly(tmp_path):
    path = tmp_path / "log" / "trials.jsonl"
    assert read_log(path) == {}
    logged(path, "a", "b")
    assert read_log(path) == {"a": (row(), {"commit": "c"}), "b": (row(seed=1), {"commit": "c"})}


@pytest.mark.parametrize("torn", [1, 20, -1])
def test_what_a_kill_left_half_written_is_dropped_and_the_rest_stays(tmp_path, torn):
    path = tmp_path / "trials.jsonl"
    logged(path, "a", "b")
    content = path.read_bytes()
    second = content.index(b"\n") + 1
    path.write_bytes(content[:torn] if torn < 0 else content[: second + torn])
    assert list(read_log(path)) == ["a"]
    logged(path, "b", "c")
    assert list(read_log(path)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("before", "damage"), [(b"123", b"124"), (b"{", b"[]\n{"), (b"{", b"\n{"), (b'"sha256"', b'"sum"')]
)
def test_a_changed_line_is_refused_by_its_number(tmp_path, before, damage):
    path = tmp_path / "trials.jsonl"
    logged(path, "a", "b")
    path.write_bytes(path.read_bytes().replace(before, damage, 1))
    with pytest.raises(ValueError, match="trials.jsonl, line 1 does not match its checksum"):
        read_log(path)


def test_trials_can_be_forgotten(tmp_path):
    path = tmp_path / "trials.jsonl"
    logged(path, "a", "b", "c")
    forget(path, ["b", "unknown"])
    assert list(read_log(path)) == ["a", "c"]


def test_a_mark_that_a_spreadsheet_puts_in_front_is_passed_over(tmp_path):
    path = tmp_path / "results.csv"
    write_rows(path, [TRIAL])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_rows(path) == [TRIAL]


@pytest.mark.parametrize("name", ["results.csv", "results.csv.gz"])
def test_a_damaged_file_is_named(tmp_path, name):
    path = tmp_path / name
    write_rows(path, [TRIAL])
    path.write_bytes(path.read_bytes()[:-9] + b"\xe9")
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        read_rows(path)
