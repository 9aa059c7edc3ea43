"""What a study runs: tasks x variants x trials, enumerated or drawn at random before the first one runs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType, NoneType
from typing import Any

import numpy as np

from lstm_jax.cell.variants import VARIANTS
from lstm_jax.names import UsageError, nearest
from lstm_jax.train.checks import read_record
from lstm_jax.train.config import Config, ModelConfig, from_json, to_json


def _log(share: float, low: float, high: float) -> float:
    return low * (high / low) ** share


LAWS: Mapping[str, Callable[[float, float, float], float | int]] = MappingProxyType(
    {
        "uniform": lambda share, low, high: low + share * (high - low),
        "log": _log,
        "log_integer": lambda share, low, high: round(_log(share, low, high)),
        "one_minus_log": lambda share, low, high: 1.0 - _log(share, low, high),
    }
)
"""How a share of 1 becomes a value: ``(share, low, high)``. ``one_minus_log``: 1 - x, the bounds being those of x."""


@dataclass(frozen=True)
class Range:
    """What a random search draws one setting from.

    Attributes:
        setting: its place in a config, ``"optimizer.learning_rate"``.
        law: a name in ``LAWS``; ``low`` and ``high`` are its bounds.
    """

    setting: str
    law: str
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.law not in LAWS:
            raise UsageError(f"search over {self.setting}: unknown law {self.law!r}; {nearest(self.law, LAWS)}")
        least = -math.inf if self.law == "uniform" else 0.0
        if not (math.isfinite(self.high) and least < self.low <= self.high):
            raise UsageError(
                f"search over {self.setting}: bounds must rise{' and be positive' if least == 0 else ''}, "
                f"got {self.low!r} to {self.high!r}"
            )
        room, _, name = self.setting.partition(".")
        rooms = {field.name for field in dataclasses.fields(Config)}
        if room not in rooms:
            raise UsageError(f"search: no setting {self.setting!r}; {nearest(room, rooms)}")
        names = {field.name for field in dataclasses.fields(getattr(Config(), room))}
        if name not in names:
            raise UsageError(f"search: no setting {self.setting!r}; {nearest(name, names)}")


@dataclass(frozen=True)
class Trial:
    """One network to train: ``config`` is the whole truth about it; ``task`` and ``variant`` are what tables print."""

    task: str
    variant: str
    config: Config

    @functools.cached_property
    def key(self) -> str:
        """A name that changes with every setting, so results of another setting are never taken for these."""
        digest = hashlib.sha256(to_json(self.config).encode()).hexdigest()
        return f"{self.task}-{self.variant}-{self.config.train.seed}-{digest[:16]}"


@dataclass(frozen=True)
class Study:
    """A question asked of several variants on several tasks.

    Attributes:
        name: what the study is called.
        tasks: ``(label, config)`` pairs; variant, seed and searched settings are replaced in each trial.
        variants: names in ``VARIANTS`` or in ``models``; the others are compared with ``reference``.
        seeds: trials of each variant on each task, with seeds from ``config.train.seed`` on.
        rates: ``(label, variant, learning rate)`` where a variant has its own; everything else is the same for all
            variants of a task.
        models: ``(label, variant, model)`` where a variant has a network of its own on a task, such as a size; it may
            have any name then.
        search: settings that each trial draws anew, independently; none repeats the same settings with other seeds.
        search_seed: of those draws; they depend on it, on task, variant, trial and setting, and on nothing else.
        widths: hidden sizes are padded to the next of these, so that few programs serve all; none pads nothing.
        block: trials of each variant that run before the next variant's turn, so that a study stopped halfway has
            some of all; None runs together what one program trains, whatever its task is called.
    """

    name: str
    tasks: tuple[tuple[str, Config], ...]
    variants: tuple[str, ...]
    seeds: int = 5
    reference: str = "V"
    rates: tuple[tuple[str, str, float], ...] = ()
    models: tuple[tuple[str, str, ModelConfig], ...] = ()
    search: tuple[Range, ...] = ()
    search_seed: int = 0
    widths: tuple[int, ...] = ()
    block: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be compared."""
        labels = [label for label, _ in self.tasks]
        searched = [entry.setting for entry in self.search]
        for what, names in (("task", labels), ("variant", list(self.variants)), ("searched setting", searched)):
            if not names and what != "searched setting":
                raise UsageError(f"study {self.name!r} needs at least one {what}")
            if len(set(names)) < len(names):
                raise UsageError(f"study {self.name!r}: each {what} is given once, got {', '.join(names)}")
        own = {(label, name) for label, name, _ in self.models}
        for variant in self.variants:
            if variant not in VARIANTS and not all((label, variant) in own for label in labels):
                raise UsageError(f"study {self.name!r}: unknown variant {variant!r}; {nearest(variant, VARIANTS)}")
        if self.reference not in self.variants:
            hint = f"is not among its variants; {nearest(self.reference, self.variants)}"
            raise UsageError(f"study {self.name!r}: the reference {self.reference!r} {hint}")
        for what, cells in (("learning rate", self.rates), ("model", self.models)):
            for label, variant, _ in cells:
                if label not in labels or variant not in (*VARIANTS, *self.variants):
                    raise UsageError(f"study {self.name!r}: a {what} is given for {label} {variant}, not part of it")
        for what, count in (("seeds", self.seeds), ("block", self.block)):
            if count is not None and count < 1:
                raise UsageError(f"study {self.name!r}: {what} must be >= 1, got {count}")

    def trials(self) -> list[Trial]:
        """All trials in the order of running: block by block, task by task, the reference first, by width."""
        return list(_trials(self))

    def in_order(self) -> list[Trial]:
        """All trials in the order of results: task by task, variant by variant, by rising seed."""
        task = {label: n for n, (label, _) in enumerate(self.tasks)}
        trials = self.trials()
        variant = {name: n for n, name in enumerate(dict.fromkeys(trial.variant for trial in trials))}
        return sorted(trials, key=lambda t: (task[t.task], variant[t.variant], t.config.train.seed))

    def _enumerate(self) -> list[Trial]:
        order = sorted(self.variants, key=lambda variant: variant != self.reference)
        block = self.block or self.seeds
        return [
            trial
            for first in range(0, self.seeds, block)
            for label, config in self.tasks
            for variant in order
            for trial in self._block(label, config, variant, range(first, min(first + block, self.seeds)))
        ]

    def _block(self, label: str, config: Config, variant: str, numbers: range) -> list[Trial]:
        trials = [Trial(label, variant, self._config(label, config, variant, n)) for n in numbers]
        return sorted(trials, key=lambda trial: trial.config.model.width or 0)

    def _config(self, label: str, config: Config, variant: str, number: int) -> Config:
        own = {(task, name): rate for task, name, rate in self.rates}
        rate = own.get((label, variant), config.optimizer.learning_rate)
        models = {(task, name): model for task, name, model in self.models}
        config = replace(
            config,
            model=models.get((label, variant)) or replace(config.model, variant=variant),
            optimizer=replace(config.optimizer, learning_rate=rate),
            train=replace(config.train, seed=config.train.seed + number, trials=1),
        )
        for entry in self.search:
            room, _, name = entry.setting.partition(".")
            value = LAWS[entry.law](self._share(label, variant, number, entry.setting), entry.low, entry.high)
            config = replace(config, **{room: replace(getattr(config, room), **{name: value})})
        return self._padded(config)

    def _share(self, label: str, variant: str, number: int, setting: str) -> float:
        names = [zlib.crc32(text.encode()) for text in (label, variant, setting)]
        return float(np.random.default_rng([self.search_seed, number, *names]).random())

    def _padded(self, config: Config) -> Config:
        hidden = config.model.hidden_size
        wide = [width for width in sorted(self.widths) if width >= hidden]
        if self.widths and not wide:
            raise UsageError(f"study {self.name!r}: hidden_size {hidden} is above all widths {list(self.widths)}")
        return replace(config, model=replace(config.model, width=wide[0])) if wide else config

    def to_json(self) -> str:
        """The study as JSON text; ``from_json`` gives back an equal record."""
        tree = {
            "name": self.name,
            "reference": self.reference,
            "seeds": self.seeds,
            "variants": list(self.variants),
            "rates": [list(row) for row in self.rates],
            "models": [[label, name, dataclasses.asdict(model)] for label, name, model in self.models],
            "search": [dataclasses.asdict(entry) for entry in self.search],
            "search_seed": self.search_seed,
            "widths": list(self.widths),
            "block": self.block,
            "tasks": {label: json.loads(to_json(config)) for label, config in self.tasks},
        }
        return json.dumps(tree, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Study:
        """Read what ``to_json`` wrote; unknown keys are errors, missing ones take defaults.

        Raises:
            ValueError, TypeError: naming the key and what was expected.
        """
        try:
            tree = json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(f"the study is not JSON: {error}") from None
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(tree, dict) or not isinstance(tree.get("tasks"), dict):
            raise UsageError(f"a study is a JSON object with the keys {', '.join(known)}")
        for key in tree:
            if key not in known:
                raise UsageError(f"the study has an unknown key {key!r}; {nearest(key, known)}")
        _check_kinds(tree)
        lists: dict[str, Any] = {name: tuple(tree.get(name, ())) for name in ("variants", "widths")}
        lists["tasks"] = tuple((label, from_json(json.dumps(config))) for label, config in tree["tasks"].items())
        lists["rates"] = tuple((label, variant, rate) for label, variant, rate in tree.get("rates", ()))
        models = ((label, name, json.dumps({"model": model})) for label, name, model in tree.get("models", ()))
        lists["models"] = tuple((label, name, from_json(text).model) for label, name, text in models)
        lists["search"] = tuple(read_record(Range, entry, "the study's search") for entry in tree.get("search", ()))
        return cls(**{**tree, **lists})


VALUES = MappingProxyType(
    {"name": (str,), "reference": (str,), "seeds": (int,), "search_seed": (int,), "block": (int, NoneType)}
)
ENTRIES = MappingProxyType({"variants": str, "widths": int, "rates": list, "models": list, "search": dict})
"""What stands under the keys of a study's JSON; of the lists, what their entries are."""


def _check_kinds(tree: dict[str, Any]) -> None:
    for key, kinds in VALUES.items():
        if key in tree and type(tree[key]) not in kinds:
            raise UsageError(f"the study's {key} must be {kinds[0].__name__}, got {tree[key]!r}")
    if tree.get("search_seed", 0) < 0:
        raise UsageError(f"the study's search_seed must be >= 0, got {tree['search_seed']}")
    for key, kind in ENTRIES.items():
        entries = tree.get(key, [])
        if not isinstance(entries, list) or any(type(entry) is not kind for entry in entries):
            raise UsageError(f"the study's {key} must be a list whose entries are {kind.__name__}, got {entries!r}")
    for key, third in (("rates", "rate"), ("models", "model")):
        for entry in tree.get(key, []):
            if len(entry) != 3:
                raise UsageError(f"the study's {key} are lists [task, variant, {third}], got {entry!r}")
    parts = [field.name for field in dataclasses.fields(Range)]
    for entry in tree.get("search", []):
        if sorted(entry) != sorted(parts):
            raise UsageError(f"the study's search has entries of {', '.join(parts)}, got {entry!r}")


@functools.lru_cache(maxsize=4)
def _trials(study: Study) -> tuple[Trial, ...]:
    return tuple(study._enumerate())
