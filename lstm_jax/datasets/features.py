"""Speech as the usual 39 numbers a frame: 12 mel cepstra, the log energy, and their first and second differences.

Davis & Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously
Spoken Sentences", 1980, for the cepstra; Young et al., "The HTK Book", chapter "Speech Input/Output", for the numbers
of everything before and after them, pre-emphasis to differences. Cepstra are not liftered.

Pure functions of one padded waveform ``(n,)``, whose unit is one step of its quantisation (the integers of a 16-bit
file as they are); the floors below are meant in this unit. Everything is float32, F is the number of frames. All may
be jitted, vmapped and differentiated: shapes follow from n and the rate, and what stands past the length, NaN
included, reaches neither values nor gradients. ``clip_features`` is for clips of any length on the host.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
PRE_EMPHASIS = 0.97
FILTERS, CEPSTRA, REACH = 26, 12, 2
FEATURES = 3 * (CEPSTRA + 1)

FLOOR = 1.0
"""Energies, in squared quantisation steps, are raised to this before the logarithm, so that silence stays finite."""


class Scale(NamedTuple):
    """What features are measured in: means and deviations over all frames of a training part.

    Never those of the clip itself: the mean of a word as short as a digit's name tells which vowel it has.

    Attributes:
        means: of the K static features; differences have next to none.
        deviations: of all 3 K, those of first and second differences behind.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]


_product = partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
"""In float32 also where a device would rather round the factors."""


def windows(rate: int) -> tuple[int, int]:
    """Samples of a window, and from one to the next."""
    return round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)


def frame_count(samples: int, width: int, hop: int) -> int:
    """Windows that fit, one every ``hop``: ``1 + (samples - width) // hop``; a shorter waveform has one."""
    return 1 + max(samples - width, 0) // hop


def within(count: int, valid: jax.Array) -> jax.Array:
    """Which of ``count`` places are below ``valid``: ``(count,)`` bool."""
    return jnp.arange(count) < valid


def frame(waveform: jax.Array, width: int, hop: int) -> jax.Array:
    """Windows ``(F, width)`` of ``(n,)`` samples, one every ``hop``; see ``frame_count``.

    What is left after the last of them is not used; a waveform shorter than one window is filled up with zeros.
    """
    _refuse_several(waveform)
    filled = jnp.pad(waveform, (0, max(width - waveform.size, 0)))
    starts = hop * np.arange(frame_count(waveform.size, width, hop))
    return filled[starts[:, None] + np.arange(width)]


def _refuse_several(waveform: jax.Array) -> None:
    if waveform.ndim != 1:
        raise ValueError(f"expected one waveform of shape (n,), got {waveform.shape}; batch_features takes several")


def pre_emphasise(waveform: jax.Array, coefficient: float = PRE_EMPHASIS) -> jax.Array:
    """``y[n] = x[n] - coefficient x[n-1]``, shape kept: flattens the fall of about 6 dB an octave that voices have.

    The first sample follows one like itself, so that a constant offset makes no click.
    """
    return waveform - coefficient * jnp.concatenate([waveform[:1], waveform[:-1]])


def log_energy(frames: jax.Array) -> jax.Array:
    """Natural logarithm ``(F,)`` of the sum of squares in each of ``frames (F, width)``."""
    return jnp.log(jnp.maximum((frames**2).sum(1), FLOOR))


def power_spectrum(frames: jax.Array) -> jax.Array:
    """``|FFT|^2 (F, size / 2 + 1)`` of ``(F, width)`` under a Hamming window; size is the next power of two."""
    width = frames.shape[1]
    spectrum = jnp.fft.rfft(frames * np.hamming(width).astype(np.float32)[None], fft_size(width))
    return spectrum.real**2 + spectrum.imag**2


def fft_size(width: int) -> int:
    """The smallest power of two that is ``width`` or more."""
    return 1 << (width - 1).bit_length()


