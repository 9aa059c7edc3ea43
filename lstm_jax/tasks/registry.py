"""All tasks by name."""

from __future__ import annotations

from typing import Any

from lstm_jax.names import Registry
from lstm_jax.tasks.adding import Adding, Adding1997, Multiplication
from lstm_jax.tasks.automata import CycleNavigation, EvenPairs, ModularArithmetic, Parity
from lstm_jax.tasks.chaos import Lorenz, MackeyGlass
from lstm_jax.tasks.copying import Copy, VariableCopy
from lstm_jax.tasks.lag import Lag2a, Lag2b, Lag2c
from lstm_jax.tasks.languages import AnBmBmAn, AnBn, AnBnCn
from lstm_jax.tasks.mnist1d import Mnist1D
from lstm_jax.tasks.reber import ContinualReber, EmbeddedReber
from lstm_jax.tasks.selective import SelectiveCopy
from lstm_jax.tasks.sorting import BucketSort
from lstm_jax.tasks.temporal_order import ContinualTemporalOrder, TemporalOrder
from lstm_jax.tasks.timed import Periodic, SpikeDelays, TimedSpikes
from lstm_jax.tasks.two_sequence import TwoSequence
from lstm_jax.tasks.warp import TimePadding, TimeWarp
from lstm_jax.tasks.words import GroupWords
from lstm_jax.tasks.xor import DelayedXor

TASKS: dict[str, Any] = Registry(
    "task",
    (
        Adding,
        Adding1997,
        Multiplication,
        TemporalOrder,
        ContinualTemporalOrder,
        Copy,
        EmbeddedReber,
        ContinualReber,
        Lag2a,
        Lag2b,
        Lag2c,
        TwoSequence,
        SpikeDelays,
        TimedSpikes,
        Periodic,
        AnBn,
        AnBmBmAn,
        AnBnCn,
        VariableCopy,
        SelectiveCopy,
        TimeWarp,
        TimePadding,
        Parity,
        EvenPairs,
        CycleNavigation,
        ModularArithmetic,
        BucketSort,
        GroupWords,
        DelayedXor,
        Mnist1D,
        MackeyGlass,
        Lorenz,
    ),
)
"""Name -> class; ``TASKS["adding"](length=1000)`` is a task. Unknown names raise a KeyError with the nearest one."""
