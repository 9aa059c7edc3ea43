"""Dynamic evaluation: a network that goes on learning from the text it is judged on, always after it was judged.

Krause, Kahembwe, Murray & Renals, "Dynamic Evaluation of Neural Sequence Models", 2018; here with plain gradient
descent and a pull back to the trained weights.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import Config
from lstm_jax.train.network import Network, blank_carry
from lstm_jax.train.objective import loss_name
from lstm_jax.train.step import Metrics, gradient_sums


@partial(jax.jit, static_argnums=(0, 1))
def evaluate_dynamically(
    config: Config, loss: str, params: Network, batches: Batch, learning_rate: jax.Array, decay: jax.Array
) -> Metrics:
    """Metrics over streams ``(E, T, B)``; each window is predicted with what the windows before it have taught.

    Args:
        config: the run; nothing is dropped here.
        loss: a name in ``objective.LOSSES``.
        params: trained weights; they are where the weights begin, and what they are pulled back to.
        batches: windows of streams, which all move the same weights.
        learning_rate: of the mean gradient of a window; 0 is plain evaluation.
        decay: share of the way back to ``params`` after each window, 0 to 1.
    """
    gradient = gradient_sums(config, loss)

    def window(before, batch: Batch):
        weights, carry = before
        gradients, metrics, carry = gradient(weights, batch, carry)
        scale = learning_rate / jnp.maximum(metrics[loss_name(loss)].count, 1)
        weights = jax.tree.map(lambda w, g, w0: w - scale * g + decay * (w0 - w), weights, gradients, params)
        return (weights, carry), metrics

    carry = blank_carry(config.model, batches.targets.shape[2])
    _, totals = jax.lax.scan(window, (params, carry), batches)
    return jax.tree.map(lambda value: value.sum(0), totals)
