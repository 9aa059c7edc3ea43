"""The cell as a record of names: which gates exist, how they are squashed, what feeds them.

Each name becomes a computation in exactly one table of ``lstm_jax.cell.step``. A gate that a variant lacks owns no
row, no weight and no operation.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import MappingProxyType

from lstm_jax.names import Registry, nearest

CHOICES = MappingProxyType(
    {
        "input_gate": ("learned", "open"),
        "forget_gate": ("learned", "open", "coupled", "closed"),
        "output_gate": ("learned", "open"),
        "reset_gate": ("open", "learned", "coupled"),
        "block_input": ("tanh", "identity", "logistic", "centered_logistic_1", "centered_logistic_2", "relu"),
        "block_output": ("tanh", "identity", "logistic", "centered_logistic_1", "centered_logistic_2", "relu"),
        "feedback": ("full", "truncated"),
    }
)


@dataclass(frozen=True)
class Variant:
    """What one recurrent cell is made of.

    Attributes:
        name: the label that tables print.
        input_gate: ``"learned"`` or ``"open"`` (i = 1).
        forget_gate: ``"learned"``, ``"open"`` (f = 1), ``"coupled"`` (f = 1 - i), or ``"closed"`` (f = 0, no memory).
        output_gate: ``"learned"`` or ``"open"`` (o = 1).
        reset_gate: gates the recurrent part of the block input: ``"open"`` (r = 1, every LSTM), ``"learned"`` (GRU),
            or ``"coupled"`` (r = i, MGU).
        block_input: squashing g of the block input; ``block_output``: squashing h of the cell.
        peepholes: learned gates see the cell through one weight per cell.
        gate_recurrence: learned gates see the learned gates of the step before (FGR, 2015).
        input_recurrence: the block input sees them too (1997).
        feedback: ``"full"`` back-propagation, or ``"truncated"`` as in 1997: no error leaves a step except along the
            cell; within a step the output gate's peephole passes it to the new cell (``online/`` stops that too, as in
            2002).
        block_size: cells that share one set of gates (memory block); divides the hidden size.

    Sources: Greff et al., "LSTM: A Search Space Odyssey", 2015; Hochreiter & Schmidhuber, "Long Short-Term Memory",
    1997.
    """

    name: str = "V"
    input_gate: str = "learned"
    forget_gate: str = "learned"
    output_gate: str = "learned"
    reset_gate: str = "open"
    block_input: str = "tanh"
    block_output: str = "tanh"
    peepholes: bool = True
    gate_recurrence: bool = False
    input_recurrence: bool = False
    feedback: str = "full"
    block_size: int = 1

    def __post_init__(self) -> None:
        for field, choices in CHOICES.items():
            value = getattr(self, field)
            if value not in choices:
                raise ValueError(f"Variant {self.name!r}: {field}={value!r} is unknown; {nearest(value, choices)}")
        for field in ("peepholes", "gate_recurrence", "input_recurrence"):
            if not isinstance(getattr(self, field), bool):
                raise TypeError(f"Variant {self.name!r}: {field} must be True or False, got {getattr(self, field)!r}")
        if not isinstance(self.block_size, int) or isinstance(self.block_size, bool) or self.block_size < 1:
            raise ValueError(f"Variant {self.name!r}: block_size must be an integer >= 1, got {self.block_size!r}")
        needs_input_gate = {"forget_gate": self.forget_gate, "reset_gate": self.reset_gate}
        for field, value in needs_input_gate.items():
            if value == "coupled" and self.input_gate != "learned":
                raise ValueError(
                    f"Variant {self.name!r}: {field}='coupled' follows the input gate, so input_gate must be "
                    f"'learned', got {self.input_gate!r}"
                )

    @property
    def learned_gates(self) -> tuple[str, ...]:
        """Gates that own weights, in packing order; a subset of ``("i", "f", "o", "r")``."""
        kinds = {"i": self.input_gate, "f": self.forget_gate, "o": self.output_gate, "r": self.reset_gate}
        return tuple(gate for gate, kind in kinds.items() if kind == "learned")

    @property
    def rows(self) -> tuple[str, ...]:
        """Names along the packed row axis G: ``block_size`` block inputs, then the learned gates."""
        return ("z",) * self.block_size + self.learned_gates

    @property
    def peephole_gates(self) -> tuple[str, ...]:
        """Gates with a peephole, in the order of ``params.p``."""
        return tuple(gate for gate in self.learned_gates if gate != "r") if self.peepholes else ()

    @property
    def recurrent_targets(self) -> tuple[str, ...]:
        """Row names that see the gates of the step before, in the order of ``params.Q``'s row axis."""
        seen = tuple("z" for _ in range(self.block_size)) if self.input_recurrence else ()
        return seen + (self.learned_gates if self.gate_recurrence else ())

    def blocks(self, hidden_size: int) -> int:
        """Number of memory blocks that ``hidden_size`` cells form."""
        if hidden_size % self.block_size:
            raise ValueError(
                f"Variant {self.name!r}: {hidden_size} cells do not divide into blocks of {self.block_size}: take a "
                f"multiple of block_size={self.block_size}"
            )
        return hidden_size // self.block_size


