"""``lstm-jax data``: what data there is and from where; prepare one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lstm_jax.cli.dispatch import DONE, USAGE, complain
from lstm_jax.names import nearest

ACTIONS = ("list", "prepare")


@dataclass(frozen=True)
class Places:
    """Where to look."""

    raw_dir: Path | None = None
    """Folder with raw files, looked at first; default: the variable LSTM_JAX_RAW_DIR."""
    data_dir: Path | None = None
    """Folder of prepared data sets; default: the variable LSTM_JAX_DATA_DIR, or the user's cache."""


@dataclass(frozen=True)
class List(Places):
    """What is at hand, and from where it is or would be taken."""


@dataclass(frozen=True, kw_only=True)
class Prepare(Places):
    """Prepare a data set once; later uses read the prepared folder."""

    name: tyro.conf.Positional[str]
    """Name in `lstm-jax data list`."""


Action = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Prepare, tyro.conf.subcommand("prepare")]


def run(arguments: list[str]) -> int:
    """List or prepare."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in ACTIONS:
        complain(f"`lstm-jax data` cannot {arguments[0]!r}; {nearest(arguments[0], ACTIONS)}")
        return USAGE
    action: List | Prepare = tyro.cli(Action, args=arguments, prog="lstm-jax data")  # type: ignore[arg-type]
    if isinstance(action, List):
        return _list(action)
    return _prepare(action)


def _list(places: Places) -> int:
    from lstm_jax.cli.console import print_table
    from lstm_jax.datasets import describe

    found = describe(places.raw_dir, places.data_dir)
    splits = [" / ".join(f"{count:,}" for count in data.splits.values()) or "–" for data in found]
    rows = [
        (data.name, data.status, sizes, data.source, data.summary, data.licence)
        for data, sizes in zip(found, splits, strict=True)
    ]
    print_table(("data set", "status", "train / val. / test", "from", "what", "licence"), rows)
    return DONE


def _prepare(action: Prepare) -> int:
    from lstm_jax.datasets import DATASETS, prepare

    if action.name not in DATASETS:
        complain(f"unknown data set {action.name!r}; {nearest(action.name, DATASETS)}")
        return USAGE
    print(f"{action.name} is prepared in {prepare(action.name, action.raw_dir, action.data_dir)}")
    return DONE
