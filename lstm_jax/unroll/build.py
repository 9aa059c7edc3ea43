"""Compile the native kernel, once a machine, and load it.

Nothing is compiled behind anybody's back: ``lstm-jax native build`` (or ``build()``) does it, into the user's cache.
Where that was done, and JAX computes on the CPU, ``backend="auto"`` uses it.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

import jax
import jaxlib

SOURCES = Path(__file__).with_name("kernel")
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-pthread")
COMPILERS = ("g++", "clang++", "c++")
CALLS = tuple(f"lstm_{way}_{dtype}" for way in ("forward", "backward") for dtype in ("float32", "float64"))
HOW = "`lstm-jax native build` compiles it"


class NoCompilerError(RuntimeError):
    """Nothing on this machine compiles C++."""


def compiler() -> list[str]:
    """The command that compiles C++: ``CXX`` of the environment, a compiler in the path, or that of the extra.

    Raises:
        NoCompilerError: there is none.
        ValueError: ``CXX`` has a quote that does not end.
    """
    if named := shlex.split(os.environ.get("CXX", "")):
        return named
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "c++"]
    raise NoCompilerError(
        f"no C++ compiler: none of {', '.join(COMPILERS)} is in the path and CXX is not set; "
        "pip install 'lstm_jax[native]' brings one"
    )


def library_path() -> Path:
    """Where the compiled kernel of this library, this JAX and this processor lies, or would lie."""
    digest = hashlib.sha256()
    for part in (*FLAGS, jaxlib.__version__, platform.machine(), processor_features()):
        digest.update(part.encode())
    for source in _sources():
        digest.update(source.read_bytes())
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache_folder / "lstm_jax" / "native" / f"kernel-{digest.hexdigest()[:16]}.so"


def build() -> Path:
    """Compile the kernel unless an intact one is here; some twenty seconds.

    Raises:
        NoCompilerError: nothing here compiles C++.
        RuntimeError: the compiler failed, its words are in the message; or there is no home to compile into.
        OSError: the folder cannot be written, or the compiler that ``CXX`` names is not there.
    """
    path = library_path()
    if load():
        return path
    command = compiler()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "kernel.so"
        tune = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
        include = ("-isystem", jax.ffi.include_dir())
        arguments = [*command, *FLAGS, tune, *include, str(SOURCES / "kernel.cc"), "-o", str(made)]
        done = subprocess.run(arguments, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} could not compile the kernel: {done.stderr.strip()[-2000:]}")
        os.replace(made, path)  # whole or not at all, whoever else builds it
    load.cache_clear()
    return path


@cache
def load() -> bool:
    """Make the kernel's calls known to JAX; False where it was not built, or, with a warning, where it is damaged."""
    try:
        path = library_path()
        if not path.exists():
            return False
    except (OSError, RuntimeError):  # no home, or one that is closed to us: nobody built anything there
        return False
    try:
        library = ctypes.cdll.LoadLibrary(str(path))
    except OSError as error:
        warnings.warn(
            f"the native kernel cannot be loaded, cells run as loops of XLA: {error}; {HOW} anew", stacklevel=2
        )
        return False
    for name in CALLS:
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    return True


def _sources() -> list[Path]:
    return sorted([*SOURCES.glob("*.h"), *SOURCES.glob("*.cc")])


def processor_features() -> str:
    """What the compiler tunes for: a folder of the user may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
