"""What a run is: one tree of frozen records, one representation of every setting, exact in JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from lstm_jax.cell.variants import check_dropped
from lstm_jax.names import nearest
from lstm_jax.train.checks import CHOICES, Option, at_least, check_types, known, pairs_of, read_record, type_hints

PAIRS = ("options", "test_options")
"""Settings of the data that are names and values."""
if TYPE_CHECKING:
    Options: TypeAlias = Mapping[str, Option] | tuple[tuple[str, Option], ...]
else:  # what a record holds, and what the command line reads
    Options = tuple[tuple[str, Option], ...]


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
    forget_bias: float | None = 1.0
    """Initial bias of the forget gate where gate_init is constant; None: what the scheme of the weights draws."""
    gate_init: str = "constant"
    """Initial biases of input and forget gates: constant, chrono (memory as long as the sequences), uniform."""
    initializer: str = "standard"
    """Scheme of the initial weights: standard, odyssey, hs97, pytorch, irnn."""
    backend: str = "auto"
    """Loop over time: auto, scan (plain reference), fused (own gradient), native (CPU kernel, where it was
    built), pallas (Hopper GPUs, small cells in 16 bits)."""
    remat_chunk: int | None = None
    """Keep the state every so many steps and recompute the rest; None keeps everything."""
    precision: str = "float32"
    """Type in which weights, biases and inputs enter; the parameters themselves, state and sums stay float32."""
    embedding: int | None = None
    """Features that a symbol of a text is looked up as; None: one input a symbol (one-hot)."""
    tied: bool = False
    """Read out with the table of the embedding, whose rows must be as long as the outputs: embedding = hidden_size."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible sizes."""
        check_types(self)
        known(self, "variant", "gate_init", "initializer", "backend", "precision")
        at_least(self, 1, "hidden_size", "num_layers", "remat_chunk", "embedding")
        at_least(self, self.hidden_size, "width")
        if self.forget_bias is not None and not math.isfinite(self.forget_bias):
            raise ValueError(f"ModelConfig: forget_bias must be finite or None, got {self.forget_bias!r}")
        if self.tied and (self.embedding != self.hidden_size or self.bidirectional or self.width is not None):
            raise ValueError(
                f"ModelConfig: tied=True reads {self.hidden_size} outputs with the embedding's table, got embedding="
                f"{self.embedding}, bidirectional={self.bidirectional}, width={self.width}; set embedding="
                f"{self.hidden_size} in one direction without width, or leave tied out"
            )


