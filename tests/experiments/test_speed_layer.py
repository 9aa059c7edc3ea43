"""Experiment 00, one layer: all frameworks compute the same; who is timed, how often, and what tables say."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np
import pytest
from oracles import numpy_lstm

from lstm_jax.unroll import BACKENDS

PLAIN = {"batch": 3, "steps": 6, "inputs": 5, "hidden": 4}
DEEP, RAGGED, LONG = PLAIN | {"layers": 2, "directions": 2}, PLAIN | {"ragged": True}, PLAIN | {"growth": True}


@pytest.fixture
def cases(speed):
    import layer_cases

    return layer_cases


@pytest.fixture
def layer(speed):
    import layer

    return layer


@pytest.fixture
def report(speed):
    import layer_report

    return layer_report


@pytest.fixture
def compute(speed, cases, monkeypatch):
    """What a contestant's program computes, with JAX as it is for users; skips where its framework is absent."""
    import layer_peers

    cache = jax.config.jax_enable_compilation_cache
    for name in ("KERAS_BACKEND", "KERAS_HOME"):
        monkeypatch.setenv(name, "")  # set by the benchmark for its process, and put back here

    def run(case, key, gradient):
        try:
            peer = layer_peers.FRAMEWORKS[cases.CONTESTANTS[key][0]](2)
        except ImportError as error:
            pytest.skip(str(error))
        spec = cases.Spec(**asdict(case), contestant=key, gradient=gradient)
        timed, facts = peer.prepare(spec)
        seconds, finite = timed(1)
        assert seconds > 0 and finite and set(facts) == {"compile", "bytes"}
        return peer.check(spec, {})

    with jax.numpy_rank_promotion("allow"):
        yield run
    jax.config.update("jax_enable_compilation_cache", cache)  # which the benchmark has turned off
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)  # as is the processor's flag


def oracle(cases, case, drawn):
    """Outputs and last outputs of the last layer's first direction, from weights by PyTorch's names."""
    xs, lengths = cases.inputs(case).astype(float), cases.lengths(case)
    for layer in range(case.layers):
        runs = []
        for suffix in ("", "_reverse")[: case.directions]:
            names = {"W": "weight_ih", "R": "weight_hh", "b": "bias_ih"}
            parts = {kind: np.split(drawn[f"{name}_l{layer}{suffix}"], 4) for kind, name in names.items()}
            weights = {
                f"{kind}_{gate}": part.T for kind in parts for gate, part in zip("ifzo", parts[kind], strict=True)
            }
            runs.append(numpy_lstm.run("NP", weights, xs, lengths, reverse=bool(suffix)))
        xs = np.concatenate([ys for ys, _ in runs], axis=-1)
    return xs, runs[0][1].y


@pytest.mark.parametrize(
    ("sizes", "key"),
    [(PLAIN, key) for key in ("keras", "haiku", "equinox", "naive", "V/fused")]
    + [(DEEP, key) for key in ("linen", "torch", "NP/fused")]
    + [(RAGGED, key) for key in ("linen", "nnx", "torch", "NP/fused")]
    + [(LONG, "NP/fused/chunks")],
)
def test_every_framework_runs_the_equations_and_their_gradient_on_the_same_weights(compute, cases, sizes, key):
    case = cases.Case(**sizes)
    drawn = {name: array.astype(float) for name, array in cases.weights(case).items()}
    assert cases.takes_part(key, case)
    if not case.growth:
        found, (ys, last) = compute(case, key, gradient=False), oracle(cases, case, drawn)
        np.testing.assert_allclose(found["outputs"], ys, atol=1e-6)
        assert ("last outputs 0" in found) == case.ragged
        np.testing.assert_allclose(found.get("last outputs 0", last), last, atol=1e-6)

    gradient, random, epsilon = compute(case, key, gradient=True), np.random.default_rng(5), 1e-5
    assert set(gradient) == {f"gradient {name}" for name in drawn}
    for name in drawn:  # along one direction for each weight
        move = random.standard_normal(drawn[name].shape)

        def loss(step, name=name, move=move):
            results = oracle(cases, case, drawn | {name: drawn[name] + step * move})
            return sum((a * b).sum() for a, b in zip(results, cases.loss_weights(case), strict=False))

        slope = (loss(epsilon) - loss(-epsilon)) / (2 * epsilon)
        assert (gradient[f"gradient {name}"] * move).sum() == pytest.approx(slope, rel=1e-4, abs=1e-4)


def test_every_backend_takes_part_without_being_named(cases):
    own = {backend for _, backend, _ in cases.OURS.values()}
    assert own == set(BACKENDS) - {"auto", "pallas"}
    assert {backend for variant, backend, _ in cases.OURS.values() if variant == "V"} == own - {"scan"}


