"""The table and the figure of variants x initialisations follow the results, and nothing but the results."""

from __future__ import annotations

import pytest
from fabricated import trial

from lstm_jax.analysis.grid_figure import grid_figure, short
from lstm_jax.analysis.grid_report import full_table, readme_section, write_grid_report
from lstm_jax.studies.collect import write_rows
from lstm_jax.studies.grid import INITS, distinct, grids, label

SPREAD = (-0.02, -0.01, 0.0, 0.01, 0.02)


def rows(task: str = "adding", scale: float = 1.0, spread=SPREAD, **cells: float):
    return [
        trial(scale * (mean + offset), task=label(task, init), variant=variant, seed=seed, metric="mse", chance=1.0)
        for (variant, init), mean in ((name.split("_"), mean) for name, mean in cells.items())
        for seed, offset in enumerate(spread)
    ]


CELLS = {
    f"{variant}_{init}": {"V": 0.5, "NFG": 0.9, "RNN": 0.95}[variant] - 0.1 * n * (variant != "RNN")
    for n, init in enumerate(INITS)
    for variant in distinct(("V", "NFG", "RNN"), init)
}


def line(table: str, start: str) -> list[str]:
    """The entries of the first row of a Markdown table that begins so."""
    found = next(text for text in table.splitlines() if text.startswith(f"| {start} |"))
    return [entry.strip() for entry in found.strip("|").split("|")]


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title("left")]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_the_table_flips_when_the_results_flip():
    closed = full_table(grids(rows(V_standard=0.5, V_chrono=0.2, NP_standard=0.9, NP_chrono=0.2)))
    assert line(closed, "NP")[1] == "closed (chrono)" and "*closed*" in closed and "*remains*" not in closed
    remains = full_table(grids(rows(V_standard=0.5, V_chrono=0.2, NP_standard=0.9, NP_chrono=0.6)))
    assert line(remains, "NP")[1] == "remains (chrono)" and "*closed*" not in remains


def test_a_start_that_a_variant_cannot_feel_is_shown_as_the_standard_one():
    section = full_table(grids(rows(**CELLS)))
    table = section.split("## adding")[1]
    assert line(table, "RNN")[2:] == ["= standard"] * 3
    assert line(table, "NFG")[2] == "= standard" and "▲" in line(table, "NFG")[3]
    assert line(section, "RNN")[1] == "remains (only one)"


def test_a_fallen_reference_is_named():
    table = full_table(grids(rows(V_standard=0.2, V_chrono=0.9, NP_standard=0.95, NP_chrono=0.9)))
    assert line(table, "NP")[1] == "V fell (chrono)" and "*V fell*" in table and "reference" not in table


def test_diverged_trials_are_told():
    made = rows(V_standard=0.5, V_chrono=0.2)
    lost = [row._replace(diverged=row == made[-1]) for row in made]
    assert "V chrono 1" in full_table(grids(lost)) and "NaN" not in full_table(grids(made))


def test_the_report_is_a_pure_function_of_the_results(tmp_path):
    for name in ("a/results.csv", "b/results.csv.gz"):
        (tmp_path / name).parent.mkdir()
        write_rows(tmp_path / name, [*rows(**CELLS), *rows("digits", 0.1, **CELLS)])
    contents = [[path.read_bytes() for path in write_grid_report(tmp_path / name)] for name in ("a", "b", "a")]
    assert contents[0] == contents[1] == contents[2]
    assert contents[0][1].startswith(b"\x89PNG")
    assert readme_section(tmp_path / "a") == readme_section(tmp_path / "b")


def test_one_seed_gives_a_table_and_a_figure_without_intervals():
    found = grids(rows(spread=(0.0,), **CELLS))
    assert "nan" not in full_table(found).lower() and "±" not in full_table(found).split("Grids:")[0]
    assert not any(mark in text for text in texts(panels(grid_figure(found))[0]) for mark in "▲▼")


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_figure_has_a_panel_a_task(count):
    found = grids([row for n in range(count) for row in rows(f"task{n}", **CELLS)])
    titles = [axes.get_title("left").lstrip("abcd ") for axes in panels(grid_figure(found))]
    assert titles == [f"task{n}" for n in range(count)]


def test_equal_weights_are_drawn_as_one_broad_cell():
    (axes,) = panels(grid_figure(grids(rows(**CELLS))))
    assert [patch.get_width() for patch in axes.patches] == [1, 1, 1, 1, 2, 1, 1, 4]
    assert texts(axes)[0] == "0.50" and texts(axes)[2] == "0.30 ▲" and texts(axes)[-1] == "0.95"


def test_a_cell_that_was_not_run_is_grey_with_a_dash():
    (axes,) = panels(grid_figure(grids(rows(V_standard=0.5, V_chrono=0.3, NP_standard=0.5))))
    assert texts(axes)[-1] == "–"


def test_the_better_score_is_the_brighter_one_whatever_the_metric():
    made = rows(V_standard=0.5, V_chrono=0.2)
    for higher, bright in ((False, 1), (True, 0)):
        (axes,) = panels(grid_figure(grids([row._replace(higher_is_better=higher) for row in made])))
        light = [sum(patch.get_facecolor()[:3]) for patch in axes.patches]
        assert light.index(max(light)) == bright


def test_errors_of_different_magnitude_have_logarithmic_colours():
    for least, logarithmic in ((0.2, False), (0.002, True)):
        figure = grid_figure(grids(rows(spread=(0.0,), V_standard=0.5, V_chrono=least)))
        bar = next(axes for axes in figure.axes if not axes.get_title("left"))
        assert (bar.get_xscale() == "log") == logarithmic


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99, "0.99"), (1.0, "1.00"), (0.003, "0.0030"), (0.0626, "0.063"), (8.1e-5, "8.1e-5"), (11.23, "11.2"),
     (0.0, "0.00"), (-0.5, "-0.50")],
)  # fmt: skip
def test_numbers_fit_into_cells(value, text):
    assert short(value) == text
