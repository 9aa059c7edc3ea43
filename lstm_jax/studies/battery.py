"""The rows of the tables of "Long Short-Term Memory" (1997), and the registry of all rows.

Every figure here is printed in the paper (verified). Where the paper leaves a choice open or a row does not close as
printed, the alternatives are rows of their own, named after the choice: ``adding-100:plain``. Rows of later papers
are in ``battery_streams.py``.
"""

from __future__ import annotations

import math
from dataclasses import replace

from lstm_jax.names import Registry
from lstm_jax.online.guessing import GuessProtocol, UnitNet
from lstm_jax.online.net import BlockNet
from lstm_jax.online.strings import StringProtocol
from lstm_jax.online.trials import Goal, Protocol
from lstm_jax.studies.battery_row import BatteryRow, Published, chosen
from lstm_jax.studies.battery_streams import continual, counting, timing
from lstm_jax.tasks import TASKS

ALL = ("cells", "gates", "outputs")


def _reber() -> list[BatteryRow]:
    title = "1 embedded Reber grammar"
    task = TASKS["reber"]()
    four = BlockNet(7, 7, 4, 1, biases=("gates",)), (("o", (-1.0, -2.0, -3.0, -4.0)),)
    three = BlockNet(7, 7, 3, 2, biases=("gates",)), (("o", (-1.0, -2.0, -3.0)),)
    table = {
        "reber-1": (four, 0.1, Published(264, 30, (39740,), 1.0)),
        "reber-2": (three, 0.1, Published(276, 30, (21730,), 1.0)),
        "reber-3": (three, 0.2, Published(276, 30, (14060,), 0.97)),
        "reber-4": (four, 0.5, Published(264, 30, (9500,), 0.97)),
        "reber-5": (three, 0.5, Published(276, 30, (8440,), 1.0, 3800, 24100)),
    }
    rows = []
    for name, ((net, biases), rate, published) in table.items():
        protocol = StringProtocol(task, net, rate, "sets", "order", gate_biases=biases)
        setting = f"{net.blocks} blocks of {net.size}, rate {rate}"
        row = BatteryRow(name, title, setting, protocol, published)
        rows += [row, chosen(row, "each-sequence", update="sequence")]
        with_biases = replace(net, biases=("gates", "outputs"))
        rows.append(chosen(row, "output-biases", net=with_biases))
        rows.append(chosen(row, "inputs-to-outputs", net=replace(net, inputs_to_outputs=True)))
        without = replace(net, gates=("i",))
        rows.append(chosen(row, "no-output-gate", net=without, gate_biases=()))
    return rows


def _lag() -> list[BatteryRow]:
    layout = BlockNet(101, 101, 1, 1, ("i",), (), "none", True, block_input="logistic", block_output="identity")
    rows = []
    for letter, what, material, success, mean in (
        ("a", "two sequences", "all", "close", 5040),
        ("b", "random symbols between", "fresh", "close_at_end", 5680),
    ):
        by_symbol = StringProtocol(TASKS[f"lag_2{letter}"](), layout, 1.0, material, success, grows=True)
        published = Published(10504, 18, (mean,), 1.0)
        row = BatteryRow(f"lag-2{letter}", f"2{letter} long time lag, {what}", "p = 100", by_symbol, published)
        rows += [row, chosen(row, "each-sequence", update="sequence"), chosen(row, "all-from-start", grows=False)]
    table = {
        (50, 50): (364, 30000),
        (100, 100): (664, 31000),
        (200, 200): (1264, 33000),
        (500, 500): (3064, 38000),
        (1000, 1000): (6064, 49000),
        (1000, 500): (3064, 49000),
        (1000, 200): (1264, 75000),
        (1000, 100): (664, 135000),
        (1000, 50): (364, 203000),
    }
    for (lag, distractors), (weights, mean) in table.items():
        net = BlockNet(distractors + 4, 2, 2, 1)
        task = TASKS["lag_2c"](length=lag, distractors=distractors)
        protocol = Protocol(task, net, 0.01, 0.2, (Goal(1),), window=10_000, scale=0.2)
        row = BatteryRow(
            f"lag-2c-{lag}-{distractors}", "2c very long time lag", f"q = {lag}, p = {distractors}", protocol,
            Published(weights, 20, (mean,)),
        )  # fmt: skip
        biased = {"net": replace(net, biases=("gates",)), "gate_biases": (("i", (-3.0, -5.0)),), "rate": 0.1}
        rows += [row, chosen(row, "input-gate-biases", **biased), chosen(row, "full-gradient", path="full")]
    return rows


