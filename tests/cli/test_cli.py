"""The command line: help, typos, exit codes, configs that come back exactly."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace

import pytest

from lstm_jax.cli import main
from lstm_jax.cli.dispatch import VERBS, Terminated, guarded
from lstm_jax.names import UnknownName, UsageError
from lstm_jax.studies.plan import Study
from lstm_jax.train.config import Config, OptimizerConfig, from_json, to_json

VERB_NAMES = sorted(VERBS)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "lstm_jax", *arguments],
        capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1", **environment}, check=False,
    )  # fmt: skip


def processor_seconds(*arguments: str) -> float:
    """Of the process, not of the clock: a busy machine must not fail a test."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert command(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def jax_seconds() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import jax"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("verb", ["", *VERB_NAMES])
def test_help_answers_in_two_seconds(verb):
    """Two seconds, and on a machine so slow that importing JAX alone takes most of it, three times that."""
    spent = min(processor_seconds(*filter(None, [verb]), "--help") for _ in range(2))
    assert spent < 2.0 or spent < 3.0 * jax_seconds()


HEAVY = ("flax", "optax", "orbax", "tensorflow_datasets", "matplotlib", "scipy", "torch", "tensorflow", "sklearn")


def test_help_imports_no_heavy_module():
    light = [verb for verb in VERB_NAMES if verb != "bench"]  # an experiment beside Flax, which it imports
    code = (
        "import sys\nfrom lstm_jax.cli import main\n"
        f"for verb in {light!r}:\n    assert main([verb, '--help']) == 0\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = result.stdout.splitlines()[-1]
    assert all(repr(name) not in loaded for name in HEAVY), loaded


@pytest.mark.parametrize("verb", ["train", "study", "report", "bench"])
def test_help_states_defaults(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert "default: " in capsys.readouterr().out


def test_the_help_lists_every_verb(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb}" in out for verb in VERBS)
    assert main([]) == 2


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["tran"], "did you mean 'train'"),
        (["train", "--model.hiden-size", "3"], "--model.hidden-size"),
        (["train", "--model.variant", "nfq"], "NFG"),
        (["data", "prepair"], "did you mean 'prepare'"),
        (["data", "prepare", "digts"], "did you mean 'digits'"),
        (["report"], "required"),
        (["train", "--train.steps", "many"], "--train.steps"),
        (["train", "--resume", "--overwrite"], "choose one"),
        (["train", "--dry-run", "--data.name", "addding"], "did you mean 'adding'"),
        (["train", "--dry-run", "--data.options", "lenght", "8"], "no option 'lenght'; did you mean 'length'"),
        (["train", "--dry-run", "--data.options", "length", "long"], "length must be an integer"),
        (["train", "--dry-run", "--data.name", "mnist", "--data.options", "ordr", "x"], "did you mean 'order'"),
        (["study", "--dry-run", "--tasks", "addding"], "did you mean 'adding'"),
        (["study", "--dry-run", "--model.variant", "V"], "a study sets --model.variant itself; name the variants"),
        (["study", "--dry-run", "--data.name=copy"], "a study sets --data.name itself; name the tasks with --tasks"),
        (["study", "--dry-run", "--train.trials", "3"], "a study sets --train.trials itself; give their number with"),
        (["study", "--dry-run", "--variants", "V", "NFK"], "did you mean 'NFG'"),
        (["study", "--tasks", "adding", "copy", "--data.test-options", "longest", "9"], "belong to one task"),
        (["study", "--dry-run", "--reference", "VV"], "did you mean 'V'"),
    ],
)
def test_a_typo_is_a_usage_error_that_suggests_the_nearest(arguments, hint, capsys):
    assert main(arguments) == 2
    written = capsys.readouterr()
    assert hint in written.out + written.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["report", "nowhere"], "no results.csv or results.csv.gz in nowhere"),
        (["train", "--config", "no.json"], "no.json"),
        (["study", "--plan", "no.json"], "no.json"),
    ],
)
def test_an_error_is_one_clear_line_and_exit_code_1(arguments, hint, capsys):
    assert main(arguments) == 1
    written = capsys.readouterr()
    assert hint in written.err and written.err.count("\n") == 1 and "Traceback" not in written.err


