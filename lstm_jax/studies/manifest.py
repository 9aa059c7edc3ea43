"""The circumstances of a study, kept up while it runs."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lstm_jax.studies.plan import Study
from lstm_jax.studies.run import WHOLE, Part, Progress, finished_trials, origin
from lstm_jax.train.records import in_turn, read_circumstances, write_json
from lstm_jax.train.source import data_version

MANIFEST_SECONDS = 60.0
"""How often it is written anew while trials run; a process that is killed loses that much of its time, no more."""


class StudyManifest:
    """manifest.json of a study: who ran which part of it, when, where, for how long.

    Written at the first step of progress, every minute, and at the end of the ``with`` block, whatever ends it. The
    file tells of the latest process; ``earlier`` of all others that finished a trial, each known by start and part.
    """

    def __init__(self, path: Path, study: Study, machine: dict[str, Any], part: Part) -> None:
        self._path, self._study, self._part = path, study, part
        self._begun, self._written, self._ran = time.monotonic(), -math.inf, 0
        self._who = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "part": f"{part.index}/{part.count}",
            "command": sys.argv,
            "data_versions": _data_versions(study),
            **machine,
        }

    @property
    def seconds(self) -> float:
        """Since this process began."""
        return time.monotonic() - self._begun

    def __enter__(self) -> StudyManifest:
        return self

    def __exit__(self, *_: object) -> None:
        """The last word; none where no trial had to run, and where another process held the folder."""
        if self._written > -math.inf:
            self._write()

    def __call__(self, progress: Progress) -> None:
        """Take one step of progress of ``run_study``."""
        self._ran = progress.finished - progress.reused
        missing = progress.finished < progress.total or not self._path.is_file()
        if missing and time.monotonic() - self._written >= MANIFEST_SECONDS:
            self._write()

    def _write(self) -> None:
        with nullcontext() if self._part == WHOLE else in_turn(self._path.parent):  # another part writes it too
            self._write_alone()

    def _write_alone(self) -> None:
        trials = self._study.trials()
        found = read_circumstances(self._path) if self._ran < len(trials) else {}
        runs = [*found.pop("earlier", []), found]
        others = [run for run in runs if run.get("trials") and not self._is_mine(run)]
        content = {
            "study": self._study.name,
            "seeds": sorted({trial.config.train.seed for trial in trials}),
            "commits": Counter(origin(code) for _, code in finished_trials(self._study, self._path.parent).values()),
            **self._who,
            "wall_seconds": round(self.seconds, 1),
            "trials": self._ran,
        }
        write_json(self._path, {**content, "earlier": others})
        self._written = time.monotonic()

    def _is_mine(self, run: dict[str, Any]) -> bool:
        return all(run.get(name) == self._who[name] for name in ("started", "part"))


def _data_versions(study: Study) -> dict[str, str]:
    """Of the data sets among the tasks."""
    versions = {task: data_version(config.data) for task, config in study.tasks}
    return {task: version for task, version in versions.items() if version is not None}
