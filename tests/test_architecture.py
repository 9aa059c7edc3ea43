"""The rooms of docs/design.md, enforced with plain ``ast``: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RANKS = {
    "names": -1,
    "cell": 0,
    "tasks": 0,
    "unroll": 1,
    "datasets": 1,
    "modules": 2,
    "convert": 2,
    "train": 3,
    "online": 3,
    "studies": 4,
    "analysis": 5,
    "cli": 6,
    "__main__": 7,
}
# Each of these is slow to import or optional, so it is imported by the function that needs it.
HEAVY = set(
    "IPython absl array_record keras matplotlib music21 onnx onnxruntime optuna pandas safetensors scipy sklearn "
    "tensorflow tensorflow_datasets torch".split()
)
# Who may import these at all; any room may import jax and numpy.
OWNERS = {
    "flax": {"modules", "convert"},
    "matplotlib": {"analysis"},
    "optax": {"train"},
    "orbax": {"train"},
    "tyro": {"cli"},
}
LONGEST = 300
FILES = sorted((ROOT / "lstm_jax").rglob("*.py"))
CODE = FILES + [file for folder in ("tests", "experiments") for file in (ROOT / folder).rglob("*.py")]


def room_of(file: Path) -> str:
    return file.relative_to(ROOT / "lstm_jax").parts[0].removesuffix(".py")


def imported(file: Path, node: ast.AST) -> Iterator[str]:
    """Full names of the modules that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = file.relative_to(ROOT).parts[: -node.level] if node.level else ()
        base = ".".join((*package, *filter(None, [node.module])))
        yield from (f"{base}.{alias.name}" for alias in node.names)


def runs_on_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Every statement that importing the file runs: not the bodies of functions, not ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not checking:
            yield node
            yield from runs_on_import(node)


def rank_faults(file: Path, tree: ast.AST) -> Iterator[str]:
    room = room_of(file)
    for node in ast.walk(tree):
        for name in imported(file, node):
            top, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if top == "lstm_jax" and target in RANKS and target != room and RANKS[target] >= RANKS[room]:
                yield f"line {node.lineno}: {room} (rank {RANKS[room]}) imports {target} (rank {RANKS[target]})"
            if room not in OWNERS.get(top, {room}):
                yield f"line {node.lineno}: only {', '.join(sorted(OWNERS[top]))} may import {top}"


def heavy_faults(file: Path, tree: ast.AST) -> Iterator[str]:
    for node in runs_on_import(tree):
        for name in imported(file, node):
            if name.split(".")[0] in HEAVY:
                yield f"line {node.lineno}: import {name} inside the function that needs it"


def test_a_room_imports_strictly_lower_rooms_only() -> None:
    rooms = [file for file in FILES if file.stem != "__init__" or file.parent.name != "lstm_jax"]
    faults = {file: list(rank_faults(file, ast.parse(file.read_text()))) for file in rooms}
    assert {str(file): found for file, found in faults.items() if found} == {}


def test_heavy_modules_are_imported_by_the_function_that_needs_them() -> None:
    faults = {file: list(heavy_faults(file, ast.parse(file.read_text()))) for file in FILES}
    assert {str(file): found for file, found in faults.items() if found} == {}


def test_every_room_has_a_rank() -> None:
    assert {room_of(file) for file in FILES} - {"__init__"} <= set(RANKS)


def test_files_stay_short() -> None:
    """A file that has to be longer says why in its first line: ``# long: reason``."""
    texts = {str(file.relative_to(ROOT)): file.read_text() for file in CODE}
    long = {name: text.count("\n") for name, text in texts.items() if not text.startswith("# long: ")}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


def test_the_rules_catch_what_they_forbid() -> None:
    file = ROOT / "lstm_jax" / "cell" / "step.py"
    bad = "import optax\nfrom lstm_jax.unroll import unroll\nfrom ..train import step\nclass A:\n    import scipy.io\n"
    assert len(list(rank_faults(file, ast.parse(bad)))) == 3
    assert len(list(heavy_faults(file, ast.parse(bad)))) == 1
    good = "import jax\nfrom .params import Params\ndef f():\n    import scipy\n"
    assert not list(rank_faults(file, ast.parse(good))) + list(heavy_faults(file, ast.parse(good)))
