"""The data sets by name. A new one is a file with a parser and a record, and a line here."""

from __future__ import annotations

from lstm_jax.datasets.bach_chorales import BACH_CHORALES
from lstm_jax.datasets.digits import DIGITS
from lstm_jax.datasets.electricity import ELECTRICITY
from lstm_jax.datasets.ett import ETT
from lstm_jax.datasets.imdb_reviews import IMDB_REVIEWS, IMDB_WORDS
from lstm_jax.datasets.jsb_chorales import JSB_CHORALES
from lstm_jax.datasets.mnist import MNIST
from lstm_jax.datasets.nottingham import NOTTINGHAM
from lstm_jax.datasets.public import is_public, public
from lstm_jax.datasets.record import Dataset
from lstm_jax.datasets.spam_assassin import SPAM_ASSASSIN, SPAM_WORDS
from lstm_jax.datasets.speeches import SPEECH_WORDS, SPEECHES
from lstm_jax.datasets.spoken_digits import SPOKEN_DIGITS
from lstm_jax.datasets.spoken_mfcc import SPOKEN_MFCC
from lstm_jax.datasets.spoken_strings import SPOKEN_STRINGS, SPOKEN_WORDS
from lstm_jax.datasets.sunspots import SUNSPOTS
from lstm_jax.datasets.tiny_shakespeare import TINY_SHAKESPEARE
from lstm_jax.datasets.wikipedia_xml import WIKIPEDIA_XML
from lstm_jax.names import Registry


class DataSets(Registry):
    """Those of this library, and those of TFDS that are asked for by name."""

    def __missing__(self, name: object) -> Dataset:
        return public(str(name)) if is_public(name) else super().__missing__(name)

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or is_public(name)


DATASETS: dict[str, Dataset] = DataSets(
    "data set",
    (
        *(DIGITS, BACH_CHORALES, JSB_CHORALES, NOTTINGHAM, MNIST, SPOKEN_DIGITS, SPOKEN_WORDS, SPOKEN_STRINGS, ETT),
        *(SPOKEN_MFCC, ELECTRICITY, SUNSPOTS, TINY_SHAKESPEARE, WIKIPEDIA_XML),
        *(SPAM_ASSASSIN, SPAM_WORDS, SPEECHES, SPEECH_WORDS, IMDB_REVIEWS, IMDB_WORDS),
    ),
)
"""Name -> record, ``tfds:NAME`` too. Unknown names raise a KeyError with the nearest one."""


def stored(name: str) -> Dataset:
    """The data set whose rows lie on disk: itself, or the one that it views."""
    return DATASETS[DATASETS[name].stored or name]
