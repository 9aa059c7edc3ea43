"""Experiment 03: what its presets run, that they compare like with like, and that its report needs results alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated import trial

from lstm_jax.studies.collect import read_rows, write_rows
from lstm_jax.studies.grid import INITS, STANDARD, distinct, label, source_of, split_label

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "03_gates_and_init" / "run.py"
ELEVEN = {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR", "GRU", "RNN"}
RATE = 0.02


@pytest.fixture
def rates(experiment, tmp_path):
    """A file with a rate for every cell: that of the tanh network differs."""
    path = tmp_path / "rates.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["task", "init", "variant", "rate"])
        for task in experiment.tasks("quick"):
            for init in INITS:
                writer.writerows([task, init, name, RATE / (1 + (name == "RNN"))] for name in distinct(ELEVEN, init))
    return path


def test_the_smoke_preset_plans_three_cells_with_four_starts_on_one_short_task(experiment):
    plans = {init: experiment.study("smoke", init) for init in INITS}
    assert {init: plan.variants for init, plan in plans.items()} == {
        "standard": ("V", "NFG", "RNN"), "bias1": ("V",), "chrono": ("V", "NFG"), "uniform": ("V", "NFG"),
    }  # fmt: skip
    for init, plan in plans.items():
        assert [name for name, _ in plan.tasks] == [f"adding, {init}"] and plan.seeds == 2
        assert all(config.train.steps <= 20 for _, config in plan.tasks)
    assert sum(len(plan.trials()) for plan in plans.values()) == 16


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_all_eleven_cells_are_compared_on_three_tasks(experiment, rates, preset):
    plan = experiment.study(preset, STANDARD, rates)
    assert set(plan.variants) == ELEVEN and plan.reference == "V"
    assert [split_label(name)[0] for name, _ in plan.tasks] == ["adding", "temporal_order", "digits"]
    assert plan.seeds >= {"quick": 5, "full": 20}[preset]


def test_the_full_preset_has_long_lags(experiment):
    lengths = [dict(config.data.options).get("length") for config in experiment.tasks("full").values()]
    assert [length for length in lengths if length is not None] == [400, 400]


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_cells_of_a_task_differ_in_variant_start_and_learning_rate_alone(experiment, rates, preset):
    for init in INITS:
        for run in experiment.study(preset, init, rates).trials():
            plain = experiment.tasks(preset)[split_label(run.task)[0]]
            assert run.config == replace(
                plain,
                model=replace(plain.model, variant=run.variant, **INITS[init]),
                optimizer=replace(plain.optimizer, learning_rate=RATE / (1 + (run.variant == "RNN"))),
                train=replace(plain.train, seed=run.config.train.seed),
            )


def test_every_cell_of_the_grid_is_run_once_and_equal_weights_never_twice(experiment, rates):
    planned = [
        (run.variant, *split_label(run.task), run.config.train.seed)
        for init in INITS
        for run in experiment.study("quick", init, rates).trials()
    ]
    assert len(set(planned)) == len(planned)
    assert {(variant, init) for variant, _, init, _ in planned} == {
        (variant, init) for variant in ELEVEN for init in INITS if source_of(variant, init) == init
    }


def test_rates_are_chosen_for_every_cell_on_seeds_that_the_study_does_not_use(experiment, rates):
    def trials(plan):
        return [run for init in INITS for run in plan(init).trials()]

    choosing = trials(lambda init: experiment.rate_study("quick", init))
    studied = trials(lambda init: experiment.study("quick", init, rates))
    full = trials(lambda init: experiment.study("full", init, rates))
    assert not {r.config.train.seed for r in choosing} & {r.config.train.seed for r in studied + full}
    asked = {(*r.task.split(" at "), r.variant) for r in choosing}
    cells = {(r.task, r.variant) for r in studied}
    assert asked == {(task, str(rate), variant) for task, variant in cells for rate in experiment.CANDIDATES}


def test_the_best_rate_goes_by_the_mean_over_seeds_in_the_metrics_direction(experiment):
    def rows(task, rate, higher_is_better, *scores):
        name = f"{label(task, 'chrono')} at {rate}"
        return [
            trial(score, task=name, seed=n, higher_is_better=higher_is_better, test=0.0)
            for n, score in enumerate(scores)
        ]

    fabricated = [
        *rows("up", 0.01, True, 0.9, 0.9), *rows("up", 0.1, True, 1.0, 0.2),
        *rows("down", 0.01, False, 0.9, 0.9), *rows("down", 0.1, False, 1.0, 0.2),
    ]  # fmt: skip
    chosen = experiment.by_start(experiment.best_rates(fabricated))
    assert [(row["task"], row["init"], row["rate"]) for row in chosen] == [
        ("up", "chrono", 0.01), ("down", "chrono", 0.1),
    ]  # fmt: skip


def test_each_committed_rate_is_the_one_with_the_best_validation_score(experiment):
    if not experiment.CHOSEN.is_file():
        pytest.skip("no rates are committed yet: --choose-rates makes them")
    with experiment.CHOSEN.open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(experiment.tasks("quick")) * sum(len(distinct(ELEVEN, init)) for init in INITS)
    for row in rows:
        scores = {rate: float(row[f"validation at {rate}"]) for rate in experiment.CANDIDATES}
        best = min if row["task"] == "adding" else max
        assert scores[float(row["rate"])] == best(scores.values()), row


def test_missing_rates_are_named(experiment, rates, tmp_path):
    with pytest.raises(ValueError, match="no learning rates at .*nowhere.csv; --choose-rates makes them"):
        experiment.study("quick", STANDARD, tmp_path / "nowhere.csv")
    kept = [line for line in rates.read_text().splitlines() if not line.startswith("digits,chrono,FGR")]
    rates.write_text("\n".join(kept) + "\n")
    experiment.study("quick", STANDARD, rates)
    with pytest.raises(ValueError, match="no learning rate for FGR on digits, chrono; --choose-rates"):
        experiment.study("quick", "chrono", rates)


@pytest.mark.parametrize("preset", ["smoke", "quick", "full"])
def test_all_chunks_of_a_run_have_one_length_so_one_program_is_compiled(experiment, preset):
    for config in experiment.tasks(preset).values():
        assert config.train.steps % config.train.eval_every == 0


def test_planning_leaves_jax_asleep_so_that_the_run_may_still_have_all_cores(experiment):
    code = (
        "import sys, jax; sys.path.insert(0, sys.argv[1]); import run; run.study('smoke', 'chrono'); "
        "jax.config.update('jax_num_cpu_devices', 3); print(jax.local_device_count())"
    )
    done = subprocess.run([sys.executable, "-c", code, str(SCRIPT.parent)], capture_output=True, text=True)
    assert done.stdout == "3\n", done.stderr


def grid_rows(chrono: float = 0.2):
    means = {"standard": 0.6, "bias1": 0.5, "chrono": chrono, "uniform": 0.4}
    return [
        trial(mean + 0.01 * seed, task=label("adding", init), variant=variant, seed=seed, metric="mse", chance=1.0)
        for init, mean in means.items()
        for variant in distinct(("V", "RNN"), init)
        for seed in range(3)
    ]


def test_the_rows_of_all_starts_are_gathered_in_one_file(experiment, tmp_path):
    for init in INITS:
        (tmp_path / init).mkdir()
        write_rows(tmp_path / init / "results.csv", [row for row in grid_rows() if row.task.endswith(init)])
        (tmp_path / init / "manifest.json").write_text(json.dumps({"trials": init}))
    assert experiment.gather(tmp_path) == grid_rows() == read_rows(tmp_path / "results.csv")
    assert json.loads((tmp_path / "manifest.json").read_text())["chrono"] == {"trials": "chrono"}


def test_the_report_needs_the_results_alone_and_brings_the_readme_up_to_date(experiment, tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin: gates_and_init -->\nold\n<!-- end: gates_and_init -->\nafter\n")
    arguments = ["--report", str(tmp_path), "--readme", str(readme)]
    texts = []
    for chrono in (0.2, 0.9):
        write_rows(tmp_path / "results.csv", grid_rows(chrono))
        assert experiment.main(arguments) == 0
        texts.append(readme.read_text())
        assert experiment.readme_section(tmp_path) in texts[-1]
        assert texts[-1].startswith("before\n") and texts[-1].endswith("\nafter\n")
    assert "0.2100 ± 0.0248 ▲" in texts[0] and "0.9100 ± 0.0248 ▼" in texts[1]
    assert (tmp_path / "table.md").is_file() and (tmp_path / "figure.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "text"), [(["--preset", "smok"], "smoke"), (["--readme", "README.md"], "name it with --report")]
)
def test_wrong_options_are_usage_errors(experiment, capsys, arguments, text):
    from lstm_jax.cli.dispatch import guarded

    assert guarded(experiment.main, arguments) == 2
    assert text in "".join(capsys.readouterr())
