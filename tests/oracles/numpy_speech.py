"""The 39 numbers a frame of 8 kHz speech, frame by frame and filter by filter in float64; imports nothing of ours."""

from __future__ import annotations

import numpy as np
import scipy.fft


def features_by_the_book(samples):
    """The 39 features ``(F, 39)`` of one clip, before standardising."""
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
    return with_slopes(static)


def with_slopes(static):
    """First and second differences behind the columns of ``(F, K)``."""
    first = slopes(static)
    return np.hstack([static, first, slopes(first)])


def slopes(frames):
    """The slope of the straight line through five frames around each one; outer frames are repeated."""
    last = len(frames) - 1
    rows = [[frames[min(max(t + k, 0), last)] for k in range(-2, 3)] for t in range(last + 1)]
    return [np.polyfit(np.arange(-2, 3), np.array(row), 1)[0] for row in rows]


def scaled(features, scale):
    """``(F, 3 K)`` in the given units; differences have no mean."""
    means = np.zeros(len(scale.deviations))
    means[: len(scale.means)] = scale.means
    return (features - means) / scale.deviations
