"""Both ways of writing options that are pairs."""

from __future__ import annotations

import pytest

from lstm_jax.cli import main
from lstm_jax.cli.pairs import split_pairs
from lstm_jax.train.config import from_json

PAIRS = (("length", 20), ("longest", 30))


@pytest.mark.parametrize(
    "given",
    ["length 20 longest 30", "length=20 longest=30", "length 20 longest=30", "length=20 longest 30", "=length=20 X"],
)
def test_data_options_may_be_joined_by_equals_signs(given, capsys):
    arguments = f"--data.options{'' if given.startswith('=') else ' '}{given.replace('X', 'longest=30')}".split()
    assert main(["train", "--print-config", *arguments, "--train.steps", "9"]) == 0
    config = from_json(capsys.readouterr().out)
    assert config.data.options == PAIRS and config.train.steps == 9


def test_only_names_of_data_options_are_split_at_equals_signs():
    arguments = ["--out", "a=b", "--data.options", "order", "x=y", "rule=p=q", "--train.seed=4", "c=d"]
    assert split_pairs(arguments) == [*arguments[:5], "rule", "p=q", *arguments[6:]]
    assert split_pairs(["--data.test-options=length=9"]) == ["--data.test-options", "length", "9"]


def test_underscores_are_taken_for_hyphens(capsys):
    assert main(["train", "--print-config", "--data.test_options", "length=30", "--train.data_seed=3"]) == 0
    config = from_json(capsys.readouterr().out)
    assert config.data.test_options == (("length", 30),) and config.train.data_seed == 3
