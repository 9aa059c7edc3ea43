"""``lstm-jax generate``: a run that learned a text goes on writing it, without the data."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax.datasets
from lstm_jax.cli import main
from lstm_jax.cli.dispatch import ERROR, USAGE
from lstm_jax.datasets.texts import encode, examples, view
from lstm_jax.datasets.tiny_shakespeare import SYMBOLS
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, apply_network, load_run, train
from lstm_jax.train.writing import write_on

EVERY = TrainConfig(steps=2, log_every=2, eval_every=2, checkpoint_every=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network after two updates on random letters; the data is gone afterwards."""
    letters = np.random.default_rng(0).choice(np.frombuffer(SYMBOLS, np.uint8), 400).tobytes()

    def random_text(name, split, **options):
        (row,) = examples(letters, SYMBOLS, None)[split]
        return view(SYMBOLS, {column: [value] for column, value in row.items()}, "90/5/5", 5)

    folder = tmp_path_factory.mktemp("runs") / "text"
    config = Config(ModelConfig("V", 6, embedding=4), data=DataConfig("tiny_shakespeare", batch_size=2), train=EVERY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm_jax.datasets, "load", random_text)
        train(config, folder, progress=False)
    return folder


def test_what_is_written_is_likeliest_at_temperature_0_read_as_one_sequence(run):
    config, params = load_run(run)
    prompt = encode(b"What, ho!", SYMBOLS)
    written = list(write_on(config.model, params, prompt, 5, 0.0, 0))
    whole = jnp.asarray([*prompt, *written], jnp.int32)[:, None]
    likeliest = apply_network(config.model, params, Batch(whole, None, None, None)).argmax(-1)[:, 0]
    assert written == likeliest[len(prompt) - 1 : -1].tolist()


def test_a_text_is_written_after_its_prompt_the_same_for_the_same_seed(run, capsys):
    def write(*options):
        assert main(["generate", "--run", str(run), "--prompt", "ROMEO:", "--length", "40", *options]) == 0
        return capsys.readouterr().out

    first = write("--seed", "1")
    assert first.startswith("ROMEO:") and first.endswith("\n") and len(first) == 6 + 40 + 1
    assert set(first) <= set(SYMBOLS.decode())
    assert write("--seed", "1") == first != write("--seed", "2")
    assert write("--temperature", "0", "--seed", "1") == write("--temperature", "0", "--seed", "2")


def test_what_cannot_be_written_is_refused_in_one_sentence(run, tmp_path, capsys):
    cases = (
        (["--prompt", "5 o'clock"], USAGE, "--prompt: byte 0, b'5', is none of the 65 symbols known"),
        (["--prompt", ""], USAGE, "--prompt must hold a character or more"),
        (["--length", "0"], USAGE, "--length must be 1 or more, got 0"),
        (["--temperature", "-1"], USAGE, "--temperature must be finite and >= 0, got -1.0"),
        (["--seed", "-1"], USAGE, "--seed must be from 0 to 2**32 - 1, got -1"),
    )
    for options, code, message in cases:
        assert main(["generate", "--run", str(run), *options]) == code
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert main(["generate", "--run", str(tmp_path / "none")]) == ERROR and "holds no run" in capsys.readouterr().err


def test_a_run_on_something_else_is_refused(tmp_path, capsys):
    data = DataConfig("adding", {"length": 4}, eval_size=8)
    train(Config(ModelConfig("NP", 4), data=data, train=EVERY), tmp_path / "run", progress=False)
    assert main(["generate", "--run", str(tmp_path / "run")]) == USAGE
    assert "learned 'adding', which is no text; known: tiny_shakespeare, wikipedia_xml" in capsys.readouterr().err
