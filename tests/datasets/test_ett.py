"""Electricity transformers: the file, made up or real, its windows, and the view of them."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, chance, load, rows
from lstm_jax.datasets.ett import CHANNELS, ENDS, calendar, parse, read_hours, scaled, view, window_starts, windows

FIRST = datetime(2016, 7, 1)


def lines(hours: int = ENDS["test"] + 5, seed: int = 0) -> list[str]:
    """A file of noise around slow walks."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(hours, 7)) + 0.02 * rng.normal(size=(hours, 7)).cumsum(0)
    dates = (FIRST + timedelta(hours=n) for n in range(hours))
    return [",".join(("date", *CHANNELS)), *(f"{d},{','.join(f'{v:.4f}' for v in r)}" for d, r in zip(dates, values))]  # noqa: B905


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """Both files, the first compressed, and their parts."""
    folder = tmp_path_factory.mktemp("ett")
    (folder / "ETTh1.csv.gz").write_bytes(gzip.compress("\n".join(lines()).encode()))
    (folder / "ETTh2.csv.gz").write_bytes("\r\n".join(lines(seed=1)).encode())
    parsed = parse((folder / "ETTh1.csv.gz", folder / "ETTh2.csv.gz"))
    parts = {part: list(found) for part, found in parsed.items()}
    return {part: {name: [row[name] for row in found] for name in found[0]} for part, found in parts.items()}


def test_parts_are_twelve_four_and_four_months_one_after_the_other(made_up):
    assert {part: (found["begin"], [len(v) for v in found["values"]]) for part, found in made_up.items()} == {
        "train": ([0, 0], [8640, 8640]), "validation": ([8640, 8640], [11520, 11520]),
        "test": ([11520, 11520], [14400, 14400]),
    }  # fmt: skip
    assert made_up["test"]["series"] == ["h1", "h2"] and made_up["test"]["weekday"] == [4, 4]
    train, test = (scaled({"values": made_up[part]["values"][0]}) for part in ("train", "test"))
    np.testing.assert_allclose(train.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(0), 1, rtol=1e-4)
    np.testing.assert_array_equal(test[:8640], train)  # the same scale everywhere


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: ["time", *found[1:]], "expected the columns 'date,HUFL"),
        (lambda found: [*found, "2018-02-21"], "hour 14405: expected a date and 7 numbers, got '2018-02-21'"),
        (lambda found: found[:5000], "expected 14400 hours or more, got 4999"),
        (
            lambda found: [*found[:80], *found[81:]],
            "hour 79: expected the hour after the last and no gap, got 2016-07-04",
        ),
        (lambda found: [*found[:9], found[9] + ",3", *found[10:]], "hour 8: expected a date and 7 numbers"),
        (lambda found: [*found[:9], found[9].replace(",", ",x", 1), *found[10:]], "hour 8: expected a date and 7 num"),
        (
            lambda found: [*found[:9], found[9].rsplit(",", 1)[0] + ",nan", *found[10:]],
            "hour 8: expected the hour after",
        ),
    ],
)
def test_a_damaged_file_is_named_with_the_hour(tmp_path, change, message):
    path = tmp_path / "ETTh1.csv"
    path.write_text("\n".join(change(lines())))
    with pytest.raises(RawDataError, match="ETTh1.csv: ") as caught:
        read_hours(path)
    assert message in str(caught.value)


def test_the_calendar_turns_once_a_day_and_once_a_week():
    dates = calendar(weekday=2, hour=5, count=400)
    np.testing.assert_allclose(dates[24:, [0, 2]], dates[:-24, [0, 2]], atol=1e-5)
    np.testing.assert_allclose(dates[168:], dates[:-168], atol=1e-5)
    hours = np.round(np.arctan2(dates[:, 1], dates[:, 3]) * 168 / (2 * np.pi), 2) % 168
    np.testing.assert_allclose(hours, (2 * 24 + 5 + np.arange(400)) % 168)
    assert np.unique(np.round(dates[:168], 4), axis=0).shape[0] == 168


def test_every_horizon_lies_in_its_part_and_contexts_reach_back():
    assert window_starts(14400, 11520, 336, 96, 1).tolist() == list(range(11184, 13969))  # 2785, as in the literature
    assert window_starts(8640, 0, 336, 96, 100)[0] == 0
    with pytest.raises(ValueError, match="no window of 3000 \\+ 200"):
        window_starts(3100, 0, 3000, 200, 1)


def test_windows_are_relative_to_their_context_and_back(made_up):
    cut = windows(made_up["validation"], "h2", 48, 24, 50)
    series = scaled({"values": made_up["validation"]["values"][1]})
    np.testing.assert_array_equal(cut.values[3], series[8640 - 48 + 150 : 8640 - 48 + 150 + 72])
    relative = cut.relative(cut.values)
    np.testing.assert_allclose(relative[:, :48].mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(relative[:, :48].std(1), 1, rtol=1e-3)
    np.testing.assert_allclose(cut.absolute(relative), cut.values, atol=1e-4)


def test_the_view_predicts_the_next_hour_of_the_horizon(made_up):
    cut, seen = windows(made_up["test"], "h1", 30, 12, 60), view(made_up["test"], "h1", 30, 12, 60)
    values = cut.relative(cut.values)
    assert seen.inputs.shape == (len(values), 41, 11) and (seen.lengths == 41).all()
    np.testing.assert_array_equal(seen.inputs[:, :, :7], values[:, :-1])
    np.testing.assert_array_equal(seen.targets, values[:, 1:])
    np.testing.assert_array_equal(seen.inputs[:, :, 7:], cut.dates[:, 1:])
    assert not seen.loss_mask[:, :29].any() and seen.loss_mask[:, 29:].all()
    np.testing.assert_array_equal(
        seen.targets[:, 29], values[:, 30]
    )  # the first that counts is the first unknown hour


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"series": "h3"}, "ett: no series 'h3'; did you mean 'h2'? known: h1, h2"),
        ({"context": 1}, "context must be an integer >= 2, got 1"),
        ({"horizon": 0}, "horizon must be an integer >= 1, got 0"),
        ({"every": 2.0}, "every must be an integer >= 1, got 2.0"),
    ],
)
def test_impossible_windows_are_refused(made_up, options, message):
    with pytest.raises(ValueError) as caught:
        view(made_up["test"], **{"series": "h1", "context": 30, "horizon": 12, "every": 60, **options})
    assert message in str(caught.value)


def test_the_real_files_have_the_published_hours(raw_data):
    if raw_data is None:
        assert [file.digest is not None for file in DATASETS["ett"].files] == [True, True]
        return
    found = rows("ett", "test", raw_data)
    assert found["series"] == ["h1", "h2"] and [values.shape for values in found["values"]] == [(14400, 7)] * 2
    np.testing.assert_allclose(found["values"][0][0, [0, 6]], [5.827, 30.531], rtol=1e-5)
    assert load("ett", "train", raw_data).inputs.shape == (353, 191, 11)
    assert 0 < chance("ett", raw_dir=raw_data) < 2
