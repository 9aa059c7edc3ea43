"""What a study runs: tasks x variants, each with the same seeds, enumerated into cells with stable names."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.names import nearest
from lstm_jax.train.config import Config, UsageError, from_json, to_json

Share = Callable[[float], None]
"""Is told how much of a cell is done, from 0 to 1."""


@dataclass(frozen=True)
class Cell:
    """One program: a variant on a task, with all its seeds as trials.

    ``config`` is the whole truth about it; ``task`` and ``variant`` are the names that tables print.
    """

    task: str
    variant: str
    config: Config

    @property
    def key(self) -> str:
        """A file name that changes with every setting, so results of another setting are never taken for these."""
        digest = hashlib.sha256(to_json(self.config).encode()).hexdigest()
        return re.sub(r"[^\w.-]", "_", f"{self.task}-{self.variant}-{digest[:12]}")


@dataclass(frozen=True)
class Study:
    """A question asked of several variants on several tasks.

    Attributes:
        name: what the study is called.
        tasks: ``(label, config)`` pairs; the config's variant and trials are replaced in each cell.
        variants: names in ``VARIANTS``; ``reference`` is the one that the others are compared with.
        seeds: trials of each cell, from ``config.train.seed`` on.
        rates: ``(label, variant, learning rate)`` where a variant has its own; everything else is the same for all
            variants of a task.
    """

    name: str
    tasks: tuple[tuple[str, Config], ...]
    variants: tuple[str, ...]
    seeds: int = 5
    reference: str = "V"
    rates: tuple[tuple[str, str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        labels = [label for label, _ in self.tasks]
        for what, names in (("task", labels), ("variant", list(self.variants))):
            if not names:
                raise UsageError(f"study {self.name!r} needs at least one {what}")
            if len(set(names)) < len(names):
                raise UsageError(f"study {self.name!r}: each {what} is given once, got {', '.join(names)}")
        for variant in self.variants:
            if variant not in VARIANTS:
                raise UsageError(f"study {self.name!r}: unknown variant {variant!r}; {nearest(variant, VARIANTS)}")
        if self.reference not in self.variants:
            hint = f"is not among its variants; {nearest(self.reference, self.variants)}"
            raise UsageError(f"study {self.name!r}: the reference {self.reference!r} {hint}")
        for label, variant, _ in self.rates:
            if label not in labels or variant not in VARIANTS:
                raise UsageError(
                    f"study {self.name!r}: a learning rate is given for {label} {variant}, not part of it"
                )
        if self.seeds < 1:
            raise UsageError(f"study {self.name!r}: seeds must be >= 1, got {self.seeds}")

    def cells(self) -> list[Cell]:
        """All cells, task by task, the reference first in each."""
        order = sorted(self.variants, key=lambda variant: variant != self.reference)
        return [self._cell(label, config, variant) for label, config in self.tasks for variant in order]

    def _cell(self, label: str, config: Config, variant: str) -> Cell:
        model = replace(config.model, variant=variant)
        train = replace(config.train, trials=self.seeds)
        own = {(task, name): rate for task, name, rate in self.rates}
        rate = own.get((label, variant), config.optimizer.learning_rate)
        optimizer = replace(config.optimizer, learning_rate=rate)
        return Cell(label, variant, replace(config, model=model, optimizer=optimizer, train=train))

    def to_json(self) -> str:
        """The study as JSON text; ``from_json`` gives back an equal record."""
        tree = {
            "name": self.name,
            "reference": self.reference,
            "seeds": self.seeds,
            "variants": list(self.variants),
            "rates": [list(row) for row in self.rates],
            "tasks": {label: json.loads(to_json(config)) for label, config in self.tasks},
        }
        return json.dumps(tree, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Study:
        """Read what ``to_json`` wrote; unknown keys are errors.

        Raises:
            ValueError, TypeError: naming the key and what was expected.
        """
        try:
            tree = json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(f"the study is not JSON: {error}") from None
        known = ("name", "reference", "seeds", "variants", "rates", "tasks")
        if not isinstance(tree, dict) or not isinstance(tree.get("tasks"), dict):
            raise UsageError(f"a study is a JSON object with the keys {', '.join(known)}")
        for key in tree:
            if key not in known:
                raise UsageError(f"the study has an unknown key {key!r}; {nearest(key, known)}")
        tasks = tuple((label, from_json(json.dumps(config))) for label, config in tree["tasks"].items())
        rates = tuple((label, variant, rate) for label, variant, rate in tree.get("rates", ()))
        return cls(**{**tree, "tasks": tasks, "variants": tuple(tree.get("variants", ())), "rates": rates})


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
    tasks = tree.pop("tasks")
    settings = {name: json.dumps(value) for name, value in tree.items()} | {"tasks": json.dumps(list(tasks))}
    for label, config in tasks.items():
        for room, values in config.items():
            settings |= {f"{label}.{room}.{name}": json.dumps(value) for name, value in values.items()}
    return settings
