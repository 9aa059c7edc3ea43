"""What a run is: one tree of frozen records, one representation of every setting, exact in JSON."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType, UnionType
from typing import Any

import numpy as np

from lstm_jax.cell.initializers import SCHEMES
from lstm_jax.cell.variants import VARIANTS
from lstm_jax.names import UsageError, nearest
from lstm_jax.unroll import BACKENDS

Option = None | int | float | bool | str


CHOICES = MappingProxyType(
    {
        "variant": tuple(VARIANTS),
        "gate_init": ("constant", "chrono", "uniform"),
        "initializer": tuple(SCHEMES),
        "backend": BACKENDS,
        "precision": ("float32", "bfloat16"),
        "optimizer": ("adam", "sgd", "damped_sgd", "rmsprop", "adagrad"),
        "average": ("steps", "sequences"),
        "schedule": ("constant", "cosine", "linear", "exponential"),
        "nan_policy": ("stop", "skip", "raise"),
        "parallel": ("none", "shard_map", "pmap"),
        "placement": ("auto", "vmap", "map"),
    }
)
"""The known names of every setting that is a name."""


@dataclass(frozen=True)
class ModelConfig:
    """The network: recurrent layers and one linear readout."""

    variant: str = "V"
    """Cell, by its name in VARIANTS."""
    hidden_size: int = 32
    """Cells in each layer and direction."""
    width: int | None = None
    """Cells that are computed, so that sizes may share a program: those beyond hidden_size stay 0. None: as many."""
    num_layers: int = 1
    """Layers, each reading the outputs of the one below."""
    bidirectional: bool = False
    """Read each sequence in both directions."""
    forget_bias: float = 1.0
    """Initial bias of the forget gate (gate_init constant)."""
    gate_init: str = "constant"
    """Initial biases of input and forget gates: constant, chrono (memory as long as the sequences), uniform."""
    initializer: str = "standard"
    """Scheme of the initial weights: standard, odyssey, hs97, pytorch, irnn."""
    backend: str = "auto"
    """Loop over time: auto, scan (plain reference), fused (own gradient)."""
    remat_chunk: int | None = None
    """Keep the state every so many steps and recompute the rest; None keeps everything."""
    precision: str = "float32"
    """Type of the products' operands; parameters, state and sums stay float32."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible sizes."""
        _check_types(self)
        _known(self, "variant", "gate_init", "initializer", "backend", "precision")
        _at_least(self, 1, "hidden_size", "num_layers", "remat_chunk")
        _at_least(self, self.hidden_size, "width")
        if not math.isfinite(self.forget_bias):
            raise ValueError(f"ModelConfig: forget_bias must be finite, got {self.forget_bias!r}")


@dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become updates."""

    name: str = "adam"
    """adam (AdamW when weight_decay > 0), sgd, damped_sgd (gradients times 1 - momentum), rmsprop, adagrad."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    momentum: float = 0.9
    """Momentum of sgd, rmsprop and adagrad, first-moment decay of adam."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""
    average: str = "steps"
    """What a gradient is a mean over: what the loss counts (steps; for CTC sequences), or sequences (steps summed)."""
    clip_norm: float | None = 1.0
    """Largest global norm of a gradient; None never clips."""
    schedule: str = "constant"
    """Learning rate after the warm-up: constant, cosine, linear (both to 0), exponential (to 1 % of the peak)."""
    warmup_steps: int = 0
    """Steps of linear rise from 0 to the peak."""
    weight_decay: float = 0.0
    """Decoupled decay of weight matrices, times the learning rate; biases and peepholes are not decayed."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible values."""
        _check_types(self)
        if self.name not in CHOICES["optimizer"]:
            raise ValueError(f"optimizer {self.name!r} is unknown; {nearest(self.name, CHOICES['optimizer'])}")
        _known(self, "average", "schedule")
        _at_least(self, 0, "learning_rate", "momentum", "warmup_steps", "weight_decay")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise ValueError(f"OptimizerConfig: clip_norm must be finite and > 0, or None, got {self.clip_norm!r}")
        if self.momentum >= 1:
            raise ValueError(f"OptimizerConfig: momentum must be below 1, got {self.momentum!r}")


@dataclass(frozen=True)
class DataConfig:
    """What is learned: a task made of random numbers, or a data set."""

    name: str = "adding"
    """Name in TASKS or DATASETS."""
    options: tuple[tuple[str, Option], ...] = ()
    """Options of the task, or of the data set's view: `length 20` or `length=20 longest=30`; a mapping in Python."""
    batch_size: int = 32
    """Sequences in each training step."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise on the inputs, in training only."""
    eval_size: int = 512
    """Sequences in each of the validation and test sets of a task; data sets bring their own."""
    eval_batch_size: int = 128
    """Sequences evaluated at once."""
    cuts: int = 1
    """Lengths that batches are cut to: each runs at the shortest that holds it; 1 runs all at the longest."""

    def __post_init__(self) -> None:
        """Sort the options, so that equal settings are equal records."""
        pairs = self.options.items() if isinstance(self.options, Mapping) else self.options
        object.__setattr__(self, "options", tuple(sorted(((str(k), v) for k, v in pairs), key=lambda pair: pair[0])))
        _check_types(self)
        names = [name for name, _ in self.options]
        if len(set(names)) < len(names):
            raise ValueError(f"DataConfig: each option is given once, got {names}")
        _at_least(self, 1, "batch_size", "eval_size", "eval_batch_size", "cuts")
        _at_least(self, 0, "input_noise")


