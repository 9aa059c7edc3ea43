"""The report of a search follows its results and nothing but its results."""

from __future__ import annotations

import base64
import math
import random
import re
from pathlib import Path

import pytest
from fabricated import NINE, SPEECH, around, drawn, scored, trial

from lstm_jax.analysis.page import Bullets, Heading, Paragraph, Picture, Table, to_html, to_markdown
from lstm_jax.analysis.report import embed, span
from lstm_jax.analysis.search_figures import LINE, best_figure
from lstm_jax.analysis.search_report import readme_section, short_section, write_search_report
from lstm_jax.analysis.search_tables import best_table, winner_table
from lstm_jax.analysis.tuning_figures import hyper_figure, importance_figure
from lstm_jax.cli.report import publish, run
from lstm_jax.studies.collect import Row, write_rows
from lstm_jax.studies.search import Search, analyse

NEVER = {"test": math.nan, "validation": math.nan, "test_by_sequence": math.nan, "diverged": True, "best_step": 0}
FILES = ["report.md", "report.html", "best.png", "hyper.png", "importance.png"]


def quick(rows: list[Row]) -> Search:
    return analyse(rows, trees=4, resamples=2)


def rows_of_a_search() -> list[Row]:
    music = [row for name in ("V", "NFG") for row in drawn(name, 17, lambda row: 8.5 + row.input_noise)]
    speech = [row for name in ("V", "NFG") for row in drawn(name, 4, lambda row: 0.9 - row.input_noise / 2, **SPEECH)]
    stopped = trial(variant="NP", commit="def", device="gpu", **NEVER)
    return [*music, *speech, stopped, trial(9.5, variant="NP", seed=1, test_by_sequence=math.nan)]


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("search")
    write_rows(folder / "results.csv", rows_of_a_search())
    return write_search_report(folder)


def cells(markdown: str) -> list[str]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [cell.strip() for line in lines for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_it_writes_a_report_twice_and_its_figures(written):
    assert [path.name for path in written] == FILES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written[2:])


def test_the_report_is_a_pure_function_of_the_results(written, tmp_path):
    shuffled = random.Random(0).sample(rows_of_a_search(), len(rows_of_a_search()))
    write_rows(tmp_path / "results.csv.gz", shuffled)
    again = write_search_report(tmp_path, tmp_path / "elsewhere")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]
    assert again[0].parent == tmp_path / "elsewhere"


def test_the_page_holds_every_figure_and_no_link_script_or_other_file(written):
    page = written[1].read_text()
    embedded = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert [base64.b64decode(text) for text in embedded] == [path.read_bytes() for path in written[2:]]
    assert not re.search(r"https?:|//|<script|<link|<a |<iframe|@import|url\(", re.sub(r'src="[^"]+"', "", page))
    assert "prefers-color-scheme: dark" in page and 'class="right"' in page


def test_page_and_markdown_say_the_same(written):
    page = written[1].read_text()
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for cell in cells(written[0].read_text()):
        if not re.fullmatch(r":?-+:?", cell):
            assert cell.replace("<", "&lt;").replace("'", "&#x27;").replace(">", "&gt;") in plain


def test_no_nan_or_infinity_is_printed_as_a_number(written):
    for cell in cells(written[0].read_text()):
        assert not re.search(r"\b(nan|inf)\b", cell), cell


def test_the_report_tells_what_was_run(written):
    text = written[0].read_text()
    assert "44 trials, seeds 0 to 16, 1 of them stopped by a NaN or infinity." in text
    assert "0.4400 h (100 trials an hour)" in text
    assert "Commit: abc, def." in text and "Device: cpu, gpu." in text
    assert "| NFG | 17 | 0 | 0 | 4 | 0 | 0 |" in text and "| all | 36 | 1 | 1 | 8 | 0 | 0 |" in text


def test_the_report_states_the_metric_and_the_number_selected(written):
    text = written[0].read_text()
    assert "binary cross-entropy summed over 88 keys, nats, mean over predicted steps" in text
    assert "best 2 to 5 trials of 2 to 17" in text and "best 4 trials of 4" in text
    for rule in ("counts as the worst finite test score", "chosen by validation", "count as chance", "Holm"):
        assert rule in text


