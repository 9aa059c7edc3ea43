"""``lstm-jax transcribe``: a run that heard noise writes down what it hears in a file."""

from __future__ import annotations

import wave

import numpy as np
import pytest

import lstm_jax.datasets
from lstm_jax.cli import main
from lstm_jax.cli.dispatch import ERROR, USAGE
from lstm_jax.datasets.sequences import Sequences
from lstm_jax.datasets.spoken_digits import frames_of
from lstm_jax.datasets.spoken_strings import WORDS, read_letters
from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, load_run, train
from lstm_jax.train.ctc import beam_labels, greedy_labels, logits_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A network after two updates, on clips of noise; the data is gone afterwards."""

    def noise(name, split, **view):
        rng = np.random.default_rng(len(split))
        mask = np.ones((8, 12), bool)
        targets = np.array([[1, 2], [3, 0]] * 4, np.int32)
        return Sequences(rng.normal(size=(8, 12, 39)).astype(np.float32), targets, np.full(8, 12, np.int32), mask)

    folder = tmp_path_factory.mktemp("runs") / "words"
    every = TrainConfig(steps=2, log_every=2, eval_every=2, checkpoint_every=2)
    config = Config(
        ModelConfig("NP", 4, bidirectional=True), data=DataConfig("spoken_words", batch_size=4), train=every
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm_jax.datasets, "load", noise)
        train(config, folder, progress=False)
    return folder


def wav(path, rate: int = 8000):
    samples = np.random.default_rng(1).normal(scale=2000, size=6000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return samples


def test_a_file_is_written_down_without_the_data_that_was_learned_from(run, tmp_path, capsys):
    samples = wav(tmp_path / "a.wav")
    config, params = load_run(run)
    logits = logits_of(config.model, params, frames_of(samples))
    assert logits.shape == (1 + (6000 - 200) // 80, 16)
    for beam, labels in (("1", greedy_labels(logits)), ("4", beam_labels(logits, 4)[0])):
        assert main(["transcribe", str(tmp_path / "a.wav"), "--run", str(run), "--beam", beam]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'a.wav'}: {read_letters(labels)}\n"
    assert main(["transcribe", str(tmp_path / "a.wav"), "--run", str(run), "--lexicon"]) == 0
    assert capsys.readouterr().out.removeprefix(f"{tmp_path / 'a.wav'}: ").strip() in WORDS


def test_what_cannot_be_heard_is_refused_in_one_sentence(run, tmp_path, capsys):
    wav(tmp_path / "fast.wav", rate=16000)
    (tmp_path / "text.wav").write_text("hello")
    cases = (
        (["fast.wav"], ERROR, "fast.wav: expected 8000 Hz, 1 channel, 16 bit, got 16000 Hz"),
        (["text.wav"], ERROR, "text.wav: expected a WAV file, got 5 bytes"),
        (["none.wav"], ERROR, "No such file"),
        (["fast.wav", "--beam", "0"], USAGE, "--beam must be 1 or more, got 0"),
    )
    assert main(["transcribe", "--run", str(run)]) == USAGE and "no WAV file" in capsys.readouterr().err
    for (file, *options), code, message in cases:
        assert main(["transcribe", str(tmp_path / file), "--run", str(run), *options]) == code
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_a_run_on_something_else_is_refused(tmp_path, capsys):
    config = Config(ModelConfig("NP", 4), data=DataConfig("adding", {"length": 4}, eval_size=8))
    every = TrainConfig(steps=1, log_every=1, eval_every=1, checkpoint_every=1)
    train(Config(config.model, data=config.data, train=every), tmp_path / "run", progress=False)
    wav(tmp_path / "a.wav")
    assert main(["transcribe", str(tmp_path / "a.wav"), "--run", str(tmp_path / "run")]) == USAGE
    assert "learned 'adding', which is no speech; known: spoken_strings, spoken_words" in capsys.readouterr().err
