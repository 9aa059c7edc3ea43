"""The battery: its rows against the papers, running and resuming, and the table from results alone."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from lstm_jax.names import UnknownName
from lstm_jax.online import streams
from lstm_jax.online.trials import Goal
from lstm_jax.studies import battery_run
from lstm_jax.studies.battery import BATTERY, chosen_rows
from lstm_jax.studies.battery_results import TrialResult, read_results
from lstm_jax.studies.battery_run import file_of, run_row
from lstm_jax.studies.collect import write_table
from lstm_jax.tasks import TASKS

PRINTED = [row for row in BATTERY.values() if ":" not in row.name]


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: row.name)
def test_nets_have_as_many_weights_as_the_paper_says(row):
    assert row.protocol.net.weight_count == row.published.weights
    unused = row.experiment.startswith("Counting")  # T is never read, S never follows
    assert row.protocol.net.inputs == row.protocol.task.input_size - unused
    assert row.protocol.net.outputs == row.protocol.task.output_size - unused


def test_the_battery_has_every_row_of_the_tables():
    assert len([row for row in PRINTED if not row.streams]) == 30  # table 8 has two for experiment 5, which is one run
    assert [row.published.sequences[-1] for row in PRINTED][:5] == [39740, 21730, 14060, 9500, 8440]
    assert BATTERY["adding-1000"].cap == 8_530_000 and BATTERY["adding-1000"].choice == "as printed"
    assert BATTERY["adding-100:reading-a-plain"].choice == "reading a plain"


def test_streams_have_rows_with_forget_gates_and_peepholes_and_without():
    names = {row.name for row in PRINTED if row.streams}
    assert {
        "cerg",
        "cerg-decay",
        "cerg-1997",
        "cerg-reset",
        "cnto",
        "cnto-decay",
        "cnto-1997",
        "msd",
        "gts",
        "gts-np",
        "pfg-rectangle-25-np",
    } <= names
    assert len(names) == 4 + 3 + 3 * 3 + 2 + 2 + 2 * 3 * 2
    assert BATTERY["cerg"].cap == 30_000 and BATTERY["cerg-reset"].protocol.reset
    learns = BATTERY["gts:plain-reads-on"].protocol
    assert (learns.rule, learns.stops) == ("plain", False) and not BATTERY[
        "gts-np:plain-reads-on"
    ].protocol.net.peepholes
    assert BATTERY["gts-np"].protocol == replace(BATTERY["gts"].protocol, net=BATTERY["msd-np"].protocol.net)


def test_rows_are_chosen_by_name_or_by_their_beginning():
    assert chosen_rows(()) == PRINTED
    assert [row.name for row in chosen_rows(("order-6a", "reber-5*"))][:3] == [
        "order-6a", "reber-5", "reber-5:each-sequence",
    ]  # fmt: skip
    assert [row.name for row in chosen_rows(("order-6a,reber", "order-6b", "reber-1"))] == [
        "order-6a", *(f"reber-{n}" for n in range(1, 6)), "order-6b",
    ]  # fmt: skip
    assert [row.name for row in chosen_rows(("adding-100,",))] == ["adding-100"]
    for wrong in ("adding-10", "addingg*"):
        with pytest.raises(UnknownName, match="did you mean 'adding-"):
            chosen_rows((wrong,))


def without_time(results: list[TrialResult]) -> list[str]:
    return [str(trial._replace(seconds=0)) for trial in results]


def test_a_row_stopped_and_continued_gives_what_one_sitting_gives(tmp_path, monkeypatch):
    row, seen = BATTERY["two-3a-100-3"], []
    monkeypatch.setattr(battery_run, "LANES", 2)
    monkeypatch.setattr(type(row), "cap", 600)
    whole = run_row(row, tmp_path / "a", 2, lambda: False, seen.append)
    assert {trial.ended for trial in whole} == {"cap"} and whole[0].seen == 600 and seen[-1].seen == 600

    def stop(moment):
        if moment.seen >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_row(row, tmp_path / "b", 2, lambda: False, stop)
    started = []
    again = run_row(row, tmp_path / "b", 2, lambda: False, started.append)
    assert started[0].seen >= 100
    assert without_time(again) == without_time(whole)
    stopped = run_row(row, tmp_path / "c", 2, lambda: True, seen.append)
    assert {trial.ended for trial in stopped} == {"stopped"} and stopped[0].seen == 0


def test_what_cannot_be_continued_is_set_aside_with_a_warning(tmp_path, monkeypatch, capsys):
    row, moments = BATTERY["gts"], []
    monkeypatch.setattr(battery_run, "CALL_SECONDS", 0.0)

    def begin(trials: int, calls: int) -> None:
        moments.clear()
        results = run_row(row, tmp_path, trials, lambda: len(moments) > calls, moments.append)
        write_table(file_of(tmp_path, row.name, ".csv"), TrialResult, results)

    begin(1, 2)
    begin(1, 1)
    assert moments[0].seen > 0, "continued"
    before = {path.name: path.read_bytes() for path in (tmp_path / "rows").iterdir()}
    begin(2, 1)
    assert moments[0].seen == 0
    aside = tmp_path / "rows" / "earlier"
    assert f"version of the code: now in {aside / '1'}, the row begins anew" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (aside / "1").iterdir()} == before
    assert len(read_results(tmp_path)) == 2
    file_of(tmp_path, row.name, ".npz").write_bytes(b"half a file")
    begin(2, 1)
    assert f"is damaged: now in {aside / '2'}" in capsys.readouterr().err
    assert len(list((aside / "2").iterdir())) == 2


def test_trials_that_are_done_leave_the_loop_and_some_take_turns_and_nothing_else_changes(tmp_path, monkeypatch):
    row, widths, make = BATTERY["two-3a-100-3"], [], battery_run._Loop.__init__
    short = {"task": TASKS["two_sequence"](length=10, relevant=3), "goals": (Goal(60),), "every": 50}
    row = replace(row, protocol=replace(row.protocol, **short))

    def spied(loop, row, lanes, of):
        make(loop, row, lanes, of)
        widths.append([len(part.places) for part in loop.parts])

    monkeypatch.setattr(battery_run._Loop, "__init__", spied)
    monkeypatch.setattr(type(row), "cap", 900)
    wide = run_row(row, tmp_path / "a", 12, lambda: False, lambda moment: None)
    assert {trial.ended for trial in wide} == {"met", "cap"} and widths == [[16]]
    monkeypatch.setattr(battery_run, "NARROW", 8)
    narrow = run_row(row, tmp_path / "b", 12, lambda: False, lambda moment: None)
    assert widths[1:] == [[16], [8]]
    monkeypatch.setattr(battery_run, "WIDE", 8)
    in_turn = run_row(row, tmp_path / "c", 12, lambda: False, lambda moment: None)
    assert widths[3:] == [[8, 8], [8]]
    assert without_time(narrow) == without_time(wide) == without_time(in_turn)


def test_a_loop_is_as_wide_as_its_trials_but_never_narrows_to_where_sums_change():
    assert [battery_run.lane_count(live, 8) for live in (1, 8)] == [8, 8]
    assert [battery_run.lane_count(live, 20) for live in (20, 17, 12, 3, 1)] == [24, 24, 16, 16, 16]


def test_trials_on_streams_go_at_their_own_pace_stopped_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(battery_run, "LANES", 2)
    monkeypatch.setattr(battery_run, "ROUNDS", 50)
    short = {"most": 30, "longest_training": 60, "longest_test": 60, "tests": 2}
    row = BATTERY["cerg"]
    row, moments = replace(row, protocol=replace(row.protocol, **short)), []
    whole = run_row(row, tmp_path / "a", 2, lambda: False, moments.append)
    assert [trial.ended for trial in whole] == ["cap", "cap"] and [trial.seen for trial in whole] == [30, 30]
    assert all(0 < trial.best_test < 60 and trial.wrong_1 == -1 for trial in whole)
    assert whole[0].best_test != whole[1].best_test and moments[-1].seen == 30

    def stop(moment):
        if moment.seen >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_row(row, tmp_path / "b", 2, lambda: False, stop)
    again = run_row(row, tmp_path / "b", 2, lambda: False, moments.append)
    assert without_time(again) == without_time(whole)


def test_a_training_stream_counts_once_its_tests_are_over():
    row, seeds = BATTERY["cerg"], jnp.arange(2)
    protocol = replace(row.protocol, longest_training=60, longest_test=60, tests=2)
    state, counted, busy = streams.begin(protocol, seeds), np.zeros(2, int), 0
    for _ in range(60):
        state, _ = streams.advance(protocol, state, seeds, jnp.int32(1))
        training = np.asarray(state.test) == 0
        counted, busy = np.where(training, state.streams, counted), busy + (~training).sum()
        assert np.asarray(state.seen).tolist() == counted.tolist()
    assert counted.min() >= 2 and busy >= 20
