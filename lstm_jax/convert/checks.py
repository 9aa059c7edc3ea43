"""Checks that every converter makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lstm_jax.cell.variants import VARIANTS, Variant, resolve


def expect_no_peepholes(variant: Variant | str, library: str) -> None:
    """Raises ValueError unless the variant is NP, the only one that ``library`` knows."""
    record = resolve(variant)
    if replace(record, name="NP") != VARIANTS["NP"]:
        differing = [
            f"{field}={getattr(record, field)!r}"
            for field in record.__dataclass_fields__
            if field != "name" and getattr(record, field) != getattr(VARIANTS["NP"], field)
        ]
        raise ValueError(
            f"variant {record.name!r} ({', '.join(differing)}) has no place in {library}: they are the variant NP "
            "(no peepholes, three learned gates, tanh twice); train VARIANTS['NP'] to export it"
        )


def expect_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array itself, if its shape is the expected one."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape} from the shapes of the other weights")
    return array
