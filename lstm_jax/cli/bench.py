"""``lstm-jax bench``: times and sizes side by side with every other LSTM, by ``experiments/00_speed``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from lstm_jax.cli.dispatch import DONE

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "00_speed" / "run.py"
HELP = """usage: lstm-jax bench [OPTIONS]

Time forward and backward passes side by side with Flax, Keras, Haiku, Equinox and PyTorch. Options are those of
experiments/00_speed/run.py, which has its own --help."""


def run(arguments: list[str]) -> int:
    """Run the experiment's ``main(arguments)``; its help is ours."""
    if not SCRIPT.is_file():
        if {"-h", "--help"} & set(arguments):
            print(HELP)
            return DONE
        raise FileNotFoundError(f"{SCRIPT} is missing: the benchmark is part of the repository, not of the wheel")
    spec = importlib.util.spec_from_file_location("speed", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["speed"] = module
    spec.loader.exec_module(module)
    return module.main(arguments) or DONE
