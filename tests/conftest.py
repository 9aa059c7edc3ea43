"""What every test shares: a strict JAX on four simulated devices, and where raw data may lie."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

# Compiling dominates these tests; machine code that is not polished takes half the time to make, and the emitter that
# wrote it before JAX 0.11 a third of the present one's. Processes that tests start inherit it. The programs before
# that stage, which the structure tests read, are the users' own.
QUICKLY_COMPILED = ["--xla_backend_optimization_level=0"]
if jax.__version_info__ < (0, 11):
    QUICKLY_COMPILED.append("--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *QUICKLY_COMPILED]).strip()

ROOT = Path(__file__).resolve().parent.parent

jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS") or "cpu")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("default", deadline=None, max_examples=20)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=20, derandomize=True, database=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def subnormal_numbers() -> Iterator[None]:
    """No test may leave the processor flushing subnormal numbers to zero: every test after it would compute so."""
    yield
    assert sys.float_info.min / 2 > 0, "this test switched subnormal numbers off for the whole process"


@pytest.fixture(autouse=True, scope="module")
def programs_of_other_files_are_let_go() -> Iterator[None]:
    """Every program holds a few memory maps: of all files together more than Linux grants a process (65,530), and then
    the compiler crashes without a word.
    """
    yield
    jax.clear_caches()


@pytest.fixture
def x64() -> Iterator[None]:
    """Float64 within the test; it stays off elsewhere, as for users."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def raw_data() -> Path | None:
    """The folder with raw data files, or None where this machine has none."""
    named = os.environ.get("LSTM_JAX_RAW_DIR")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    return folder if folder.is_dir() else None
