"""The laboratory for the LSTM on JAX: every gate can be removed, opened, coupled or rewired by naming it.

The core (cell, time, tasks) is imported at once; Flax, Optax, Orbax and the data sets come with the first use of
``nnx``, ``linen``, ``train``, ``datasets`` and the other rooms.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from lstm_jax.cell import (
    VARIANTS,
    Params,
    State,
    Variant,
    chrono,
    gate_view,
    init_params,
    initial_state,
    lstm_step,
    pack_gates,
    uniform_gates,
)
from lstm_jax.tasks import TASKS, Batch

# `unroll` is a room and the function in it: this binds the function, after the import system bound the room.
from lstm_jax.unroll import init_stack, unroll, unroll_stack, xla_options

if TYPE_CHECKING:
    from lstm_jax import analysis, convert, datasets, studies, train
    from lstm_jax.modules import linen, nnx

__version__ = "0.1.0"

__all__ = [
    "TASKS",
    "VARIANTS",
    "Batch",
    "Params",
    "State",
    "Variant",
    "analysis",
    "chrono",
    "convert",
    "datasets",
    "gate_view",
    "init_params",
    "init_stack",
    "initial_state",
    "linen",
    "lstm_step",
    "nnx",
    "pack_gates",
    "studies",
    "train",
    "uniform_gates",
    "unroll",
    "unroll_stack",
    "xla_options",
]

_LAZY = {
    **{room: f"lstm_jax.{room}" for room in ("analysis", "convert", "datasets", "studies", "train")},
    **{module: f"lstm_jax.modules.{module}" for module in ("linen", "nnx")},
}


def __getattr__(name: str) -> ModuleType:
    if name not in _LAZY:
        raise AttributeError(f"module 'lstm_jax' has no attribute {name!r}; it has {', '.join(__all__)}")
    return importlib.import_module(_LAZY[name])


def __dir__() -> list[str]:
    return list(__all__)
