"""How many devices a process takes."""

import os
import subprocess
import sys

import jax
import pytest

from lstm_jax.train import machine
from lstm_jax.train.machine import code_label, describe_machine, use_whole_machine
from lstm_jax.unroll import build

COUNT = "import jax; from lstm_jax.train import use_whole_machine; use_whole_machine(); print(len(jax.devices()))"


@pytest.mark.parametrize(
    "choice", [{"JAX_NUM_CPU_DEVICES": "3"}, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}]
)
def test_the_environment_says_how_many_host_devices_there_are(choice, root):
    clean = {name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    done = subprocess.run(
        [sys.executable, "-c", COUNT],
        env=clean | {"JAX_PLATFORMS": "cpu"} | choice,
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
    assert done.stdout.split() == ["3"]


def test_compiled_programs_are_kept_apart_by_processor_and_nowhere_without_a_home(monkeypatch, tmp_path):
    said: dict[str, object] = {}
    monkeypatch.setattr(jax.config, "update", said.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folders = set()
    for features in ("flags: avx2", "flags: avx512"):
        monkeypatch.setattr(build, "processor_features", lambda features=features: features)
        use_whole_machine()
        folders.add(said.pop("jax_compilation_cache_dir"))
    assert len(folders) == 2 and all(str(folder).startswith(str(tmp_path)) for folder in folders)

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(machine.Path, "home", nobody)
    use_whole_machine()
    assert "jax_compilation_cache_dir" not in said


def test_a_manifest_names_flags_and_no_folder(monkeypatch):
    monkeypatch.setenv("LSTM_JAX_RAW_DIR", "/somewhere")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "float32")
    flags = describe_machine()["flags"]
    assert flags["JAX_DEFAULT_MATMUL_PRECISION"] == "float32" and not [name for name in flags if name.endswith("_DIR")]


def test_code_is_named_by_its_commit_or_else_by_its_version():
    assert code_label({"commit": "0123456789abcdef", "dirty": False, "lstm_jax": "1.2.3"}) == "0123456789ab"
    assert code_label({"commit": "0123456789abcdef", "dirty": True, "lstm_jax": "1.2.3"}) == "0123456789ab+changes"
    assert code_label({"commit": None, "dirty": None, "lstm_jax": "1.2.3"}) == "1.2.3"
