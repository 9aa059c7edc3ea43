"""Speech features against their formulas written out in float64, frame by frame and filter by filter."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_speech import features_by_the_book, scaled, with_slopes

from lstm_jax.datasets import features

RATE, LONGEST = 8000, 1148

speech = jax.jit(partial(features.speech_features, rate=RATE))
SCALE = features.Scale(tuple(np.linspace(-5, 17, 13)), tuple(np.linspace(6, 0.1, 39)))
batched = jax.jit(partial(features.batch_features, rate=RATE, scale=SCALE))


def voice(size, seed=None):
    """Noise that grows louder, off centre."""
    rng = np.random.default_rng(size if seed is None else seed)
    return (rng.normal(0, 800, size) * np.linspace(0.01, 1, size) + 50).astype(np.int16)


def filled(samples, size=LONGEST, rest=np.nan):
    return np.concatenate([samples, np.full(size - len(samples), rest)]).astype(np.float32)


@pytest.mark.parametrize("size", [1, 150, 199, 200, 279, 280, 1148])
def test_features_are_those_of_the_formulas_written_out_whatever_stands_behind_the_clip(size):
    expected = features_by_the_book(voice(size))
    found, count = speech(filled(voice(size)), size)
    assert count == len(expected) == 1 + max(0, (size - 200) // 80) == features.frame_count(size, 200, 80)
    assert found.shape == (12, 39) and found.dtype == np.float32
    np.testing.assert_allclose(found[:count], expected, atol=1e-4)
    assert not found[count:].any()


def test_a_batch_is_time_major_and_holds_each_clip_alone():
    sizes = np.array([1148, 130, 700, 0])
    inputs, lengths = batched(np.stack([filled(voice(size)) for size in sizes]), sizes)
    assert inputs.shape == (12, 4, 39) and lengths.tolist() == [12, 1, 7, 1]
    for row, (size, length) in enumerate(zip(sizes, lengths, strict=True)):
        expected = scaled(features_by_the_book(voice(size)), SCALE)
        np.testing.assert_allclose(inputs[:length, row], expected, atol=1e-4)
        assert not inputs[length:, row].any()


def test_a_clip_on_the_host_has_its_own_frames_and_lengths_share_programs():
    before = features._scaled_features._cache_size()
    for size in (500, 620, 2048, 2049, 4000):
        found = features.clip_features(voice(size), RATE, SCALE)
        np.testing.assert_allclose(found, scaled(features_by_the_book(voice(size)), SCALE), atol=1e-4)
    assert features._scaled_features._cache_size() - before <= 2
    assert [len(features.filled(np.ones(size), 32)) for size in (0, 1, 32, 33, 65, 129)] == [32, 32, 32, 64, 128, 256]


def test_differences_of_frames_are_those_of_a_clip():
    for count in (1, 3, 40):
        static = np.random.default_rng(count).normal(size=(count, 13)).astype(np.float32)
        np.testing.assert_allclose(
            features.clip_differences(static, SCALE), scaled(with_slopes(static), SCALE), atol=1e-4
        )


@pytest.mark.parametrize("size", [0, 90, 1148])
@pytest.mark.parametrize("loud", [False, True])
def test_gradients_are_finite_in_silence_too_and_0_past_the_clip(size, loud):
    weights = np.random.default_rng(0).normal(size=(12, 1, 39))

    def value(samples):
        return jnp.sum(weights * batched(samples[None], jnp.array([size]))[0])

    gradient = np.asarray(jax.grad(value)(filled(loud * voice(size))))
    assert np.isfinite(gradient).all() and not gradient[size:].any()
    assert gradient.any() == (loud and size > 0)


def test_the_gradient_is_the_slope_of_the_formulas_written_out():
    rng, size = np.random.default_rng(3), 450
    samples, direction = voice(size).astype(np.float64), rng.normal(size=size)
    weights = rng.normal(size=(4, 39))

    def value(step):
        return np.sum(weights * features_by_the_book(samples + step * direction))

    slope = (value(0.01) - value(-0.01)) / 0.02
    found = jax.grad(lambda x: jnp.sum(weights * speech(x, size)[0][:4]))(filled(samples))
    assert found[:size] @ direction == pytest.approx(slope, rel=1e-3)


def test_a_pure_tone_is_loudest_in_the_filter_around_its_pitch():
    top, seconds = 2595 * np.log10(1 + 4000 / 700), np.arange(800) / RATE
    centres = np.arange(8, 26)  # lower filters are narrower than what the window resolves
    hertz = 700 * (10 ** (top * (centres + 1) / 27 / 2595) - 1)
    tones = jnp.asarray(1000 * np.sin(2 * np.pi * hertz[:, None] * seconds), jnp.float32)
    loudest = jax.vmap(lambda tone: features.log_mel(features.frame(tone, 200, 80), RATE).argmax(1))(tones)
    assert (loudest == centres[:, None]).all()


def test_inner_pitches_are_shared_by_two_filters_that_add_up_to_one():
    weights = features.mel_filters(26, 256, RATE)
    assert weights.shape == (26, 129) and weights.min() == 0 and (weights > 0).any(1).all()
    inner = (np.arange(129) * 31.25 > 49) & (np.arange(129) * 31.25 < 3600)  # from the first centre to the last
    np.testing.assert_allclose(weights.sum(0)[inner], 1)
    assert (np.count_nonzero(weights, axis=0) <= 2).all() and weights[:, 0].max() == 0


def test_louder_speech_differs_in_the_energy_alone():
    samples = np.random.default_rng(1).normal(0, 500, LONGEST).astype(np.float32)
    quiet, loud = (np.asarray(speech(scale * samples, LONGEST)[0]) for scale in (1, 8))
    np.testing.assert_allclose((loud - quiet)[:, 12], np.log(64), rtol=1e-5)
    np.testing.assert_allclose(np.delete(loud - quiet, 12, 1), 0, atol=1e-4)


def test_silence_is_one_frame_or_more_and_every_frame_of_it_sounds_the_same():
    inputs, lengths = batched(np.zeros((3, LONGEST), np.float32), np.array([0, 150, LONGEST]))
    assert lengths.tolist() == [1, 1, 12] and not inputs[1:, :2].any() and not inputs[..., 13:].any()
    silence = scaled(features_by_the_book(np.zeros(LONGEST)), SCALE)[0]
    np.testing.assert_allclose(inputs[:, 2], np.broadcast_to(silence, (12, 39)), atol=1e-4)
    np.testing.assert_allclose(inputs[0], np.broadcast_to(silence, (3, 39)), atol=1e-4)


def test_a_clip_shorter_than_one_window_is_one_frame_filled_up_with_zeros():
    assert features.frame(jnp.arange(1.0, 4.0), 5, 2).tolist() == [[1, 2, 3, 0, 0]]
    assert features.frame(jnp.arange(8), 5, 2).tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]
    for refused in (partial(features.frame, width=5, hop=2), partial(features.mfcc, length=3, rate=RATE)):
        with pytest.raises(ValueError, match=r"one waveform of shape \(n,\), got \(2, 3\); batch_features takes"):
            refused(jnp.zeros((2, 3)))


def test_the_loudest_and_the_lowest_samples_do_not_overflow():
    found, _ = speech(np.tile(np.array([-32768, 32767], np.float32), LONGEST // 2), LONGEST)
    assert found[0, 12] == pytest.approx(np.log(100 * (32768.0**2 + 32767.0**2)), rel=1e-6)
    assert np.isfinite(found).all()