def _two_sequence() -> list[BatteryRow]:
    net = BlockNet(1, 1, 3, 1, biases=("cells", "gates"))
    biases = (("i", (-1.0, -3.0, -5.0)), ("o", (-2.0, -4.0, -6.0)))
    strict, loose = (Goal(1), Goal(1, 0.01)), (Goal(6), Goal(6, 0.04))
    table = [
        ("3a", 100, 3, strict, (27380, 39850), 0.000195),
        ("3a", 100, 1, strict, (58370, 64330), 0.000117),
        ("3a", 1000, 3, strict, (446850, 452460), 0.000078),
        ("3b", 100, 3, loose, (41740, 43250), 0.00828),
        ("3b", 100, 1, loose, (74950, 78430), 0.01500),
        ("3b", 1000, 1, loose, (481060, 485080), 0.01207),
        ("3c", 100, 3, (Goal(1, 0.015),), (269650,), 0.00558),
        ("3c", 100, 1, (Goal(1, 0.015),), (565640,), 0.00441),
    ]
    distances = {("3c", 3): (0.014,), ("3c", 1): (0.012,)}
    titles = {"3a": "noise after the signal", "3b": "noise on the signal", "3c": "noise on the targets"}
    rows = []
    for letter, steps, relevant, goals, means, wrong in table:
        options = {"noise": "everywhere" if letter == "3b" else "after"}
        options["targets"] = "noisy" if letter == "3c" else "exact"
        task = TASKS["two_sequence"](length=steps, relevant=relevant, **options)
        rate, tolerance = (0.1, 0.1) if letter == "3c" else (1.0, 0.2)
        protocol = Protocol(task, net, rate, tolerance, goals, "test", window=256, gate_biases=biases)
        row = BatteryRow(
            f"two-{letter}-{steps}-{relevant}", f"{letter} two-sequence problem, {titles[letter]}",
            f"T = {steps}, N = {relevant}", protocol,
            Published(102, 10, means, wrong=(wrong,), distance=distances.get((letter, relevant), ())),
        )  # fmt: skip
        guess = GuessProtocol(task, UnitNet(1, 1), tolerance, goals[-1])
        # The paper gives no figure for guessing: ours stands against its figure for learning.
        found = replace(row.published, sequences=means[-1:], wrong=())
        rows += [
            row,
            chosen(row, "full-gradient", path="full"),
            chosen(row, "looked-at-rarely", every=1000),
            replace(row, name=f"{row.name}:random-guessing", protocol=guess, published=found),
        ]
    return rows


def _adding() -> list[BatteryRow]:
    net, biases = BlockNet(2, 1, 2, 2, biases=ALL), (("i", (-3.0, -6.0)),)
    table = {
        100: Published(93, 10, (74000,), wrong=(1 / 2560,)),
        500: Published(93, 10, (209000,), wrong=(0.0,)),
        1000: Published(93, 10, (853000,), math.nan, 370000, 2020000, (1 / 2560,)),
    }
    rows = []
    for steps, published in table.items():
        protocol = Protocol(TASKS["adding_1997"](length=steps), net, 0.5, 0.04, (Goal(1, 0.01),), gate_biases=biases)
        row = BatteryRow(f"adding-{steps}", "4 adding", f"T = {steps}", protocol, published)
        reading = TASKS["adding_1997"](length=steps, first_pair="mark_removed")
        rows += [
            row,
            chosen(row, "plain", rule="plain"),
            chosen(row, "reading-a", task=reading),
            chosen(row, "reading-a-plain", task=reading, rule="plain"),
            chosen(row, "double-rate", rate=1.0),
            chosen(row, "full-gradient", path="full"),
            chosen(row, "plain-full-gradient", rule="plain", path="full"),
        ]
    both = Published(93, 10, (482000, 1273000), wrong=(139 / 2560, 14 / 2560), rmse=(0.0223, 0.0139))
    protocol = Protocol(TASKS["multiplication"](length=100), net, 0.1, 0.04, (Goal(140), Goal(13)))
    row = BatteryRow("multiplication", "5 multiplication", "T = 100", protocol, both)
    reading = TASKS["multiplication"](length=100, first_pair="mark_removed")
    rows += [row, chosen(row, "plain", rule="plain"), chosen(row, "reading-a", task=reading)]
    return [*rows, chosen(row, "full-gradient", path="full")]


def _order() -> list[BatteryRow]:
    rows = []
    for letter, relevant, net, biases, rate, published in (
        ("a", 2, BlockNet(8, 4, 2, 2, biases=ALL), (-2.0, -4.0), 0.5, Published(156, 20, (31390,), wrong=(1 / 2560,))),
        ("b", 3, BlockNet(8, 8, 3, 2, biases=ALL), (-2.0, -4.0, -6.0), 0.1,
         Published(308, 10, (571100,), wrong=(2 / 2560,))),
    ):  # fmt: skip
        task = TASKS["temporal_order"](relevant=relevant)
        protocol = Protocol(task, net, rate, 0.3, (Goal(1, 0.1),), gate_biases=(("i", biases),))
        row = BatteryRow(f"order-6{letter}", "6 temporal order", f"{relevant} relevant symbols", protocol, published)
        rows += [row, chosen(row, "full-gradient", path="full")]
    return rows


_ROWS = [*_reber(), *_lag(), *_two_sequence(), *_adding(), *_order(), *continual(), *counting(), *timing()]
BATTERY: dict[str, BatteryRow] = Registry("row", _ROWS)  # type: ignore[assignment]
"""All rows by name, in the order of the papers."""


def chosen_rows(names: tuple[str, ...]) -> list[BatteryRow]:
    """The rows of those names, each once; none: all as printed.

    Args:
        names: of rows, several of them separated by commas or not. ``two-3a*``: all that begin so, with every choice;
            ``reber``, a name that no row has: all as printed that go on with a dash.

    Raises:
        UnknownName: a row that does not exist, with the nearest.
    """
    if not names:
        return [row for row in BATTERY.values() if ":" not in row.name]
    found: dict[str, BatteryRow] = {}
    for name in (part for given in names for part in given.split(",") if part):
        begins, choices = (name[:-1], True) if name.endswith("*") else (f"{name}-", False)
        rows = [row for row in BATTERY.values() if row.name.startswith(begins) and (choices or ":" not in row.name)]
        if name in BATTERY or not rows:
            rows = [BATTERY[name.removesuffix("*")]]
        found |= {row.name: row for row in rows}
    return list(found.values())
