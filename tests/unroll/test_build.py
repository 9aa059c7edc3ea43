"""Which backend there is on a machine, and what compiling the native kernel may meet."""

from __future__ import annotations

import stat
from functools import partial

import jax
import jax.numpy as jnp
import pytest

import lstm_jax as lj
from lstm_jax.cli import dispatch
from lstm_jax.train.machine import describe_machine
from lstm_jax.unroll import build, kernel_is_here
from lstm_jax.unroll.choice import BACKENDS, automatic


@pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}")
def test_auto_is_native_for_small_wide_weights_and_manifests_say_that_it_can_be():
    def of(hidden, dtype=jnp.float32):
        draw = partial(lj.init_params, variant="V", input_size=3, hidden_size=hidden, dtype=dtype)
        return automatic(jax.eval_shape(draw, jax.random.key(0)))

    assert [of(8), of(1024), of(2048)] == ["native", "native", "fused"]
    assert of(8, dtype=jnp.bfloat16) == "fused"
    assert describe_machine()["native_kernel"] is True


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine where the kernel was never built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build.load.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    build.load.cache_clear()


def test_without_a_kernel_auto_is_fused_and_native_says_what_to_do(nowhere):
    params, xs = lj.init_params(jax.random.key(0), "V", 3, 4), jnp.zeros((2, 1, 3))
    assert automatic(params) == "fused" and not kernel_is_here() and "native" in BACKENDS
    lj.unroll("V", params, xs)
    with pytest.raises(RuntimeError, match=r"not built on this machine.*lstm-jax native build"):
        lj.unroll("V", params, xs, backend="native")


def test_a_damaged_kernel_is_left_alone_with_a_warning(nowhere):
    path = build.library_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a kernel")
    with pytest.warns(
        UserWarning, match=r"cannot be loaded, cells run as loops of XLA.*native build` compiles it anew"
    ):
        assert not kernel_is_here()


def test_building_makes_a_damaged_kernel_anew_and_until_then_none_is_reported(nowhere, monkeypatch, capsys):
    path = build.library_path()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a kernel")
    with pytest.warns(UserWarning, match="cannot be loaded"):
        assert dispatch.main(["native"]) == 0
    assert "is not here" in capsys.readouterr().out
    compiler = nowhere / "compiler"
    compiler.write_text('#!/bin/sh\nfor last; do :; done\necho whole > "$last"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    assert build.build() == path and path.read_bytes() == b"whole\n"


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--optional",), 0)])
def test_what_was_compiled_and_cannot_be_loaded_is_no_success(nowhere, monkeypatch, capsys, words, code):
    compiler = nowhere / "a compiler"  # a name with a space
    compiler.write_text('#!/bin/sh\nfor last; do :; done\necho whole > "$last"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", f"'{compiler}'")
    with pytest.warns(UserWarning, match="cannot be loaded"):
        assert dispatch.main(["native", "build", *words]) == code
    assert "was compiled but cannot be loaded" in capsys.readouterr().out


@pytest.mark.parametrize("home", ["nobody's", "closed"])
def test_where_there_is_no_home_there_is_no_kernel(monkeypatch, home):
    def refuse(*_):
        raise (RuntimeError("no home") if home == "nobody's" else PermissionError("closed"))

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(build.Path, "home" if home == "nobody's" else "exists", refuse)
    build.load.cache_clear()
    try:
        assert not build.load() and not kernel_is_here()
    finally:
        monkeypatch.undo()
        build.load.cache_clear()


@pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}")
def test_a_kernel_that_was_built_meanwhile_is_found_where_it_is_asked_for(monkeypatch, tmp_path):
    params, xs = lj.init_params(jax.random.key(0), "V", 3, 4), jnp.zeros((2, 1, 3))
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        build.load.cache_clear()
        assert not build.load()
    try:
        lj.unroll("V", params, xs, backend="native")
    finally:
        build.load.cache_clear()


def test_where_it_cannot_be_compiled_the_optional_build_goes_on(nowhere, monkeypatch, capsys):
    monkeypatch.setenv("CXX", str(nowhere / "none"))
    assert dispatch.main(["native", "build", "--optional"]) == 0
    assert "was not built, cells run as loops of XLA" in capsys.readouterr().out
    assert dispatch.main(["native", "build"]) == 1
    assert dispatch.main(["native"]) == 0
    assert "`lstm-jax native build` compiles it" in capsys.readouterr().out


def test_without_a_compiler_the_error_names_a_remedy(nowhere, monkeypatch):
    monkeypatch.setenv("PATH", str(nowhere))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(build.NoCompilerError, match=r"g\+\+.*lstm_jax\[native\]"):
        build.build()


def test_a_compiler_that_fails_leaves_nothing_behind_and_its_words_in_the_error(nowhere, monkeypatch):
    broken = nowhere / "broken"
    broken.write_text("#!/bin/sh\necho 'no such flag' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(RuntimeError, match="could not compile the kernel: no such flag"):
        build.build()
    assert list(build.library_path().parent.iterdir()) == [] and not build.load()
