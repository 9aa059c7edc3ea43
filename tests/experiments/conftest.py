"""What every test of an experiment shares."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def experiment(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The script that the test module names as ``SCRIPT``, imported."""
    script = request.module.SCRIPT
    name = f"experiment_{script.parent.name}"
    spec = importlib.util.spec_from_file_location(name, script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="module")
def speed() -> Iterator[ModuleType]:
    """The benchmark of experiment 00; the files beside its script are imported by their names alone."""
    script = Path(__file__).resolve().parents[2] / "experiments" / "00_speed" / "run.py"
    spec = importlib.util.spec_from_file_location("speed", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules["speed"] = module
    path = list(sys.path)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for name in ("speed", *(file.stem for file in script.parent.glob("*.py") if file != script)):
        sys.modules.pop(name, None)
