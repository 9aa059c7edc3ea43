"""A network that has learned a text goes on writing it, symbol by symbol."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lstm_jax.tasks.batch import Inputs
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import Network, blank_carry, run_network
from lstm_jax.unroll.stack import States


def write_on(
    config: ModelConfig, params: Network, prompt: np.ndarray, length: int, temperature: float, seed: int
) -> Iterator[int]:
    """The numbers of ``length`` symbols that follow ``prompt``, each as soon as it is drawn; equal for equal seeds.

    Args:
        config: of a network that was trained on a text.
        params: its weights.
        prompt: ``(n,)`` numbers of symbols, at least one.
        length: symbols to write.
        temperature: logits are divided by it: 1 draws as the network predicts, below 1 what is likely more often; 0
            always takes the most likely symbol.
        seed: of the draws.
    """
    if len(prompt) == 0:
        raise ValueError("there is nothing to go on from: the prompt must hold a symbol or more")
    key, carry = jax.random.key(seed), blank_carry(config, 1)
    read = jnp.asarray(prompt, jnp.int32)
    for n in range(length):
        symbol, carry = _next(config, params, carry, read, jax.random.fold_in(key, n), jnp.float32(temperature))
        read = symbol[None]
        yield int(symbol)


@partial(jax.jit, static_argnums=0)
def _next(
    config: ModelConfig, params: Network, carry: States, read: jax.Array, key: jax.Array, temperature: jax.Array
) -> tuple[jax.Array, States]:
    """The symbol after those in ``read (n,)``, and the states after them."""
    outputs, carry = run_network(config, params, Inputs(read[:, None]), carry)
    logits = outputs[-1, 0]
    drawn = jax.random.categorical(key, logits / jnp.maximum(temperature, jnp.finfo(jnp.float32).tiny))
    return jnp.where(temperature > 0, drawn, jnp.argmax(logits)).astype(jnp.int32), carry
