"""Looking: arrays or tables in, arrays or figures out."""

from lstm_jax.analysis.gates import Saturation, record_gates, saturation, time_scales
from lstm_jax.analysis.gradients import input_gradient_norms, state_jacobian_norms
from lstm_jax.analysis.plots import plot_gates, plot_gradient_norms, plot_learning_curves, plot_traces

__all__ = [
    "Saturation",
    "input_gradient_norms",
    "plot_gates",
    "plot_gradient_norms",
    "plot_learning_curves",
    "plot_traces",
    "record_gates",
    "saturation",
    "state_jacobian_norms",
    "time_scales",
]
