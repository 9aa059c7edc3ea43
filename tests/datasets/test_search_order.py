"""Where data is looked for, and what is said when it is nowhere."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, DataNotFoundError, access, describe, download, load, prepare, sources
from lstm_jax.datasets.record import Dataset, PackageFiles, RawFile

DIGITS = DATASETS["digits"]


@pytest.fixture(autouse=True)
def own_folders(monkeypatch, tmp_path):
    """No test reads or writes the user's folders."""
    monkeypatch.delenv("LSTM_JAX_RAW_DIR", raising=False)
    monkeypatch.setenv("LSTM_JAX_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def raw_digits(tmp_path):
    """A raw folder with the file out of the installed package."""
    (package,) = sources("digits")[-1].paths
    target = tmp_path / "raw" / "digits" / "digits.csv.gz"
    target.parent.mkdir(parents=True)
    shutil.copy(package, target)
    return target.parent.parent


@pytest.fixture
def register(monkeypatch):
    """Puts a changed record in the place of ``digits``."""

    def put(**changes) -> Dataset:
        record = dataclasses.replace(DIGITS, **changes)
        monkeypatch.setitem(DATASETS, "digits", record)
        return record

    return put


@pytest.fixture
def server(tmp_path):
    """A local web server that hands out ``tmp_path / "served"``."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as service:
        thread = threading.Thread(target=service.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{service.server_address[1]}/"
        service.shutdown()


def source_of(folder: Path) -> str:
    return (folder / "prepared.json").read_text()


def test_a_prepared_folder_comes_before_raw_files(raw_digits):
    first = prepare("digits", raw_dir=raw_digits)
    (raw_digits / "digits" / "digits.csv.gz").write_bytes(b"broken since")
    assert prepare("digits", raw_dir=raw_digits) == first
    assert [source.kind for source in sources("digits", raw_dir=raw_digits)] == ["prepared", "raw", "package"]


def test_raw_files_come_before_the_package(raw_digits):
    assert str(raw_digits) in source_of(prepare("digits", raw_dir=raw_digits))


def test_the_package_is_used_when_the_raw_folder_lacks_the_data_set(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "scikit-learn" in source_of(prepare("digits", raw_dir=tmp_path / "empty"))


def test_the_raw_folder_may_be_named_by_the_environment_or_be_the_data_sets_own(raw_digits, monkeypatch, tmp_path):
    monkeypatch.setenv("LSTM_JAX_RAW_DIR", str(raw_digits))
    assert str(raw_digits) in source_of(prepare("digits", data_dir=tmp_path / "a"))
    monkeypatch.setenv("LSTM_JAX_RAW_DIR", str(raw_digits / "digits"))
    assert str(raw_digits) in source_of(prepare("digits", data_dir=tmp_path / "b"))


def test_an_argument_wins_over_the_environment(tmp_path):
    assert tmp_path / "named" in prepare("digits", data_dir=tmp_path / "named").parents
    assert not (tmp_path / "data").exists()


def test_a_raw_file_may_be_decompressed_already(raw_digits, tmp_path):
    import gzip

    packed = raw_digits / "digits" / "digits.csv.gz"
    (packed.parent / "digits.csv").write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert str(raw_digits) in source_of(prepare("digits", raw_dir=raw_digits))


def test_tfds_own_folder_variable_does_not_matter(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "elsewhere"))
    load("digits", "test")
    assert not (tmp_path / "elsewhere").exists() and (tmp_path / "data" / "digits").exists()


def test_a_raw_folder_that_does_not_exist_is_an_error():
    with pytest.raises(DataNotFoundError, match="'nowhere' does not exist"):
        prepare("digits", raw_dir="nowhere")


def test_an_incomplete_raw_folder_names_what_is_missing(tmp_path):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"x")
    with pytest.raises(DataNotFoundError, match=r"train-images-idx3-ubyte\.gz.*missing"):
        prepare("mnist", raw_dir=tmp_path)
    about = {about.name: about for about in describe(raw_dir=tmp_path)}["mnist"]
    assert about.status == "incomplete" and "train-images" in about.source


def test_without_package_and_address_the_remedies_are_listed(register):
    register(package=PackageFiles("no-such-package", "x/*.gz"))
    with pytest.raises(DataNotFoundError) as caught:
        prepare("digits")
    for remedy in ("pip install no-such-package", "--raw-dir", "LSTM_JAX_RAW_DIR", "digits.csv.gz", "--data-dir"):
        assert remedy in str(caught.value)


def test_files_of_another_release_of_the_package_are_passed_over(register):
    register(files=(RawFile("digits.csv.gz", "sha256:" + "0" * 64, ()),))
    assert sources("digits")[-1].detail == "holds another version of the files"
    with pytest.raises(DataNotFoundError, match="was not found"):
        prepare("digits")


def test_a_folder_that_the_environment_names_wrongly_is_told(register, monkeypatch, tmp_path):
    register(package=PackageFiles("no-such-package", "x/*.gz"))
    monkeypatch.setenv("LSTM_JAX_RAW_DIR", str(tmp_path / "mistyped"))
    with pytest.raises(DataNotFoundError, match=r"LSTM_JAX_RAW_DIR names '.*mistyped', which is no folder"):
        prepare("digits")


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "no answer"])
def test_without_network_the_error_comes_in_seconds_and_lists_the_remedies(register, monkeypatch, silent):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/digits.csv.gz"
        register(package=None, files=(RawFile("digits.csv.gz", None, (address,)),))
        began = time.monotonic()
        with pytest.raises(DataNotFoundError, match="could not be fetched.*--raw-dir.*LSTM_JAX_RAW_DIR"):
            prepare("digits")
        assert time.monotonic() - began < 5


def test_a_file_is_fetched_from_the_first_address_that_has_it(register, raw_digits, server):
    folder, address = server
    content = (raw_digits / "digits" / "digits.csv.gz").read_bytes()
    (folder / "digits.csv.gz").write_bytes(content)
    addresses = (address + "gone/digits.csv.gz", address + "digits.csv.gz")
    register(package=None, files=(RawFile("digits.csv.gz", None, addresses),))
    assert len(load("digits", "train").inputs) == 1197


def test_a_fetched_file_with_another_digest_is_refused_and_not_kept(register, server, tmp_path):
    folder, address = server
    (folder / "digits.csv.gz").write_bytes(b"<html>please log in</html>")
    expected = "sha256:" + hashlib.sha256(b"the real one").hexdigest()
    register(package=None, files=(RawFile("digits.csv.gz", expected, (address + "digits.csv.gz",)),))
    with pytest.raises(DataNotFoundError, match="not the published digits.csv.gz"):
        prepare("digits")
    assert not list((tmp_path / "data" / "downloads" / "digits").iterdir())


def test_describe_says_what_is_at_hand(raw_digits, tmp_path):
    before = {about.name: about for about in describe()}
    assert before["digits"].status == before["bach_chorales"].status == "available"
    assert before["mnist"].status == before["jsb_chorales"].status == before["nottingham"].status == "download"
    assert (before["spoken_digits"].status, before["spoken_digits"].source) == ("missing", "")
    assert "scikit-learn" in before["digits"].source and before["digits"].splits == {}
    folder = prepare("digits")
    after = {about.name: about for about in describe()}["digits"]
    assert after.status == "prepared" and after.source == before["digits"].source.removeprefix("package: ")
    assert folder.is_dir()
    assert after.splits == {"train": 1197, "validation": 300, "test": 300}


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(KeyError, match="did you mean 'jsb_chorales'"):
        prepare("jsb_chorale")
    with pytest.raises(ValueError, match="did you mean 'validation'"):
        load("digits", "valid")
    with pytest.raises(TypeError, match="did you mean 'order'"):
        load("mnist", "test", ordr="permuted")


def test_threads_that_load_at_once_read_once(monkeypatch):
    prepare("digits")
    read, asked = access.builder.read, []

    def slowly(*args):
        asked.append(args)
        time.sleep(0.1)
        return read(*args)

    monkeypatch.setattr(access.builder, "read", slowly)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load("digits", "test"), range(4)))
    assert len(asked) == 1 and all(one is found[0] for one in found)


def test_loading_twice_reads_once_and_gives_read_only_arrays():
    first, second = load("digits", "test"), load("digits", "test")
    assert first is second
    with pytest.raises(ValueError, match="read-only"):
        first.inputs[0] = np.nan
