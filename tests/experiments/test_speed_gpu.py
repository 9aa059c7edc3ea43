"""The benchmark for GPUs, on the CPU: who takes part, and what happens to those who fail."""

from __future__ import annotations

import csv
import json

import jax
import pytest


@pytest.fixture
def clock(monkeypatch, speed):
    """A millisecond a step, whatever the machine does; a call is made all the same."""
    import gpu

    def steps_of(call, number):
        inputs = jax.tree.leaves(call())[-1]  # outputs or the gradient of the inputs, after a trial axis if any
        return number * 1e-3 * inputs.shape[-3]

    monkeypatch.setattr(gpu, "timeit", steps_of)


def test_the_benchmark_for_gpus_times_who_agrees_and_says_why_the_others_do_not(speed, clock, tmp_path):
    import gpu

    out, everybody = tmp_path / "gpu", list(gpu.CONTESTANTS)
    words = ["--shapes", "2,3,2,4", "--types", "float32", "--rounds", "1", "--out", str(out), "--contestants"]
    assert gpu.main([*words, *everybody]) == 0
    with (out / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(gpu.CONTESTANTS) * 4, "both modes, and two populations"
    status = {(row["trials"], row["mode"], row["contestant"]): row["status"] for row in rows}
    timed = ("ours, scan", "ours, fused", "ours, fused, CUDA graph", "scan of 20 lines")
    assert all(status[key] == "timed" for key in status if key[2] in timed)
    assert {row["us a step"] for row in rows if row["status"] == "timed"} == {"1000"}
    assert "ours, pallas" not in gpu.options_of([]).contestants, "it runs where it is named"
    assert status["1", "forward", "ours, pallas"].startswith("RuntimeError: backend='pallas' ")
    assert (out / "table.md").read_text().count("\n") == len(rows) + 2
    assert set(json.loads((out / "manifest.json").read_text())) >= {"command", "commit", "device", "rounds"}


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_sixteen_bits_run_with_gradients_and_trials(speed, clock, kind):
    import gpu

    for trials in (1, 2):
        case = gpu.Case(2, 3, 2, 4, gradient=True, trials=trials)
        (row,) = gpu.rows_of(case, kind, 1, ("ours, fused",))
        assert row["status"] == "timed" and 0 < float(row["error"]) < 0.02


def test_the_benchmark_for_gpus_refuses_to_time_other_numbers(speed, clock, monkeypatch):
    import gpu
    import layer_peers

    right = layer_peers.scan_of_twenty_lines
    monkeypatch.setattr(layer_peers, "scan_of_twenty_lines", lambda weights, xs: 1.01 * right(weights, xs))
    rows = list(gpu.rows_of(gpu.Case(2, 3, 2, 4), "float32", 1, ("ours, scan", "scan of 20 lines")))
    assert [row["status"].split(":")[0] for row in rows] == ["timed", "wrong"]


def test_more_steps_that_take_no_longer_are_noise(speed, monkeypatch):
    import gpu

    monkeypatch.setattr(gpu, "timeit", lambda call, number: 0.02 * number)
    (row,) = gpu.rows_of(gpu.Case(2, 3, 2, 4), "float32", 1, ("ours, scan",))
    assert row["status"] == "noise: more steps took no longer" and row["us a step"] == "0"


def test_weights_gradients_are_compared_as_well_and_who_fails_while_timed_stops_no_other(speed, clock, monkeypatch):
    import gpu
    import gpu_layers

    def halved(case, kind):
        run = gpu_layers.ours("fused")(case, kind)

        def prepare(steps):
            call = run(steps)

            def wrong():
                weights, xs = call()
                return jax.tree.map(lambda w: w / 2, weights), xs

            return wrong

        return prepare

    def tired(case, kind):
        calls = iter(range(5))

        def call():
            if next(calls) == 4:
                raise RuntimeError("the device is gone")
            return gpu_layers.ours("fused")(case, kind)(case.steps)()

        return lambda steps: call

    made_up = {"halved": halved, "tired": tired, "ours, scan": gpu_layers.ours("scan")}
    monkeypatch.setattr(gpu, "CONTESTANTS", made_up)
    rows = {row["contestant"]: row for row in gpu.rows_of(gpu.Case(2, 3, 2, 4, gradient=True), "float32", 1)}
    assert rows["halved"]["status"].startswith("wrong") and rows["halved"]["error"] == "5.0e-01"
    assert rows["tired"]["status"] == "RuntimeError: the device is gone"
    assert rows["ours, scan"]["status"] == "timed"
    assert rows["ours, scan"]["us a step"] and not rows["tired"]["us a step"]
