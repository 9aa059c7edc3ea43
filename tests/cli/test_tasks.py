"""``lstm-jax tasks``: one line a task, and sample sequences that can be read."""

from __future__ import annotations

import re

import pytest

from lstm_jax.cli import main
from lstm_jax.tasks import TASKS


def shown(capsys, *arguments: str) -> list[str]:
    assert main(["tasks", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def line(lines: list[str], name: str) -> str:
    """What stands beside a name, the first time."""
    found = next(text for text in lines if re.match(rf"{name}(  |$)", text))
    return found[len(name) :].strip()


def test_each_task_is_one_line_with_metric_chance_and_the_row_to_beat(capsys):
    lines = shown(capsys)
    rows = {text.split()[0]: text for text in lines if text.split()[:1] and text.split()[0] in TASKS}
    assert list(rows) == list(TASKS)
    for name, row in rows.items():
        task = TASKS[name]()
        assert all(part in row for part in (task.metric, task.summary, task.published or "–", f"length={task.length}"))
    assert sum(bool(text.strip()) for text in lines) == len(TASKS) + 2  # header and rule: nothing is wrapped
    assert shown(capsys, "list") == lines


def test_a_copy_task_is_shown_in_digits_and_dots_beside_its_targets(capsys):
    lines = shown(capsys, "show", "copy", "--length", "5", "--remember", "3", "--symbols", "4", "--count", "1")
    text, answer = line(lines, "input"), line(lines, "target")
    assert re.fullmatch(r"[1-4]{3}\.{4}5\.{3}", text) and answer == "0" * 8 + text[:3]
    assert line(lines, "counted") == "^" * 11
    assert lines[0] == "copy: repeat 10 symbols after a wait" and "length=5, remember=3, symbols=4; nll ↓" in lines[1]


def test_an_alphabet_is_shown_in_its_letters_and_the_answer_under_the_step_that_counts(capsys):
    lines = shown(capsys, "show", "temporal_order", "--length", "20", "--count", "1")
    text = line(lines, "input")
    assert re.fullmatch(r"E[abcdXY]+B", text)
    right = "".join("01"[letter == "Y"] for letter in text if letter in "XY")
    assert line(lines, "target") == str(int(right, 2)) and line(lines, "counted") == "^"
    assert next(text for text in lines if text.startswith("counted")).index("^") == 9 + len(text) - 1


def test_real_channels_are_shown_as_a_curve_and_as_numbers(capsys):
    lines = shown(capsys, "show", "adding", "--length", "12", "--count", "1")
    numbers = [
        float(word) for word in lines[lines.index(next(t for t in lines if t.startswith("input 0"))) + 1].split()
    ]
    curve, marks = line(lines, "input 0"), line(lines, "input 1")
    assert len(curve) == len(marks) == len(numbers) == 12 and set(curve) <= set("▁▂▃▄▅▆▇█") and marks.count("1") == 2
    assert curve[numbers.index(max(numbers))] == "█" and curve[numbers.index(min(numbers))] == "▁"
    total = sum(number for number, mark in zip(numbers, marks, strict=True) if mark == "1")
    assert float(line(lines, "target")) == pytest.approx(total, abs=0.02)


def test_count_and_seed_choose_the_sequences(capsys):
    three = shown(capsys, "show", "copy", "--length", "2", "--count", "3")
    assert [text for text in three if text.startswith("sequence")] == [f"sequence {n}, 22 steps" for n in range(3)]
    again = shown(capsys, "show", "copy", "--length", "2", "--count", "3", "--seed", "0")
    other = shown(capsys, "show", "copy", "--length", "2", "--count", "3", "--seed", "1")
    assert three == again != other


def test_a_picture_is_drawn_for_those_who_ask(tmp_path, capsys):
    path = tmp_path / "new" / "copy.png"
    assert shown(capsys, "show", "copy", "--length", "2", "--png", str(path))[-1] == f"wrote {path}"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_help_of_a_task_lists_its_options_with_their_defaults(capsys):
    for arguments, parts in (
        (["show", "--help"], ["--count INT", "--png", "tasks show NAME --help"]),
        (["show", "parity", "--help"], ["--length INT", "(default: 40)", "--every-step", "--seed INT"]),
        (["--help"], ["tasks show NAME"]),
    ):
        assert main(["tasks", *arguments]) == 0
        out = capsys.readouterr().out
        assert all(part in out for part in parts) and out.startswith("usage: lstm-jax tasks")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["shw"], "did you mean 'show'"),
        (["show"], "required"),
        (["show", "addin"], "unknown task 'addin'; did you mean 'adding'"),
        (["show", "--count", "2", "adding"], "name the task first"),
        (["show", "adding", "--lenght", "3"], "--length"),
        (["show", "adding", "--length", "1"], "length must be >= 2, got 1"),
        (["show", "group_words", "--group", "a5"], "did you mean 'A5'"),
        (["show", "adding", "--count", "0"], "count must be >= 1"),
        (["show", "adding", "--seed", str(2**64)], "seed from 0 to"),
        (["show", "adding", "--length", str(10**12)], "adding cannot be that large"),
    ],
)
def test_a_typo_is_a_usage_error_that_suggests_the_nearest(arguments, hint, capsys):
    assert main(["tasks", *arguments]) == 2
    written = capsys.readouterr()
    assert hint in written.out + written.err
