"""Reviews of films, praise or not: TFDS' own ``imdb_reviews``, where the user has prepared it; half of 50,000 test.

TFDS keeps it in ``<TFDS folder>/imdb_reviews/plain_text/<version>/``: name the TFDS folder as that of raw files
(``--raw-dir``). It must be there as ``array_record`` (``tfds build imdb_reviews --file_format=array_record``): that is
read without TensorFlow. The test part stays as published; of the training part a hash of the letters gives a share to
the validation part, and reviews that say the same as one before, or as one of the test part, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lstm_jax.datasets.builder import read_examples
from lstm_jax.datasets.documents import FEATURES, about, distinct, letters, split_of, stored_documents
from lstm_jax.datasets.record import SPLITS, Dataset, Example


def parse(paths: Sequence[Path]) -> Mapping[str, list[Example]]:
    """Reads the newest version among the folders of the given ``dataset_info.json`` files."""
    folder = paths[-1].parent
    train, test = (
        distinct((row["text"], int(row["label"])) for row in read_examples(folder, split)) for split in SPLITS[::2]
    )
    published = {letters(text) for text, _ in test}
    parts: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for text, label in train:
        if letters(text) not in published:
            parts["validation" if split_of(text) == "validation" else "train"].append(_example(text, label))
    return {**parts, "test": [_example(text, label) for text, label in test]}


def _example(text: bytes, label: int) -> Example:
    return {"text": np.frombuffer(text, np.uint8), "label": label}


def _record(name: str, unit: str, summary: str, **where: Any) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        licence="as TFDS has it: for research (Maas et al. 2011)",
        features=FEATURES,
        parse=parse,
        pattern="plain_text/*/dataset_info.json",
        **where,
        **about(stored_documents, unit),
    )


IMDB_REVIEWS = _record("imdb_reviews", "bytes", "TFDS' 50 thousand reviews of films, byte by byte: praise or not")
IMDB_WORDS = _record(
    "imdb_words", "words", "the same reviews, word by word, each hashed into one of 4096 slots", stored="imdb_reviews"
)