def test_the_claims_stand_in_the_report_with_status_and_rule(written):
    text = written[0].read_text()
    assert re.search(r"\| 8 \| the best results \| .*all recalled \| recalled \| \S", text)
    assert len(re.findall(r"^- Claim \d+\. ", text, re.M)) == 16


def test_the_table_flips_when_the_results_flip():
    def marks(mean: float) -> list[str]:
        search = quick(scored("V", around(8.5, 60, 0.05)) + scored("NFG", around(mean, 60, 0.05)))
        return [row[7] for row in best_table(search.tasks[0], "V").rows]

    assert marks(9.0) == ["", "▼ worse"] and marks(8.0) == ["", "▲ better"] and marks(8.5) == ["", ""]


def test_two_trials_give_a_report_without_an_analysis_of_hyperparameters(tmp_path):
    write_rows(tmp_path / "results.csv", drawn("V", 2, lambda row: 9.0) + drawn("NP", 2, lambda row: 9.5))
    paths = write_search_report(tmp_path)
    assert [path.name for path in paths] == FILES[:3]
    assert "fewer than 30 trials, or nothing varies" in paths[0].read_text()


def test_a_variant_whose_trials_all_diverged_is_drawn_as_an_arrow_at_the_edge():
    rows = [row for name in ("V", "NP", "NIG") for row in scored(name, around(9.0, 8, 0.05))]
    search = quick(rows + [trial(variant="NFG", seed=n, **NEVER) for n in range(8)])
    axes = best_figure(search).axes[0]
    assert "median 11" in [text.get_text() for text in axes.texts]
    assert axes.get_ylim()[1] < 10
    assert {row[0]: row[2] for row in winner_table(search.tasks[0]).rows}["NFG"] == "–"


def test_the_published_figure_of_the_chorales_is_drawn_where_it_is_near_and_named():
    def drawn_at(task: str, mean: float) -> tuple[list[float], list[str]]:
        figure = best_figure(quick(scored("V", around(mean, 8, 0.1), task=task)))
        heights = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_color() == LINE]
        return heights, [text.get_text() for text in figure.legends[0].get_texts() if "Bai" in text.get_text()]

    assert drawn_at("jsb_chorales", 8.5) == ([8.45], ["LSTM of Bai et al. 2018, 8.45"])
    assert drawn_at("jsb_chorales", 10.0) == drawn_at("nottingham", 8.5) == ([], [])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_panel_exists_for_any_number_of_tasks(count):
    search = quick([row for n in range(count) for row in scored("V", around(9.0, 3, 0.1), task=f"task{n}")])
    panels = [axes for axes in best_figure(search).axes[: len(search.tasks)] if axes.get_visible()]
    assert [axes.get_title("left").lstrip("abc ") for axes in panels] == [f"task{n}" for n in range(count)]
    assert hyper_figure(search) is None and importance_figure(search) is None


