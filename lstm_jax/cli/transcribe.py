"""``lstm-jax transcribe``: what a trained network hears in WAV files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from lstm_jax.cli.dispatch import DONE
from lstm_jax.names import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write down what is said in WAV files (8 kHz, mono, 16 bit), a line a file."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """WAV files."""
    run: Path
    """Folder of a run of `lstm-jax train --data.name spoken_words` or `spoken_strings`."""
    beam: int = 16
    """Prefixes that the search keeps; 1 reads greedily, the best output of every frame."""
    lexicon: bool = False
    """Answer with the most probable of the words that were learned (spoken_words)."""


def run(arguments: list[str]) -> int:
    """Transcribe."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax transcribe", config=(tyro.conf.FlagCreatePairsOff,))
    if not options.files:
        raise UsageError("no WAV file was named: lstm-jax transcribe FILE.wav --run DIR")
    if options.beam < 1:
        raise UsageError(f"--beam must be 1 or more, got {options.beam}")
    from lstm_jax.datasets.spoken_digits import frames_of, read_wav
    from lstm_jax.datasets.spoken_strings import HEARINGS
    from lstm_jax.train import load_learned
    from lstm_jax.train.ctc import beam_labels, best_of, greedy_labels, logits_of

    config, params = load_learned(options.run, HEARINGS, "speech")
    hearing = HEARINGS[config.data.name]
    if options.lexicon and not hearing.lexicon:
        raise UsageError(f"--lexicon: {config.data.name!r} has none, its strings are free; leave it out")
    for file in options.files:
        waveform = read_wav(file.read_bytes(), str(file), "convert it, for example with sox or ffmpeg")
        logits = logits_of(config.model, params, frames_of(waveform, hearing.every))
        if options.lexicon:
            labels = list(hearing.lexicon[best_of(logits, hearing.candidates())])
        else:
            labels = greedy_labels(logits) if options.beam == 1 else beam_labels(logits, options.beam)[0]
        print(f"{file}: {hearing.read(labels)}", flush=True)
    return DONE
