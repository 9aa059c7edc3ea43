"""The machine a run stands on: using all of it, and saying what it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy")
FLAG_PREFIXES = ("JAX_", "XLA_", "LSTM_JAX_", "OMP_NUM_THREADS", "OPENBLAS_")


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def default_cache() -> Path:
    """The user's folder for programs that were compiled for this processor; a home may be shared by several kinds."""
    from lstm_jax.unroll.build import processor_features

    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm_jax" / "compiled"
    return folder / hashlib.sha256(processor_features().encode()).hexdigest()[:8]


def use_whole_machine(cache: Path | None = None) -> None:
    """One host device a core (trials spread over them) and compiled programs kept on disk.

    Call it before JAX computes anything; what the environment says (``JAX_NUM_CPU_DEVICES``, ``XLA_FLAGS`` with
    ``--xla_force_host_platform_device_count``, ``JAX_COMPILATION_CACHE_DIR``) wins.
    """
    import jax

    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if "JAX_NUM_CPU_DEVICES" not in os.environ and not forced:
        try:
            jax.config.update("jax_num_cpu_devices", cores())
        except RuntimeError:
            pass  # JAX has started already: it keeps the devices it has
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        try:
            jax.config.update("jax_compilation_cache_dir", str(cache or default_cache()))
        except RuntimeError:
            pass  # a user without a home: programs are compiled anew
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def _matters(variable: str) -> bool:
    """Whether numbers may depend on a variable of the environment; where folders lie is nobody's business."""
    return variable.startswith(FLAG_PREFIXES) and not variable.endswith("_DIR")


def describe_machine() -> dict[str, object]:
    """What numbers depend on besides the config: versions, commit, device, flags."""
    import jax

    from lstm_jax.unroll import kernel_is_here

    devices = jax.devices()
    return {
        **describe_code(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "device": devices[0].device_kind,
        "devices": len(devices),
        "backend": jax.default_backend(),
        "native_kernel": kernel_is_here(),
        "flags": {name: value for name, value in sorted(os.environ.items()) if _matters(name)},
    }


def describe_code() -> dict[str, object]:
    """Which version of the library this is: ``lstm_jax``, ``commit``, ``dirty`` (tracked files differ from it)."""
    import lstm_jax

    commit, dirty = _commit()
    return {"lstm_jax": lstm_jax.__version__, "commit": commit, "dirty": dirty}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def code_label(code: Mapping[str, Any]) -> str:
    """What ``describe_code`` says, short enough for a column: the commit, or the version where there is no git."""
    return str(code["commit"] or code["lstm_jax"])[:12] + ("+changes" if code["dirty"] else "")


def _commit() -> tuple[str | None, bool | None]:
    """Commit of the source tree and whether tracked files differ from it; None where it is no git checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None, None
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(root), *command], capture_output=True, text=True, timeout=10, check=True
            ).stdout.strip()
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None, None
    return commit, bool(status)


def _processor() -> str:
    """Name of the processor as the system gives it."""
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