def test_who_runs_which_case(cases):
    def who(sizes):
        return {key for key in cases.CONTESTANTS if cases.takes_part(key, cases.Case(**sizes))}

    ours = {key for key in cases.OURS if not key.endswith("/chunks")}
    assert who(PLAIN) == {"linen", "nnx", "keras", "haiku", "equinox", "naive", "torch"} | ours
    assert who(DEEP) == {"linen", "torch"} | ours
    assert who(RAGGED) == {"linen", "nnx", "torch"} | ours
    assert {"NP/fused", "NP/fused/chunks"} <= who(LONG) <= set(cases.OURS) - {"NP/scan", "V/fused"}


def test_operations_are_counted_over_valid_steps_layers_and_directions(cases):
    plain, ragged = cases.Case(3, 50, 5, 4), cases.Case(3, 50, 5, 4, ragged=True)
    assert plain.flops(gradient=True) == 3 * plain.flops(gradient=False) == 24 * 3 * 50 * 4 * (5 + 4)
    lengths = cases.lengths(ragged)
    assert len(set(lengths)) > 1 and 5 <= min(lengths) <= max(lengths) <= 50
    assert ragged.flops(False) == 8 * lengths.sum() * 4 * (5 + 4)
    deep = cases.Case(3, 50, 5, 4, layers=2, directions=2)
    assert deep.flops(False) == 8 * 3 * 50 * 2 * 4 * ((5 + 4) + (2 * 4 + 4))


@pytest.mark.parametrize("shape", ["1,2,3", "1,2,3,0", "1,2,3,x"])
def test_a_shape_that_is_none_is_refused(cases, shape):
    with pytest.raises(ValueError, match="B,T,I,H, four integers >= 1, got '" + shape):
        cases.parse(shape)


def test_cases_are_picked_by_a_word_or_a_shape(cases):
    assert cases.cases_named("all") == cases.all_cases()
    assert [str(case) for case in cases.cases_named("ragged")] == ["(64,500,128,256) ragged"]
    assert len(cases.cases_named("layers")) == len(cases.cases_named("bidirectional")) == 1
    assert cases.cases_named("3,4,5,6") == [cases.Case(3, 4, 5, 6)]


def test_contestants_are_chosen_by_key(layer, cases):
    assert layer.choose(["NP/fused", "linen"]) == ["linen", "NP/fused"]
    assert layer.choose([]) == list(cases.CONTESTANTS)
    with pytest.raises(layer.UsageError, match="did you mean 'linen'"):
        layer.choose(["line"])


@pytest.mark.parametrize(
    ("block", "passes"), [(0.1, [7, 7]), (2.0, [5, 5]), (3.0, [3, 3]), (60.0, [3, 2]), (0.0, [7, 7])]
)
def test_a_heavy_shape_gets_fewer_rounds_but_five(layer, block, passes):
    assert layer.rounds_for(block, rounds=7, budget=20.0) == passes
    assert layer.rounds_for(block, rounds=1, budget=20.0) == [1, 1]


class Pretender:
    """A worker whose outputs are off by a factor, and whose calls take one second each."""

    def __init__(self, factor):
        self.factor, self.went = factor, 0

    def ask(self, do, **order):
        self.went += do == "go"
        if do == "check":
            exact = order["spec"]["dtype"] == "float64"
            np.savez(order["into"], outputs=np.array([1.0, -2.0]) * (1 if exact else self.factor))
        return {"go": {"seconds": 1.0 * order.get("times", 1)}, "prepare": {"compile": 1.0, "bytes": 8}}.get(do, {})


@pytest.mark.parametrize("factor", [1.001, -1.0, np.nan])
def test_a_contestant_that_computes_something_else_is_refused_before_it_is_timed(layer, cases, factor):
    crew = {"ours": [Pretender(1)], "keras": [Pretender(factor)]}
    with pytest.raises(RuntimeError, match=r"Keras.*outputs differs.*nothing is timed"):
        layer.measure(crew, cases.Case(**PLAIN), ["keras"], rounds=1, budget=1.0)
    assert crew["keras"][0].went == 0


