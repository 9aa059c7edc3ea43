"""What stands around the code: lock, README, versions, texts."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import lstm_jax
from lstm_jax.analysis import (
    battery_report,
    documents_report,
    forecast_report,
    grid_report,
    ladder_report,
    language_report,
    pixel_report,
    search_report,
    speech_report,
)
from lstm_jax.analysis.report import embed, readme_section

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text().splitlines()
README = (ROOT / "README.md").read_text()
PYTHONS = {"3.11": "3.11.7", "3.13": "3.13.0"}


def pins(name: str, python: str) -> list[Version]:
    """Versions of one package that the lock gives to one Python on this platform."""
    environment = {"python_version": python, "python_full_version": PYTHONS[python]}
    lines = [Requirement(line) for line in LOCK]
    same = [line for line in lines if canonical(line.name) == canonical(name)]
    chosen = [line for line in same if line.marker is None or line.marker.evaluate(environment)]
    return [Version(str(line.specifier).removeprefix("==")) for line in chosen]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(python: str) -> list[Requirement]:
    """Every requirement of the project and its extras that one Python needs."""
    texts = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    needs = [Requirement(text) for text in texts if not text.startswith("lstm_jax[")]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"python_version": python})]


def test_the_lock_pins_versions_and_holds_no_address() -> None:
    pin = re.compile(r"""[a-z0-9][a-z0-9._-]*==[0-9][0-9a-z.]*( ; [a-zA-Z_ 0-9.()<>=!'"-]+)?""")
    assert len(LOCK) > 50
    assert [line for line in LOCK if not pin.fullmatch(line) or "://" in line] == []


def test_the_lock_leaves_cuda_out() -> None:
    assert [line for line in LOCK if re.match(r"nvidia|cuda|triton", line)] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_what_the_project_declares(python: str) -> None:
    found = {str(need): pins(need.name, python) for need in declared(python)}
    assert {need: got for need, got in found.items() if len(got) != 1} == {}
    assert [need for need in declared(python) if found[str(need)][0] not in need.specifier] == []


def test_python_3_11_gets_its_last_jax_and_later_ones_the_newest() -> None:
    assert [str(version) for version in pins("jax", "3.11")] == ["0.10.2"]
    assert pins("jax", "3.13")[0] >= Version("0.12")


def test_importing_the_library_leaves_the_heavy_packages_alone() -> None:
    code = "import lstm_jax, sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = set(run_python(code).split())
    heavy = {"flax", "optax", "orbax", "tensorflow_datasets", "matplotlib", "scipy", "optuna", "rich", "torch"}
    assert "lstm_jax" in loaded and not loaded & heavy


def test_importing_the_library_sets_no_option_of_xla_or_jax() -> None:
    code = """
import os, jax
before = dict(os.environ), dict(jax.config.values)
import lstm_jax
lstm_jax.xla_options("gpu")
after = dict(os.environ), dict(jax.config.values)
print([key for old, new in zip(before, after) for key in old.keys() | new.keys() if old.get(key) != new.get(key)])
"""
    assert run_python(code).strip() == "[]"


def test_every_public_name_is_there_and_documented() -> None:
    for name in lstm_jax.__all__:
        value = getattr(lstm_jax, name)
        assert value is not None and (name in {"TASKS", "VARIANTS"} or value.__doc__), name
    assert callable(lstm_jax.unroll), "the function, not the room of the same name"
    with pytest.raises(AttributeError, match="unrol'; it has .*unroll"):
        _ = lstm_jax.unrol


def test_version_is_the_same_everywhere() -> None:
    version = lstm_jax.__version__
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(), re.M).group(1) == version


def test_the_quick_start_of_the_readme_prints_what_the_readme_says() -> None:
    section = README.split("## Quick start")[1]
    code, output = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", section, re.S).groups()
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 10
    assert run_python(code) == output


@pytest.mark.parametrize("other", ["", "torch"], ids=["alone", "with torch"])
def test_the_snippets_of_the_howto_run(other) -> None:
    text = (ROOT / "docs/howto.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) > 6
    if other:
        pytest.importorskip(other)
    run_python("".join(block for block in blocks if other or "import torch" not in block))


def test_no_generated_table_is_stale() -> None:
    """``<!-- begin: NAME -->`` shows what experiments/NN_NAME/results holds; ``NAME/PRESET`` a folder in it.

    A name with a section of its own shows a part of what experiments/NN_NAME/results holds.
    """
    embedded = [ROOT / "README.md", *ROOT.glob("experiments/*/README.md"), *ROOT.glob("docs/*.md")]
    shown = {(file, name) for file in embedded for name in re.findall(r"<!-- begin: (\S+) -->", file.read_text())}
    assert {name for file, name in shown if file == ROOT / "README.md"} == {"gate_ablation", "speed", "odyssey/short"}
    speed = runpy.run_path(str(ROOT / "experiments/00_speed/run.py"))
    sections = dict(speed["SECTIONS"])
    sections["odyssey"] = search_report.readme_section
    sections["odyssey/short"] = search_report.short_section
    sections["battery_1997"] = battery_report.readme_section
    sections["gates_and_init"] = grid_report.readme_section
    sections["long_dependencies"] = ladder_report.readme_section
    sections["forecasting"] = forecast_report.readme_section
    sections["language"] = language_report.readme_section
    sections["spoken_digits"] = speech_report.readme_section
    sections["pixels"] = pixel_report.readme_section
    sections["documents"] = documents_report.readme_section
    for file, name in sorted(shown):
        experiment, _, preset = name.partition("/")
        if not list(ROOT.glob(f"experiments/*_{experiment}/results")):  # not run yet: nothing to show
            assert f"<!-- begin: {name} -->\n<!-- end: {name} -->" in file.read_text()
            continue
        (folder,) = ROOT.glob(f"experiments/*_{experiment}/results/{'' if name in sections else preset}")
        section = sections.get(name, sections.get(experiment, readme_section))
        assert embed(file.read_text(), name, section(folder)) == file.read_text(), (
            f"{file.name}: the table {name} is stale; run make tables"
        )


def test_every_file_the_readme_names_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", re.sub(r"```.*?```", "", README, flags=re.S))
    tree = re.search(r"## Where things are\n.*?```text\n(.*?)```", README, re.S).group(1)
    paths = links + [line.split()[0] for line in tree.splitlines() if line.strip()]
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_tracked_files_name_no_machine_path_and_no_package_index() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: nothing to list")
    forbidden = re.compile(r"(?<![\w.])/(home|root|work|Users)/\w|index-url|https?://[^\s)]*/simple\b")
    own = {"tests/test_house.py", "Makefile"}
    texts = {name: ROOT / name for name in listed.stdout.splitlines() if name not in own}
    kinds = {".py", ".md", ".toml", ".lock", ".cff", ".ipynb", ".json", ".csv", ".txt", ""}
    read = {n: p.read_text(errors="replace") for n, p in texts.items() if p.suffix in kinds and p.is_file()}
    assert [name for name, text in read.items() if forbidden.search(text)] == []


def run_python(code: str) -> str:
    """What a program prints that a user starts, with none of the test settings."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_NUM", "PYTEST"))}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