def test_hyperparameters_have_a_column_each_and_tasks_a_row():
    rows = [row._replace(momentum=0.5) for row in drawn("V", 40, lambda row: 8.5 + row.input_noise)]
    search = quick([*rows, *(row._replace(task="other") for row in rows)])
    figure = hyper_figure(search)
    assert [axes.get_xlabel() for axes in figure.axes] == [""] * 3 + ["learning rate", "hidden size", "input noise"]
    assert all(len(axes.collections[0].get_offsets()) == 40 for axes in figure.axes)
    bars = importance_figure(search).axes[0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["score", "score"]


def test_shares_of_score_and_of_training_time_are_drawn_to_a_hundred_percent():
    rows = [row._replace(best_step=row.hidden_size) for row in drawn("V", 40, lambda row: 8.5 + row.input_noise)]
    bars = importance_figure(quick(rows)).axes[0]
    assert [text.get_text() for text in bars.get_yticklabels()] == ["score", "training time"]
    ends = [patch.get_x() + patch.get_width() for patch in bars.patches]
    assert max(ends) == pytest.approx(100.0)


def test_the_readme_section_holds_best_trials_and_claims_and_can_be_embedded(written):
    section = readme_section(written[0].parent)
    assert "| variant | parameters | mean |" in section and "| 16 | NOAF fails" in section
    text = "a\n<!-- begin: odyssey -->\nold\n<!-- end: odyssey -->\nb\n"
    assert embed(embed(text, "odyssey", section), "odyssey", section).count(section) == 1


def test_the_short_form_has_a_column_a_task_marks_and_verdicts_and_no_evidence(tmp_path):
    good, bad = [9.0 + 0.01 * n for n in range(8)], [9.9 + 0.01 * n for n in range(8)]
    rows = [*scored("V", good), *scored("NIG", bad), *scored("NP", good)]
    other = [row._replace(task="other") for row in [*scored("V", bad), *scored("NIG", bad)]]
    write_rows(tmp_path / "results.csv", [*rows, *other])
    lines = short_section(tmp_path).splitlines()
    (nig,) = [line for line in lines if line.startswith("| NIG |")]
    (peepless,) = [line for line in lines if line.startswith("| NP |")]
    assert re.fullmatch(r"\| NIG \| \+0\.9 \[[^]]+\] ▼ \| 0 \[[^]]+\] \|", nig), nig
    assert peepless.endswith("| – |") and "▼" not in peepless
    assert "| 1 | no variant beats V significantly | on none of three data sets | not decided |" in lines
    assert any(line.startswith("| 4 | ") and line.endswith("| contradicted on jsb_chorales |") for line in lines)
    assert "best 5 trials of 8" in short_section(tmp_path) and "evidence" not in short_section(tmp_path)


def test_each_readme_gets_the_forms_that_it_has_markers_for(tmp_path):
    write_rows(tmp_path / "results.csv", [row for name in NINE[:2] for row in drawn(name, 3, lambda row: 9.0)])
    readmes = [tmp_path / name for name in ("long.md", "short.md", "neither.md")]
    for path, name in zip(readmes, ("odyssey", "odyssey/short", "other"), strict=True):
        path.write_text(f"<!-- begin: {name} -->\n<!-- end: {name} -->\n")
    long, short, neither = ([str(tmp_path), "--name", "odyssey", "--readme", str(path)] for path in readmes)
    assert run(long) == run(short) == 0
    assert readme_section(tmp_path) in readmes[0].read_text() and short_section(tmp_path) in readmes[1].read_text()
    with pytest.raises(ValueError, match="<!-- begin: odyssey -->"):
        run(neither)


def test_the_command_chooses_the_report_that_fits_the_results(tmp_path, capsys):
    same = [row for name in NINE[:2] for row in scored(name, [9.0, 9.1])]
    search = [row for name in NINE[:2] for row in drawn(name, 3, lambda row: 9.0 + row.input_noise)]
    for name, rows in (("same", same), ("search", search)):
        (tmp_path / name).mkdir()
        write_rows(tmp_path / name / "results.csv", rows)
    assert [path.name for path in publish(tmp_path / "same")] == ["table.md", "figure.png"]
    readme = tmp_path / "README.md"
    readme.write_text("<!-- begin: odyssey -->\n<!-- end: odyssey -->\n")
    assert run([str(tmp_path / "search"), "--readme", str(readme), "--name", "odyssey"]) == 0
    assert "| 1 | no variant beats V" in readme.read_text()
    told = capsys.readouterr().out
    assert "claims of the Odyssey: 16 not decided" in told and "best.png" in told and "NIG" in told


BLOCKS = (
    Heading(1, "A & B"),
    Paragraph("One `two` < three."),
    Bullets(("four", "five")),
    Table(("name", "value"), "lr", (("a|b", "1.5"),)),
    Picture("p.png", "What it shows. In detail."),
)


def test_blocks_become_markdown():
    assert to_markdown(BLOCKS) == (
        "# A & B\n\nOne `two` < three.\n\n- four\n- five\n\n| name | value |\n| --- | ---: |\n| a\\|b | 1.5 |\n\n"
        "![What it shows](p.png)\n\nWhat it shows. In detail.\n"
    )


def test_blocks_become_a_page_that_escapes_what_they_say():
    page = to_html(BLOCKS, {"p.png": b"\x89PNG" + bytes(12) + (400).to_bytes(4, "big") + bytes(9)})
    assert "<title>A &amp; B</title>" in page and "<p>One <code>two</code> &lt; three.</p>" in page
    assert '<td>a|b</td><td class="right">1.5</td>' in page
    assert '<img width="150" alt="What it shows"' in page


def test_intervals_without_spread_have_infinite_ends():
    assert span(-math.inf, math.inf) == "[−∞, ∞]" and span(math.nan, math.nan) == "–"
