"""Many runs: enumerate, run resumably, gather, compare."""

from lstm_jax.studies.collect import Row, read_rows
from lstm_jax.studies.compare import Comparison, compare
from lstm_jax.studies.plan import Range, Study, Trial
from lstm_jax.studies.run import run_study
from lstm_jax.studies.statistics import holm, mean_interval, welch

__all__ = [
    "Comparison",
    "Range",
    "Row",
    "Study",
    "Trial",
    "compare",
    "holm",
    "mean_interval",
    "read_rows",
    "run_study",
    "welch",
]
