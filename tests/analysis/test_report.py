"""Tables and the figure follow the results, and nothing but the results."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from fabricated import TRIAL

from lstm_jax.analysis.report import (
    REGRESSION,
    computed_by,
    embed,
    full_table,
    number,
    overview,
    readme_section,
    write_report,
)
from lstm_jax.studies.collect import Row, write_rows
from lstm_jax.studies.compare import compare


@dataclass
class Made:
    """Fabricated results: a task with given means."""

    task: str = "music"
    higher_is_better: bool = False
    seeds: int = 5
    spread: float = 0.01

    def rows(self, **means: float) -> list[Row]:
        rng = np.random.default_rng(len(self.task))
        return [
            TRIAL._replace(
                task=self.task, variant=variant, seed=seed, higher_is_better=self.higher_is_better, chance=9.0,
                test=float(mean + self.spread * rng.normal()), parameters=1000 + len(variant),
            )
            for variant, mean in means.items()
            for seed in range(self.seeds)
        ]  # fmt: skip


def verdicts(rows) -> dict[str, str]:
    return {line.variant: line.verdict for line in compare(rows)[0].lines}


def test_the_verdict_flips_when_the_results_flip():
    assert verdicts(Made().rows(V=1.0, NFG=2.0)) == {"V": "", "NFG": "worse"}
    assert verdicts(Made().rows(V=2.0, NFG=1.0)) == {"V": "", "NFG": "better"}
    assert verdicts(Made(higher_is_better=True).rows(V=1.0, NFG=2.0)) == {"V": "", "NFG": "better"}
    assert verdicts(Made().rows(V=1.0, NFG=1.0)) == {"V": "", "NFG": ""}


def test_the_table_flips_when_the_results_flip():
    worse, better = (full_table(compare(Made().rows(V=1.0, NFG=mean))) for mean in (2.0, 0.5))
    assert "| ▼ worse |" in worse and "| ▲ better |" not in worse
    assert "| ▲ better |" in better and "| ▼ worse |" not in better


def test_every_seed_counts():
    rows = Made(seeds=6).rows(V=1.0, NFG=1.0)
    wild = [row._replace(test=50.0) if (row.variant, row.seed) == ("NFG", 5) else row for row in rows]
    line = compare(wild)[0].lines[1]
    assert line.interval.count == 6 and line.interval.mean > 9.0


def test_a_trial_without_a_score_counts_as_the_worst():
    rows = Made().rows(V=1.0, NFG=2.0)
    diverged = [
        row._replace(test=math.nan, diverged=True) if row.seed == 0 and row.variant == "NFG" else row for row in rows
    ]
    line = compare(diverged)[0].lines[1]
    assert line.scores[0] == 9.0 and line.diverged == 1
    assert "NFG 1" in full_table(compare(diverged))


def test_the_reference_comes_first_and_has_no_difference():
    comparison = compare(Made().rows(NFG=2.0, V=1.0))[0]
    assert [line.variant for line in comparison.lines] == ["V", "NFG"]
    assert comparison.lines[0].difference is None
    assert comparison.lines[1].difference.mean == pytest.approx(1.0, abs=0.05)


def test_more_variants_make_the_correction_stricter():
    few = Made(spread=0.3).rows(V=1.0, NFG=1.5)
    many = Made(spread=0.3).rows(V=1.0, NFG=1.5, A=1.0, B=1.0, C=1.0, D=1.0)
    p_few, p_many = (next(line.p for line in compare(rows)[0].lines if line.variant == "NFG") for rows in (few, many))
    assert p_few < p_many


def test_another_reference_changes_the_comparison():
    lines = compare(Made().rows(V=1.0, NP=2.0), reference="NP")[0].lines
    assert [(line.variant, line.verdict) for line in lines] == [("NP", ""), ("V", "better")]


def test_a_task_without_the_reference_still_gives_a_table():
    alone = [row._replace(task="alone") for row in Made().rows(NFG=2.0)]
    comparisons = compare([*Made().rows(V=1.0, NFG=2.0), *alone])
    assert comparisons[1].task == "alone" and comparisons[1].lines[0].difference is None
    assert "## alone" in full_table(comparisons)


def test_a_reference_that_no_result_has_is_refused():
    with pytest.raises(ValueError, match="no result is of the reference 'VV'; did you mean 'V'"):
        compare(Made().rows(V=1.0, NFG=2.0), reference="VV")


def test_one_seed_gives_a_table_without_intervals():
    table = full_table(compare(Made(seeds=1).rows(V=1.0, NFG=2.0)))
    assert "nan" not in table.lower() and "±" not in table.split("\n\n")[2]


def test_two_seeds_are_both_shown_in_place_of_an_interval():
    text = overview(compare(Made(seeds=2).rows(V=1.0, NFG=2.0)))
    assert "±" not in text and "the scores of 2 seeds" in text
    assert text.splitlines()[2].count(" / ") == 1


def test_scores_are_never_drawn_where_none_can_be():
    axes = panel("digits", "accuracy", 0.1, V=(0.985,), NFG=(1.0,))
    assert 1.0 < axes.get_xlim()[1] < 1.01


def test_every_variant_of_the_overview_is_explained_once():
    rows = Made("music").rows(V=1.0, NFG=2.0) + Made("words").rows(V=1.0)
    cells = overview(compare(rows)).partition("Cells: ")[2]
    assert [cell.partition(":")[0] for cell in cells.split("; ")] == ["V", "NFG"]


def test_the_overview_has_a_row_a_variant_a_column_a_task_and_chance():
    music, words = Made("music").rows(V=1.0, NFG=2.0), Made("words").rows(V=1.0, RNN=3.0)
    words = [row._replace(parameters=40_000 if row.variant == "V" else 9_000) for row in words]
    music = [row._replace(parameters=1_200) for row in music]
    lines = overview(compare(music + words)).splitlines()
    assert lines[0] == "| variant | parameters | music (nll ↓) | words (nll ↓) |"
    cells = [[cell.strip() for cell in line.split("|")[1:]] for line in lines[2:6]]
    learned = [["V", "1,200 to 40,000"], ["NFG", "1,200"], ["RNN", "9,000"], ["*chance*", "–"]]
    assert [row[:2] for row in cells] == learned and cells[1][3] == "–"


def test_the_report_is_a_pure_function_of_the_results(tmp_path):
    rows = Made("music").rows(V=1.0, NFG=2.0, NP=1.0) + Made("words", True, 2).rows(V=1.0, NFG=2.0)
    for name in ("a/results.csv", "b/results.csv.gz"):
        (tmp_path / name).parent.mkdir()
        write_rows(tmp_path / name, rows)
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b", tmp_path / "a"):
        contents.append([path.read_bytes() for path in write_report(folder)])
    assert contents[0] == contents[1] == contents[2]
    assert contents[0][1].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (1, ["score of one seed"]),
        (2, ["mean, no difference shown", "one seed"]),
        (5, ["mean, no difference shown", "one seed", "95 % interval of V"]),
    ],
)
@pytest.mark.parametrize(("score", "chance"), [(1.0, []), (9.0, ["chance"])])
def test_the_legend_speaks_only_of_what_is_drawn(seeds, words, score, chance):
    from lstm_jax.analysis.forest import forest_figure

    figure = forest_figure(compare(Made(seeds=seeds, spread=0.0).rows(V=score, NFG=score)))
    words = words + chance
    assert [text.get_text() for text in figure.legends[0].get_texts()] == words


def test_a_set_to_be_continued_shows_what_the_present_step_gives():
    def table(task):
        return overview(compare(Made(task).rows(V=9.0, NFG=9.5)))

    assert f"| *{REGRESSION}* | – | *9.04* |" in table("jsb_chorales") and REGRESSION not in table("music")


def test_a_figure_exists_for_any_number_of_tasks(tmp_path):
    from lstm_jax.analysis.forest import forest_figure

    for count in (1, 2, 3):
        rows = [row for n in range(count) for row in Made(f"task{n}", seeds=1).rows(V=1.0, NFG=2.0)]
        panels = [axes for axes in forest_figure(compare(rows)).axes if axes.get_visible()]
        assert [axes.get_title("left").lstrip("abc ") for axes in panels] == [f"task{n}" for n in range(count)]


def test_embedding_replaces_what_stands_between_the_markers_and_nothing_else(tmp_path):
    write_rows(tmp_path / "results.csv", Made().rows(V=1.0, NFG=2.0))
    section = readme_section(tmp_path)
    text = "before\n<!-- begin: gate_ablation -->\nold\n<!-- end: gate_ablation -->\nafter\n"
    fresh = embed(text, "gate_ablation", section)
    assert fresh.startswith("before\n") and fresh.endswith("\nafter\n") and "old" not in fresh and section in fresh
    assert embed(fresh, "gate_ablation", section) == fresh
    assert embed(fresh, "gate_ablation", section.replace("NFG", "NPG")) != fresh


@pytest.mark.parametrize("text", ["", "<!-- begin: x -->", "<!-- end: x -->\n<!-- begin: x -->"])
def test_missing_markers_are_named(text):
    with pytest.raises(ValueError, match="<!-- begin: x --> and <!-- end: x -->"):
        embed(text, "x", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (9.87654, "9.877"),
        (1.2e-5, "1.2e-05"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (0.0, "0.0000"),
        (-0.5, "-0.5000"),
    ],
)
def test_numbers_are_short(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("means", "scale"), [({"V": 1.0, "NFG": 2.0}, "linear"), ({"V": 0.001, "NFG": 2.0}, "log")])
def test_errors_of_different_magnitude_are_drawn_on_a_logarithmic_axis(means, scale):
    from lstm_jax.analysis.forest import forest_figure

    figure = forest_figure(compare(Made(spread=1e-5).rows(**means)))
    assert figure.axes[0].get_xscale() == scale


def panel(task: str, metric: str, chance: float, **scores: tuple[float, ...]):
    """The drawn axes of a task with these scores."""
    from lstm_jax.analysis.forest import forest_figure

    rows = [
        TRIAL._replace(
            task=task, variant=variant, seed=seed, metric=metric, higher_is_better=metric == "accuracy",
            chance=chance, test=score,
        )
        for variant, values in scores.items()
        for seed, score in enumerate(values)
    ]  # fmt: skip
    return forest_figure(compare(rows)).axes[0]


def drawn_chance(axes) -> tuple[list[float], list[str]]:
    """Where dashed lines stand, and what the edge says."""
    lines = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    return lines, [text.get_text() for text in axes.texts if "chance" in text.get_text()]


def test_chance_on_the_axis_is_a_line_and_never_an_arrow_to_outside():
    axes = panel("adding", "mse", 11.2, V=(35.0, 35.5, 36.0), NFG=(30.0, 39.0, 49.0))
    low, high = axes.get_xlim()
    assert low <= 11.2 <= high
    assert drawn_chance(axes) == ([11.2], [])


@pytest.mark.parametrize(("chance", "text"), [(90.0, "chance 90 →"), (0.0, "← chance 0")])
def test_chance_far_from_the_axis_is_its_value_at_the_edge(chance, text):
    axes = panel("adding", "mse", chance, V=(50.0, 50.1), NFG=(50.2, 50.3))
    assert drawn_chance(axes) == ([], [text])


def test_drawn_intervals_stay_where_scores_can_be():
    axes = panel("order", "accuracy", 0.25, V=(0.3, 0.6, 0.99), NFG=(0.9, 0.95, 1.0))
    low, high = axes.get_xlim()
    assert -0.1 <= low <= 0 and 1 <= high <= 1.1
    ends = [value for line in axes.lines if line.get_linestyle() == "-" for value in line.get_xdata()]
    assert ends and min(ends) >= 0 and max(ends) <= 1
    low, high = panel("adding", "mse", 0.1, V=(0.1, 0.5, 0.9), NFG=(0.3, 0.6, 1.0)).get_xlim()
    assert -0.1 * high < low <= 0


def test_what_computed_the_rows_is_told_once_a_device():
    rows = [TRIAL._replace(device=device, commit=commit) for device, commit in ("xb", "xa", "xb", "ya")]
    assert computed_by(rows) == "x, commits a, b; y, commit a"
