"""Options for XLA are given to one compilation, are taken by it, and are never set behind anybody's back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
def test_xla_takes_the_options(platform):
    """The compiler of every platform knows the names and values of all, and refuses others."""
    params = lj.init_params(jax.random.key(0), "NP", 2, 3)
    xs = jax.random.normal(jax.random.key(1), (4, 2, 2))
    run = jax.jit(lambda xs: lj.unroll("NP", params, xs, backend="scan")[0])
    compiled = run.lower(xs).compile(compiler_options=lj.xla_options(platform))
    np.testing.assert_allclose(compiled(xs), run(xs), rtol=1e-6, atol=1e-7)


def test_xla_refuses_an_option_that_it_does_not_know():
    """Without this the test above would prove nothing."""
    for unknown in ({"xla_gpu_enable_command_buffers": "WHILE"}, {"xla_gpu_enable_command_buffer": "LOOP"}):
        with pytest.raises(jax.errors.JaxRuntimeError, match=next(iter(unknown))):
            jax.jit(jnp.sin).lower(1.0).compile(compiler_options=unknown)


def test_the_options_are_the_callers_own():
    lj.xla_options("cpu")["xla_cpu_enable_fast_math"] = "true"
    assert lj.xla_options("cpu") == lj.xla_options("tpu") == {}


def test_an_unknown_platform_is_told_the_known_ones():
    with pytest.raises(ValueError, match="no XLA options for platform 'gup'; did you mean 'gpu'[?] known: cpu, gpu"):
        lj.xla_options("gup")
