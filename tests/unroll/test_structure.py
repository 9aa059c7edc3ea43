"""Speed is guarded by the structure of the compiled program, never by a clock."""

from __future__ import annotations

import re
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lstm_jax as lj

T, B, I, H = 160, 4, 48, 64  # nothing is run; with many steps, what is kept of each outweighs all else in memory
WEIGHT = H * 4 * H  # numbers in R; no step may read and write an array of that size


class Program:
    """The optimised HLO of a function: its loops, and what is inside each."""

    def __init__(self, function, *arguments) -> None:
        self.compiled = jax.jit(function).lower(*arguments).compile()
        self.temporary = self.compiled.memory_analysis().temp_size_in_bytes
        text = self.compiled.as_text()
        blocks = re.split(r"\n}\n*", text)
        heads = (re.match(r"(?:ENTRY )?%?([\w.\-]+) \(", block.rsplit("\n\n", 1)[-1].lstrip()) for block in blocks)
        self.bodies = {
            head.group(1): block.rsplit("\n\n", 1)[-1].lstrip().split("\n")[1:]
            for head, block in zip(heads, blocks, strict=True)
            if head
        }
        self.loops = sorted(set(re.findall(r" while\(.*body=%?([\w.\-]+)", text)))

    def inside(self, name: str) -> list[str]:
        """Instructions of a computation and of everything it calls, nested loops included."""
        lines = []
        for line in self.bodies[name]:
            lines.append(line)
            for called in re.findall(r"(?:calls|to_apply|body)=%?([\w.\-]+)", line):
                lines += self.inside(called)
        return lines

    def dots(self) -> list[int]:
        """Matrix products in each loop's body, in increasing order."""
        return sorted(sum(bool(re.search(r" dot\(", line)) for line in self.inside(loop)) for loop in self.loops)

    def made_each_step(self) -> int:
        """The largest array that a loop's body computes anew: stacked rows are updated in place and do not count."""
        largest = 0
        for loop in self.loops:
            for line in self.bodies[loop]:
                shape = re.search(r"= \w+\[([\d,]*)\]\S* ([\w\-]+)\(", line)
                if not shape or shape.group(2) in (
                    "get-tuple-element",
                    "bitcast",
                    "parameter",
                    "dynamic-update-slice",
                ):
                    continue
                sizes = [int(n) for n in shape.group(1).split(",") if n]
                if sizes[:1] != [T]:
                    largest = max(largest, int(np.prod(sizes)))
        return largest


@cache
def program(name: str, masked: bool, gradient: bool, backend: str = "fused") -> Program:
    params = lj.init_params(jax.random.key(0), name, I, H)
    xs = jnp.zeros((T, B, I))
    lengths = jnp.full(B, T // 2) if masked else None

    def forward(params, xs, lengths):
        return (lj.unroll(name, params, xs, lengths, backend=backend)[0] ** 2).sum()

    return Program(jax.grad(forward, (0, 1)) if gradient else forward, params, xs, lengths)


masks = pytest.mark.parametrize("masked", [False, True], ids=["no lengths", "lengths"])
gradients = pytest.mark.parametrize("gradient", [False, True], ids=["forward", "gradient"])


@masks
@pytest.mark.parametrize(("name", "forward", "reverse"), [("V", 2, 1), ("NP", 2, 1), ("FGR", 3, 2), ("GRU", 2, 1)])
def test_a_step_has_its_products_and_no_more(name, forward, reverse, masked):
    assert program(name, masked, gradient=False).dots() == [forward]
    assert program(name, masked, gradient=True).dots() == sorted([forward, reverse])


@masks
def test_to_learn_from_one_sequence_all_its_inputs_are_multiplied_at_once(masked):
    """Only the product of the outputs is left in the loop."""

    def loss(params, xs):
        lengths = jnp.full(1, T // 2) if masked else None
        return (lj.unroll("V", params, xs, lengths, backend="fused")[0] ** 2).sum()

    params = lj.init_params(jax.random.key(0), "V", I, H)
    assert Program(jax.grad(loss), params, jnp.zeros((T, 1, I))).dots() == [1, 1]


def test_the_truncated_gradient_multiplies_nothing_on_its_way_back():
    assert program("LSTM1997", False, gradient=True).dots() == [0, 3]


@masks
@gradients
@pytest.mark.parametrize("name", ["V", "FGR"])
def test_no_step_touches_an_array_of_a_weights_size(name, gradient, masked):
    assert program(name, masked, gradient).made_each_step() < WEIGHT


def budget(name: str, masked: bool, gradient: bool) -> int:
    """Bytes that the algorithm has to keep: numbers for each step of a sequence, and what does not grow with T."""
    params = jax.eval_shape(lambda key: lj.init_params(key, name, I, H), jax.random.key(0))
    state = sum(leaf.size for leaf in jax.tree.leaves(lj.initial_state(name, (), H)))
    rows = params.b.size
    if gradient:  # errors of the outputs; states after and before a step; activations; errors of the rows
        kept = H + 2 * state + rows + rows
        once = params.R.size + (0 if params.Q is None else params.Q.size)  # transposed for the way back
    else:  # outputs, and with lengths the same with zeros in the padding
        kept = H * (2 if masked else 1)
        once = WEIGHT  # a step's own, less than a further array would take
    return 4 * (T * B * kept + once)


@masks
@gradients
@pytest.mark.parametrize("name", ["V", "NP", "FGR"])
def test_memory_holds_what_the_algorithm_keeps_and_no_more(name, gradient, masked):
    assert program(name, masked, gradient).temporary <= budget(name, masked, gradient)


def test_the_guards_see_the_accumulators_of_the_plain_scan_and_what_it_keeps():
    plain = program("V", False, gradient=True, backend="scan")
    assert plain.made_each_step() >= WEIGHT
    assert max(plain.dots()) > 1
    assert plain.temporary > budget("V", False, gradient=True)


def test_pieces_that_do_not_divide_the_steps_cost_no_copies():
    """32 steps at a time of 1000: 25 at a time, as inputs and outputs lie; 1009 is prime, and copies them."""

    def temporary(steps, chunk):
        def loss(params, xs):
            return (lj.unroll("NP", params, xs, backend="fused", remat_chunk=chunk)[0] ** 2).sum()

        params = lj.init_params(jax.random.key(0), "NP", 8, 8)
        lowered = jax.jit(jax.grad(loss)).lower(params, jax.ShapeDtypeStruct((steps, 2, 8), jnp.float32))
        return lowered.compile().memory_analysis().temp_size_in_bytes

    inputs = 1000 * 2 * 8 * 4
    assert temporary(1000, 32) == temporary(1000, 25) < temporary(1009, 32) - inputs