@dataclass(frozen=True)
class TrainConfig:
    """How long, how often, and on what."""

    seed: int = 0
    """Seed of the run; trial n of several has seed + n."""
    trials: int = 1
    """Independent runs in one program."""
    data_seed: int | None = None
    """Seed of the batches, where trials are to see the same ones; None: each trial's own seed."""
    steps: int = 1000
    """Updates."""
    log_every: int = 50
    """Steps between rows of metrics.csv; also steps per compiled chunk, the longest wait of an interrupt."""
    eval_every: int = 100
    """Steps between evaluations on the validation set."""
    patience: int | None = None
    """Evaluations without a better validation score before a trial stops; None never stops early."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    keep: int = 3
    """Checkpoints kept."""
    nan_policy: str = "stop"
    """At a non-finite loss or gradient: stop that trial, skip the update, or raise."""
    parallel: str = "none"
    """Split each batch over the devices: none, shard_map, pmap. Trials are always spread over devices."""
    placement: str = "auto"
    """Trials on one device: vmap (side by side), map (one after another), auto (map on CPU)."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible counts."""
        _check_types(self)
        _known(self, "nan_policy", "parallel", "placement")
        _at_least(self, 1, "trials", "steps", "log_every", "eval_every", "patience", "checkpoint_every", "keep")
        _at_least(self, 0, "seed", "data_seed")
        if self.seed + self.trials > 2**32:
            raise ValueError(f"TrainConfig: seeds must be below 2**32, got {self.seed} + {self.trials} trials")
        if self.parallel != "none" and self.trials > 1:
            raise ValueError(
                f"TrainConfig: parallel={self.parallel!r} splits the batch of one run, got trials={self.trials}; "
                "use parallel='none' (trials are spread over the devices), or trials=1"
            )


@dataclass(frozen=True)
class Config:
    """A run: model, optimizer, data, training."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        """Refuse anything but the four records."""
        for name, kind in _hints(Config).items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Config: {name} must be a {kind.__name__}, got {getattr(self, name)!r}")


def to_json(config: Config) -> str:
    """The config as JSON text; ``from_json`` gives back an equal record."""
    tree = dataclasses.asdict(config)
    tree["data"]["options"] = dict(config.data.options)
    return json.dumps(tree, indent=2, allow_nan=False) + "\n"


def from_json(text: str) -> Config:
    """The config that ``to_json`` wrote; missing keys take defaults, unknown keys are errors.

    Raises:
        ValueError: not JSON, an unknown key, an unknown name, an impossible value.
        TypeError: a value of another type than the field's.
    """
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the config is not JSON: {error}") from None
    return _record(Config, tree, "config")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _check_types(record: Any) -> None:
    """The same check for records built in Python as for those read from JSON; numpy scalars become numbers."""
    kind: Any = type(record)
    for name, hint in _hints(kind).items():
        value = getattr(record, name)
        where = f"{kind.__name__}: {name}"
        if typing.get_origin(hint) is tuple:
            checked: Any = tuple((option, _option(choice, f"{where}.{option}")) for option, choice in value)
        else:
            checked = _value(hint, value, where)
        object.__setattr__(record, name, checked)


def _record(kind: type, tree: Any, where: str) -> Any:
    if not isinstance(tree, dict):
        raise TypeError(f"{where} must be a JSON object, got {type(tree).__name__}: {tree!r}")
    hints = _hints(kind)
    for key in tree:
        if key not in hints:
            raise UsageError(f"{where} has an unknown key {key!r}; {nearest(key, hints)}")
    return kind(**{key: _value(hints[key], value, f"{where}.{key}") for key, value in tree.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast(type, hint), value, where)
    if typing.get_origin(hint) is tuple:
        return tuple(_record_options(value, where).items())
    value = _plain(value)
    kinds = hint.__args__ if isinstance(hint, UnionType) else (hint,)
    if float in kinds and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) not in kinds:
        expected = " or ".join("null" if kind is NoneType else kind.__name__ for kind in kinds)
        raise TypeError(f"{where} must be {expected}, got {type(value).__name__}: {value!r}")
    return value


def _record_options(value: Any, where: str) -> dict[str, Option]:
    if not isinstance(value, dict):
        raise TypeError(f"{where} must be a JSON object of names and values, got {value!r}")
    return {name: _option(option, f"{where}.{name}") for name, option in value.items()}


def _option(value: Any, where: str) -> Option:
    value = _plain(value)
    if not isinstance(value, Option):
        raise TypeError(f"{where} must be a number, a truth value, a string or null, got {value!r}")
    return value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _known(record: Any, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value not in CHOICES[name]:
            raise ValueError(f"{type(record).__name__}: {name}={value!r} is unknown; {nearest(value, CHOICES[name])}")


def _at_least(record: Any, least: int, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if value is not None and not (value >= least and math.isfinite(value)):
            raise ValueError(f"{type(record).__name__}: {name} must be finite and >= {least}, got {value!r}")