@dataclass(frozen=True)
class DropoutConfig:
    """What is dropped in training, by share; each mask is drawn once an update and holds for all steps (locked).

    Sequences packed into one row share its masks.

    Source: Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models" (AWD), 2018.
    """

    embedding: float = 0.0
    """Whole rows of the embedding: a symbol is missing wherever it occurs."""
    inputs: float = 0.0
    """Features that the first layer reads, of each sequence."""
    between: float = 0.0
    """Outputs that a further layer reads from the one below, of each sequence."""
    outputs: float = 0.0
    """Outputs that the readout reads, of each sequence."""
    recurrent: float = 0.0
    """Recurrent weights R of every layer (DropConnect, "weight drop"), the same for all sequences."""

    def __post_init__(self) -> None:
        """Refuse other types and shares outside [0, 1)."""
        check_types(self)
        for name in type_hints(DropoutConfig):
            check_dropped(f"DropoutConfig: {name}", getattr(self, name))

    @property
    def used(self) -> bool:
        """Whether anything is dropped."""
        return any(getattr(self, name) > 0 for name in type_hints(DropoutConfig))


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
    """Updates of a linear rise, of which the last has the peak."""
    weight_decay: float = 0.0
    """Decoupled decay of weight matrices (the embedding too), times the learning rate; no biases, no peepholes."""
    ema: float = 0.0
    """Decay of the running mean of the weights that is validated, tested and kept; 0: the weights themselves."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible values."""
        check_types(self)
        if self.name not in CHOICES["optimizer"]:
            raise ValueError(f"optimizer {self.name!r} is unknown; {nearest(self.name, CHOICES['optimizer'])}")
        known(self, "average", "schedule")
        at_least(self, 0, "learning_rate", "momentum", "warmup_steps", "weight_decay", "ema")
        if self.clip_norm is not None and not 0 < self.clip_norm < math.inf:
            raise ValueError(f"OptimizerConfig: clip_norm must be finite and > 0, or None, got {self.clip_norm!r}")
        for name in ("momentum", "ema"):
            if getattr(self, name) >= 1:
                raise ValueError(f"OptimizerConfig: {name} must be below 1, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class DataConfig:
    """What is learned: a task made of random numbers, or a data set."""

    name: str = "adding"
    """Name in TASKS or DATASETS."""
    options: Options = ()
    """Options of the task, or of the data set's view: `length 20` or `length=20 longest=30`; a mapping in Python."""
    batch_size: int = 32
    """Sequences in each training step; of a text, streams."""
    input_noise: float = 0.0
    """Standard deviation of Gaussian noise on the inputs, in training only."""
    eval_size: int = 512
    """Sequences in each of the validation and test sets of a task; data sets bring their own."""
    eval_batch_size: int = 128
    """Sequences evaluated at once; of a text, streams, each of which begins with a blank state."""
    cuts: int = 1
    """Lengths that batches are cut to: each runs at the shortest that holds it; 1 runs all at the longest. So do, with
    any number, batches under pmap, and trials side by side under vmap without a train.data_seed."""
    batching: str = "random"
    """Sequences of a batch: random, bucketed (those of one cut), packed (rows of several, batch_size counts rows)."""
    test_options: Options = ()
    """Options that a task's test set has instead: `length 500` tests on longer sequences than those learned from."""
    train_size: int | None = None
    """Sequences that a task is learned from, the same for every seed; None: all anew. Data sets bring their own."""

    def __post_init__(self) -> None:
        """Sort the options, so that equal settings are equal records."""
        for field_name in PAIRS:
            given = getattr(self, field_name)
            ordered = tuple(sorted(pairs_of(f"DataConfig: {field_name}", given), key=lambda pair: pair[0]))
            object.__setattr__(self, field_name, ordered)
            names = [name for name, _ in ordered]
            if len(set(names)) < len(names):
                raise ValueError(f"DataConfig: each option is given once, got {names}")
        check_types(self)
        at_least(self, 1, "batch_size", "eval_size", "eval_batch_size", "cuts", "train_size")
        at_least(self, 0, "input_noise")
        known(self, "batching")
        if (self.batching == "bucketed" and self.cuts < 2) or (self.batching == "packed" and self.cuts > 1):
            raise ValueError(
                f"DataConfig: bucketed batches have 2 or more cuts, packed ones 1, got batching={self.batching!r} and "
                f"cuts={self.cuts}"
            )

    @property
    def options_of_test(self) -> tuple[tuple[str, Option], ...]:
        """Those of the test set, whole."""
        return tuple({**dict(self.options), **dict(self.test_options)}.items())


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
    """Most steps between rows of metrics.csv, and in a compiled chunk, the longest wait of an interrupt. A row also
    ends at each evaluation and checkpoint, and is the mean of the steps since the one before."""
    eval_every: int = 100
    """Steps between evaluations on the validation set."""
    patience: int | None = None
    """Evaluations without a better validation score before a trial stops; None never stops early."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    keep: int = 3
    """Checkpoints kept."""
    nan_policy: str = "stop"
    """At a non-finite loss or gradient: stop that trial, skip the update (the rate's schedule too waits), or raise."""
    parallel: str = "none"
    """Split each batch over the devices: none, shard_map, pmap. Trials are always spread over devices."""
    placement: str = "auto"
    """Trials on one device: vmap (side by side), map (one after another), auto (map on CPU)."""

    def __post_init__(self) -> None:
        """Refuse other types, unknown names and impossible counts."""
        check_types(self)
        known(self, "nan_policy", "parallel", "placement")
        at_least(self, 1, "trials", "steps", "log_every", "eval_every", "patience", "checkpoint_every", "keep")
        at_least(self, 0, "seed", "data_seed")
        if self.seed + self.trials > 2**32:
            raise ValueError(f"TrainConfig: seeds must be below 2**32, got {self.seed} + {self.trials} trials")
        if self.data_seed is not None and self.data_seed >= 2**32:
            raise ValueError(f"TrainConfig: data_seed must be below 2**32, got {self.data_seed}")
        if self.parallel != "none" and self.trials > 1:
            raise ValueError(
                f"TrainConfig: parallel={self.parallel!r} splits the batch of one run, got trials={self.trials}; "
                "use parallel='none' (trials are spread over the devices), or trials=1"
            )


@dataclass(frozen=True)
class Config:
    """A run: model, optimizer, data, training, dropout."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    dropout: DropoutConfig = field(default_factory=DropoutConfig)

    def __post_init__(self) -> None:
        """Refuse anything but the five records."""
        for name, kind in type_hints(Config).items():
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"Config: {name} must be a {kind.__name__}, got {getattr(self, name)!r}")
        if self.dropout.used and self.model.width not in (None, self.model.hidden_size):
            raise ValueError(
                f"Config: dropout's masks would be drawn for width={self.model.width} cells, not for hidden_size="
                f"{self.model.hidden_size}; leave width out"
            )
        if self.optimizer.warmup_steps > self.train.steps:
            raise ValueError(
                f"Config: the rate would never reach its peak, got warmup_steps={self.optimizer.warmup_steps} and "
                f"steps={self.train.steps}; take a shorter warm-up"
            )
        if self.data.batching == "packed" and self.optimizer.average == "sequences":
            raise ValueError(
                "Config: rows that are packed hold no fixed number of sequences to average over, got "
                "average='sequences'; take average='steps'"
            )


def to_json(config: Config) -> str:
    """The config as JSON text; ``from_json`` gives back an equal record."""
    tree = dataclasses.asdict(config)
    tree["data"] |= {name: dict(getattr(config.data, name)) for name in PAIRS}
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
    return read_record(Config, tree, "config")
