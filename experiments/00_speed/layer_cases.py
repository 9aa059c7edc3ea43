"""What the layer benchmark runs: shapes, and the weights, inputs and lengths that every framework draws alike.

Weights go by PyTorch's names, ``weight_ih_l0_reverse`` and so on, gates in the order i f z o; ``lstm_jax.convert``
reads and writes them. The second bias of PyTorch is 0: ours is the sum of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lstm_jax.unroll import BACKENDS

SHAPES = (
    (32, 1000, 64, 128),
    (64, 500, 128, 256),
    (128, 784, 1, 128),
    (64, 256, 512, 512),
    (64, 128, 1024, 1024),
    (4, 1000, 64, 128),
    (1, 61, 88, 100),
    (1, 500, 256, 512),
)
"""(B, T, I, H) of one layer in one direction."""
DEEP, RAGGED, LONG = (32, 1000, 64, 128), (64, 500, 128, 256), (4, (1_000, 10_000, 100_000), 32, 32)
OWN_GRADIENT = tuple(name for name in BACKENDS if name not in ("auto", "scan", "pallas"))
"""Backends with a gradient of their own; a new one takes part without being named here. Pallas knows 16 bits only."""
MODES = {False: "forward", True: "forward + gradient"}

OURS = {
    "NP/scan": ("NP", "scan", False),
    **{f"{variant}/{name}": (variant, name, False) for variant in ("NP", "V") for name in OWN_GRADIENT},
    **{f"NP/{name}/chunks": ("NP", name, True) for name in OWN_GRADIENT},
}
"""Our contestants: variant, backend, and whether states are kept at chunks only."""
CONTESTANTS = {
    "linen": ("flax", "Flax linen OptimizedLSTMCell"),
    "nnx": ("flax", "Flax nnx OptimizedLSTMCell"),
    "keras": ("keras", "Keras 3 LSTM on JAX"),
    "haiku": ("haiku", "Haiku LSTM"),
    "equinox": ("equinox", "Equinox LSTMCell"),
    "naive": ("naive", "scan of 20 lines"),
    "torch": ("torch", "PyTorch nn.LSTM"),
    **{key: ("ours", "lstm_jax " + key.replace("/", ", ")) for key in OURS},
}
"""Who takes part: the framework, whose process it shares, and the name that tables print."""
STACKING, MASKING = {"linen", "torch"}, {"linen", "nnx", "torch"}
"""Peers with layers and directions of their own, and with lengths."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One problem: ``batch`` sequences of ``steps`` steps; ``ragged`` draws lengths from a tenth of them up."""

    batch: int
    steps: int
    inputs: int
    hidden: int
    layers: int = 1
    directions: int = 1
    ragged: bool = False
    growth: bool = False
    """One of the rows that show cost against T: ours alone, gradient alone, with and without rematerialisation."""

    def __str__(self) -> str:
        extras = [f"{self.layers} layers"] * (self.layers > 1) + ["bidirectional"] * (self.directions > 1)
        extras += ["ragged"] * self.ragged + ["long"] * self.growth
        return " ".join([f"({self.batch},{self.steps},{self.inputs},{self.hidden})", *extras])

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether with gradient: both, in turn; of the long rows the gradient alone."""
        return (True,) if self.growth else (False, True)

    def flops(self, gradient: bool) -> float:
        """8 BT H(I+H) forward, 24 BT H(I+H) with gradient, over the valid steps, summed over layers and directions.

        The customary count: the 24 hold the gradient for the inputs, 8 BTHI of the first layer, which nobody makes.
        """
        sizes = [self.inputs, *[self.directions * self.hidden] * (self.layers - 1)]
        a_step = sum(self.hidden * (size + self.hidden) for size in sizes) * self.directions
        return (24.0 if gradient else 8.0) * a_step * float(lengths(self).sum())


@dataclass(frozen=True, kw_only=True)
class Spec(Case):
    """A case as one contestant runs it."""

    contestant: str
    gradient: bool
    dtype: str = "float32"


def takes_part(key: str, case: Case) -> bool:
    """Whether a contestant runs a case."""
    ours, chunked = key in OURS, key.endswith("/chunks")
    if case.growth:
        return ours and OURS[key][0] == "NP" and OURS[key][1] in OWN_GRADIENT
    if case.layers > 1 or case.directions > 1:
        return (ours and not chunked) or key in STACKING
    return not chunked and (ours or not case.ragged or key in MASKING)


def cases_named(name: str) -> list[Case]:
    """All of them, those that a word (``layers``, ``bidirectional``, ``ragged``, ``long``) is about, or one shape."""
    if name == "all":
        return all_cases()
    return [case for case in all_cases() if name in str(case).split()] or [Case(*parse(name))]


def parse(shape: str) -> tuple[int, int, int, int]:
    """``"32,1000,64,128"`` as four positive integers."""
    parts = tuple(int(n) if n.strip().isdigit() else 0 for n in shape.split(","))
    if len(parts) != 4 or min(parts) < 1:
        raise ValueError(f"a shape is B,T,I,H, four integers >= 1, got {shape!r}")
    return parts


def all_cases() -> list[Case]:
    """Every case of the benchmark: the plain shapes, directions, layers, ragged lengths, cost against T."""
    batch, long, inputs, hidden = LONG
    return [
        *(Case(*shape) for shape in SHAPES),
        Case(*DEEP, directions=2),
        Case(*DEEP, layers=3),
        Case(*RAGGED, ragged=True),
        *(Case(batch, steps, inputs, hidden, growth=True) for steps in long),
    ]


def chunk_of(case: Case) -> int:
    """Steps between the states that rematerialisation keeps: the square root of T, which keeps the least."""
    return math.isqrt(case.steps - 1) + 1


def lengths(case: Case) -> np.ndarray:
    """``(B,)``: T, or uniform from T/10 to T."""
    if not case.ragged:
        return np.full(case.batch, case.steps, np.int32)
    least = max(case.steps // 10, 1)
    return np.random.default_rng(4).integers(least, case.steps, case.batch, np.int32, endpoint=True)


def valid(case: Case) -> np.ndarray:
    """``(T, B, 1)``: 1 up to each row's length, 0 past it."""
    return (np.arange(case.steps)[:, None] < lengths(case)).astype(np.float32)[..., None]


