"""Which gates matter?

    python experiments/01_gate_ablation/run.py                    # or: make run
    python experiments/01_gate_ablation/run.py --preset full      # or: make run PRESET=full

Nine cells of the LSTM and the tanh network, on two problems of random numbers and on two of real data. All cells of a
task share the optimizer, the learning rate, the size, the batches and the seeds; the rates were chosen on V's
validation score (README.md says how). Nothing is tuned on test, no seed is dropped.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.cli.dispatch import guarded
from lstm_jax.cli.study import conduct
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
VARIANTS = (*NINE, "RNN")


@dataclass(frozen=True)
class Scale:
    """How long one preset takes: steps of each task, and lengths where a task has one."""

    seeds: int
    variants: tuple[str, ...]
    hidden: int
    adding: tuple[int, int]
    order: tuple[int, int]
    chorales: int
    digits: int


# (length, steps) for the tasks made of random numbers, steps for the data sets.
SCALES = {
    "smoke": Scale(2, ("V", "NFG", "RNN"), 8, adding=(20, 40), order=(20, 40), chorales=10, digits=20),
    "default": Scale(6, VARIANTS, 24, adding=(60, 1500), order=(50, 1500), chorales=300, digits=800),
    "full": Scale(20, (*VARIANTS, "GRU"), 64, adding=(400, 10_000), order=(400, 10_000), chorales=3000, digits=6000),
}


def task(name: str, scale: Scale, steps: int, rate: float, **options: int) -> tuple[str, Config]:
    """One task of the study; batches of 32, Adam, gradients clipped at norm 1, twenty evaluations on validation."""
    config = Config(
        model=ModelConfig(hidden_size=scale.hidden),
        optimizer=OptimizerConfig(learning_rate=rate),
        data=DataConfig(name=name, options=tuple(options.items()), batch_size=32, eval_size=1000, eval_batch_size=500),
        train=TrainConfig(steps=steps, eval_every=max(steps // 20, 1)),
    )
    return name, config


def study(preset: str) -> Study:
    """The study of one preset."""
    scale = SCALES[preset]
    tasks = (
        task("adding", scale, scale.adding[1], 5e-3, length=scale.adding[0]),
        task("temporal_order", scale, scale.order[1], 5e-3, length=scale.order[0]),
        task("bach_chorales", scale, scale.chorales, 5e-3),
        task("digits", scale, scale.digits, 5e-3),
    )
    return Study(f"gate_ablation ({preset})", tasks, scale.variants, scale.seeds)


@dataclass(frozen=True)
class Options:
    """Which gates matter? Nine cells of the LSTM and the tanh network on four tasks."""

    preset: Literal["smoke", "default", "full"] = "default"
    """smoke: under two minutes, too short to mean anything; default: minutes; full: the long version, hours on CPU."""
    out: Path = Path("results/gate_ablation")
    """Folder of the results; finished cells found there are kept."""
    overwrite: bool = False
    """Run finished cells again."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    conduct(study(options.preset), options.out, options.overwrite)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