def test_rounds_are_shared_over_two_passes_and_give_rows_with_ratios_to_the_best_peer(layer, cases, monkeypatch):
    monkeypatch.setattr(layer, "REST_SECONDS", 0.0)
    crew, case = {name: [Pretender(1 + 1e-6)] for name in ("ours", "keras", "naive")}, cases.Case(**PLAIN)
    crew["ours"][0].factor = 1
    entries = layer.measure(crew, case, ["keras", "naive", "NP/fused"], rounds=2, budget=1e6)[True]
    assert [[len(rounds) for rounds in entry.seconds] for entry in entries] == [[2, 2]] * 3
    keras, naive, fused = entries
    keras.seconds, naive.seconds, fused.seconds = [[2.0, 4.0], [3.0, 3.0]], [[9.0] * 2] * 2, [[1.0, 1.0], [6.0, 1.0]]
    rows = layer.rows_of(case, True, entries, ["torch"], peak=1.0)
    assert [row["times best peer"] for row in rows if row["contestant"] == "keras"] == ["1.000", "1.000"]
    first, second = (row for row in rows if row["contestant"] == "NP/fused")
    assert (first["times best peer"], second["times best peer"]) == ("3.000", "1.750")
    assert first["median ms"] == "1000" and first["best peer"] == "keras" and first["pass"] == 1
    assert float(first["GFLOP/s"]) == pytest.approx(case.flops(True) / 1e9, rel=1e-3)
    assert (rows[-1]["contestant"], rows[-1]["status"]) == ("torch", "not installed")
    assert len({tuple(row) for row in rows}) == 1


def test_a_peer_that_is_not_installed_is_left_out_and_said_so(speed, tmp_path, monkeypatch, capsys):
    import crew

    (tmp_path / "haiku.py").write_text("raise ImportError('no haiku here')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(crew.__file__).parents[2]}")
    with ExitStack() as stack:
        found = crew.hire(stack, "layer_peers", {"haiku": [("haiku", 1)], "naive": [("naive", 1)]})
    assert set(found) == {"naive"} and "haiku is left out: no haiku here" in capsys.readouterr().err


def made_up(tmp_path, layer, cases):
    """A run whose times are made up: our NP takes 1 s, haiku 2 s, keras is not installed; and cost against T."""
    facts, rows = {"compile": 1.0, "bytes": 2**20}, []
    for case in (cases.Case(**PLAIN), cases.Case(**LONG)):
        for gradient in case.modes:
            costs = {"haiku": 2.0, "NP/fused": 1.0} if not case.growth else {"NP/fused": 1.0, "NP/fused/chunks": 2.0}
            entries = [layer.Entry(key, facts, 1e-7, 1, [[cost] * 2] * 2) for key, cost in costs.items()]
            rows += layer.rows_of(case, gradient, entries, [] if case.growth else ["keras"], peak=1e-6)
    manifest = {"versions": {"jax": "9", "torch": None}, "missing": ["keras"], "passes": 2, "rounds": 2, "cores": 2}
    manifest |= {"processor": "abacus", "load_begin": 0.1, "load_end": 0.9, "peak_gflops": 1e-6}
    layer.write(rows, manifest | {"commit": "0123456789ab", "dirty": False}, tmp_path)


def test_the_tables_say_who_won_by_how_much_and_who_was_absent(layer, cases, report, tmp_path):
    assert report.section(tmp_path) == report.layers_section(tmp_path) == "Not measured yet."
    made_up(tmp_path, layer, cases)
    section, full = report.section(tmp_path), report.layers_section(tmp_path)
    assert section.count("| lstm_jax NP, fused | Haiku LSTM | 1000 | 2000 | 2.00, 2.00 |") == 2
    assert "Not installed: keras." in section and "jax 9;" in section and "0123456789ab"[:9] in section
    assert "| Haiku LSTM | 2000 / 2000 |" in full and "| Keras 3 LSTM on JAX | not installed / not installed |" in full
    assert "| lstm_jax NP, fused, chunks | 3.33e+05 us, 174763 B |" in full
    assert report.full_table(tmp_path).count("\n") == 2 + len(report.read(tmp_path)[0])


def test_a_difference_below_the_spread_is_a_tie(report):
    def row(number, ratio, spread):
        return {"pass": str(number), "times best peer": str(ratio), "spread": str(spread)}

    rows = [row(1, 1.04, 0.01), row(2, 1.02, 0.03)]
    assert report.verdict(rows[:1]) == "1.04" and report.verdict(rows) == "1.04, 1.02 (tie)"
    assert report.verdict(rows[:1], [row(1, 1.0, 0.05)]) == "1.04 (tie)", "the spread of the peer"
    assert report.verdict(rows[:1], [row(2, 1.0, 0.05)]) == "1.04", "of another pass"
    assert report.verdict([row(1, 1.4, 0.01), row(2, 0.8, 0.01)]) == "1.40, 0.80 (tie)"


def test_the_figure_shows_each_contestant_and_cost_against_length(layer, cases, report, tmp_path):
    made_up(tmp_path, layer, cases)
    forward, gradient, time, memory = report.figure(tmp_path).axes
    assert forward.get_legend_handles_labels()[1] == ["Haiku LSTM", "lstm_jax NP, fused"]
    assert [float(points.get_offsets()[0, 0]) for points in gradient.collections] == [1.0, 2.0]
    assert len(time.lines) == len(memory.lines) == 2