def weights(case: Case) -> Arrays:
    """Uniform within 1/sqrt(H), as PyTorch draws them; the second bias is left out."""
    random, bound, drawn = np.random.default_rng(1), case.hidden**-0.5, {}
    for layer in range(case.layers):
        size = case.directions * case.hidden if layer else case.inputs
        for suffix in ("", "_reverse")[: case.directions]:
            shapes = {"weight_ih": (size,), "weight_hh": (case.hidden,), "bias_ih": ()}
            for name, shape in shapes.items():
                array = random.uniform(-bound, bound, (4 * case.hidden, *shape))
                drawn[f"{name}_l{layer}{suffix}"] = array.astype(np.float32)
    return drawn


def inputs(case: Case) -> np.ndarray:
    """``(T, B, I)``, normal."""
    shape = (case.steps, case.batch, case.inputs)
    return np.random.default_rng(2).standard_normal(shape, np.float32)


def loss_weights(case: Case) -> tuple[np.ndarray, ...]:
    """What the loss weighs each result by: outputs ``(T, B, DH)``, and of ragged rows the last outputs ``(B, H)``.

    Random, because a plain sum lets a compiler simplify; 0 past the lengths, where frameworks differ.
    """
    random = np.random.default_rng(3)
    outputs = random.standard_normal((case.steps, case.batch, case.directions * case.hidden), np.float32) * valid(case)
    last = random.standard_normal((case.batch, case.hidden), np.float32)
    return (outputs, last) if case.ragged else (outputs,)
