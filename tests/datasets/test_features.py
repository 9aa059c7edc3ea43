"""Speech features against their formulas written out, frame by frame and filter by filter."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft

from lstm_jax.datasets import features

RATE = 8000


def swell(hertz, size):
    """A tone that grows louder."""
    return np.linspace(100, 3000, size) * np.sin(2 * np.pi * hertz * np.arange(size) / RATE)


def features_by_the_book(samples):
    """The 39 features of one clip, frame by frame and filter by filter, before standardising."""
    x = [float(value) for value in samples] + [0.0] * max(0, 200 - len(samples))
    real = len(samples)
    y = [x[n] - 0.97 * x[max(n - 1, 0)] if n < real else 0.0 for n in range(len(x))]
    window = [0.54 - 0.46 * np.cos(2 * np.pi * n / 199) for n in range(200)]
    top = 2595 * np.log10(1 + 4000 / 700)
    edges = [top * m / 27 for m in range(28)]
    static, start = [], 0
    while start + 200 <= len(x):
        spectrum = np.abs(np.fft.fft([y[start + n] * window[n] for n in range(200)], 256)) ** 2
        logs = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            power = 0.0
            for bin_, value in enumerate(spectrum[:129]):
                pitch = 2595 * np.log10(1 + bin_ * 31.25 / 700)
                if low < pitch <= centre:
                    power += value * (pitch - low) / (centre - low)
                elif centre < pitch < high:
                    power += value * (high - pitch) / (high - centre)
            logs.append(np.log(max(power, 1.0)))
        energy = np.log(max(sum(value**2 for value in x[start : start + 200]), 1.0))
        static.append([*scipy.fft.dct(logs, type=2, norm="ortho")[1:13], energy])
        start += 80
    first = slopes(static)
    return np.hstack([static, first, slopes(first)])


def slopes(frames):
    """The slope of the straight line through five frames around each one; outer frames are repeated."""
    last = len(frames) - 1
    rows = [[frames[min(max(t + k, 0), last)] for k in range(-2, 3)] for t in range(last + 1)]
    return [np.polyfit(np.arange(-2, 3), np.array(row), 1)[0] for row in rows]


@pytest.mark.parametrize("size", [1, 150, 199, 200, 279, 280, 1148])
def test_features_are_those_of_the_formulas_written_out(size):
    rng = np.random.default_rng(size)
    samples = (rng.normal(0, 800, size) * np.linspace(0.01, 1, size) + 50).astype(np.int16)
    found, expected = features.speech_features(samples, RATE), features_by_the_book(samples)
    assert found.shape == expected.shape == (1 + max(0, (size - 200) // 80), 39) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_pure_tone_is_loudest_in_the_filter_around_its_pitch():
    top, seconds = 2595 * np.log10(1 + 4000 / 700), np.arange(800) / RATE
    for centre in range(8, 26):  # lower filters are narrower than what the window resolves
        hertz = 700 * (10 ** (top * (centre + 1) / 27 / 2595) - 1)
        tone = 1000 * np.sin(2 * np.pi * hertz * seconds)
        assert (features.log_mel(features.frame(tone, 200, 80), RATE).argmax(1) == centre).all()


def test_inner_pitches_are_shared_by_two_filters_that_add_up_to_one():
    weights = features.mel_filters(26, 256, RATE)
    assert weights.shape == (26, 129) and weights.min() == 0 and (weights > 0).any(1).all()
    inner = (np.arange(129) * 31.25 > 49) & (np.arange(129) * 31.25 < 3600)  # from the first centre to the last
    np.testing.assert_allclose(weights.sum(0)[inner], 1)
    assert (np.count_nonzero(weights, axis=0) <= 2).all() and weights[:, 0].max() == 0


def test_deltas_of_a_ramp_are_its_slope_and_of_a_constant_nothing():
    ramp = np.arange(12.0)[:, None] * [3.0, -0.5] + 7
    np.testing.assert_allclose(features.deltas(ramp)[2:-2], np.broadcast_to([3.0, -0.5], (8, 2)))
    assert not features.deltas(np.full((5, 3), 4.0)).any()


def test_louder_speech_differs_in_the_energy_alone_and_not_at_all_once_standardised():
    samples = np.random.default_rng(1).normal(0, 500, 2000)
    quiet, loud = features.speech_features(samples, RATE), features.speech_features(8 * samples, RATE)
    difference = loud - quiet
    np.testing.assert_allclose(difference[:, 12], np.log(64), rtol=1e-9)
    np.testing.assert_allclose(np.delete(difference, 12, 1), 0, atol=1e-9)
    np.testing.assert_allclose(features.standardise(loud), features.standardise(quiet), atol=1e-6)


def test_standardised_features_have_mean_0_and_deviation_1():
    clip = features.standardise(features.speech_features(swell(900, 3000), RATE))
    np.testing.assert_allclose(clip.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(clip.std(0), 1)


@pytest.mark.parametrize("size", [0, 1, 100, 200, 3000])
def test_silence_stays_finite_and_says_nothing(size):
    clip = features.speech_features(np.zeros(size, np.int16), RATE)
    assert len(clip) == 1 + max(0, (size - 200) // 80) and np.isfinite(clip).all()
    assert not features.standardise(clip).any()


def test_a_clip_shorter_than_one_window_is_one_frame_filled_up_with_zeros():
    assert features.frame(np.arange(1.0, 4.0), 5, 2).tolist() == [[1, 2, 3, 0, 0]]
    assert features.frame(np.arange(8), 5, 2).tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]
    with pytest.raises(ValueError, match=r"one waveform of shape \(n,\), got \(2, 3\)"):
        features.frame(np.zeros((2, 3)), 5, 2)


def test_the_loudest_and_the_lowest_samples_do_not_overflow():
    clip = features.speech_features(np.tile(np.array([-32768, 32767], np.int16), 500), RATE)
    assert clip[0, 12] == pytest.approx(np.log(100 * (32768.0**2 + 32767.0**2)))
