"""Two processes under jax.distributed share the trials of a study through its folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from lstm_jax.studies.collect import read_log, read_rows

HOST = """
import sys
import jax
jax.distributed.initialize("127.0.0.1:{port}", 2, {index})
from pathlib import Path
from lstm_jax.cli.study import conduct
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, DataConfig, ModelConfig, TrainConfig
config = Config(
    ModelConfig(hidden_size=2), data=DataConfig("adding", {{"length": 4}}, 2, eval_size=4),
    train=TrainConfig(steps=2, eval_every=1),
)
conduct(Study("s", (("adding", config),), ("V",), seeds=5), Path({folder!r}), part="auto")
"""


def test_two_hosts_divide_the_trials_between_them(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", HOST.format(port=port, index=index, folder=str(tmp_path))],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for index in (0, 1)
    ]  # fmt: skip
    for host in hosts:
        said = host.communicate(timeout=240)[0]
        assert host.returncode == 0, said
    logs = [read_log(tmp_path / "parts" / f"{index}-of-2" / "trials.jsonl") for index in (0, 1)]
    assert [len(log) for log in logs] == [3, 2] and not logs[0].keys() & logs[1].keys()
    assert {row.seed for row in read_rows(tmp_path / "results.csv")} == set(range(5))
