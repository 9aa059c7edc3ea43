"""What is left of a sitting of the battery: results, and how they came about."""

from __future__ import annotations

import json
import math

import pytest

from lstm_jax.cli.battery import conduct
from lstm_jax.studies import battery_workers
from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_results import TrialResult
from lstm_jax.studies.battery_run import file_of
from lstm_jax.studies.collect import write_table
from lstm_jax.train.records import FolderBusyError, alone_in


@pytest.fixture
def workers(monkeypatch):
    """Rows that are done at once; one of a name that begins with ``two`` never ends."""

    def done(rows, folder, trials, seconds, count):
        for row in rows:
            if row.name.startswith("two"):
                raise KeyboardInterrupt
            nan = math.nan
            result = TrialResult(
                row.name, 0, 9, "met", 9, 0, 1, -1, 0.1, nan, 0.1, nan, nan, 2560, 99, 1.0, "abc", "one"
            )
            write_table(file_of(folder, row.name, ".csv"), TrialResult, [result])
            yield [result]

    monkeypatch.setattr(battery_workers, "run_battery", done)


def test_every_sitting_in_a_folder_stays_on_record_also_one_that_was_stopped(tmp_path, workers, capsys):
    conduct([BATTERY["order-6a"]], tmp_path, None, 60.0, 1)
    with pytest.raises(KeyboardInterrupt):
        conduct([BATTERY["two-3a-100-3"]], tmp_path, None, None, 1)
    conduct([BATTERY["order-6b"]], tmp_path, None, None, 1)
    sittings = json.loads((tmp_path / "manifest.json").read_text())["sittings"]
    assert [sitting["rows"] for sitting in sittings] == [["order-6a"], ["two-3a-100-3"], ["order-6b"]]
    assert [sitting["wall_seconds"] is None for sitting in sittings] == [False, True, False]
    assert [sitting["budget_seconds"] for sitting in sittings] == [60.0, None, None]
    assert all({"command", "started", "commit", "processor"} <= set(sitting) for sitting in sittings)
    assert "`order-6b`" in (tmp_path / "table.md").read_text() and "order-6a" in capsys.readouterr().out


def test_a_folder_in_which_another_battery_runs_is_left_alone(tmp_path, workers):
    with alone_in(tmp_path), pytest.raises(FolderBusyError, match="in use by process"):
        conduct([BATTERY["order-6a"]], tmp_path, None, None, 1)
    assert not (tmp_path / "manifest.json").exists()


def test_a_budget_that_ends_before_the_first_row_says_so(tmp_path, capsys):
    conduct([BATTERY["order-6a"]], tmp_path, None, 0.0, 1)
    shown = capsys.readouterr().out
    assert "Not run, the time was over: order-6a" in shown and "manifest.json" in shown
