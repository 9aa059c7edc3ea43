"""The tables on language follow from the results in folders alone."""

import math

import pytest
from fabricated import trial

from lstm_jax.analysis.language_report import both, readme_section
from lstm_jax.studies.collect import read_table, write_rows, write_table
from lstm_jax.studies.language import Score

SCORES = [
    Score("tiny_shakespeare", "5 in a row, counted", 0, 0, 1.75, 1.7, 1.725, 0.0),
    Score("tiny_shakespeare", "V", 1_200_000, 3000, 1.5, 1.4, 1.45, 31.6),
    Score("tiny_shakespeare", "V, still learning", 1_200_000, 3000, 1.4, 1.3, 1.35, 31.6),
]


def test_models_stand_in_the_order_of_their_scores_the_published_one_among_them(tmp_path):
    write_table(tmp_path / "scores.csv", Score, SCORES)
    assert read_table(tmp_path / "scores.csv", Score) == SCORES
    (tmp_path / "manifest.json").write_text('{"commit": "0123456789abcdef", "dirty": false, "processor": "a cpu"}')
    text = readme_section(tmp_path)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| tiny_shakespeare")]
    known = ["V", "a small transformer (nanoGPT, recalled)", "5 in a row, counted"]
    assert [row[1] for row in rows] == [*known, "V, still learning"]  # who learned from the test part is no rival
    assert rows[0][2:] == ["1,200,000", "1.5000 (2.164)", "1.4000 (2.020)", "1.4500 (2.092)", "3,000", "32 |"]
    assert rows[1][3] == rows[2][2] == "–" and "(a cpu, commit 0123456789ab)" in text


def test_gates_stand_in_nats_and_bits(tmp_path):
    (tmp_path / "gates").mkdir()
    options = {"task": "tiny_shakespeare", "metric": "nll", "higher_is_better": False, "seconds": 30.0}
    rows = [trial(variant=cell, seed=n, test=math.log(2) * (2 + 2 * (cell == "NFG") + 0.001 * n), **options)
            for cell in ("V", "NFG") for n in range(3)]  # fmt: skip
    write_rows(tmp_path / "gates" / "results.csv", rows)
    text = readme_section(tmp_path)
    assert "| V | 2.001 |" in text and "| NFG | 4.001 |" in text and "▼" in text
    assert "6 networks, 3 minutes of one core" in text
    assert both(math.nan) == "–"


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results"):
        readme_section(tmp_path)
