"""The tables on speech follow from the results in a folder alone."""

from __future__ import annotations

import pytest
from fabricated import trial

from lstm_jax.analysis.speech_report import readme_section
from lstm_jax.studies.collect import write_rows, write_table
from lstm_jax.studies.readings import Reading


def manifest(folder):
    (folder / "manifest.json").write_text('{"commit": "0123456789abcdef", "dirty": true, "processor": "a cpu"}')


def results(folder, theo: float):
    for name in ("gates", "unheard"):
        (folder / name).mkdir(parents=True)
    options = {"higher_is_better": False, "commit": "abc", "device": "a cpu", "seconds": 60.0}
    gates = [
        trial(
            task=view,
            variant=cell,
            seed=seed,
            test=0.01 + 0.3 * (cell == "NFG") + 0.001 * seed,
            metric=metric,
            **options,
        )
        for view, metric in (("words", "wrong"), ("strings", "error"))
        for cell in ("V", "NFG")
        for seed in range(3)
    ]
    unheard = [
        trial(task=f"words, {name}", test=score, metric="wrong", **options)
        for name, score in (("george", 0.1), ("theo", theo))
    ]
    write_rows(folder / "gates" / "results.csv", gates)
    write_rows(folder / "unheard" / "results.csv", unheard)
    readings = [Reading("words", "six", "six", "six", "six"), Reading("words", "two", "to", "two", "ten")]
    manifest(folder)
    write_table(folder / "readings.csv", Reading, [*readings, Reading("strings", "0123", "0123", "0123", "")])


def test_the_section_has_gates_speakers_and_readings(tmp_path):
    results(tmp_path / "a", theo=0.3)
    text = readme_section(tmp_path / "a")
    line = next(line for line in text.splitlines() if line.startswith("| NFG"))
    assert line.count("▼") == 2
    assert "| george | 10.00 % |" in text and "| theo | 30.00 % |" in text and "| *mean* | 20.00 % |" in text
    assert "| words | 2 | 16.67 % | 50.00 % | 0.00 % | 0.00 % | 50.00 % |" in text
    assert "| strings | 1 | 0.00 % | 0.00 % | 0.00 % | 0.00 % | – |" in text
    assert "14 networks, 14 minutes of one core (a cpu, commit abc)" in text
    results(tmp_path / "b", theo=0.5)
    assert "| *mean* | 30.00 % |" in readme_section(tmp_path / "b")


def test_unheard_speakers_have_a_column_for_each_view_that_was_read_to_them(tmp_path):
    results(tmp_path, theo=0.3)
    assert "part. Words: share with any letter wrong. Greedy readings.\n\n| speaker | words |" in readme_section(
        tmp_path
    )
    scores = {"words, george": 0.1, "words, theo": 0.3, "strings, theo": 0.04}
    rows = [trial(task=task, test=score, higher_is_better=False) for task, score in scores.items()]
    write_rows(tmp_path / "unheard" / "results.csv", rows)
    text = readme_section(tmp_path)
    assert "Words: share with any letter wrong; strings: errors a digit. Greedy readings.\n\n| speaker | words" in text
    lines = ("| george | 10.00 % | – |", "| theo | 30.00 % | 4.00 % |", "| *mean* | 20.00 % | 4.00 % |")
    assert all(line in text for line in lines)


def test_several_folders_make_one_section(tmp_path):
    results(tmp_path / "a", theo=0.3)
    (tmp_path / "best").mkdir()
    for name in ("readings.csv", "manifest.json"):
        (tmp_path / "a" / name).rename(tmp_path / "best" / name)
    results(tmp_path / "b", theo=0.3)
    text = readme_section(tmp_path / "a", tmp_path / "best")
    assert text == readme_section(tmp_path / "b") and "Lexicon: the most probable" in text
    assert "(a cpu, commit 0123456789ab+changes)" in text


def test_parts_that_were_not_run_are_left_out(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no results"):
        readme_section(tmp_path)
    write_table(tmp_path / "readings.csv", Reading, [Reading("words", "six", "six", "six", "six")])
    manifest(tmp_path)
    assert "### One good network" in readme_section(tmp_path) and "Gates" not in readme_section(tmp_path)
