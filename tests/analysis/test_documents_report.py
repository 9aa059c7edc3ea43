"""The tables on documents follow from the results in folders alone."""

from __future__ import annotations

import pytest
from fabricated import trial

from lstm_jax.analysis.documents_report import readme_section
from lstm_jax.studies.collect import write_rows, write_table
from lstm_jax.studies.documents import Score
from lstm_jax.studies.pace import Pace


def test_models_stand_in_the_order_of_their_area(tmp_path):
    scores = [
        Score("spam_words", "–", "majority", 0, 0, 0.7, 0.71, 0.0, 0.5, 0.0),
        Score("spam_words", "words", "V", 160_000, 900, 0.96, 0.95, 0.91, 0.99, 2.4),
    ]
    write_table(tmp_path / "scores.csv", Score, scores)
    (tmp_path / "manifest.json").write_text('{"commit": "0123456789abcdef", "dirty": false, "processor": "a cpu"}')
    rows = [line for line in readme_section(tmp_path).splitlines() if line.startswith("| spam_words")]
    assert rows == [
        "| spam_words | V | words | 160,000 | 96.00 | 95.00 | 91.00 | 99.00 | 900 | 2 |",
        "| spam_words | majority | – | – | 70.00 | 71.00 | 0.00 | 50.00 | – | – |",
    ]
    assert "(a cpu, commit 0123456789ab)" in readme_section(tmp_path)


def test_gates_and_the_pace_of_batches_stand_beside_them(tmp_path):
    options = {"task": "spam_words", "metric": "accuracy", "higher_is_better": True, "seconds": 30.0, "chance": 0.7}
    rows = [trial(variant=cell, seed=n, test=score + 0.001 * n, **options)
            for cell, score in (("V", 0.95), ("NFG", 0.75)) for n in range(3)]  # fmt: skip
    (tmp_path / "gates").mkdir()
    write_rows(tmp_path / "gates" / "results.csv", rows)
    pace = Pace("bucketed", 4, 0.123, 32.0, 2.5, 2.0, 9.7, 50, 5, "a cpu", "abc")
    write_table(tmp_path / "batching.csv", Pace, [pace])
    text = readme_section(tmp_path)
    assert (
        f"| NFG | {rows[-1].parameters:,} | 0.7510" in text
        and "▼" in text
        and "6 networks, 3 minutes of one core" in text
    )
    assert "| bucketed | 4 | 12.3 % | 32.0 | 2.50 | 80 | 9.7 |" in text
    assert "Median of 5 times 50 updates" in text and "(a cpu, commit abc)" in text


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results"):
        readme_section(tmp_path)
