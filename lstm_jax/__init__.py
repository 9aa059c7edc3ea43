"""The laboratory for the LSTM on JAX: every gate can be removed, opened, coupled or rewired by naming it."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    **dict.fromkeys(("VARIANTS", "Variant"), "lstm_jax.cell.variants"),
    **dict.fromkeys(("Params", "State", "gate_view", "init_params", "initial_state", "pack_gates"), "lstm_jax.cell.params"),
    "lstm_step": "lstm_jax.cell.step",
    "unroll": "lstm_jax.unroll.sequence",
    **dict.fromkeys(("init_stack", "unroll_stack"), "lstm_jax.unroll.stack"),
    "TASKS": "lstm_jax.tasks",
    "Batch": "lstm_jax.tasks.batch",
}
_ROOMS = {
    "nnx": "lstm_jax.modules.nnx",
    "linen": "lstm_jax.modules.linen",
    **{room: f"lstm_jax.{room}" for room in ("analysis", "convert", "datasets", "studies", "train")},
}


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(_ROOMS[name])
    raise AttributeError(f"module 'lstm_jax' has no attribute {name!r}")
