"""Experiment 05: what its presets plan, how its rates are chosen, and what its report needs."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import trial

from lstm_jax.cli.dispatch import guarded
from lstm_jax.names import UsageError
from lstm_jax.studies.budget import parameter_count
from lstm_jax.studies.collect import read_rows, write_rows
from lstm_jax.studies.ladder import criterion_of, label, split_label
from lstm_jax.studies.plan import Study
from lstm_jax.tasks import TASKS

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "05_long_dependencies" / "run.py"
TWELVE = ["V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "GRU", "RNN", "IRNN"]
STARTS = ["V, chrono", "V, uniform", "NP, chrono", "NP, uniform"]
BIG = ["quick", "default", "full"]


@pytest.fixture
def rates(experiment, tmp_path):
    """A file with a rate for every entrant: that of the tanh network differs."""
    path = tmp_path / "rates.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["task", "variant", "rate"])
        for task in {task for preset in BIG for task in experiment.SCALES[preset].ladders}:
            writer.writerows([task, name, 0.01 if name == "RNN" else 0.02] for name in TWELVE + STARTS)
    return path


def test_the_smoke_preset_is_two_cells_on_two_short_lengths(experiment):
    plan = experiment.study("smoke", "adding")
    assert list(experiment.SCALES["smoke"].ladders) == ["adding"]
    assert plan.variants == ("V", "RNN") and [name for name, _ in plan.tasks] == ["adding@4", "adding@8"]
    assert plan.seeds == 2 and all(config.train.steps <= 20 for _, config in plan.tasks)


@pytest.mark.parametrize("preset", BIG)
def test_every_cell_climbs_every_ladder_and_other_starts_those_of_copy_and_adding(experiment, rates, preset):
    ladders = experiment.SCALES[preset].ladders
    assert {"adding", "copy", "temporal_order", "parity"} <= set(ladders)
    for task, ladder in ladders.items():
        plan = experiment.study(preset, task, rates)
        assert list(plan.variants) == TWELVE + (STARTS if task in ("adding", "copy") else [])
        assert plan.seeds >= (20 if preset == "full" else 5) and plan.reference == "V"
        assert [split_label(name) for name, _ in plan.tasks] == [(task, length) for length in ladder.lengths]
        assert list(ladder.lengths) == sorted(set(ladder.lengths)) and len(ladder.lengths) >= 3
        criterion_of(task, TASKS[task]().metric)


def test_the_goals_are_tested_at_their_lengths_and_learned_from_no_longer_ones(experiment):
    goals = {"copy": (500, 500, None), "adding": (750, 750, None), "anbncn": (40, 120, 41), "parity": (40, 500, 500)}
    assert list(experiment.SCALES["goals"].ladders) == list(goals)
    for task, (learned, tested, shortest) in goals.items():
        plan = experiment.study("goals", task)
        assert plan.variants == ("V", "V, chrono", "V, uniform") and plan.seeds == 5
        ((name, config),) = plan.tasks
        assert split_label(name) == (task, tested) and dict(config.data.options)["length"] == learned
        drawn = TASKS[task](**dict(config.data.options_of_test))
        assert drawn.length == tested and getattr(drawn, "shortest", None) == shortest
        criterion_of(task, TASKS[task]().metric)


def test_tracking_is_asked_at_lengths_that_were_never_learned_of_every_cell(experiment):
    for task in experiment.SCALES["tracking"].ladders:
        plan = experiment.study("tracking", task)
        ((name, config),) = plan.tasks
        tested = TASKS[task](**dict(config.data.options_of_test))
        assert list(plan.variants) == TWELVE and plan.seeds == 5 and split_label(name) == (task, 500)
        assert dict(config.data.options)["length"] == 40 and tested.length == 500
        assert getattr(tested, "shortest", 500) == 500
        criterion_of(task, TASKS[task]().metric)


def test_the_modern_tasks_grow_in_what_makes_them_hard_and_differ_in_nothing_else(experiment):
    known = [task for preset in ("quick", "goals", "tracking", "timing") for task in experiment.SCALES[preset].ladders]
    scale = experiment.SCALES["modern"]
    assert not set(scale.ladders) & set(known)
    for task, ladder in scale.ladders.items():
        plan = experiment.study("modern", task)
        assert list(plan.variants) == TWELVE + (STARTS if task == "variable_copy" else []) and plan.seeds == 5
        options = [dict(config.data.options) for _, config in plan.tasks]
        assert [drawn.pop(ladder.grows) for drawn in options] == list(ladder.lengths) == sorted(ladder.lengths)
        assert all(drawn == options[0] for drawn in options) and len(options) == 3
        assert {config.data.name for _, config in plan.tasks} == {task}
        first = split_label(plan.tasks[0][0])
        assert first == (task if ladder.grows == "length" else f"{task}.{ladder.grows}", ladder.lengths[0])
        criterion_of(first[0], TASKS[task]().metric)


def test_every_preset_can_be_planned_with_the_rates_that_are_shipped(experiment, capsys):
    for preset, scale in experiment.SCALES.items():
        for task, ladder in scale.ladders.items():
            plan = experiment.study(preset, task)
            assert len(plan.rates) == scale.tuned * len(ladder.lengths) * len(plan.variants)
            if f"has no learning rates for {task}" in capsys.readouterr().err:
                assert {rate for *_, rate in plan.rates} == {ladder.rate}
                assert task in ("selective_copy", "variable_copy", "delayed_xor", "anbncn")


def test_a_rate_that_is_missing_for_one_entrant_only_is_refused(experiment, tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("task,variant,rate\nadding,V,0.01\n")
    with pytest.raises(UsageError, match="no learning rate for NIG on adding; NFG on adding; NOG on"):
        experiment.study("quick", "adding", path)


def test_timing_is_asked_of_the_nine_cells_and_taking_the_peepholes_away_takes_no_cell_away(experiment):
    assert list(experiment.SCALES["timing"].ladders) == ["timed_spikes", "spike_delays", "periodic"]
    for task in experiment.SCALES["timing"].ladders:
        plan = experiment.study("timing", task)
        cells = {variant: model.hidden_size for _, variant, model in plan.models}
        assert plan.variants == experiment.NINE and cells["V"] == cells["NP"] == 4
        assert criterion_of(task, TASKS[task]().metric).of_chance


def test_all_networks_of_a_task_have_nearly_equal_numbers_of_parameters(experiment, rates):
    for preset in BIG:
        scale = experiment.SCALES[preset]
        for task in scale.ladders:
            plan = experiment.study(preset, task, rates)
            for name, variant, model in plan.models:
                options = dict(dict(plan.tasks)[name].data.options)
                sizes = TASKS[task](**options).input_size, TASKS[task](**options).output_size
                count = parameter_count(model.variant, sizes[0], model.hidden_size, sizes[1])
                assert abs(count - scale.parameters) < 0.1 * scale.parameters, (preset, task, variant, count)


def test_trials_of_a_length_differ_in_network_learning_rate_and_seed_alone(experiment, rates):
    for task in experiment.SCALES["quick"].ladders:
        for run in experiment.study("quick", task, rates).trials():
            plain = experiment.run_of("quick", *split_label(run.task))
            assert run.config == replace(
                plain,
                model=replace(experiment.MODELS[run.variant], hidden_size=run.config.model.hidden_size),
                optimizer=replace(plain.optimizer, learning_rate=0.01 if run.variant == "RNN" else 0.02),
                train=replace(plain.train, seed=run.config.train.seed),
            )


def test_a_start_differs_from_its_variant_in_the_gates_alone_and_the_irnn_from_the_relu_network_in_the_weights(
    experiment,
):
    models = experiment.MODELS
    for name in STARTS:
        variant, start = name.split(", ")
        assert models[name] == replace(models[variant], gate_init=start)
    assert models["IRNN"].variant == "RELU" and models["IRNN"].initializer == "irnn"
    assert all(models[name].variant == name and models[name].initializer == "standard" for name in TWELVE[:-1])


def test_a_plan_comes_back_exactly_from_its_json(experiment, rates):
    plan = experiment.study("quick", "copy", rates)
    assert Study.from_json(plan.to_json()) == plan
    assert len({trial.key for trial in plan.trials()}) == 16 * 3 * 5


def test_rates_are_chosen_for_every_entrant_on_seeds_that_no_preset_uses(experiment, rates):
    for task in experiment.SCALES["quick"].ladders:
        choosing = experiment.rate_study("quick", task)
        assert {name for name, _ in choosing.tasks} == {f"{task} at {rate}" for rate in experiment.CANDIDATES}
        assert choosing.variants == experiment.study("quick", task, rates).variants
        seeds = {run.config.train.seed for run in choosing.trials()}
        studied = {run.config.train.seed for p in BIG[:2] for run in experiment.study(p, task, rates).trials()}
        assert not seeds & (studied | set(range(experiment.SCALES["full"].seeds)))
        lengths = {dict(config.data.options)["length"] for _, config in choosing.tasks}
        assert lengths == {experiment.SCALES["quick"].ladders[task].lengths[1]}


def test_the_best_rate_goes_by_the_mean_over_seeds_in_the_metrics_direction(experiment):
    def scores(task, rate, higher, *values):
        return [
            trial(value, task=f"{task} at {rate}", seed=n, higher_is_better=higher, test=0.0)
            for n, value in enumerate(values)
        ]

    made = [
        *scores("up", 0.01, True, 0.9, 0.9), *scores("up", 0.1, True, 1.0, 0.2),
        *scores("down", 0.01, False, 0.9, 0.9), *scores("down", 0.1, False, 1.0, 0.2),
    ]  # fmt: skip
    assert [(row["task"], row["rate"]) for row in experiment.best_rates(made)] == [("up", 0.01), ("down", 0.1)]


def test_each_committed_rate_is_the_one_with_the_best_validation_score(experiment):
    with experiment.CHOSEN.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["task"], row["variant"]) for row in rows} == {
        (task, name) for task in experiment.SCALES["quick"].ladders for name in experiment.entrants("quick", task)
    }
    for row in rows:
        scores = {rate: float(row[f"validation at {rate}"]) for rate in experiment.CANDIDATES}
        best = max if TASKS[row["task"]]().higher_is_better else min
        assert scores[float(row["rate"])] == best(scores.values()), row


def test_missing_rates_are_named(experiment, rates, tmp_path):
    with pytest.raises(ValueError, match="no learning rates at .*nowhere.csv; --choose-rates makes them"):
        experiment.study("quick", "copy", tmp_path / "nowhere.csv")
    kept = [line for line in rates.read_text().splitlines() if not line.startswith("copy,FGR")]
    rates.write_text("\n".join(kept) + "\n")
    with pytest.raises(ValueError, match="no learning rate for FGR on copy; --choose-rates"):
        experiment.study("quick", "copy", rates)


def test_all_chunks_of_a_run_have_one_length_so_one_program_is_compiled(experiment):
    for preset, scale in experiment.SCALES.items():
        for task in scale.ladders:
            train = experiment.run_of(preset, task, scale.ladders[task].lengths[0]).train
            assert train.steps % train.eval_every == 0


def test_planning_leaves_jax_asleep_so_that_the_run_may_still_have_all_cores():
    code = (
        "import sys, jax; sys.path.insert(0, sys.argv[1]); import run; run.study('smoke', 'adding'); "
        "jax.config.update('jax_num_cpu_devices', 3); print(jax.local_device_count())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(SCRIPT.parent)], capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr


def made(task: str, rnn: int):
    """V solves everything, the tanh network the shortest length with so many of five seeds."""
    return [
        trial(
            0.999 if length == 5 and seed < rnn or name == "V" else 0.6, task=label(task, length), variant=name,
            seed=seed, metric="accuracy", higher_is_better=True, chance=0.5,
        )
        for length in (5, 15) for name in ("V", "RNN") for seed in range(5)
    ]  # fmt: skip


def test_the_rows_of_all_tasks_run_so_far_are_gathered_in_one_file(experiment, tmp_path):
    for task in ("parity", "temporal_order"):
        (tmp_path / task).mkdir()
        write_rows(tmp_path / task / "results.csv", made(task, 5))
        (tmp_path / task / "manifest.json").write_text(json.dumps({"trials": task}))
    both = made("temporal_order", 5) + made("parity", 5)
    assert experiment.gather("quick", tmp_path) == both == read_rows(tmp_path / "results.csv")
    assert json.loads((tmp_path / "manifest.json").read_text())["parity"] == {"trials": "parity"}


def test_the_report_needs_the_results_alone_and_brings_the_readme_up_to_date(experiment, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin: long_dependencies -->\nold\n<!-- end: long_dependencies -->\nafter\n")
    texts = []
    for rnn in (5, 0):
        write_rows(tmp_path / "results.csv", made("parity", rnn))
        assert experiment.main(["--report", str(tmp_path), "--readme", str(readme)]) == 0
        texts.append(readme.read_text())
        assert experiment.readme_section(tmp_path) in texts[-1]
        assert texts[-1].startswith("before\n") and texts[-1].endswith("\nafter\n")
    assert "| RNN | 5 ▼ |" in texts[0] and "| RNN | < 5 ▼ |" in texts[1] and "| V | ≥ 15 |" in texts[1]
    assert (tmp_path / "table.md").is_file() and (tmp_path / "figure.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--preset", "smok"], "smoke"),
        (["--readme", "README.md"], "name it with --report"),
        (["--tasks", "coppy"], "did you mean 'copy'"),
    ],
)
def test_wrong_options_are_usage_errors(experiment, capsys, arguments, text):
    assert guarded(experiment.main, arguments) == 2
    assert text in "".join(capsys.readouterr())
