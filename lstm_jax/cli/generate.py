"""``lstm-jax generate``: a network that has learned a text goes on writing it."""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass
from pathlib import Path

import tyro

from lstm_jax.cli.dispatch import DONE
from lstm_jax.names import UsageError


@dataclass(frozen=True, kw_only=True)
class Options:
    """Go on writing after a prompt, character by character; no data is needed."""

    run: Path
    """Folder of a run of `lstm-jax train --data.name tiny_shakespeare` or `wikipedia_xml`."""
    prompt: str = "\n"
    """What the text begins with."""
    length: int = 500
    """Symbols (bytes) to write after it."""
    temperature: float = 0.8
    """1 draws as the network predicts; below 1, what is likely is drawn more often; 0 takes the most likely."""
    seed: int = 0
    """Equal seeds write equal texts."""


def run(arguments: list[str]) -> int:
    """Write."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax generate", config=(tyro.conf.FlagCreatePairsOff,))
    _check(options)
    from lstm_jax.datasets import DATASETS
    from lstm_jax.datasets.texts import encode
    from lstm_jax.train import load_learned
    from lstm_jax.train.writing import write_on

    texts = {name: record.symbols for name, record in DATASETS.items() if record.symbols is not None}
    config, params = load_learned(options.run, texts, "text")
    symbols = texts[config.data.name]
    try:
        prompt = encode(options.prompt.encode(), symbols)
    except ValueError as error:
        raise UsageError(f"--prompt: {error}; the text that was learned has no such character") from error
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")  # a character may take several bytes
    print(options.prompt, end="", flush=True)
    for number in write_on(config.model, params, prompt, options.length, options.temperature, options.seed):
        print(decoder.decode(symbols[number : number + 1]), end="", flush=True)
    print(decoder.decode(b"", final=True))
    return DONE


def _check(options: Options) -> None:
    if not options.prompt:
        raise UsageError('--prompt must hold a character or more, got ""')
    if options.length < 1:
        raise UsageError(f"--length must be 1 or more, got {options.length}")
    if not 0 <= options.temperature < math.inf:
        raise UsageError(f"--temperature must be finite and >= 0, got {options.temperature}")
    if not 0 <= options.seed < 2**32:
        raise UsageError(f"--seed must be from 0 to 2**32 - 1, got {options.seed}")
