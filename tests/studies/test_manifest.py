"""The manifest of a study: kept up while it runs, and over several runs."""

from __future__ import annotations

import json

import pytest
from fabricated import TRIAL

from lstm_jax.studies import manifest as room
from lstm_jax.studies.collect import TrialLog
from lstm_jax.studies.manifest import StudyManifest
from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import WHOLE, Part, Progress
from lstm_jax.train.config import Config, DataConfig

STUDY = Study("s", (("adding", Config()),), ("V", "NFG"), seeds=3)


def progress(finished, reused=0, total=6):
    return Progress((), finished, total, reused, (), ())


def run(folder, commit, *steps, part=WHOLE):
    with StudyManifest(folder / "manifest.json", STUDY, {"commit": commit}, part) as manifest:
        for step in steps:
            manifest(step)


def read(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_continued_study_keeps_the_circumstances_of_every_run(tmp_path):
    for commit, part in (("a", Part(0, 3)), ("b", Part(1, 3)), ("c", Part(2, 3))):
        run(tmp_path, commit, progress(0, total=2), progress(2, total=2), part=part)
    assert read(tmp_path)["commit"] == "c" and read(tmp_path)["seeds"] == [0, 1, 2]
    assert [(one["commit"], one["part"], one["trials"]) for one in read(tmp_path)["earlier"]] == [
        ("a", "0/3", 2),
        ("b", "1/3", 2),
    ]


def test_parts_that_write_by_turns_keep_each_other(tmp_path):
    parts = [StudyManifest(tmp_path / "manifest.json", STUDY, {"commit": "a"}, Part(n, 2)) for n in range(2)]
    for finished in (1, 2):
        for part in parts:
            with part:
                part(progress(finished, total=3))
    assert read(tmp_path)["part"] == "1/2"
    assert [(one["part"], one["trials"]) for one in read(tmp_path)["earlier"]] == [("0/2", 2)]


def test_a_study_run_anew_forgets_the_runs_before(tmp_path):
    run(tmp_path, "a", progress(0), progress(3), part=Part(0, 2))
    run(tmp_path, "b", progress(0), progress(6))
    assert (read(tmp_path)["commit"], read(tmp_path)["earlier"]) == ("b", [])


def test_a_run_that_finished_nothing_is_not_remembered(tmp_path):
    run(tmp_path, "a", progress(0), part=Part(0, 2))
    run(tmp_path, "b", progress(0), progress(3), part=Part(1, 2))
    assert read(tmp_path)["earlier"] == []


def test_a_study_with_nothing_left_to_run_leaves_the_manifest_alone(tmp_path):
    run(tmp_path, "a", progress(0), progress(6))
    before = read(tmp_path)
    run(tmp_path, "b", progress(6, reused=6))
    assert read(tmp_path) == before


def test_an_interrupted_study_has_written_what_it_did(tmp_path):
    with pytest.raises(KeyboardInterrupt), StudyManifest(tmp_path / "manifest.json", STUDY, {}, WHOLE) as manifest:
        manifest(progress(0))
        manifest(progress(2))
        raise KeyboardInterrupt
    assert read(tmp_path)["trials"] == 2


def test_a_killed_study_has_written_what_it_did(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "MANIFEST_SECONDS", 0.0)
    manifest = StudyManifest(tmp_path / "manifest.json", STUDY, {}, WHOLE)
    manifest(progress(0))
    manifest(progress(2))  # and nothing after it
    assert read(tmp_path)["trials"] == 2


def test_a_folder_that_another_process_holds_is_not_written_to(tmp_path):
    with pytest.raises(BlockingIOError), StudyManifest(tmp_path / "manifest.json", STUDY, {}, WHOLE):
        raise BlockingIOError
    assert not list(tmp_path.iterdir())


def test_the_manifest_counts_the_trials_of_each_commit(tmp_path):
    first, second, third, *_ = STUDY.trials()
    with TrialLog(tmp_path / "trials.jsonl") as log:
        log.append(first.key, TRIAL, {"commit": "a" * 40, "dirty": False})
        log.append(second.key, TRIAL, {"commit": "b" * 40, "dirty": True})
        log.append(third.key, TRIAL, {"commit": "b" * 40, "dirty": True})
    run(tmp_path, "c", progress(3))
    assert read(tmp_path)["commits"] == {f"commit {'a' * 12}": 1, f"commit {'b' * 12} with changes": 2}


def test_the_manifest_says_which_version_of_a_data_set_was_learned(tmp_path):
    study = Study("s", (("adding", Config()), ("digits", Config(data=DataConfig("digits")))), ("V",), seeds=1)
    with StudyManifest(tmp_path / "manifest.json", study, {}, WHOLE) as manifest:
        manifest(progress(0))
    from lstm_jax.datasets import DATASETS

    assert read(tmp_path)["data_versions"] == {"digits": DATASETS["digits"].version}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_damaged_manifest_is_set_aside_and_stops_nothing(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.warns(UserWarning, match=r"manifest.json cannot be read.*manifest.json.damaged"):
        run(tmp_path, "a", progress(0))
    assert (tmp_path / "manifest.json.damaged").read_text() == text and read(tmp_path)["trials"] == 0
