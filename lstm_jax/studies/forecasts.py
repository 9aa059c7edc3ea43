"""Forecasts of many steps at once: a trained network's samples, the baselines that it must beat, and their scores.

In units of the training steps (see ``datasets/series.py``): N windows, F steps ahead, K channels, S samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from lstm_jax.datasets.series import Windows
from lstm_jax.modules.readout import readout
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import Network, operands
from lstm_jax.train.student_t import draw
from lstm_jax.unroll.stack import unroll_stack

AT_ONCE = 32
"""Windows whose samples are drawn in one call."""
LEVELS = (0.8, 0.95)
"""Shares that central intervals are meant to hold."""


class Score(NamedTuple):
    """How good forecasts were; means over windows, steps and channels.

    Attributes:
        mse, mae: of the mean and of the median forecast.
        crps: continuous ranked probability score, in the units of ``mae``: its value for forecasts without doubt.
        coverage: share of what came that lay inside the central intervals, one for each of ``LEVELS``.
    """

    mse: float
    mae: float
    crps: float
    coverage: tuple[float, float]


def shorter(windows: Windows, ahead: int) -> Windows:
    """The same windows with fewer steps to forecast."""
    end = windows.context + ahead
    return windows._replace(values=windows.values[:, :end], dates=windows.dates[:, :end])


# -- the network


def sample_forward(
    config: ModelConfig, params: Network, windows: Windows, samples: int, key: jax.Array
) -> Iterator[tuple[Windows, np.ndarray]]:
    """The network reads the context, then each sample is fed with what it has drawn itself; some windows at a time.

    Yields:
        Windows, in order, and their samples ``(S, N, F, K)``.

    Raises:
        ValueError: a network that reads in both directions would have to know what it is to forecast.
    """
    if config.bidirectional:
        raise ValueError("a network that reads in both directions cannot forecast; use bidirectional=False")
    for first in range(0, len(windows.values), AT_ONCE):
        places = np.minimum(np.arange(first, first + AT_ONCE), len(windows.values) - 1)  # one shape, one program
        part = Windows(windows.context, *(array[places] for array in windows[1:]))
        known = part.relative(part.values)[:, : windows.context]
        drawn = _samples(
            config, samples, params, known.swapaxes(0, 1), part.dates.swapaxes(0, 1), jax.random.fold_in(key, first)
        )
        count = min(AT_ONCE, len(windows.values) - first)
        absolute = part.absolute(np.asarray(drawn).transpose(1, 2, 0, 3))
        yield Windows(windows.context, *(array[:count] for array in part[1:])), absolute[:, :count]


@partial(jax.jit, static_argnums=(0, 1))
def _samples(
    config: ModelConfig, samples: int, params: Network, known: jax.Array, dates: jax.Array, key: jax.Array
) -> jax.Array:
    """``(F, S, N, K)`` from known values ``(C, N, K)`` and the calendar ``(C + F, N, D)``, relative to the context."""
    context, params = len(known), operands(config, params)
    run = partial(unroll_stack, config.variant, params.stack, backend=config.backend)
    ys, states = run(jnp.concatenate([known, dates[1 : context + 1]], axis=-1))
    wide = jax.tree.map(lambda a: jnp.tile(a, (samples, *[1] * (a.ndim - 1))), states)  # rows: sample by sample
    outputs = jnp.tile(readout(params.readout, ys[-1]), (samples, 1))

    def step(carry: tuple[Any, jax.Array], now: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        states, outputs = carry
        key, date = now
        value = draw(key, outputs)
        inputs = jnp.concatenate([value, jnp.tile(date, (samples, 1))], axis=-1)
        ys, states = run(inputs[None], initial_state=states)
        return (states, readout(params.readout, ys[0])), value

    later = jnp.concatenate([dates[context + 1 :], dates[-1:]])  # after the last step nothing is asked
    _, values = lax.scan(step, (wide, outputs), (jax.random.split(key, len(later)), later))
    return values.reshape(len(later), samples, *known.shape[1:])


# -- the baselines


def seasonal_naive(windows: Windows, period: int) -> np.ndarray:
    """``(N, F, K)``: each step is like the latest known one of the same phase."""
    ahead = windows.values.shape[1] - windows.context
    back = windows.context - period + np.arange(ahead) % period
    return windows.values[:, back]


def drift(windows: Windows) -> np.ndarray:
    """``(N, F, K)``: the line through the first and the last known step goes on."""
    known = windows.values[:, : windows.context]
    slope = (known[:, -1:] - known[:, :1]) / (windows.context - 1)
    ahead = np.arange(1, windows.values.shape[1] - windows.context + 1)
    return known[:, -1:] + slope * ahead[:, None]


class Baseline(NamedTuple):
    """A forecast that learns nothing, and the known steps that it needs."""

    forecast: Callable[[Windows], np.ndarray]
    needs: int


def baselines(periods: Mapping[str, int]) -> dict[str, Baseline]:
    """Those of a series that nearly repeats after ``periods``, by name."""
    naive = {f"naive, {name}": Baseline(partial(seasonal_naive, period=n), n) for name, n in periods.items()}
    return {**naive, "drift": Baseline(drift, 2)}


MOST_ERRORS = 200
"""Errors on validation that a baseline's doubt is made of, at most."""