def _named(**records: dict) -> MappingProxyType:
    return MappingProxyType(Registry("variant", (Variant(name=name, **changes) for name, changes in records.items())))


_GATED_UNIT = {"forget_gate": "coupled", "output_gate": "open", "block_output": "identity", "peepholes": False}

VARIANTS = _named(
    V={},
    NIG={"input_gate": "open"},
    NFG={"forget_gate": "open"},
    NOG={"output_gate": "open"},
    NIAF={"block_input": "identity"},
    NOAF={"block_output": "identity"},
    CIFG={"forget_gate": "coupled"},
    NP={"peepholes": False},
    FGR={"gate_recurrence": True},
    CIFG_NOAF={"forget_gate": "coupled", "block_output": "identity"},
    LSTM1997={
        "forget_gate": "open",
        "peepholes": False,
        "block_input": "centered_logistic_2",
        "block_output": "centered_logistic_1",
        "gate_recurrence": True,
        "input_recurrence": True,
        "feedback": "truncated",
    },
    RNN={
        "input_gate": "open",
        "forget_gate": "closed",
        "output_gate": "open",
        "block_input": "identity",
        "peepholes": False,
    },
    RELU={
        "input_gate": "open",
        "forget_gate": "closed",
        "output_gate": "open",
        "block_input": "identity",
        "block_output": "relu",
        "peepholes": False,
    },
    GRU={**_GATED_UNIT, "reset_gate": "learned"},
    MGU={**_GATED_UNIT, "reset_gate": "coupled"},
)
"""The nine cells of 2015, one that takes two of their steps at once, the cell of 1997, and the baselines, by name."""

SUMMARIES = MappingProxyType(
    {
        "V": "vanilla LSTM: three gates, peepholes, forget gate",
        "NIG": "no input gate: i = 1",
        "NFG": "no forget gate: f = 1",
        "NOG": "no output gate: o = 1",
        "NIAF": "no input activation function: g(x) = x",
        "NOAF": "no output activation function: h(x) = x",
        "CIFG": "coupled input and forget gates: f = 1 - i",
        "NP": "no peepholes",
        "FGR": "full gate recurrence: gates see the gates of the step before",
        "CIFG_NOAF": "coupled gates and no output activation function: f = 1 - i, h(x) = x",
        "LSTM1997": "the cell of 1997: no forget gate, gates fed back everywhere, truncated gradient",
        "RNN": "tanh recurrent network: no gates, no memory cell",
        "RELU": "relu recurrent network: no gates, no memory cell; the IRNN with the initial weights of scheme irnn",
        "GRU": "gated recurrent unit: coupled gates, reset gate on the recurrent product",
        "MGU": "minimal gated unit: one gate that resets and updates",
    }
)
"""One line on each variant."""


def check_dropped(what: str, value: float) -> None:
    """Refuse anything but a number in [0, 1).

    Raises:
        ValueError: ``what`` being its name.
    """
    if isinstance(value, bool) or not hasattr(value, "__float__") or not 0.0 <= float(value) < 1.0:
        raise ValueError(f"{what} must be a number in [0, 1), the part that is set to 0, got {value!r}")


def positive(what: str, value: int) -> int:
    """``value`` as an int of at least 1.

    Raises:
        ValueError: anything else, ``what`` being its name.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1:
        raise ValueError(f"{what} must be an integer >= 1, got {value!r}")
    return operator.index(value)


def resolve(variant: Variant | str) -> Variant:
    """The record itself, or the one that ``VARIANTS`` holds under that name."""
    if isinstance(variant, Variant):
        return variant
    if isinstance(variant, str) and variant in VARIANTS:
        return VARIANTS[variant]
    if isinstance(variant, str):
        raise ValueError(f"unknown variant {variant!r}; {nearest(variant, VARIANTS)}")
    raise TypeError(f"a variant is a Variant or one of its names, got {type(variant).__name__}")
