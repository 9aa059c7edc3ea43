"""The wheel as a user gets it: built, installed in an environment of its own, used outside the repository."""

from __future__ import annotations

import importlib.metadata
import os
import resource
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
ONE_STEP = """
import jax, optax, lstm_jax as lj
from pathlib import Path
assert Path(lj.__file__).is_relative_to({prefix!r}), lj.__file__
task = lj.TASKS["adding"](length=10)
batch = task.sample(jax.random.key(0), 8)
params = lj.init_params(jax.random.key(1), "V", input_size=task.input_size, hidden_size=4)
def loss(params):
    ys, state = lj.unroll("V", params, batch.inputs, lengths=batch.lengths)
    return ((state.y.sum(-1) - batch.targets[-1, :, 0]) ** 2).mean()
optimizer = optax.sgd(0.01)
before, gradient = jax.value_and_grad(loss)(params)
updates, _ = optimizer.update(gradient, optimizer.init(params))
print(float(before), float(loss(optax.apply_updates(params, updates))))
"""


def call(*words: str | Path, cwd: Path) -> str:
    """Output of a command, run outside the repository and without what the tests set in the environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JAX_NUM"))}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def required(names: Iterable[str]) -> set[str]:
    """The distributions that these requirements bring with them, as installed here, themselves included."""
    found, waiting = {}, [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(wanted.name)
        extras = wanted.extras | found.get(name, set())
        if found.get(name) == extras:
            continue
        found[name] = extras
        for text in importlib.metadata.requires(name) or ():
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                inner.marker = None
                waiting.append(inner)
    return set(found)


def lend(distributions: Iterable[str], folder: Path) -> None:
    """Make the distributions of this environment, and nothing else of it, importable from ``folder``."""
    for name in distributions:
        files = importlib.metadata.files(name)
        assert files, f"{name} does not say what it installed"
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            if not (folder / top).exists():
                (folder / top).symlink_to(importlib.metadata.distribution(name).locate_file(top))


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires; only the required distributions are lent by this one."""
    prefix = tmp_path_factory.mktemp("clean")
    venv.create(prefix, with_pip=False)
    paths = sysconfig.get_paths("venv", {"base": str(prefix), "platbase": str(prefix)})
    pip = [sys.executable, "-m", "pip", "--python", prefix, "install", "--quiet", "--no-deps", "--no-index"]
    call(*pip, wheel, cwd=prefix)
    (installed,) = importlib.metadata.distributions(name="lstm_jax", path=[paths["purelib"]])
    lend(required(installed.requires or ()), Path(paths["purelib"]))
    return prefix


def seconds(*words: str | Path, cwd: Path) -> float:
    """Processor time of a command, least of three: wall time on an idle machine, whatever else runs here."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        call(*words, cwd=cwd)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(times)


def test_the_wheel_holds_every_module_the_type_marker_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(file.relative_to(ROOT)) for file in (ROOT / "lstm_jax").rglob("*.py")}
    assert modules | {"lstm_jax/py.typed"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"lstm_jax"}


def test_the_wheel_trains_one_step_outside_the_repo(clean: Path) -> None:
    before, after = map(float, call(clean / "bin/python", "-c", ONE_STEP.format(prefix=str(clean)), cwd=clean).split())
    assert 0 < after < before


OPTIONAL = ("array_record", "matplotlib", "music21", "optuna", "pandas", "sklearn", "tensorflow_datasets", "torch")


def test_the_clean_environment_lacks_what_is_optional(clean: Path) -> None:
    code = f"import importlib.util as u; print([name for name in {OPTIONAL!r} if u.find_spec(name)])"
    assert call(clean / "bin/python", "-c", code, cwd=clean) == "[]\n"


def test_every_module_imports_with_the_core_dependencies_alone(clean: Path) -> None:
    code = (
        "import importlib, pkgutil, lstm_jax\n"
        "names = [m.name for m in pkgutil.walk_packages(lstm_jax.__path__, 'lstm_jax.') if '__main__' not in m.name]\n"
        "print(len([importlib.import_module(name) for name in names]))"
    )
    modules = [file for file in (ROOT / "lstm_jax").rglob("*.py") if file.stem != "__main__"]
    assert int(call(clean / "bin/python", "-c", code, cwd=clean)) == len(modules) - 1


def test_the_command_trains_with_the_core_dependencies_alone(clean: Path) -> None:
    small = "--model.hidden-size 2 --data.options length 4 --data.batch-size 2 --data.eval-size 4 --train.steps 2"
    call(clean / "bin/lstm-jax", "train", "--out", "run", *small.split(), cwd=clean)
    assert (clean / "run" / "summary.json").is_file()


def test_the_wheel_imports_in_two_seconds(clean: Path) -> None:
    assert seconds(clean / "bin/python", "-c", "import lstm_jax", cwd=clean) < 2


def test_help_answers_in_two_seconds(clean: Path) -> None:
    assert "train" in call(clean / "bin/lstm-jax", "--help", cwd=clean)
    assert seconds(clean / "bin/lstm-jax", "--help", cwd=clean) < 2