def mel(hertz: np.ndarray | float) -> np.ndarray:
    """Pitch as heard, in mel: about linear below 700 Hz and logarithmic above; 1000 Hz are 1000 mel."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))


def mel_filters(count: int, size: int, rate: int) -> np.ndarray:
    """Weights ``(count, size / 2 + 1)`` of the bins of an FFT over ``size`` samples, ``rate`` of them a second.

    Triangles in mel, of height 1, evenly spaced from 0 Hz to half the rate: each begins at the centre of the one
    below it and ends at the centre of the one above it.
    """
    bins = mel(np.arange(size // 2 + 1) * rate / size)
    spacing = mel(rate / 2) / (count + 1)
    centres = spacing * np.arange(1, count + 1)
    return np.maximum(1 - np.abs(bins - centres[:, None]) / spacing, 0)


def log_mel(frames: jax.Array, rate: int, count: int = FILTERS) -> jax.Array:
    """Natural logarithm ``(F, count)`` of the power that ``count`` mel filters let through, for ``(F, width)``."""
    filters = mel_filters(count, fft_size(frames.shape[1]), rate).astype(np.float32)
    return jnp.log(jnp.maximum(_product(power_spectrum(frames), filters.T), FLOOR))


def cepstra(log_power: jax.Array, count: int = CEPSTRA) -> jax.Array:
    """Coefficients 1 to ``count`` ``(F, count)`` of the orthonormal DCT-II of ``(F, filters)``; 0 is left out.

    Coefficient k is ``sqrt(2 / M) sum_m x[m] cos(pi k (m + 1/2) / M)`` for M filters.
    """
    filters = log_power.shape[1]
    angles = np.pi / filters * (np.arange(filters)[:, None] + 0.5) * np.arange(1, count + 1)
    return _product(log_power, (np.sqrt(2 / filters) * np.cos(angles)).astype(np.float32))


def deltas(features: jax.Array, count: jax.Array, reach: int = REACH) -> jax.Array:
    """The slope ``(F, K)`` of each of ``features (F, K)`` over ``reach`` frames to either side, per frame.

    The least-squares line: ``sum_k k (c[t + k] - c[t - k]) / (2 sum_k k^2)``; the first and the last of the ``count``
    frames (1 or more) are repeated outwards.
    """
    places, last = jnp.arange(len(features)), count - 1
    offsets = range(1, reach + 1)
    rises = (k * (features[jnp.minimum(places + k, last)] - features[jnp.maximum(places - k, 0)]) for k in offsets)
    return sum(rises, jnp.zeros_like(features)) / (2 * sum(k * k for k in offsets))


def scaled(static: jax.Array, count: jax.Array, scale: Scale) -> jax.Array:
    """``(F, K)`` to ``(F, 3 K)`` with their differences, in units of ``scale``; 0 past the first ``count``."""
    means, deviations = (jnp.asarray(values, static.dtype)[None] for values in scale)
    return with_differences(static - means, count) / deviations


def mfcc(waveform: jax.Array, length: jax.Array, rate: int) -> jax.Array:
    """``(F, 13)``: 12 mel cepstra and the log energy of every 25 ms, 10 ms apart, of ``length`` of ``(n,)`` samples.

    The energy is that of the plain samples, before pre-emphasis and window.
    """
    _refuse_several(waveform)
    width, hop = windows(rate)
    own = within(waveform.size, length)
    samples = jnp.where(own, waveform, 0).astype(jnp.float32)
    emphasised = frame(jnp.where(own, pre_emphasise(samples), 0), width, hop)
    return jnp.column_stack([cepstra(log_mel(emphasised, rate)), log_energy(frame(samples, width, hop))])


def speech_features(waveform: jax.Array, length: jax.Array, rate: int) -> tuple[jax.Array, jax.Array]:
    """``(F, 39)``: ``mfcc``, its deltas and their deltas; and how many of the F frames are the waveform's own.

    Args:
        waveform: ``(n,)`` samples, integers or floats, ``rate`` of them a second.
        length: ``()`` int, valid samples; 0 is silence, one frame like that of any waveform shorter than a window.
        rate: static.

    Returns:
        The features, 0 past the own frames, of which there are ``frame_count(length, ...)``.
    """
    static = mfcc(waveform, length, rate)
    count = own_frames(length, rate)
    return with_differences(static, count), count


def own_frames(length: jax.Array, rate: int) -> jax.Array:
    """``frame_count`` of ``length`` ``()`` samples."""
    width, hop = windows(rate)
    return 1 + jnp.maximum(length - width, 0) // hop


def with_differences(static: jax.Array, count: jax.Array) -> jax.Array:
    """``(F, K)`` to ``(F, 3 K)``: first and second differences behind; 0 past the first ``count`` frames."""
    first = deltas(static, count)
    whole = jnp.concatenate([static, first, deltas(first, count)], axis=1)
    return jnp.where(within(len(whole), count)[:, None], whole, 0)


def scaled_features(waveform: jax.Array, length: jax.Array, rate: int, scale: Scale) -> tuple[jax.Array, jax.Array]:
    """As ``speech_features``, in units of the static ``scale``."""
    static = mfcc(waveform, length, rate)
    count = own_frames(length, rate)
    return scaled(static, count, scale), count


def batch_features(waveforms: jax.Array, lengths: jax.Array, rate: int, scale: Scale) -> tuple[jax.Array, jax.Array]:
    """What a network takes, of waveforms ``(B, n)``: ``scaled_features (T, B, 39)`` and their lengths ``(B,)``."""
    return jax.vmap(partial(scaled_features, rate=rate, scale=scale), out_axes=(1, 0))(waveforms, lengths)


SAMPLES, FRAMES = 2048, 32
"""Clips on the host are padded to this many samples, or frames, times a power of two: a few programs serve all."""

_scaled_features = jax.jit(scaled_features, static_argnums=(2, 3))
_scaled = jax.jit(scaled, static_argnums=2)


def clip_features(waveform: np.ndarray, rate: int, scale: Scale) -> np.ndarray:
    """``scaled_features (F, 39)`` of one clip ``(n,)`` on the host, without padding."""
    samples = filled(np.asarray(waveform, np.float32), SAMPLES)
    features, count = _scaled_features(samples, np.int32(len(waveform)), rate, scale)
    return np.asarray(features)[: int(count)]


def clip_differences(static: np.ndarray, scale: Scale) -> np.ndarray:
    """``scaled (F, 3 K)`` of the frames ``(F, K)`` of one clip on the host."""
    whole = _scaled(filled(np.asarray(static, np.float32), FRAMES), np.int32(len(static)), scale)
    return np.asarray(whole)[: len(static)]


def filled(rows: np.ndarray, least: int) -> np.ndarray:
    """``rows`` with zeros behind, up to ``least`` times the smallest power of two that holds them."""
    size = least << max(-(-len(rows) // least) - 1, 0).bit_length()
    return np.pad(rows, [(0, size - len(rows)), *[(0, 0)] * (rows.ndim - 1)])
