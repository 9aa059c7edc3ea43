"""A study divided between processes that share its folder."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fabricated import ALL, Trainer, study

from lstm_jax.names import UsageError
from lstm_jax.studies import collect, run
from lstm_jax.studies.collect import read_rows
from lstm_jax.studies.run import FolderBusyError, Part, run_study
from lstm_jax.train.records import alone_in


def test_parts_share_a_folder_and_none_runs_what_another_has_finished(tmp_path):
    first, second, whole = Trainer(), Trainer(), Trainer()
    run_study(study(), tmp_path, first, part=Part(0, 3))
    rows = run_study(study(), tmp_path, second, part=Part(1, 3))
    assert first.ran == ALL[0::3] and second.ran == ALL[1::3]
    assert [(row.task, row.variant, row.seed) for row in rows] == sorted(first.ran + second.ran, key=ALL.index)
    assert len(run_study(study(), tmp_path, whole)) == 8 and whole.ran == ALL[2::3]
    again = Trainer()
    run_study(study(), tmp_path, again, part=Part(2, 3))
    assert again.ran == []


def test_parts_that_begin_together_set_another_study_aside_once(tmp_path, monkeypatch):
    run_study(study(), tmp_path, Trainer())

    def slow(folder, files):
        time.sleep(0.2)
        return collect.set_aside(folder, files)

    monkeypatch.setattr(run, "set_aside", slow)
    other = study(variants=("V", "RNN"))
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda n: run_study(other, tmp_path, Trainer(), part=Part(n, 2)), range(2)))
    assert max(len(rows) for rows in done) == 8 and len([*(tmp_path / "earlier").iterdir()]) == 1


@pytest.mark.parametrize("text", ["3/3", "1", "-1/2", "a/b", "1/2/3", "0/0"])
def test_a_part_that_does_not_exist_is_refused(text):
    with pytest.raises(UsageError, match="a part is INDEX/COUNT"):
        Part.parse(text)


def test_the_whole_and_a_part_exclude_each_other(tmp_path):
    with alone_in(tmp_path), pytest.raises(FolderBusyError):
        run_study(study(), tmp_path, Trainer(), part=Part(0, 2))
    with alone_in(Part(0, 2).folder(tmp_path)):
        with pytest.raises(FolderBusyError):
            run_study(study(), tmp_path, Trainer(), overwrite=True)
        second = Trainer()
        run_study(study(), tmp_path, second, part=Part(1, 2))
    assert second.ran == ALL[1::2]


def test_a_part_does_not_pretend_to_overwrite_what_another_log_holds(tmp_path):
    run_study(study(), tmp_path, Trainer())
    with pytest.raises(UsageError, match="4 finished trials of part 0/2 lie in .*without --part"):
        run_study(study(), tmp_path, Trainer(), overwrite=True, part=Part(0, 2))


def test_a_part_overwrites_its_own(tmp_path):
    for _ in range(2):
        again = Trainer()
        run_study(study(), tmp_path, again, overwrite=True, part=Part(0, 2))
        assert again.ran == ALL[0::2]


def test_parts_that_end_together_leave_the_results_of_both(tmp_path, monkeypatch):
    from lstm_jax.studies import run

    write, slow = run.write_rows, threading.local()

    def delayed(path, rows):
        rows = list(rows)
        time.sleep(getattr(slow, "seconds", 0.0))
        write(path, rows)

    monkeypatch.setattr(run, "write_rows", delayed)

    def one(part, seconds):
        slow.seconds = seconds
        run_study(study(), tmp_path, Trainer(), part=part)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, (Part(0, 2), Part(1, 2)), (0.3, 0.0)))
    assert len(read_rows(tmp_path / "results.csv")) == 8
