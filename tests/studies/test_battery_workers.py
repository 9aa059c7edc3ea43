"""Processes that run rows of the battery: how XLA compiles their loops."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lstm_jax.studies.battery_workers import ONE_PROGRAM, compiler_flags

COMPILED = """
from queue import Queue

from lstm_jax.studies import battery_workers

places = Queue()
places.put(None)
battery_workers._settle(places, None, None)

import jax.numpy as jnp
from lstm_jax.online import streams
from lstm_jax.studies.battery import BATTERY

protocol, seeds = BATTERY["gts"].protocol, jnp.arange(8)
trials = streams.begin(protocol, seeds)
text = streams.advance.lower(protocol, trials, seeds, jnp.int32(1)).compile().as_text()
(loop,) = [line for line in text.splitlines() if 'op_name="jit(advance)/while"' in line and "to_apply" in line]
assert 'xla_cpu_small_call="true"' in loop
"""


def test_a_loop_of_tiny_nets_is_one_machine_program_in_a_worker(tmp_path):
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", COMPILED], env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]


@pytest.mark.parametrize("given", ["", "--xla_cpu_enable_fast_math=false"])
def test_flags_of_the_user_stay(given):
    flags = compiler_flags(given)
    assert flags.startswith(given) and flags.endswith(ONE_PROGRAM)
    assert compiler_flags(flags) == flags
