"""A head that says how sure it is: each predicted number has a Student t distribution of its own.

Of K numbers the network gives 3 K: locations, then raw scales, then raw degrees of freedom. The t distribution has
heavier tails than the normal one, so a single surprise does not widen everything (Salinas et al., "DeepAR", 2020).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

LEAST_SCALE = 1e-3
LEAST_FREEDOM = 2.1
"""Above 2, so that every distribution has a variance."""


class StudentT(NamedTuple):
    """Location, scale and degrees of freedom, each ``(..., K)``."""

    location: jax.Array
    scale: jax.Array
    freedom: jax.Array


def distribution(outputs: jax.Array) -> StudentT:
    """The distributions that outputs ``(..., 3 K)`` stand for."""
    location, scale, freedom = jnp.split(outputs, 3, axis=-1)
    return StudentT(location, LEAST_SCALE + jax.nn.softplus(scale), LEAST_FREEDOM + jax.nn.softplus(freedom))


def nll(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Minus the log density at targets ``(..., K)``, nats, mean over K."""
    location, scale, freedom = distribution(outputs)
    squared = ((targets - location) / scale) ** 2
    constant = gammaln(freedom / 2) - gammaln((freedom + 1) / 2) + 0.5 * jnp.log(freedom * jnp.pi) + jnp.log(scale)
    return jnp.mean(constant + 0.5 * (freedom + 1) * jnp.log1p(squared / freedom), axis=-1)


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Of the locations, mean over K."""
    return jnp.mean((distribution(outputs).location - targets) ** 2, axis=-1)


def draw(key: jax.Array, outputs: jax.Array) -> jax.Array:
    """One number ``(..., K)`` of each distribution: a normal one over the root of a scaled chi-squared one."""
    location, scale, freedom = distribution(outputs)
    normal_key, gamma_key = jax.random.split(key)
    normal = jax.random.normal(normal_key, location.shape, location.dtype)
    chi = jax.random.gamma(gamma_key, freedom / 2) * 2
    return location + scale * normal * jnp.sqrt(freedom / chi)
