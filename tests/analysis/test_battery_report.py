"""The battery's tables and figure follow from the results of its trials alone."""

from __future__ import annotations

import math

import pytest

from lstm_jax.analysis.battery_report import publish, readme_section, table
from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_results import TrialResult, ratios, read_results
from lstm_jax.studies.battery_run import file_of
from lstm_jax.studies.collect import write_table
from lstm_jax.studies.statistics import Waits, log_rank


def trial(row: str, seed: int, met: tuple[int, int] = (0, 0), **changes) -> TrialResult:
    ended = "met" if met[0] else "cap"
    values = TrialResult(row, seed, max(met) or 740000, ended, *met, 3 if met[0] else -1, -1, 0.01, math.nan, 0.02,
                         math.nan, math.nan, 2560, 1000, 0.5, "abc", "a processor")  # fmt: skip
    return values._replace(**changes)


FOUND = [
    *(trial("adding-100", n, (74000 + 1000 * n, 0)) for n in range(3)),
    trial("adding-100", 3),
    *(trial("multiplication", n, (400000, 1000000 + n), wrong_2=9) for n in range(3)),
    trial("order-6a", 0, (20000, 0)),
    *(trial("order-6b", n, (571100 + n, 0)) for n in range(3)),
    *(trial("order-6b", n) for n in range(3, 8)),
]


def test_the_table_shows_ours_beside_theirs_and_names_what_was_not_run():
    text = table(FOUND)
    line = next(line for line in text.splitlines() if line.startswith("| `adding-100`"))
    assert "3 of 4 [30, 95 %], others not within 740,000" in line and "75,000" in line and "| yes |" not in line
    assert "500.00 |" in line  # half a second for 1000 steps
    double = next(line for line in text.splitlines() if line.startswith("| `multiplication`"))
    assert "400,000 / 1,000,001" in double and "139 / 14" in double and "no, fewer" in double
    assert "| 3 (to 3) / 9 (to 9) |" in double
    assert "error on them: `multiplication` 0.0200 / – (paper: 0.0223 / 0.0139)." in text
    few = next(line for line in text.splitlines() if line.startswith("| `order-6b`"))
    assert "| 571,101 | [571,099, 571,103] | 571,100 to 571,102 | 571,100 | – |" in few, "most took longer"
    alone = next(line for line in text.splitlines() if line.startswith("| `order-6a`"))
    assert "| 20,000 | – | – | 31,390 | – |" in alone
    left = text.split("Not run as printed: ")[1]
    assert "`reber-1`" in left and "`adding-100`" not in left
    assert "sequences a second" in text


def test_streams_show_their_best_test_and_no_mean_that_was_not_published():
    found = [trial("cerg", 0, (20000, 0), best_test=1e6), trial("cerg", 1, best_test=130.0, seen=30000)]
    text = table([*FOUND, *found, trial("gts", 0, (900, 0), best_test=1000.0)])
    line = next(line for line in text.splitlines() if line.startswith("| `cerg`"))
    assert "1 of 2" in line and "others not within 30,000" in line and "| 18,889 (recalled) | – |" in line
    assert "| 18 % (noted) |" in line and "| as noted |" in line
    assert line.endswith("| 500.00 | 500,065 (130 to 1,000,000) | – |")
    counted = table([trial("anbn-10", n, (7 + n, 0), best_test=12.0 + n) for n in range(3)])
    assert "million steps a second" in counted and "sequences a second" not in counted
    assert "| 13 (12 to 14) | 1,000 (recalled) |" in counted and "best test | paper |" in counted
    assert "best test |" in text and "1 of 1 [21, 100 %] | – | – | 900 | – | – | – | – |" in text


def test_the_papers_share_is_judged_where_more_time_would_not_change_the_verdict():
    def said(solved, ended="cap", row="cerg-decay"):  # the paper: 62 %
        trials = [trial(row, n, (9000, 0) if n < solved else (0, 0)) for n in range(20)]
        trials = [one if one.ended == "met" else one._replace(ended=ended) for one in trials]
        (line,) = [line for line in table(trials).splitlines() if line.startswith(f"| `{row}`")]
        return line.split(" | ")[6]

    assert [said(solved) for solved in (3, 9, 12, 16, 19)] == ["no, fewer", "yes", "yes", "yes", "no, more"]
    assert [said(solved, "stopped") for solved in (3, 12, 19)] == ["–", "–", "no, more"], "20 of 20 would be more"
    assert said(5, row="order-6a") == "–", "no share was published"


