"""The manifest of a study that was continued."""

from __future__ import annotations

import json

from lstm_jax.cli.study import _write_manifest
from lstm_jax.studies.collect import save_cell
from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import cell_path
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


def test_the_manifest_counts_the_cells_of_each_commit(tmp_path):
    first, second = STUDY.cells()
    save_cell(cell_path(tmp_path, first), [], {"key": first.key, "commit": "a" * 40, "dirty": False})
    save_cell(cell_path(tmp_path, second), [], {"key": second.key, "commit": "b" * 40, "dirty": True})
    _write_manifest(tmp_path, STUDY, {}, keep=False)
    commits = json.loads((tmp_path / "manifest.json").read_text())["commits"]
    assert commits == {f"commit {'a' * 12}": 1, f"commit {'b' * 12} with changes": 1}
