"""An excerpt of an English Wikipedia dump of 2016, 206 pages as XML: 6,089,746 bytes, predicted byte by byte.

It is the test file of the gensim project, and lies inside its wheel. It is not enwik8 (another year, one sixteenth of
the size): bits a byte are not comparable. All 256 bytes are symbols; 201 occur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lstm_jax.datasets.readers import bunzip2
from lstm_jax.datasets.record import Dataset, Example, PackageFiles, RawFile
from lstm_jax.datasets.texts import about, examples

SYMBOLS = bytes(range(256))
_SHIPPED = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads ``enwiki-excerpt.xml.bz2``."""
    (path,) = paths
    return examples(bunzip2(path), SYMBOLS, path)


WIKIPEDIA_XML = Dataset(
    name="wikipedia_xml",
    summary="6.1 million bytes of Wikipedia's XML: predict the next byte",
    licence="CC BY-SA 3.0 and GFDL (the contributors to the pages)",
    parse=parse,
    files=(
        RawFile(
            "enwiki-excerpt.xml.bz2",
            "sha256:a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
            (f"https://github.com/piskvorky/gensim/raw/develop/{_SHIPPED}",),
        ),
    ),
    package=PackageFiles("gensim", _SHIPPED),
    **about(SYMBOLS),
)
