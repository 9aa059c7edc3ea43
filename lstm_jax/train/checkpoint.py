"""Checkpoints: arrays by Orbax (this is the only file that imports it), config and SHA-256 of every byte beside them.

A checkpoint appears under its name only when it is whole: it is written beside it and renamed. Orbax itself does not
notice a flipped byte in an array; the digests do.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

ARRAYS, CONFIG, DIGESTS = "arrays", "config.json", "sha256.txt"
UNFINISHED, DAMAGED = ".unfinished", ".damaged"
_NAME = re.compile(r"step_(\d{9})")


class DamagedCheckpointError(ValueError):
    """Bytes of a checkpoint are not those that were saved; the message names the file."""


def save_checkpoint(folder: Path, step: int, tree: Any, config_json: str, keep: int) -> Path:
    """Write ``folder/step_NNNNNNNNN`` at once or not at all, then remove all but the newest ``keep``.

    Args:
        folder: where checkpoints of a run lie.
        step: updates done.
        tree: pytree of arrays, read to the host.
        config_json: what ``to_json`` gives, kept beside the arrays.
        keep: at least 1.
    """
    from orbax.checkpoint import v1 as ocp

    final = folder / checkpoint_name(step)
    draft = final.with_suffix(UNFINISHED)
    for leftover in (*folder.glob(f"*{UNFINISHED}"), final):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir(parents=True)
    ocp.save((draft / ARRAYS).absolute(), jax.tree.map(np.asarray, tree))
    (draft / CONFIG).write_text(config_json)
    (draft / DIGESTS).write_text("".join(f"{digest}  {name}\n" for name, digest in _digests(draft).items()))
    _to_disk(draft)
    os.replace(draft, final)
    for old in checkpoint_steps(folder)[:-keep]:
        gone = (folder / checkpoint_name(old)).with_suffix(UNFINISHED)
        os.replace(folder / checkpoint_name(old), gone)  # first, so that whoever reads meets all of it or nothing
        shutil.rmtree(gone)
    return final


def checkpoint_name(step: int) -> str:
    """The folder of the checkpoint after so many updates."""
    return f"step_{step:09d}"


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps of the whole checkpoints in ``folder``, oldest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("step_*"))
    return sorted(int(match[1]) for match in names if match)


def load_checkpoint(folder: Path, like: Any, say: Callable[[str], None] = print) -> tuple[int, Any] | None:
    """The newest checkpoint whose bytes are intact: its step, and its arrays on the host; None if there is none.

    Nothing in the folder is changed, and the run that writes there may go on: a checkpoint that is removed meanwhile
    has a newer one beside it.

    Args:
        folder: where checkpoints of a run lie.
        like: pytree of arrays with the structure, shapes and types that are expected.
        say: told of every damaged checkpoint that is passed over for the one before it.

    Raises:
        DamagedCheckpointError: there are checkpoints, but all are damaged.
    """
    damaged: dict[int, DamagedCheckpointError] = {}
    while steps := [step for step in checkpoint_steps(folder) if step not in damaged]:
        path = folder / checkpoint_name(steps[-1])
        try:
            verify_checkpoint(path)
            return steps[-1], _arrays(path, like)
        except (OSError, ValueError) as error:
            if not os.path.lexists(path):
                continue
            if not isinstance(error, DamagedCheckpointError):
                raise
            damaged[steps[-1]] = error
            if len(steps) > 1:
                say(f"{error}; going back to the checkpoint of step {steps[-2]}")
    if damaged:
        raise DamagedCheckpointError(f"{damaged[min(damaged)]}; no older one is left: start again (--overwrite)")
    return None


def set_aside_after(folder: Path, step: int) -> None:
    """Rename what comes after ``step``, the newest intact one, so that it counts for nothing; for the run itself."""
    for later in checkpoint_steps(folder):
        if later > step:
            path = folder / checkpoint_name(later)
            shutil.rmtree(path.with_suffix(DAMAGED), ignore_errors=True)
            os.replace(path, path.with_suffix(DAMAGED))


def verify_checkpoint(path: Path) -> None:
    """Compare every byte with the digests that were written when the checkpoint was saved.

    Raises:
        DamagedCheckpointError: names the first file that is changed, missing or new.
    """
    try:
        lines = (path / DIGESTS).read_text().splitlines()
        expected = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise DamagedCheckpointError(f"checkpoint {path.name}: {DIGESTS} cannot be read ({error})") from None
    found = _digests(path)
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise DamagedCheckpointError(f"checkpoint {path.name}: file {name} is missing")
        if name not in expected:
            raise DamagedCheckpointError(f"checkpoint {path.name}: file {name} does not belong to it")
        if found[name] != expected[name]:
            raise DamagedCheckpointError(
                f"checkpoint {path.name}: file {name} has changed since it was saved (SHA-256 {found[name][:12]}, "
                f"expected {expected[name][:12]})"
            )


def _arrays(path: Path, like: Any) -> Any:
    from orbax.checkpoint import v1 as ocp

    target = jax.tree.map(np.asarray, like)
    try:
        loaded = ocp.load((path / ARRAYS).absolute(), target)
    except (ValueError, KeyError) as error:
        raise ValueError(f"checkpoint {path.name} does not fit this config: {error}") from error
    for (where, wanted), got in zip(jax.tree.leaves_with_path(target), jax.tree.leaves(loaded), strict=True):
        if wanted.shape != got.shape or wanted.dtype != got.dtype:
            raise ValueError(
                f"checkpoint {path.name} does not fit this config: {jax.tree_util.keystr(where)} is {got.dtype}"
                f"{got.shape}, expected {wanted.dtype}{wanted.shape}"
            )
    return loaded


def _digests(path: Path) -> dict[str, str]:
    files = sorted(file for file in path.rglob("*") if file.is_file() and file != path / DIGESTS)
    return {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _to_disk(path: Path) -> None:
    """Before the rename, so that a loss of power cannot leave a name without its bytes."""
    for file in path.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