def test_what_unfinished_trials_were_given_is_shown_from_least_to_most():
    found = [
        trial("cerg", 0, (20000, 0)),
        *(trial("cerg", n, seen=seen) for n, seen in [(1, 4864), (2, 30000), (3, 9)]),
    ]
    assert "1 of 4 [5, 70 %], others not within 9 to 30,000 |" in table([*FOUND, *found])


def test_a_row_with_one_success_claims_no_interval():
    line = next(line for line in table(FOUND).splitlines() if line.startswith("| `order-6a`"))
    assert "20,000 | – | – | 31,390 | – |" in line


def test_each_full_gradient_stands_beside_the_truncated_one_with_a_test_that_knows_who_was_given_up():
    slow = [trial("adding-100:full-gradient", n, (300000 + n, 0)) for n in range(2)]
    rows = [*FOUND, *slow, *(trial("adding-100:full-gradient", n) for n in range(2, 6))]
    text = table(rows).split("### The truncated gradient")[1]
    (line,) = [line for line in text.splitlines() if line.startswith("| `adding-100`")]
    assert "| 3 of 4, 75,000, others not within 740,000 | 2 of 6, 300,000, others not within 740,000 |" in line
    p = log_rank(Waits([74000, 75000, 76000], [740000]), Waits([300000, 300001], [740000] * 4))
    assert f"| {p:.2g} |" in line and "nan" not in table(rows)
    assert "### The truncated gradient" not in table(FOUND)


def test_guesses_are_compared_with_no_figure_for_learning():
    rows = [trial("two-3a-100-3:random-guessing", seed, (900 + seed, 1000 + seed)) for seed in range(4)]
    learned = [row._replace(row="two-3a-100-3") for row in rows]
    (line,) = [line for line in table(rows).splitlines() if "random guessing" in line]
    assert "| learning: 39,850 | – |" in line
    assert "no, fewer" in table(learned)
    assert "no, fewer" not in table([*learned, learned[0]._replace(seed=9, ended="cap", met_1=0, met_2=0)])
    late = [row._replace(met_2=10**6 + row.seed, seen=10**6 + row.seed) for row in learned]
    assert "no, more" in table([*late, late[0]._replace(seed=9, ended="cap", met_1=0, met_2=0)])
    assert [row.name for row, *_ in ratios([*rows, *learned])] == ["two-3a-100-3"], "nor in the figure"


def test_streams_read_to_their_end_are_compared_with_no_published_number():
    names = ("cerg", "cerg:reads-on", "cnto", "cnto:plain-reads-on")
    found = [trial(name, seed, (400 + seed, 0), best_test=1000.0) for name in names for seed in range(4)]
    assert [row.name for row, *_ in ratios(found)] == [], "what is remembered of the others is no yardstick"
    reading = [row for row in BATTERY.values() if row.name.endswith("reads-on")]
    assert len(reading) > 4 and all(math.isnan(n) for row in reading for n in row.published.sequences)


def test_results_come_back_as_they_were_and_the_report_needs_nothing_else(tmp_path):
    for name in {found.row for found in FOUND}:
        write_table(file_of(tmp_path, name, ".csv"), TrialResult, [one for one in FOUND if one.row == name])
    assert str(read_results(tmp_path)) == str(sorted(FOUND, key=lambda t: (list(BATTERY).index(t.row), t.seed)))
    written = publish(tmp_path)
    before = [path.read_bytes() for path in written]
    for path in (tmp_path / "rows").iterdir():
        path.unlink()
    (tmp_path / "rows").rmdir()
    assert [path.read_bytes() for path in publish(tmp_path)] == before
    assert readme_section(tmp_path) in written[1].read_text()
    with pytest.raises(FileNotFoundError, match="run the battery first"):
        read_results(tmp_path / "nowhere")
