"""What every test of an experiment shares."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
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
