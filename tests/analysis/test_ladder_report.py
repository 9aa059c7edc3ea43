"""The table and the heat map of variants x lengths follow the results, and nothing but the results."""

from __future__ import annotations

import math

import pytest
from fabricated import trial

from lstm_jax.analysis.ladder_figure import FRONTIER, ladder_figure
from lstm_jax.analysis.ladder_report import full_table, readme_section, write_ladder_report
from lstm_jax.studies.collect import write_rows
from lstm_jax.studies.ladder import label, ladders

HIGH, LOW = {20: 5, 50: 5, 100: 5}, {20: 5, 50: 1, 100: 0}


def rows(task: str = "adding", **variants: dict[int, int]):
    return [
        trial(
            0.001 if seed < count else 0.16, task=label(task, length), variant=name, seed=seed, metric="mse",
            chance=1 / 6, hidden_size=7, parameters=1500 + 10 * n,
        )
        for n, (name, by_length) in enumerate(variants.items())
        for length, count in by_length.items()
        for seed in range(5)
    ]  # fmt: skip


def line(table: str, start: str) -> list[str]:
    """The entries of the first row of a Markdown table that begins so."""
    found = next(text for text in table.splitlines() if text.startswith(f"| {start} |"))
    return [entry.strip() for entry in found.strip("|").split("|")]


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title("left")]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_table_says_how_far_each_variant_gets_and_flips_with_the_results():
    for ours, theirs, entry in ((HIGH, LOW, "≥ 100 ▲"), (LOW, HIGH, "20 [20, 50] ▼")):
        table = full_table(ladders(rows(V=theirs, RNN=ours)))
        assert line(table, "RNN")[1] == entry
        assert line(table, "V")[1] == {"≥ 100 ▲": "20 [20, 50]", "20 [20, 50] ▼": "≥ 100"}[entry]


def test_what_solves_nothing_stands_below_the_shortest_length():
    table = full_table(ladders(rows(V=HIGH, RNN={20: 0, 50: 0, 100: 0})))
    assert line(table, "RNN")[1] == "< 20 ▼"


def test_the_details_hold_shares_intervals_medians_sizes_and_tests():
    details = full_table(ladders(rows(V=HIGH, RNN=LOW))).split("## adding: mse < 0.01")[1]
    entries = line(details, "RNN")
    assert entries[1:3] == ["7", "1,510"] and entries[3] == "5/5 [0.57, 1.00], 0.0010"
    assert entries[4] == "1/5 [0.04, 0.62], 0.1600" and entries[6] == "50"
    assert entries[7:9] == ["-4.5", "V"] and entries[9].endswith("▼")
    assert line(details, "V")[6:] == ["–"] * 4


def test_starts_have_a_table_of_their_own_next_to_their_variant():
    made = rows(V=LOW, NP=HIGH, **{"V, chrono": HIGH, "NP, chrono": HIGH}) + rows("parity", V=HIGH, NP=HIGH)
    table = full_table(ladders(made))
    first, second = table.split("## Starts of the gates")
    assert "chrono" not in first and line(second, "V, chrono") == ["V, chrono", "≥ 100 ▲"]
    names = [text.split("|")[1].strip() for text in second.split("\n\n")[1].splitlines()[2:]]
    assert names == ["V", "V, chrono", "NP", "NP, chrono"]
    assert "Starts of the gates" not in full_table(ladders(rows(V=HIGH, NP=HIGH)))


def test_tasks_are_columns_and_a_dash_stands_for_what_was_not_run():
    table = full_table(ladders(rows(V=HIGH, NP=LOW) + rows("multiplication", V=HIGH)))
    assert line(table, "NP")[1:] == ["20 [20, 50] ▼", "–"]
    assert "multiplication: mse < 0.1 x chance" in table and "adding: mse < 0.01" in table


def test_tasks_of_one_length_show_how_well_they_are_solved(tmp_path):
    write_rows(tmp_path / "results.csv", rows(V={750: 4}) + rows("multiplication", V={60: 0}, RNN={60: 5}))
    section = readme_section(tmp_path)
    assert line(section, "variant") == ["variant", "adding, T = 750", "multiplication, T = 60"]
    assert line(section, "V") == ["V", "4 of 5, 0.0010", "0 of 5, 0.1600"]
    assert line(section, "RNN") == ["RNN", "–", "5 of 5, 0.0010"]
    assert "adding: mse < 0.01; multiplication" in section and "adding 0.1667" in section


def test_an_option_other_than_the_length_is_named_wherever_its_values_stand():
    made = rows("warp.stretch", V=HIGH, RNN=LOW)
    table, (axes,) = full_table(ladders(made)), panels(ladder_figure(ladders(made)))
    assert line(table.split("## warp.stretch:")[1], "variant")[3:5] == ["stretch = 20", "stretch = 50"]
    assert "or value of the option after the dot" in table and "stretch" in texts(axes)
    plain = full_table(ladders(rows(V=HIGH)))
    assert "after the dot" not in plain and "| T = 20 |" in plain


def test_diverged_trials_are_told():
    made = rows(V=HIGH)
    lost = [row._replace(diverged=True, test=math.nan) if row.task == "adding@50" else row for row in made]
    table = full_table(ladders(lost))
    assert "V at 50 5" in table and "0/5 [0.00, 0.43], no score" in table
    assert "NaN" not in full_table(ladders(made))


def test_the_report_is_a_pure_function_of_the_results(tmp_path):
    made = rows(V=HIGH, RNN=LOW) + rows("multiplication", V=HIGH, RNN=LOW)
    for name in ("a/results.csv", "b/results.csv.gz"):
        (tmp_path / name).parent.mkdir()
        write_rows(tmp_path / name, made)
    contents = [[path.read_bytes() for path in write_ladder_report(tmp_path / name)] for name in ("a", "b")]
    assert contents[0] == contents[1] and contents[0][1].startswith(b"\x89PNG")
    assert readme_section(tmp_path / "a") == readme_section(tmp_path / "b")
    assert readme_section(tmp_path / "a").startswith("### Solved up to\n")


@pytest.mark.parametrize("count", [1, 3, 4])
def test_a_heat_map_has_a_panel_a_task(count):
    found = ladders([row for n in range(count) for row in rows(f"task{n}", V=HIGH, RNN=LOW)])
    titles = [axes.get_title("left").lstrip("abcd ") for axes in panels(ladder_figure(found))]
    assert titles == [f"task{n}: mse < 0.1 x chance" for n in range(count)]


def test_cells_hold_the_count_and_brighter_ones_more_solved_seeds():
    (axes,) = panels(ladder_figure(ladders(rows(V=HIGH, RNN=LOW))))
    counts = [text for text in texts(axes) if "/" in text]
    assert counts == ["5/5"] * 3 + ["5/5", "1/5", "0/5"] and texts(axes).count("▼") == 1
    light = [sum(patch.get_facecolor()[:3]) for patch in axes.patches]
    assert light[3] > light[4] > light[5] and light[:3] == [light[3]] * 3


def test_a_line_stands_where_each_variant_breaks_down_and_a_missing_length_is_a_dash():
    (axes,) = panels(ladder_figure(ladders(rows(V=HIGH, RNN=LOW, NP={20: 0, 50: 5}))))
    edges = [float(line.get_xdata()[0]) for line in axes.lines if line.get_color() == FRONTIER]
    assert edges == [3, 1, 0] and "–" in texts(axes)
