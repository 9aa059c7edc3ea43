"""The wheel as a user gets it: built, installed in an environment of its own, used outside the repository."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; its dependencies are lent by this one, whose own .pth files stay unread."""
    prefix = tmp_path_factory.mktemp("clean")
    venv.create(prefix, with_pip=False)
    paths = sysconfig.get_paths("venv", {"base": str(prefix), "platbase": str(prefix)})
    pip = [sys.executable, "-m", "pip", "--python", prefix, "install", "--quiet", "--no-deps", "--no-index"]
    call(*pip, wheel, cwd=prefix)
    (Path(paths["purelib"]) / "lent.pth").write_text(sysconfig.get_paths()["purelib"])
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


def test_the_wheel_imports_in_two_seconds(clean: Path) -> None:
    assert seconds(clean / "bin/python", "-c", "import lstm_jax", cwd=clean) < 2


def test_help_answers_in_two_seconds(clean: Path) -> None:
    assert "train" in call(clean / "bin/lstm-jax", "--help", cwd=clean)
    assert seconds(clean / "bin/lstm-jax", "--help", cwd=clean) < 2
