"""Which gates matter, when every variant is tuned alike?

    python experiments/02_odyssey/run.py                     # or: make odyssey
    python experiments/02_odyssey/run.py --preset half       # or: make odyssey PRESET=half
    python experiments/02_odyssey/run.py --arms jsb_chorales nottingham spoken_digits

The random search of "LSTM: A Search Space Odyssey" (Greff et al. 2015): nine cells, each with as many trials whose
size, learning rate, momentum and input noise are drawn at random; stochastic gradient descent with Nesterov momentum,
an update after every sequence, early stopping on validation; then the paper's analysis. README.md says what was
published, what is only remembered of it, and where this differs.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.study import conduct
from lstm_jax.studies.plan import Range, Study
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
SEARCH = (
    Range("model.hidden_size", "log_integer", 20, 200),
    Range("optimizer.learning_rate", "log", 1e-6, 1e-2),
    Range("optimizer.momentum", "one_minus_log", 0.01, 1.0),
    Range("data.input_noise", "uniform", 0.0, 1.0),
)
"""The ranges of the paper (secondary: two summaries agree)."""
EPOCHS, PATIENCE = 150, 15
SYNTHETIC_EPOCH = 200
"""Updates that count as an epoch where sequences are drawn without end."""


@dataclass(frozen=True)
class Arm:
    """One data set of the search: what is learned, and how batches are evaluated."""

    data: DataConfig
    bidirectional: bool = False


ARMS = {
    "jsb_chorales": Arm(DataConfig("jsb_chorales", batch_size=1, eval_batch_size=26)),
    "bach_chorales": Arm(DataConfig("bach_chorales", batch_size=1, eval_batch_size=26)),
    "nottingham": Arm(DataConfig("nottingham", {"longest": 256}, batch_size=1, eval_batch_size=26)),
    "spoken_digits": Arm(DataConfig("spoken_digits", {"longest": 100}, batch_size=1, eval_batch_size=50), True),
    "adding": Arm(DataConfig("adding", {"length": 40}, batch_size=1, eval_size=300, eval_batch_size=100)),
}
"""Music, speech in place of TIMIT, and random numbers for where no data is."""


@dataclass(frozen=True)
class Scale:
    """How much a preset runs: trials of each variant, at most so many epochs; widths and lengths that are compiled."""

    variants: tuple[str, ...]
    trials: int
    epochs: int
    widths: tuple[int, ...]
    cuts: int
    block: int | None = None


SCALES = {
    "smoke": Scale(("V", "NFG"), 3, 2, widths=(200,), cuts=1),
    "quick": Scale(NINE, 8, 30, widths=(56, 112, 200), cuts=2),
    "half": Scale(NINE, 100, EPOCHS, widths=(32, 64, 104, 144, 200), cuts=3, block=5),
    "full": Scale(NINE, 200, EPOCHS, widths=(32, 64, 104, 144, 200), cuts=3, block=20),
}


def task(name: str, scale: Scale) -> tuple[str, Config]:
    """One arm of the search; what the trials draw is filled in by the study."""
    arm = ARMS[name]
    epoch = epoch_steps(arm.data)
    config = Config(
        model=ModelConfig(forget_bias=0.0, initializer="odyssey", bidirectional=arm.bidirectional),
        optimizer=OptimizerConfig("damped_sgd", nesterov=True, average="sequences", clip_norm=None),
        data=replace(arm.data, cuts=scale.cuts),
        train=TrainConfig(data_seed=0, steps=scale.epochs * epoch, eval_every=epoch, patience=PATIENCE),
    )
    return name, config


def epoch_steps(data: DataConfig) -> int:
    """Updates that see every training sequence once."""
    from lstm_jax.datasets import DATASETS, load

    if data.name not in DATASETS:
        return SYNTHETIC_EPOCH
    view: dict[str, Any] = dict(data.options)
    return -(-len(load(data.name, "train", **view).lengths) // data.batch_size)


def study(preset: str, arms: tuple[str, ...], trials: int | None = None, variants: tuple[str, ...] = ()) -> Study:
    """The search of one preset."""
    scale = SCALES[preset]
    tasks = tuple(task(name, scale) for name in arms)
    count = scale.trials if trials is None else trials
    cells = variants or scale.variants
    return Study(f"odyssey ({preset})", tasks, cells, count, search=SEARCH, widths=scale.widths, block=scale.block)


def music() -> str:
    """The chorales of the paper where they can be had, otherwise those of the music21 package."""
    from lstm_jax.datasets import DataNotFoundError, prepare

    try:
        prepare("jsb_chorales")
    except (DataNotFoundError, OSError) as error:
        print(f"jsb_chorales is not to be had ({error}): bach_chorales in its place", file=sys.stderr)
        return "bach_chorales"
    return "jsb_chorales"


@dataclass(frozen=True)
class Options:
    """Random search over nine LSTM variants, and the analysis of "LSTM: A Search Space Odyssey"."""

    preset: Literal["smoke", "quick", "half", "full"] = "quick"
    """smoke: under a minute; quick: a quarter of an hour on two cores; half: 100 trials of each variant; full: 200."""
    arms: tuple[Literal["jsb_chorales", "bach_chorales", "nottingham", "spoken_digits", "adding"], ...] = ()
    """What is learned; by default the chorales (smoke: adding)."""
    variants: tuple[str, ...] = ()
    """Names in `lstm-jax variants`, V among them, instead of the preset's."""
    trials: int | None = None
    """Trials of each variant, instead of the preset's."""
    out: Path | None = None
    """Folder of the results, by default results/odyssey/PRESET; finished trials found there are kept."""
    part: str | None = None
    """INDEX/COUNT: every COUNT-th trial from INDEX on, where processes share OUT; auto: as jax.distributed says."""
    overwrite: bool = False
    """Run finished trials again."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    arms = options.arms or (("adding",) if options.preset == "smoke" else (music(),))
    out = options.out or Path("results/odyssey") / options.preset
    conduct(study(options.preset, arms, options.trials, options.variants), out, options.overwrite, options.part)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
