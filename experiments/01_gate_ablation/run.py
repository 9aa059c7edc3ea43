"""Which gates matter?

    python experiments/01_gate_ablation/run.py                    # or: make run
    python experiments/01_gate_ablation/run.py --preset full      # or: make run PRESET=full
    python experiments/01_gate_ablation/run.py --choose-rates     # how the learning rates were chosen

Nine cells of the LSTM and the tanh network, on two problems of random numbers and on two of real data. All cells of a
task share size, optimizer, batches and seeds; each has the learning rate that suited it best on other seeds, by
validation. Nothing is tuned on test, no seed is dropped.
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
from lstm_jax.studies.rates import at_rate, best_rates, chosen_rates, write_rates
from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig

NINE = ("V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
CHOSEN = Path(__file__).with_name("rates.csv")
"""Each variant's learning rate on each task, by --choose-rates: the best mean validation score on other seeds."""
CANDIDATES = (0.003, 0.01, 0.03, 0.1)
OTHER_SEEDS = 1000


@dataclass(frozen=True)
class Scale:
    """How long one preset takes: (length, steps) of the problems of random numbers, steps on the data sets."""

    variants: tuple[str, ...]
    seeds: int
    hidden: int
    adding: tuple[int, int]
    order: tuple[int, int]
    chorales: int
    digits: int


SCALES = {
    "smoke": Scale(("V", "NFG", "RNN"), 2, 8, adding=(20, 40), order=(20, 40), chorales=10, digits=20),
    "default": Scale((*NINE, "RNN"), 6, 24, adding=(60, 1000), order=(50, 1000), chorales=1200, digits=800),
    "full": Scale((*NINE, "RNN", "GRU"), 20, 64, adding=(400, 8000), order=(400, 8000), chorales=4000, digits=4000),
}


def task(name: str, scale: Scale, steps: int, batch_size: int = 32, **options: int) -> tuple[str, Config]:
    """One task: Adam, gradient norm clipped at 1, rate falling to 0 (cosine), twenty looks at the validation set."""
    config = Config(
        model=ModelConfig(hidden_size=scale.hidden),
        optimizer=OptimizerConfig(learning_rate=CANDIDATES[0], schedule="cosine"),
        data=DataConfig(name, tuple(options.items()), batch_size, eval_size=1000, eval_batch_size=500),
        train=TrainConfig(steps=steps, eval_every=max(steps // 20, 1)),
    )
    return name, config


def study(preset: str) -> Study:
    """The study of one preset."""
    scale = SCALES[preset]
    tasks = (
        task("adding", scale, scale.adding[1], length=scale.adding[0]),
        task("temporal_order", scale, scale.order[1], length=scale.order[0]),
        task("bach_chorales", scale, scale.chorales, batch_size=8),
        task("digits", scale, scale.digits),
    )
    own = chosen_rates(CHOSEN, [(name, variant) for name, _ in tasks for variant in scale.variants])
    rated = tuple((*cell, rate) for cell, rate in own.items())
    return Study(f"gate_ablation ({preset})", tasks, scale.variants, scale.seeds, rates=rated)


def rates(preset: str) -> Study:
    """Every variant of the study and the GRU at several learning rates, on seeds that the study does not use."""
    pairs = [(pair, rate) for pair in study(preset).tasks for rate in CANDIDATES]
    tasks = tuple(at_rate(name, config, rate, OTHER_SEEDS) for (name, config), rate in pairs)
    return Study(f"learning rates ({preset})", tasks, (*NINE, "RNN", "GRU"), seeds=5)


@dataclass(frozen=True)
class Options:
    """Which gates matter? Nine cells of the LSTM and the tanh network on four tasks."""

    preset: Literal["smoke", "default", "full"] = "default"
    """smoke: under two minutes, too short to mean anything; default: some minutes; full: hours."""
    out: Path = Path("results/gate_ablation")
    """Folder of the results; finished cells found there are kept."""
    overwrite: bool = False
    """Run finished cells again."""
    choose_rates: bool = False
    """Instead, train every variant at several learning rates on other seeds; writes OUT/rates.csv."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    if not options.choose_rates:
        conduct(study(options.preset), options.out, options.overwrite)
        return 0
    rows = best_rates(conduct(rates(options.preset), options.out / "rates", options.overwrite))
    write_rates(options.out / "rates.csv", rows)
    print(f"wrote {options.out / 'rates.csv'}; the study reads {CHOSEN.name} beside this script")
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
