"""Threads that share a call of the native kernel: what holds whoever comes, late or never."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj
from lstm_jax.unroll import build

needs_kernel = pytest.mark.skipif(not build.load(), reason=f"no native kernel: {build.HOW}")

STEPS, INPUTS, HIDDEN = 200, 61, 223
"""Enough to share a step's product (two pieces and more) and a call (1 ms and more); both sizes fill no vector."""


def test_every_piece_is_done_once_whoever_comes_and_when(tmp_path):
    """The laws are in C++: a pool of threads, one that runs a task at once, one that runs it when all is over."""
    try:
        command = build.compiler()
    except build.NoCompilerError as error:
        pytest.skip(str(error))
    program, source = tmp_path / "check", Path(__file__).with_name("team_check.cc")
    flags = (*(flag for flag in build.FLAGS if flag != "-shared"), "-I", str(build.SOURCES))
    subprocess.run([*command, *flags, str(source), "-o", str(program)], check=True)
    assert subprocess.run([program], check=False, timeout=60).returncode == 0, (
        "the line that does not hold, modulo 256"
    )


def problem(name: str, batch: int, dtype=jnp.float64):
    """Weights and inputs."""
    params = lj.init_params(jax.random.key(1), name, INPUTS, HIDDEN, dtype=dtype, initializers="pytorch")
    return params, jax.random.normal(jax.random.key(2), (STEPS, batch, INPUTS), dtype)


def both_ways(name, params, xs, lengths, resets, backend):
    """Last states and gradients of two directions that know nothing of each other, so that they run at once."""

    def loss(params, xs):
        total, states = 0.0, []
        for reverse in (False, True):
            ys, state = lj.unroll(name, params, xs, lengths, reverse=reverse, resets=resets, backend=backend)
            total += (jnp.cos(jnp.arange(ys.size)).reshape(ys.shape) * ys).sum() + state.c.sum()
            states.append(state)
        return total, states

    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, xs)


@needs_kernel
@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", ["V", "FGR", "GRU"])
@pytest.mark.parametrize("lengths", [None, [187], [3, 190, 60]], ids=["whole", "short", "three"])
def test_threads_that_share_a_sequence_agree_with_float64(name, lengths):
    params, xs = problem(name, 1 if lengths is None else len(lengths))
    resets = jnp.zeros(xs.shape[:2], bool).at[70].set(lengths is None)
    arguments = None if lengths is None else jnp.array(lengths), resets
    want = both_ways(name, params, xs, *arguments, "fused")
    narrow = jax.tree.map(lambda a: a.astype(jnp.float32), (params, xs))
    for values, tolerance in (((params, xs), 1e-12), (narrow, 1e-5)):
        got = both_ways(name, *values, *arguments, "native")
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(np.abs(b).max()))


HASH = f"""
import hashlib, jax, numpy as np
import lstm_jax as lj

params = lj.init_params(jax.random.key(1), "GRU", {INPUTS}, {HIDDEN})
made = []
for batch in (1, 3):
    xs = jax.random.normal(jax.random.key(2), ({STEPS}, batch, {INPUTS}))
    slopes = jax.jit(jax.grad(lambda *a: lj.unroll("GRU", *a, backend="native")[0].sum(), (0, 1)))
    made += [slopes(params, xs) for _ in range(3)]
for one in made:
    print(hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(one))).hexdigest())
"""


@needs_kernel
def test_bits_do_not_depend_on_how_many_threads_share_a_sequence():
    """Gradients of weights and inputs, of one sequence and of three, thrice each; XLA has as many threads as told."""

    def hashes(threads: int) -> list[str]:
        told = {**os.environ, "PJRT_NPROC": str(threads), "JAX_NUM_CPU_DEVICES": "1", "XLA_FLAGS": ""}
        done = subprocess.run([sys.executable, "-c", HASH], env=told, check=True, capture_output=True, text=True)
        return done.stdout.split()

    first = hashes(1)
    assert len(first) == 6 and len(set(first)) == 2
    assert hashes(2) == hashes(7) == first
