"""Forecasts: baselines by hand, scores against closed forms, samples against a network fed hour by hour."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from lstm_jax.datasets.series import Windows
from lstm_jax.studies.forecasts import (
    AT_ONCE,
    LEVELS,
    baselines,
    fit_linear,
    merged,
    quantile,
    sample_forward,
    score_samples,
    with_errors,
)
from lstm_jax.tasks.batch import Batch
from lstm_jax.train import ModelConfig, apply_network
from lstm_jax.train.network import init_network
from lstm_jax.train.student_t import distribution

CONTEXT, AHEAD, K = 180, 30, 7
BASELINES = baselines({"day": 24, "week": 168})


def cut(values: np.ndarray, context: int = CONTEXT) -> Windows:
    known, rng = values[:, :context], np.random.default_rng(1)
    dates = rng.normal(size=(*values.shape[:2], 4)).astype(np.float32)
    return Windows(
        context, values.astype(np.float32), dates, known.mean(1, keepdims=True), known.std(1, keepdims=True)
    )


def test_naive_forecasts_repeat_the_last_day_or_week():
    hours = np.arange(CONTEXT + AHEAD)
    daily = np.sin(2 * np.pi * hours / 24)[None, :, None] + np.zeros((2, 1, K))
    weekly = np.sin(2 * np.pi * hours / 168)[None, :, None] + np.zeros((2, 1, K))
    for name, values in (("naive, day", daily), ("naive, week", weekly), ("naive, week", daily)):
        found = BASELINES[name].forecast(cut(values))
        np.testing.assert_allclose(found, values[:, CONTEXT:], atol=1e-5)
    walk = np.random.default_rng(0).normal(size=(3, CONTEXT + AHEAD, K))
    found = BASELINES["naive, day"].forecast(cut(walk))
    np.testing.assert_allclose(found[:, 25], walk[:, CONTEXT - 23], rtol=1e-6)


def test_drift_goes_on_along_the_line():
    slopes = np.arange(1.0, 1 + K)
    values = (np.arange(CONTEXT + AHEAD)[:, None] * slopes + 5)[None]
    np.testing.assert_allclose(BASELINES["drift"].forecast(cut(values)), values[:, CONTEXT:], rtol=1e-5)


def test_the_linear_model_finds_a_linear_law_and_is_blind_to_levels():
    rng = np.random.default_rng(0)
    law = rng.normal(size=(12, 3)) / 12

    def windows(count: int) -> Windows:
        known = rng.normal(size=(count, 12, K)).cumsum(1) + 10 * rng.normal(size=(count, 1, K))
        last = known[:, -1:]
        later = np.einsum("nck,cf->nfk", known - last, law) + last
        return cut(np.concatenate([known, later], axis=1), 12)

    fit, fresh = fit_linear(windows(400), windows(50)), windows(50)
    np.testing.assert_allclose(fit.forecast(fresh), fresh.values[:, 12:], atol=0.05)
    lifted = fresh._replace(values=fresh.values + 3)
    np.testing.assert_allclose(fit.forecast(lifted), fit.forecast(fresh) + 3, atol=1e-4)


def test_scores_of_samples_are_those_of_the_normal_they_are_drawn_from():
    """Gneiting & Raftery, "Strictly proper scoring rules", 2007, eq. 21."""
    rng = np.random.default_rng(0)
    middle, deviation = rng.normal(size=(40, 5, K)), rng.uniform(0.5, 2, size=(5, K))
    truth = middle + deviation * rng.normal(size=middle.shape)
    z = (truth - middle) / deviation
    crps = deviation * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    drawn = score_samples(middle + deviation * rng.normal(size=(800, *middle.shape)), truth)
    assert drawn.mse == pytest.approx(((truth - middle) ** 2).mean(), rel=0.01)
    assert drawn.mae == pytest.approx(np.abs(truth - middle).mean(), rel=0.01)
    assert drawn.crps == pytest.approx(crps.mean(), rel=0.01)
    inside = [(np.abs(z) <= norm.ppf((1 + level) / 2)).mean() for level in LEVELS]
    np.testing.assert_allclose(drawn.coverage, inside, atol=0.01)
    np.testing.assert_allclose(inside, LEVELS, atol=0.03)


def test_the_score_of_few_samples_is_fair_and_of_certain_ones_the_absolute_error():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(4000, 1, 1))
    few, many = (score_samples(rng.normal(size=(count, 4000, 1, 1)), truth).crps for count in (2, 200))
    assert few == pytest.approx(many, abs=0.03)
    certain = score_samples(np.broadcast_to(truth + 0.3, (5, *truth.shape)), truth)
    assert certain.crps == pytest.approx(0.3) and certain.mae == pytest.approx(0.3) and certain.coverage == (0, 0)
    with pytest.raises(ValueError, match="2 samples or more, got 1"):
        score_samples(truth[None], truth)


def test_intervals_of_few_calibrated_samples_hold_what_they_promise():
    rng = np.random.default_rng(3)
    found = score_samples(rng.normal(size=(50, 40_000, 1, 1)), rng.normal(size=(40_000, 1, 1)))
    np.testing.assert_allclose(found.coverage, LEVELS, atol=0.006)


@pytest.mark.parametrize("count", [2, 5, 50])
def test_quantiles_are_those_of_numpys_weibull(count):
    ordered = np.sort(np.random.default_rng(0).normal(size=(count, 3)), axis=0)
    for share in (0.025, 0.1, 0.5, 0.9, 0.975):
        np.testing.assert_allclose(quantile(ordered, share), np.quantile(ordered, share, axis=0, method="weibull"))


def test_parts_are_merged_by_their_windows():
    rng = np.random.default_rng(0)
    samples, truth = rng.normal(size=(6, 9, 4, 2)), rng.normal(size=(9, 4, 2))
    parts = [(4, score_samples(samples[:, :4], truth[:4])), (5, score_samples(samples[:, 4:], truth[4:]))]
    whole, together = score_samples(samples, truth), merged(parts)
    np.testing.assert_allclose([*together[:3], *together.coverage], [*whole[:3], *whole.coverage], rtol=1e-12)


def test_a_network_that_reads_backwards_is_refused():
    with pytest.raises(ValueError, match="both directions cannot forecast"):
        next(sample_forward(ModelConfig(bidirectional=True), None, cut(np.zeros((1, 200, K))), 2, None))


def test_a_baseline_is_as_unsure_as_its_errors_in_the_unit_of_each_context():
    """Windows of another size, whose errors are as many times larger: each gets doubts of its own width."""
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.normal(size=(AT_ONCE + 8, 1, 1)))
    walks = cut(sizes * rng.normal(size=(AT_ONCE + 8, 40, 2)).cumsum(1), 30)
    last = BASELINES["drift"].forecast
    cuts, said, samples = zip(*with_errors(last, walks, walks), strict=True)
    assert [len(part.values) for part in cuts] == [AT_ONCE, 8]
    said, samples = np.concatenate(said), np.concatenate(samples, axis=1)
    np.testing.assert_array_equal(said, last(walks))
    assert samples.shape == (AT_ONCE + 8, AT_ONCE + 8, 10, 2)
    own = samples[np.arange(AT_ONCE + 8), np.arange(AT_ONCE + 8)]  # with its own error a window is met
    np.testing.assert_allclose(own, walks.values[:, 30:], rtol=1e-4, atol=1e-4)
    width = np.ptp(samples, axis=0) / walks.spread
    np.testing.assert_allclose(width, np.broadcast_to(width[:1], width.shape), rtol=1e-3)


@pytest.mark.parametrize("variant", ["V", "FGR"])
def test_a_network_almost_without_doubt_is_fed_with_what_it_says(variant):
    model = ModelConfig(variant, 5, num_layers=2)
    params = init_network(jax.random.key(0), model, K + 4, 3 * K)
    bias = params.readout.b.at[K : 2 * K].set(-30.0).at[2 * K :].set(200.0)  # the least scale, nearly normal
    weights = params.readout.W.at[:, K:].set(0.0)
    params = params._replace(readout=params.readout._replace(W=weights, b=bias))
    context, ahead, count = 6, 4, AT_ONCE + 3
    given = cut(np.random.default_rng(0).normal(size=(count, context + ahead, K)), context)
    cuts, parts = zip(*sample_forward(model, params, given, 3, jax.random.key(1)), strict=True)
    assert [len(cut.values) for cut in cuts] == [AT_ONCE, 3]
    np.testing.assert_array_equal(np.concatenate([cut.values for cut in cuts]), given.values)
    found = np.concatenate(parts, axis=1)
    assert found.shape == (3, count, ahead, K) and np.ptp(found, axis=0).max() < 0.1

    values = given.relative(given.values)[:, :context]
    for hour in range(ahead):  # the whole past again, every hour
        inputs = np.concatenate([values, given.dates[:, 1 : context + hour + 1]], axis=2).swapaxes(0, 1)
        lengths = np.full(count, context + hour)
        outputs = apply_network(model, params, Batch(jnp.asarray(inputs), None, lengths, None))[-1]
        said = np.asarray(distribution(outputs).location)
        values = np.concatenate([values, said[:, None]], axis=1)
    np.testing.assert_allclose(found.mean(0), given.absolute(values[:, context:]), atol=0.05)
