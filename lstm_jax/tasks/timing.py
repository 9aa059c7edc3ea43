"""Lengths and the steps they make valid, shared by all tasks."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def draw_lengths(key: jax.Array, batch_size: int, shortest: int, longest: int) -> jax.Array:
    """``(B,)`` int32, uniform on the integers shortest..longest, both ends included."""
    return jax.random.randint(key, (batch_size,), shortest, longest + 1, dtype=jnp.int32)


def coins(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Fair coins, bool: 32 random bits each, also where 64-bit numbers are on, so that a key draws the same."""
    return jax.random.bernoulli(key, jnp.float32(0.5), shape)


def step_numbers(steps: int) -> jax.Array:
    """``(T, 1)`` int32, the steps counted from 0, ready to compare with a ``(1, B)`` row of positions."""
    return jnp.arange(steps, dtype=jnp.int32)[:, None]


def at(positions: jax.Array, steps: int) -> jax.Array:
    """``(T, B)`` bool, true at step ``positions[b]`` of sequence b."""
    return step_numbers(steps) == positions[None, :]


def valid(lengths: jax.Array, steps: int) -> jax.Array:
    """``(T, B)`` bool, true before the end of each sequence."""
    return step_numbers(steps) < lengths[None, :]


def answer_at(mask: jax.Array, answers: jax.Array) -> jax.Array:
    """``(T, B)`` with ``answers (B,)`` where ``mask (T, B)`` is true, zero elsewhere."""
    return jnp.where(mask, answers[None, :], jnp.zeros((), answers.dtype))
