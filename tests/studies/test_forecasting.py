"""The comparison of forecasts from training to table, on made-up hours."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest

import lstm_jax.datasets
from lstm_jax.analysis.forecast_report import forecast_figure, publish, readme_section
from lstm_jax.datasets.ett import ENDS
from lstm_jax.datasets.series import view, windows
from lstm_jax.studies import forecasting
from lstm_jax.studies.collect import read_table, write_table
from lstm_jax.studies.forecasting import Plan, ScoreRow, run
from lstm_jax.studies.forecasts import sample_forward, score_samples, shorter
from lstm_jax.studies.subjects import SUBJECTS
from lstm_jax.train import Config, DataConfig, ModelConfig, TrainConfig, load_run, loop
from lstm_jax.train.loop import Summary


def rows(name: str, part: str) -> dict[str, list]:
    """One series with a daily rhythm."""
    hours = np.arange(ENDS[part])[:, None]
    values = (
        np.sin(2 * np.pi * (hours + np.arange(7)) / 24) + np.random.default_rng(0).normal(size=(len(hours), 7)) / 9
    )
    begin = {"train": 0, "validation": ENDS["train"], "test": ENDS["validation"]}[part]
    fixed = {"train": [ENDS["train"]], "step": ["hour"], "first": ["2016-07-01"]}
    return {"series": ["h1"], "values": [values.astype(np.float32)], "begin": [begin], **fixed}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A plan that ran, its folder, and its scores."""
    window = {"series": "h1", "context": 30, "horizon": 6, "every": 500}
    train = TrainConfig(trials=2, steps=2, log_every=2, eval_every=2, checkpoint_every=2)
    config = Config(ModelConfig("NP", 4), data=DataConfig("ett", window, batch_size=8), train=train)
    plan = Plan(SUBJECTS["etth1"], {"NP": config}, 30, (4, 12), 3, 300)
    folder = tmp_path_factory.mktemp("forecasting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm_jax.datasets, "load", lambda name, part, **options: view(rows(name, part), **options))
        patch.setattr(forecasting, "rows", rows)
        return plan, folder, run(plan, folder)


def test_every_model_is_scored_at_every_horizon_on_the_same_windows(finished):
    plan, folder, found = finished
    assert {(row.model, row.seed) for row in found} == {
        ("naive, day", -1), ("drift", -1), ("linear", -1), ("NP", 0), ("NP", 1),
    }  # fmt: skip  # a week does not fit into 30 hours
    assert {row.horizon for row in found} == {4, 12} and len({row.windows for row in found}) == 1
    assert str(read_table(folder / "scores.csv", ScoreRow)) == str(found)
    scores = {row.model: row for row in found if row.horizon == 12 and row.seed < 1}
    assert scores["naive, day"].mse < 0.2 < scores["drift"].mse  # the rhythm repeats, the line does not
    assert 0.7 < scores["linear"].coverage_80 < 0.9


def test_a_network_is_scored_by_its_own_samples(finished):
    plan, folder, found = finished
    config, params = load_run(folder / "runs" / "NP")
    test = windows(rows("ett", "test"), "h1", 30, 12, 300)
    second = jax.tree.map(lambda leaf: leaf[1], params)
    parts = sample_forward(config.model, second, test, plan.samples, jax.random.key(0))
    samples = np.concatenate([samples for _, samples in parts], axis=1)
    for horizon in plan.horizons:
        cut = shorter(test, horizon)
        score = score_samples(samples[:, :, :horizon], cut.values[:, 30:])
        row = next(row for row in found if (row.model, row.seed, row.horizon) == ("NP", 1, horizon))
        np.testing.assert_allclose(row[6:11], [score.mse, score.mae, score.crps, *score.coverage], rtol=1e-4)


def test_table_and_figure_follow_from_the_folder(finished):
    _, folder, found = finished
    table, figure = publish(folder)
    assert table.read_text() == readme_section(folder) + "\n" and figure.stat().st_size > 5000
    with np.load(folder / "fan.npz") as fans:
        assert fans["h1 NP"].shape == (5, 12) and fans["h1 truth"].shape == (42,) and fans["context"] == 30
        scores, panel = forecast_figure(found, {name: fans[name] for name in fans.files}).axes
        lines = {line.get_label(): line.get_ydata() for line in scores.lines}
        assert {"linear", "NP", "naive, day"} <= lines.keys()
        of_cell = [[row.crps for row in found if (row.model, row.horizon) == ("NP", ahead)] for ahead in (4, 12)]
        np.testing.assert_allclose(lines["NP"], np.mean(of_cell, axis=1))
        far = [row._replace(crps=100.0) if row.model == "drift" else row for row in found]
        shown = forecast_figure(far, {name: fans[name] for name in fans.files}).axes[0].lines
        assert "drift" in lines and "drift" not in {line.get_label() for line in shown}
        (line,) = [line for line in panel.lines if line.get_label() == "linear"]
        np.testing.assert_array_equal(line.get_ydata(), fans["h1 linear"])
        errors = ((fans["h1 linear"] - fans["h1 truth"][30:]) ** 2).mean(), ((fans["h1 truth"][30:]) ** 2).mean()
        assert errors[0] < 0.5 * errors[1]  # the rhythm that this series has


ROW = ScoreRow("h1", "V", 0, 24, 90, 1000, 0.4, 0.3, 0.2, 0.79, 0.94, 1.5, "abc", "a cpu")


def lost(seed: int) -> list[ScoreRow]:
    """The row of a seed that diverged."""
    nothing = dict.fromkeys(("mse", "mae", "crps", "coverage_80", "coverage_95"), math.nan)
    return [ROW._replace(seed=seed, **nothing)]


def test_the_best_of_a_column_is_bold_and_seeds_become_an_interval(tmp_path):
    linear = ROW._replace(model="linear", seed=-1, mse=0.3, mae=0.35, crps=0.25, parameters=0)
    networks = [ROW, *(ROW._replace(seed=n, mse=0.4 + n / 100) for n in (1, 2))]
    write_table(tmp_path / "scores.csv", ScoreRow, [linear, *networks])
    text = readme_section(tmp_path)
    assert "| linear | – | **0.300** | 0.350 |" in text and "| V | 1,000 | 0.410 ± 0.025 | **0.300 ± 0.000** |" in text
    assert "| V | 1,000 | **0.200 ± 0.000** | 79 / 94 |" in text and "over 3 seeds" in text and "90 forecasts" in text
    write_table(tmp_path / "scores.csv", ScoreRow, [ROW, *lost(1), ROW._replace(seed=2, mse=0.42)])
    assert "| V | 1,000 | **0.400 / 0.420** |" in readme_section(tmp_path), "an interval of two says nothing"
    assert "Diverged, and left out: V 1." in readme_section(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the experiment first"):
        read_table(tmp_path / "nowhere", ScoreRow)


def test_scores_come_back_as_they_were(tmp_path):
    found = [ROW, ROW._replace(mse=math.nan, seed=-1)]
    write_table(tmp_path / "scores.csv", ScoreRow, found)
    assert str(read_table(tmp_path / "scores.csv", ScoreRow)) == str(found)


def test_an_interrupt_in_training_ends_the_comparison_without_scores(finished, tmp_path, monkeypatch):
    plan, _, _ = finished
    monkeypatch.setattr(forecasting, "rows", rows)
    monkeypatch.setattr(loop, "train", lambda *_, **__: Summary([0], "nll", [], [], {}, [], [], 1, 130))
    with pytest.raises(KeyboardInterrupt):
        run(plan, tmp_path)
    assert not list(tmp_path.iterdir())