def raising(error: BaseException):
    def run(_: list[str]) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("x"), 1),
        (UsageError("x"), 2),
        (UnknownName("x"), 2),
        (FloatingPointError("not finite"), 3),
        (KeyboardInterrupt(), 130),
        (Terminated(), 143),
        (SystemExit(2), 2),
        (SystemExit(None), 0),
    ],
)
def test_exit_codes_tell_what_happened(error, code, capsys):
    assert guarded(raising(error), []) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_traceback_is_shown_to_those_who_ask(monkeypatch, capsys):
    assert guarded(raising(ZeroDivisionError("x")), ["--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv("LSTM_JAX_TRACEBACK", "1")
    assert guarded(raising(ZeroDivisionError("x")), []) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_traceback_may_be_asked_for_before_the_verb(capsys):
    assert main(["--traceback", "tasks"]) == 0
    assert "adding" in capsys.readouterr().out
    assert main(["--traceback", "report", "nowhere"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert main(["--traceback"]) == 2
    assert "usage: lstm-jax" in capsys.readouterr().out


def test_the_command_in_between_does_not_see_the_traceback_flag():
    seen = []
    guarded(lambda arguments: seen.append(arguments) or 0, ["--traceback", "--a"])
    assert seen == [["--a"]]


def test_an_unknown_key_is_quoted_as_its_sentence(capsys):
    guarded(raising(KeyError("no task 'x'; known: 'y'")), [])
    assert capsys.readouterr().err == "lstm-jax: no task 'x'; known: 'y'\n"


def test_a_printed_config_is_accepted_and_comes_back_exactly(tmp_path, capsys):
    assert main(["train", "--print-config", "--optimizer.learning-rate", "0.30000000000000004"]) == 0
    printed = capsys.readouterr().out
    assert from_json(printed).optimizer.learning_rate == 0.1 + 0.2
    path = tmp_path / "config.json"
    path.write_text(printed)
    assert main(["train", "--config", str(path), "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["train", "--config", str(path), "--print-config", "--train.steps", "7"]) == 0
    changed = from_json(capsys.readouterr().out)
    assert changed.train.steps == 7 and changed.optimizer.learning_rate == 0.1 + 0.2


def test_an_unknown_key_in_a_config_is_an_error_with_a_hint(tmp_path, capsys):
    tree = json.loads(to_json(Config()))
    tree["model"]["hiden_size"] = 3
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tree))
    assert main(["train", "--config", str(path), "--print-config"]) == 2
    assert "did you mean 'hidden_size'" in capsys.readouterr().err
    assert main(["study", "--plan", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_dry_run_prints_settings_shapes_and_parameter_count(capsys):
    arguments = ["--model.variant", "NP", "--model.hidden-size", "5", "--data.options", "length", "20"]
    assert main(["train", "--dry-run", *arguments]) == 0
    out = capsys.readouterr().out
    assert '"variant": "NP"' in out
    assert "(T, B, I) = (20, 32, 2)" in out
    assert f"{4 * 5 * (2 + 5 + 1) + 5 + 1}" in out


def test_a_study_is_planned_from_options_or_from_its_own_json(tmp_path, capsys):
    options = ["--tasks", "adding", "copy", "--variants", "V", "NP", "--seeds", "2", "--train.steps", "9"]
    assert main(["study", "--dry-run", "--out", str(tmp_path / "mine"), *options]) == 0
    text = capsys.readouterr().out
    study = Study.from_json(text)
    assert study.name == "mine" and len(study.trials()) == 8
    assert {trial.config.train.steps for trial in study.trials()} == {9}
    (tmp_path / "plan.json").write_text(text)
    assert main(["study", "--dry-run", "--plan", str(tmp_path / "plan.json")]) == 0
    assert main(["study", "--dry-run", "--plan", str(tmp_path / "plan.json"), "--seeds", "9"]) == 2
    assert capsys.readouterr().out == text


def test_the_seeds_of_a_study_count_from_the_seed_of_the_run(capsys):
    assert main(["study", "--dry-run", "--train.seed", "40", "--seeds", "2"]) == 0
    trials = Study.from_json(capsys.readouterr().out).trials()
    assert {trial.config.train.seed for trial in trials} == {40, 41}


def test_help_names_the_whole_command_and_no_default_for_what_is_required(capsys):
    assert main(["bench", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lstm-jax bench")
    assert main(["data", "prepare", "--help"]) == 0
    assert "default: ''" not in capsys.readouterr().out
    assert main(["data", "prepare"]) == 2


def test_lists_have_one_line_an_entry(capsys):
    from lstm_jax.cell.variants import SUMMARIES
    from lstm_jax.tasks import TASKS

    for verb, known in (("variants", SUMMARIES), ("tasks", TASKS)):
        assert main([verb]) == 0
        lines = capsys.readouterr().out.splitlines()
        for name in known:
            assert sum(line.split()[:1] == [name] for line in lines) == 1


def test_data_list_names_every_data_set_and_where_it_is(tmp_path, capsys):
    from lstm_jax.datasets import DATASETS

    assert main(["data", "list", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in DATASETS)


def test_train_and_study_leave_what_they_promise(tmp_path):
    small = [
        "--model.hidden-size", "2", "--data.options", "length", "4", "--data.batch-size", "2", "--train.steps", "2",
        "--train.eval-every", "1", "--data.eval-size", "4",
    ]  # fmt: skip
    run = tmp_path / "run"
    result = command("train", "--out", str(run), "--train.trials", "2", *small)
    assert result.returncode == 0, result.stderr
    assert {"config.json", "metrics.csv", "manifest.json", "summary.json"} <= {path.name for path in run.iterdir()}
    refused = command("train", "--out", str(run), *small)
    assert refused.returncode == 1 and "not empty" in refused.stderr and "--resume" in refused.stderr
    again = command("train", "--out", str(run), "--resume")
    assert again.returncode == 0 and again.stdout == result.stdout, again.stderr
    out = tmp_path / "study"
    result = command("study", "--out", str(out), "--variants", "V", "RNN", "--seeds", "2", *small)
    assert result.returncode == 0, result.stderr
    assert "study: 1 task x 2 variants x 2 seeds on " in result.stdout and " for 4 trials. " in result.stdout
    written = {"config.json", "results.csv", "manifest.json", "table.md", "figure.png"}
    assert written <= {path.name for path in out.iterdir()}
    machine = json.loads((out / "manifest.json").read_text())
    assert {"commit", "dirty", "versions", "seeds", "device", "flags", "wall_seconds"} <= set(machine)
    assert "\x1b" not in result.stdout
    before = (out / "figure.png").read_bytes()
    assert command("report", str(out)).returncode == 0
    refused = command("report", str(out), "--reference", "VV")
    assert refused.returncode == 2 and "did you mean 'V'" in refused.stderr
    assert (out / "figure.png").read_bytes() == before


def test_an_option_may_be_none(capsys):
    assert main(["train", "--print-config", "--data.options", "longest", "None", "length", "8"]) == 0
    assert from_json(capsys.readouterr().out).data.options == (("length", 8), ("longest", None))


def test_a_config_file_keeps_none(tmp_path, capsys):
    path = tmp_path / "config.json"
    path.write_text(to_json(replace(Config(), optimizer=OptimizerConfig(clip_norm=None))))
    assert main(["train", "--config", str(path), "--print-config"]) == 0
    assert from_json(capsys.readouterr().out).optimizer.clip_norm is None
