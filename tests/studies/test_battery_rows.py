"""The rows of 1997 as the paper prints them, typed from it once more: a number changed on one side alone is seen."""

from __future__ import annotations

import math

import pytest

from lstm_jax.online.trials import Goal
from lstm_jax.studies.battery import BATTERY

# Row, blocks x size, weights, rate, trials, share that succeeded, mean sequences to each goal, share wrong on test.
TABLE = """
reber-1         4x1   264 0.1  30 1.00   39740          -
reber-2         3x2   276 0.1  30 1.00   21730          -
reber-3         3x2   276 0.2  30 0.97   14060          -
reber-4         4x1   264 0.5  30 0.97    9500          -
reber-5         3x2   276 0.5  30 1.00    8440          -
lag-2a          1x1 10504 1.0  18 1.00    5040          -
lag-2b          1x1 10504 1.0  18 1.00    5680          -
lag-2c-50-50      2x1   364 0.01 20 -      30000          -
lag-2c-100-100    2x1   664 0.01 20 -      31000          -
lag-2c-200-200    2x1  1264 0.01 20 -      33000          -
lag-2c-500-500    2x1  3064 0.01 20 -      38000          -
lag-2c-1000-1000  2x1  6064 0.01 20 -      49000          -
lag-2c-1000-500   2x1  3064 0.01 20 -      49000          -
lag-2c-1000-200   2x1  1264 0.01 20 -      75000          -
lag-2c-1000-100   2x1   664 0.01 20 -     135000          -
lag-2c-1000-50    2x1   364 0.01 20 -     203000          -
two-3a-100-3    3x1   102 1.0  10 -    27380,39850    0.000195
two-3a-100-1    3x1   102 1.0  10 -    58370,64330    0.000117
two-3a-1000-3   3x1   102 1.0  10 -   446850,452460   0.000078
two-3b-100-3    3x1   102 1.0  10 -    41740,43250    0.00828
two-3b-100-1    3x1   102 1.0  10 -    74950,78430    0.01500
two-3b-1000-1   3x1   102 1.0  10 -   481060,485080   0.01207
two-3c-100-3    3x1   102 0.1  10 -   269650          0.00558
two-3c-100-1    3x1   102 0.1  10 -   565640          0.00441
adding-100      2x2    93 0.5  10 -    74000          1/2560
adding-500      2x2    93 0.5  10 -   209000          0
adding-1000     2x2    93 0.5  10 -   853000          1/2560
multiplication  2x2    93 0.1  10 -   482000,1273000  139/2560,14/2560
order-6a        2x2   156 0.5  20 -    31390          1/2560
order-6b        3x2   308 0.1  10 -   571100          2/2560
"""

# Rows that begin so: initial weights up to, starts of gates by block, error of a wrong answer, goals.
STRICT, LOOSE = (Goal(1), Goal(1, 0.01)), (Goal(6), Goal(6, 0.04))
RULES = {
    "reber-1": (0.2, {"o": (-1, -2, -3, -4)}, None, "order"),
    "reber-2": (0.2, {"o": (-1, -2, -3)}, None, "order"),
    "reber-3": (0.2, {"o": (-1, -2, -3)}, None, "order"),
    "reber-4": (0.2, {"o": (-1, -2, -3, -4)}, None, "order"),
    "reber-5": (0.2, {"o": (-1, -2, -3)}, None, "order"),
    "lag-2a": (0.2, {}, None, "close"),
    "lag-2b": (0.2, {}, None, "close_at_end"),
    "lag-2c": (0.2, {}, 0.2, (Goal(1),)),
    "two-3a": (0.1, {"i": (-1, -3, -5), "o": (-2, -4, -6)}, 0.2, STRICT),
    "two-3b": (0.1, {"i": (-1, -3, -5), "o": (-2, -4, -6)}, 0.2, LOOSE),
    "two-3c": (0.1, {"i": (-1, -3, -5), "o": (-2, -4, -6)}, 0.1, (Goal(1, 0.015),)),
    "adding": (0.1, {"i": (-3, -6)}, 0.04, (Goal(1, 0.01),)),
    "multiplication": (0.1, {}, 0.04, (Goal(140), Goal(13))),
    "order-6a": (0.1, {"i": (-2, -4)}, 0.3, (Goal(1, 0.1),)),
    "order-6b": (0.1, {"i": (-2, -4, -6)}, 0.3, (Goal(1, 0.1),)),
}
# How many sequences decide, and which: those learned from last, or some that were set aside.
WINDOWS = {"lag-2c": (10_000, "recent"), "two": (256, "test"), "adding": (2000, "recent"),
           "multiplication": (2000, "recent"), "order": (2000, "recent")}  # fmt: skip


def number(text: str) -> float:
    top, _, bottom = text.partition("/")
    return math.nan if top == "-" else float(top) / float(bottom or 1)


@pytest.mark.parametrize("line", TABLE.strip().splitlines(), ids=lambda line: line.split()[0])
def test_a_row_is_run_and_compared_as_printed(line):
    name, blocks, weights, rate, trials, success, sequences, wrong = line.split()
    row = BATTERY[name]
    protocol, published = row.protocol, row.published
    assert (f"{protocol.net.blocks}x{protocol.net.size}", protocol.net.weight_count) == (blocks, int(weights))
    assert (protocol.rate, protocol.rule, published.weights) == (float(rate), "slope", int(weights))
    assert published.trials == int(trials) and published.sequences == tuple(map(float, sequences.split(",")))
    assert published.success == number(success) or math.isnan(published.success) and success == "-"
    assert published.wrong == (() if wrong == "-" else tuple(map(number, wrong.split(","))))
    assert row.cap == 10 * published.sequences[-1]

    ((scale, starts, tolerance, goals),) = [rules for begins, rules in RULES.items() if name.startswith(begins)]
    assert protocol.scale == scale and dict(protocol.gate_biases) == starts
    if tolerance is None:
        assert protocol.success == goals and protocol.update == "step"
        return
    assert (protocol.tolerance, protocol.goals, protocol.path) == (tolerance, goals, "truncated")
    ((window, judged),) = [of for begins, of in WINDOWS.items() if name.startswith(begins)]
    assert (protocol.window, protocol.judged) == (window, judged)


def test_the_table_has_all_rows_of_1997():
    printed = [name for name, row in BATTERY.items() if ":" not in name and not row.streams]
    assert [line.split()[0] for line in TABLE.strip().splitlines()] == printed
