"""Where a data set comes from: prepared folder, raw folder, installed package, public address, in this order."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from lstm_jax.datasets.readers import verify
from lstm_jax.datasets.record import DataNotFoundError, Dataset, PackageFiles, RawDataError
from lstm_jax.datasets.store import prepared_folder, problem_with, raw_folder, read_manifest

RAW_DIR, DATA_DIR = "LSTM_JAX_RAW_DIR", "LSTM_JAX_DATA_DIR"
INCOMPLETE = "missing beside the others"


@dataclass(frozen=True)
class Source:
    """One place where a data set may come from.

    Attributes:
        kind: ``"prepared"``, ``"raw"``, ``"package"`` or ``"address"``.
        location: folder, package with version, or address, for people to read.
        found: whether it is there; an address is never found before it is tried.
        paths: the raw files, in the record's order; empty unless found as raw files.
        detail: why it is not used, or the like.
    """

    kind: str
    location: str
    found: bool
    paths: tuple[Path, ...] = ()
    detail: str = ""


def default_data_dir() -> Path:
    """``LSTM_JAX_DATA_DIR``, or a folder in the user's cache."""
    if named := os.environ.get(DATA_DIR):
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lstm_jax" / "datasets"


def resolve_data_dir(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder of prepared data sets: the one given, or the default."""
    return Path(data_dir).expanduser() if data_dir is not None else default_data_dir()


def resolve_raw_dir(raw_dir: str | os.PathLike[str] | None) -> Path | None:
    """The folder of raw files: the one given (which must exist), or ``LSTM_JAX_RAW_DIR``, or None."""
    if raw_dir is None:
        named = os.environ.get(RAW_DIR)
        return Path(named).expanduser() if named else None
    folder = Path(raw_dir).expanduser()
    if not folder.is_dir():
        raise DataNotFoundError(f"the folder of raw data {str(folder)!r} does not exist or is not a folder")
    return folder


def find_sources(dataset: Dataset, raw_dir: Path | None, data_dir: Path) -> list[Source]:
    """Every place the data set may come from, in the order in which they are tried."""
    if dataset.folder is not None:
        return [Source("prepared", str(dataset.folder), True)]
    found = [_prepared(dataset, data_dir)]
    if raw_dir is not None:
        found.append(_raw(dataset, raw_dir))
    if dataset.package is not None:
        found.append(_package(dataset, dataset.package, data_dir))
    found += [
        Source("address", address.rsplit("/", 1)[0] + "/", False)
        for address in (dataset.files[0].addresses if dataset.files else ())
    ]
    return found


def _prepared(dataset: Dataset, data_dir: Path) -> Source:
    folder = prepared_folder(dataset, data_dir)
    problem = problem_with(folder)
    return Source("prepared", str(folder), problem is None, detail=problem or "")


def _raw(dataset: Dataset, raw_dir: Path) -> Source:
    """The files in ``<raw_dir>/<name>/``, or directly in ``<raw_dir>``."""
    for folder in (raw_dir / dataset.name, raw_dir):
        if dataset.pattern is not None:
            wanted = sorted(folder.glob(dataset.pattern))
        else:
            wanted = [plain_or_gz(folder / file.name) for file in dataset.files]
        missing = [path.name for path in wanted if not path.exists()]
        if len(missing) < len(wanted):
            detail = f"{', '.join(missing)} {INCOMPLETE}" if missing else ""
            return Source("raw", str(folder), not missing, () if missing else tuple(wanted), detail)
    names = dataset.pattern or ", ".join(file.name for file in dataset.files)
    return Source("raw", str(raw_dir), False, detail=f"no {dataset.name}/{names}")


def plain_or_gz(path: Path) -> Path:
    """The path, or the same file already decompressed."""
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    return path if path.exists() or not plain.exists() else plain


def _package(dataset: Dataset, package: PackageFiles, data_dir: Path) -> Source:
    """The installed package, or else the files that ``offline.py`` took out of it."""
    taken = raw_folder(dataset, data_dir)
    installed = _installed(package)
    if installed.found and not _as_published(dataset, installed.paths):  # another release may carry other files
        installed = Source("package", installed.location, False, detail="holds another version of the files")
    if installed.found or problem_with(taken) is not None:
        return installed
    manifest = read_manifest(taken)
    paths = tuple(plain_or_gz(taken / file.name) for file in dataset.files) or tuple(
        sorted(taken.glob(dataset.pattern or ""))
    )
    return Source("package", f"{manifest['source']} (files in {taken})", True, paths)


def _as_published(dataset: Dataset, paths: tuple[Path, ...]) -> bool:
    if not dataset.files:
        return True
    if len(paths) != len(dataset.files):
        return False
    try:
        for path, file in zip(paths, dataset.files, strict=True):
            verify(path, file)
    except RawDataError:
        return False
    return True


def _installed(package: PackageFiles) -> Source:
    if not package.installs:
        return Source("package", package.distribution, False, detail="not fetched")
    try:
        distribution = importlib.metadata.distribution(package.distribution)
    except importlib.metadata.PackageNotFoundError:
        return Source("package", package.distribution, False, detail="not installed")
    where = f"{package.distribution} {distribution.version}"
    root = Path(str(distribution.locate_file("")))
    paths = tuple(sorted(root.glob(package.pattern)))
    return Source("package", where, bool(paths), paths, "" if paths else f"holds no {package.pattern}")
