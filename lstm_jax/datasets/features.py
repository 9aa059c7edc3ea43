"""Speech as the usual 39 numbers a frame: 12 mel cepstra, the log energy, and their first and second differences.

Davis & Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word Recognition in Continuously
Spoken Sentences", 1980, for the cepstra; Young et al., "The HTK Book", chapter "Speech Input/Output", for the numbers
of everything before and after them, pre-emphasis to differences. Cepstra are not liftered.

Pure functions of one waveform ``(n,)``, whose unit is one step of its quantisation (the integers of a 16-bit file as
they are); the floors below are meant in this unit. Everything is float64, F is the number of frames.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
PRE_EMPHASIS = 0.97
FILTERS, CEPSTRA, REACH = 26, 12, 2
FEATURES = 3 * (CEPSTRA + 1)

FLOOR = 1.0
"""Energies, in squared quantisation steps, are raised to this before the logarithm, so that silence stays finite."""

SMALLEST_DEVIATION = 1e-6
"""Smaller deviations within a clip count as this one: those of speech are larger, of silence or a single frame 0."""


def frame(waveform: np.ndarray, width: int, hop: int) -> np.ndarray:
    """Windows ``(F, width)`` of ``(n,)`` samples, one every ``hop``: those that fit, ``F = 1 + (n - width) // hop``.

    What is left after the last of them is not used; a shorter waveform gives one window, filled up with zeros.
    """
    if waveform.ndim != 1:
        raise ValueError(f"expected one waveform of shape (n,), got {waveform.shape}")
    filled = np.pad(waveform, (0, max(width - len(waveform), 0)))
    return sliding_window_view(filled, width)[::hop]


def pre_emphasise(waveform: np.ndarray, coefficient: float = PRE_EMPHASIS) -> np.ndarray:
    """``y[n] = x[n] - coefficient x[n-1]``, shape kept: flattens the fall of about 6 dB an octave that voices have.

    The first sample follows one like itself, so that a constant offset makes no click.
    """
    return waveform - coefficient * np.concatenate([waveform[:1], waveform[:-1]])


def log_energy(frames: np.ndarray) -> np.ndarray:
    """Natural logarithm ``(F,)`` of the sum of squares in each of ``frames (F, width)``."""
    return np.log(np.maximum((frames**2).sum(1), FLOOR))


def power_spectrum(frames: np.ndarray) -> np.ndarray:
    """``|FFT|^2 (F, size / 2 + 1)`` of ``(F, width)`` under a Hamming window; size is the next power of two."""
    width = frames.shape[1]
    return np.abs(np.fft.rfft(frames * np.hamming(width), fft_size(width))) ** 2


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


def log_mel(frames: np.ndarray, rate: int, count: int = FILTERS) -> np.ndarray:
    """Natural logarithm ``(F, count)`` of the power that ``count`` mel filters let through, for ``(F, width)``."""
    filters = mel_filters(count, fft_size(frames.shape[1]), rate)
    return np.log(np.maximum(power_spectrum(frames) @ filters.T, FLOOR))


def cepstra(log_power: np.ndarray, count: int = CEPSTRA) -> np.ndarray:
    """Coefficients 1 to ``count`` ``(F, count)`` of the orthonormal DCT-II of ``(F, filters)``; 0 is left out.

    Coefficient k is ``sqrt(2 / M) sum_m x[m] cos(pi k (m + 1/2) / M)`` for M filters.
    """
    filters = log_power.shape[1]
    angles = np.pi / filters * (np.arange(filters)[:, None] + 0.5) * np.arange(1, count + 1)
    return log_power @ (np.sqrt(2 / filters) * np.cos(angles))


def deltas(features: np.ndarray, reach: int = REACH) -> np.ndarray:
    """The slope ``(F, K)`` of each of ``features (F, K)`` over ``reach`` frames to either side, per frame.

    The least-squares line: ``sum_k k (c[t + k] - c[t - k]) / (2 sum_k k^2)``; the first and the last frame are
    repeated outwards.
    """
    count = len(features)
    padded = np.pad(features, ((reach, reach), (0, 0)), mode="edge")
    offsets = range(-reach, reach + 1)
    shifted = [k * padded[reach + k : reach + k + count] for k in offsets]
    return np.sum(shifted, axis=0) / sum(k * k for k in offsets)


def standardise(features: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1 of each column of ``features (F, K)`` over these frames; constant columns become 0."""
    centred = features - features.mean(0)
    return centred / np.maximum(centred.std(0), SMALLEST_DEVIATION)


def mfcc(waveform: np.ndarray, rate: int) -> np.ndarray:
    """``(F, 13)``: 12 mel cepstra and the log energy of every 25 ms, 10 ms apart, of ``(n,)`` samples.

    The energy is that of the plain samples, before pre-emphasis and window.
    """
    width, hop = round(WINDOW_SECONDS * rate), round(HOP_SECONDS * rate)
    samples = np.asarray(waveform, np.float64)
    emphasised = frame(pre_emphasise(samples), width, hop)
    return np.column_stack([cepstra(log_mel(emphasised, rate)), log_energy(frame(samples, width, hop))])


def speech_features(waveform: np.ndarray, rate: int) -> np.ndarray:
    """``(F, 39)``: ``mfcc``, its deltas and their deltas, for ``(n,)`` samples at ``rate`` a second."""
    static = mfcc(waveform, rate)
    first = deltas(static)
    return np.concatenate([static, first, deltas(first)], axis=1)
