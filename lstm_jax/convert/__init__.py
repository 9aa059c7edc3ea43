"""Weights to and from other libraries' layouts."""

from lstm_jax.convert.flax import from_flax, to_flax
from lstm_jax.convert.torch import from_torch, to_torch

__all__ = ["from_flax", "from_torch", "to_flax", "to_torch"]
