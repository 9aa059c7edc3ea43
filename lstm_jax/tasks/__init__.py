"""Long-dependency problems made of random numbers: ``TASKS[name](**options).sample(key, batch_size) -> Batch``."""

from lstm_jax.tasks.adding import Adding, Adding1997, Multiplication
from lstm_jax.tasks.automata import CycleNavigation, EvenPairs, ModularArithmetic, Parity
from lstm_jax.tasks.batch import Batch
from lstm_jax.tasks.chaos import Lorenz, MackeyGlass
from lstm_jax.tasks.copying import Copy, VariableCopy
from lstm_jax.tasks.lag import Lag2a, Lag2b, Lag2c
from lstm_jax.tasks.languages import AnBmBmAn, AnBn, AnBnCn
from lstm_jax.tasks.mnist1d import Mnist1D
from lstm_jax.tasks.reber import ContinualReber, EmbeddedReber
from lstm_jax.tasks.registry import TASKS
from lstm_jax.tasks.selective import SelectiveCopy
from lstm_jax.tasks.sorting import BucketSort
from lstm_jax.tasks.task import Task
from lstm_jax.tasks.temporal_order import ContinualTemporalOrder, TemporalOrder
from lstm_jax.tasks.timed import Periodic, SpikeDelays, TimedSpikes
from lstm_jax.tasks.two_sequence import TwoSequence
from lstm_jax.tasks.warp import TimePadding, TimeWarp
from lstm_jax.tasks.words import GroupWords
from lstm_jax.tasks.xor import DelayedXor

__all__ = [
    "TASKS",
    "Adding",
    "Adding1997",
    "AnBmBmAn",
    "AnBn",
    "AnBnCn",
    "Batch",
    "BucketSort",
    "ContinualReber",
    "ContinualTemporalOrder",
    "Copy",
    "CycleNavigation",
    "DelayedXor",
    "EmbeddedReber",
    "EvenPairs",
    "GroupWords",
    "Lag2a",
    "Lag2b",
    "Lag2c",
    "Lorenz",
    "MackeyGlass",
    "Mnist1D",
    "ModularArithmetic",
    "Multiplication",
    "Parity",
    "Periodic",
    "SelectiveCopy",
    "SpikeDelays",
    "Task",
    "TemporalOrder",
    "TimePadding",
    "TimeWarp",
    "TimedSpikes",
    "TwoSequence",
    "VariableCopy",
]
