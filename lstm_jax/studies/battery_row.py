"""A row of a table of the old papers: how it is run, and what was published."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from lstm_jax.online.guessing import GuessProtocol
from lstm_jax.online.streams import StreamProtocol

CAP = 10.0
"""A trial that needs more than so many times the published mean counts as a failure (choice C10)."""


@dataclass(frozen=True)
class Published:
    """What the paper prints of a row.

    Attributes:
        weights: trainable weights of the net.
        trials: how many were run.
        sequences: mean number of training sequences until each goal was met; NaN where the paper prints none.
        success: share of the trials that met the last one; NaN where the paper prints none.
        low, high: the range of ``sequences``, where printed.
        wrong: share of 2560 test sequences classified wrongly, after each goal; empty where there is no such test.
        longest: length of the test streams, where it is the result; NaN where it is not.
        rmse, distance: root mean squared and mean absolute error on these, after each goal, where printed.
        known: of ``sequences``, ``success`` and ``longest``: ``verified``, read in the paper; ``noted`` by others;
            ``recalled``, and compared with nothing.
    """

    weights: int
    trials: int
    sequences: tuple[float, ...]
    success: float = math.nan
    low: float = math.nan
    high: float = math.nan
    wrong: tuple[float, ...] = ()
    longest: float = math.nan
    rmse: tuple[float, ...] = ()
    distance: tuple[float, ...] = ()
    known: tuple[str, str, str] = ("verified", "verified", "verified")


@dataclass(frozen=True)
class BatteryRow:
    """One row of the battery.

    Attributes:
        name: what ``--rows`` takes; after the colon the choice, where it is not as printed.
        experiment: number and title in the paper.
        setting: what distinguishes the row within its experiment.
        protocol: how it is run.
        published: the paper's figures.
    """

    name: str
    experiment: str
    setting: str
    protocol: Any
    published: Published

    @property
    def choice(self) -> str:
        """``as printed`` (of papers that were not read: ``as noted``), or the choice that the row is named after."""
        return self.name.partition(":")[2].replace("-", " ") or ("as noted" if self.streams else "as printed")

    @property
    def streams(self) -> bool:
        """Whether trials read streams without end; then sequences are training streams."""
        return isinstance(self.protocol, StreamProtocol)

    @property
    def guesses(self) -> bool:
        """Whether nothing is learned, nets are drawn; then sequences are guesses, and the paper's are of learning."""
        return isinstance(self.protocol, GuessProtocol)

    @property
    def cap(self) -> int:
        """Sequences after which a trial is given up."""
        return self.protocol.most if self.streams else round(CAP * self.published.sequences[-1])

    @property
    def cost(self) -> float:
        """What a trial is expected to cost, to begin with the cheapest row: sequences x steps x units."""
        return self.cap * self.protocol.task.max_length * self.protocol.net.units


def chosen(row: BatteryRow, choice: str, **changes: Any) -> BatteryRow:
    """The row run differently, also one that was chosen already; what was published stays, to compare with."""
    joint = "-" if ":" in row.name else ":"
    return replace(row, name=f"{row.name}{joint}{choice}", protocol=replace(row.protocol, **changes))
