"""Music as piano rolls: 88 keys that sound or do not, and the next step to predict.

The metric is fixed: binary cross-entropy summed over the 88 keys, in nats, averaged over predicted steps. Step t
predicts step t + 1, so a piece of L steps gives L - 1 predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from lstm_jax.datasets.readers import read_bytes
from lstm_jax.datasets.record import Example, Feature, RawDataError, Rows
from lstm_jax.datasets.sequences import Sequences, marginal_nll, next_step

KEYS, LOWEST_PITCH = 88, 21

PREDICTION: Mapping[str, Any] = MappingProxyType(
    {
        "input_size": KEYS,
        "output_size": KEYS,
        "loss": "bernoulli",
        "metric": "nll",
        "higher_is_better": False,
        "chance": marginal_nll,
    }
)
"""What every record of piano rolls has in common."""

ROLL = Feature((None, KEYS), np.uint8)


def view(rows: Rows, longest: int | None = None) -> Sequences:
    """The roll up to its last but one step, and the roll from its second step on.

    ``longest`` cuts each roll into pieces of at most so many predictions (``cut``), a sequence each; None keeps whole
    rolls. No prediction is lost, but each is made from its piece alone, so the metric means less context and is not
    comparable with that of whole rolls. (The chance level moves by a fraction of a thousandth: the step that two
    pieces share counts twice among the frequencies.)
    """
    if longest is not None and (type(longest) is not int or longest < 1):
        raise ValueError(f"longest must be None or a number of predicted steps, 1 or more, got {longest!r}")
    return next_step([piece for roll in rows["roll"] for piece in (cut(roll, longest) if longest else [roll])])


def cut(roll: np.ndarray, longest: int) -> list[np.ndarray]:
    """Consecutive views of ``(L, K)`` with ``longest + 1`` steps, the last with 2 or more: ``longest`` predictions.

    Neighbours share one step, which the former predicts and the latter starts from, so that all L - 1 predictions are
    made, each once. A roll without any prediction is one piece.
    """
    return [roll[start : start + longest + 1] for start in range(0, max(len(roll) - 1, 1), longest)]


def parse_mat(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads the ``.mat`` form of Boulanger-Lewandowski et al. (2012): cells of 0/1 arrays ``(steps, 88)``."""
    (path,) = paths
    cells = _load_mat(path)
    parts: dict[str, list[Example]] = {}
    for split, key in (("train", "traindata"), ("validation", "validdata"), ("test", "testdata")):
        if key not in cells:
            raise RawDataError(f"{path}: expected the variables traindata, validdata and testdata, {key} is missing")
        parts[split] = [{"roll": _roll(cell, path, key)} for cell in np.asarray(cells[key]).ravel()]
    return parts


def _load_mat(path: Path) -> Mapping[str, Any]:
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise ImportError(f"reading {path.name} needs scipy ({error}): pip install 'lstm_jax[data]'") from error
    read_bytes(path)
    try:
        return loadmat(path)
    except Exception as error:  # scipy raises whatever its parser stumbles over
        raise RawDataError(
            f"{path}: expected a MATLAB 5 file, but reading it failed ({error}); fetch it again"
        ) from error


def _roll(cell: Any, path: Path, key: str) -> np.ndarray:
    roll = np.asarray(cell)
    if roll.ndim != 2 or roll.shape[1] != KEYS or roll.dtype.kind not in "uifb" or not np.isin(roll, (0, 1)).all():
        raise RawDataError(f"{path}: {key} must hold 0/1 arrays (steps, {KEYS}), got {roll.dtype} {roll.shape}")
    return roll.astype(np.uint8)
