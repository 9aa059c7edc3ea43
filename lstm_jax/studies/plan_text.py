"""A plan as text: every trial a line, and what differs between two plans."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config


def plan_table(study: Study) -> str:
    """Every trial as a line of CSV, with its key and the settings that the study varies."""
    settings = [entry.setting for entry in study.search]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["key", "task", "variant", "seed", *settings])
    for trial in study.trials():
        values = [_setting(trial.config, setting) for setting in settings]
        writer.writerow([trial.key, trial.task, trial.variant, trial.config.train.seed, *values])
    return text.getvalue()


def _setting(config: Config, place: str) -> Any:
    room, _, name = place.partition(".")
    return getattr(getattr(config, room), name)


def differences(before: Study, now: Study, most: int = 3) -> str:
    """What differs between two studies, in words: the first ``most`` settings, and how many more there are."""
    old, new = _settings(before), _settings(now)
    changed = [
        f"{name}: {old.get(name, 'nothing')} became {new.get(name, 'nothing')}"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]
    shown, more = changed[:most], len(changed) - most
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _settings(study: Study) -> dict[str, str]:
    """Every setting with its path, as text; of tasks the labels first."""
    tree = json.loads(study.to_json())
    tasks, models = tree.pop("tasks"), tree.pop("models")
    settings = {name: json.dumps(value) for name, value in tree.items()} | {"tasks": json.dumps(list(tasks))}
    for label, name, model in models:
        settings |= {f"{label}, {name}.model.{setting}": json.dumps(value) for setting, value in model.items()}
    for label, config in tasks.items():
        for room, values in config.items():
            settings |= {f"{label}.{room}.{name}": json.dumps(value) for name, value in values.items()}
    return settings
