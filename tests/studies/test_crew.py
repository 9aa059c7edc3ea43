"""Workers, each on a device of its own: group after group, and one of them in trouble."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fabricated import TRIAL, study

from lstm_jax.studies import train_trials
from lstm_jax.studies.run import run_study
from lstm_jax.train.config import DataConfig

STUDY = study(variants=("V", "NFG"), seeds=3)


class Trainer:
    """Notes trials instead of training them."""

    def __init__(self, trouble=None):
        self.ran, self.workers, self.trouble = [], set(), trouble

    def __call__(self, trials, on_row, on_running, worker):
        self.workers.add(worker)
        for trial in trials:
            if trial.variant == self.trouble:
                raise RuntimeError("device lost")
            on_running([(trial, 0.5)])
            time.sleep(0.01)
            self.ran.append(trial.key)
            on_row(trial, TRIAL._replace(task=trial.task, variant=trial.variant, seed=trial.config.train.seed))


def test_several_workers_take_group_after_group_and_end_with_the_same_results(tmp_path):
    seen, three, one = [], Trainer(), Trainer()
    rows = run_study(STUDY, tmp_path / "three", three, seen.append, workers=3)
    assert sorted(three.ran) == sorted(trial.key for trial in STUDY.trials()) and three.workers == {0, 1, 2}
    assert rows == run_study(STUDY, tmp_path / "one", one) and one.workers == {0}
    assert max(len(progress.running) for progress in seen) > 1
    done = [progress.finished for progress in seen]
    assert done == sorted(done) and done[-1] == 12


@pytest.mark.parametrize("workers", [1, 3])
def test_what_goes_wrong_in_a_worker_is_raised_and_what_was_finished_stays(tmp_path, workers):
    trouble = Trainer("NFG")
    with pytest.raises(RuntimeError, match="device lost"):
        run_study(STUDY, tmp_path, trouble, workers=workers)
    rest = Trainer()
    assert len(run_study(STUDY, tmp_path, rest)) == 12
    assert not set(rest.ran) & set(trouble.ran) or workers == 3, "the last row of a stopped worker may be lost"


@pytest.mark.parametrize(("workers", "message"), [(0, "an integer >= 1, got 0"), (99, "workers=99: each has a local")])
def test_workers_without_a_place_are_refused(tmp_path, workers, message):
    with pytest.raises(ValueError, match=message):
        run_study(STUDY, tmp_path, workers=workers)


def test_workers_that_begin_at_once_load_the_data_of_each_task_once(monkeypatch):
    loaded = []

    def load(data):
        loaded.append(data)
        time.sleep(0.1)
        return object()

    monkeypatch.setattr(train_trials, "load_problem", load)
    one, other = (DataConfig("adding", {"length": length}) for length in (61, 62))
    asked = [one, replace(one, input_noise=0.5), one, other, one, other, one]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(train_trials._problem, asked))
    train_trials._loaded.cache_clear()
    assert sorted(loaded, key=str) == [one, other] and len(set(map(id, found))) == 2


def test_whoever_watches_may_stop_all_of_them(tmp_path):
    def impatient(progress):
        if progress.finished >= 2:
            raise KeyboardInterrupt

    trainer = Trainer()
    with pytest.raises(KeyboardInterrupt):
        run_study(STUDY, tmp_path, trainer, impatient, workers=2)
    assert 2 <= len(trainer.ran) < 8
