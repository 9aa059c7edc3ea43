"""The manifest of a study that was continued."""

from __future__ import annotations

import json

from fabricated import TRIAL

from lstm_jax.cli.study import _write_manifest
from lstm_jax.studies.collect import TrialLog
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config

STUDY = Study("s", (("adding", Config()),), ("V", "NFG"), seeds=3)


def test_a_continued_study_keeps_the_circumstances_of_every_run(tmp_path):
    for commit, keep in (("a", False), ("b", True), ("c", True)):
        _write_manifest(tmp_path, STUDY, {"commit": commit}, keep)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["commit"] == "c" and manifest["seeds"] == [0, 1, 2]
    assert [run["commit"] for run in manifest["earlier"]] == ["a", "b"]


def test_a_study_run_anew_forgets_them(tmp_path):
    _write_manifest(tmp_path, STUDY, {"commit": "a"}, keep=False)
    _write_manifest(tmp_path, STUDY, {"commit": "b"}, keep=False)
    assert json.loads((tmp_path / "manifest.json").read_text())["earlier"] == []


def test_the_manifest_counts_the_trials_of_each_commit(tmp_path):
    first, second, third, *_ = STUDY.trials()
    with TrialLog(tmp_path / "trials.jsonl") as log:
        log.append(first.key, TRIAL, {"commit": "a" * 40, "dirty": False})
        log.append(second.key, TRIAL, {"commit": "b" * 40, "dirty": True})
        log.append(third.key, TRIAL, {"commit": "b" * 40, "dirty": True})
    _write_manifest(tmp_path, STUDY, {}, keep=False)
    commits = json.loads((tmp_path / "manifest.json").read_text())["commits"]
    assert commits == {f"commit {'a' * 12}": 1, f"commit {'b' * 12} with changes": 2}