def with_errors(
    forecast: Callable[[Windows], np.ndarray], known: Windows, asked: Windows
) -> Iterator[tuple[Windows, np.ndarray, np.ndarray]]:
    """A forecast with the errors that it made on ``known`` windows, in the deviation of each context; some at a time.

    Its doubt is as wide as the context is restless, as that of a network is, which sees values in the same unit.

    Yields:
        Windows of ``asked``, in order, their forecasts ``(N, F, K)``, and one sample an error ``(S, N, F, K)``.
    """
    chosen = np.linspace(0, len(known.values) - 1, min(len(known.values), MOST_ERRORS)).astype(int)
    known = Windows(known.context, *(array[chosen] for array in known[1:]))
    errors = (known.values[:, known.context :] - forecast(known)) / known.spread
    for first in range(0, len(asked.values), AT_ONCE):
        part = Windows(asked.context, *(array[first : first + AT_ONCE] for array in asked[1:]))
        said = forecast(part)
        yield part, said, said + errors[:, None] * part.spread


PENALTIES = (1.0, 10.0, 100.0, 1000.0)


class Linear(NamedTuple):
    """One linear map from the context, relative to its last step, to every step ahead; the same for all channels.

    Zeng et al., "Are Transformers Effective for Time Series Forecasting?", 2023 (NLinear), here in closed form.
    """

    weights: np.ndarray

    def forecast(self, windows: Windows) -> np.ndarray:
        """``(N, F, K)``."""
        known = windows.values[:, : windows.context]
        return np.einsum("nck,cf->nfk", known - known[:, -1:], self.weights) + known[:, -1:]


def fit_linear(train: Windows, validation: Windows) -> Linear:
    """Ridge regression on the training windows; the penalty with the least squared error on validation."""
    known = train.values[:, : train.context].astype(np.float64)
    inputs = (known - known[:, -1:]).swapaxes(1, 2).reshape(-1, train.context)
    targets = (train.values[:, train.context :] - known[:, -1:]).swapaxes(1, 2).reshape(len(inputs), -1)
    gram, moments = inputs.T @ inputs, inputs.T @ targets
    fits = [
        Linear(np.linalg.solve(gram + penalty * np.eye(len(gram)), moments).astype(np.float32))
        for penalty in PENALTIES
    ]
    truth = validation.values[:, validation.context :]
    return min(fits, key=lambda fit: float(((fit.forecast(validation) - truth) ** 2).mean()))


# -- scores


def score_samples(samples: np.ndarray, truth: np.ndarray) -> Score:
    """Of ``(S, N, F, K)`` samples, S >= 2, against ``(N, F, K)``."""
    count = len(samples)
    if count < 2:
        raise ValueError(f"scores need 2 samples or more, got {count}")
    ordered = np.sort(samples, axis=0)
    error = float(np.abs(ordered - truth).mean())
    ranks = (2 * np.arange(1, count + 1) - count - 1).reshape(-1, 1, 1, 1)
    spread = float((ordered * ranks).sum(0).mean()) / (count * (count - 1))  # half the mean distance of two samples
    median = quantile(ordered, 0.5)
    point = float(((samples.mean(0) - truth) ** 2).mean()), float(np.abs(median - truth).mean())
    low, high = (np.stack([quantile(ordered, (1 + sign * level) / 2) for level in LEVELS]) for sign in (-1, 1))
    inside = ((low <= truth) & (truth <= high)).mean(axis=(1, 2, 3))
    return Score(*point, error - spread, (float(inside[0]), float(inside[1])))


def quantile(ordered: np.ndarray, share: float) -> np.ndarray:
    """Of S values in rising order along the first axis; a further value lies below it with probability ``share``.

    Linear between the order statistics k, which stand for k / (S + 1) (Weibull); no further than the outermost.
    """
    place = np.clip(share * (len(ordered) + 1) - 1, 0, len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def merged(scores: Sequence[tuple[int, Score]]) -> Score:
    """The score of all windows together, from that of each part and its number of windows."""
    weights = [count for count, _ in scores]
    columns = zip(*((*score[:3], *score.coverage) for _, score in scores), strict=True)
    mse, mae, crps, narrow, wide = (float(np.average(column, weights=weights)) for column in columns)
    return Score(mse, mae, crps, (narrow, wide))
