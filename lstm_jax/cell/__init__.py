"""The pure mathematics of one time step; nothing about time, batches of trials or training."""

from jax import export

from lstm_jax.cell.initializers import chrono, uniform_gates
from lstm_jax.cell.params import Params, gate_view, init_params, named_shapes, pack_gates
from lstm_jax.cell.step import State, initial_state, lstm_step
from lstm_jax.cell.variants import SUMMARIES, VARIANTS, Variant, resolve

# So that exported programs may take and return them.
export.register_namedtuple_serialization(Params, serialized_name="lstm_jax.Params")
export.register_namedtuple_serialization(State, serialized_name="lstm_jax.State")

__all__ = [
    "SUMMARIES",
    "VARIANTS",
    "Params",
    "State",
    "Variant",
    "chrono",
    "gate_view",
    "init_params",
    "initial_state",
    "lstm_step",
    "named_shapes",
    "pack_gates",
    "resolve",
    "uniform_gates",
]
