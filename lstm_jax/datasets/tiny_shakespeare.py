"""Tiny Shakespeare: 1,115,394 characters of his plays, 65 different ones; the text of Karpathy's char-rnn, 2015.

Usual splits: the first 90 % train and the last 10 % validation, without a test part (``parts="90/10"``, as the
well-known small transformer reports it); or, for a score that nothing was chosen on, 90, 5 and 5 % (the default).
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from pathlib import Path

from lstm_jax.datasets.readers import read_bytes
from lstm_jax.datasets.record import Dataset, Example, RawFile
from lstm_jax.datasets.texts import about, examples

SYMBOLS = bytes(sorted(("\n !$&',-.3:;?" + string.ascii_letters).encode()))
_ADDRESS = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``input.txt``."""
    (path,) = paths
    return examples(read_bytes(path), SYMBOLS, path)


TINY_SHAKESPEARE = Dataset(
    name="tiny_shakespeare",
    summary="1.1 million characters of Shakespeare's plays: predict the next of 65",
    licence="public domain (the text); MIT (the repository it comes from)",
    parse=parse,
    files=(
        RawFile(
            "input.txt",
            "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            (_ADDRESS,),
        ),
    ),
    **about(SYMBOLS),
)
