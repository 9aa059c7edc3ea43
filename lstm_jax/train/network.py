"""The network that is trained: recurrent layers and a linear readout, as pure functions of a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.initializers import SCHEMES, GateBias, Initializer, chrono, uniform_gates
from lstm_jax.modules.readout import Readout, init_readout, readout
from lstm_jax.tasks.batch import Batch
from lstm_jax.train.config import ModelConfig
from lstm_jax.unroll.stack import Stack, init_stack, unroll_stack

SHORTEST_CHRONO = 3


class Network(NamedTuple):
    """Weights of the recurrent layers and of the readout."""

    stack: Stack
    readout: Readout


def init_network(key: jax.Array, config: ModelConfig, input_size: int, output_size: int, length: int = 0) -> Network:
    """Draw the weights; ``length`` (steps) is what chrono initialisation takes for the longest time lag."""
    stack_key, readout_key = jax.random.split(key)
    stack = init_stack(
        stack_key,
        config.variant,
        input_size,
        config.hidden_size,
        num_layers=config.num_layers,
        bidirectional=config.bidirectional,
        forget_bias=_gate_biases(config, length),
        initializers=config.initializer,
    )
    width = config.hidden_size * (2 if config.bidirectional else 1)
    return Network(stack, init_readout(readout_key, width, output_size, _readout_initializer(config)))


def _readout_initializer(config: ModelConfig) -> Initializer | None:
    """The scheme's own input weights, as its paper drew every weight; ours leaves the readout's default."""
    return None if config.initializer == "standard" else SCHEMES[config.initializer]["W"]


def _gate_biases(config: ModelConfig, length: int) -> float | GateBias:
    rules: dict[str, Callable[[], float | GateBias]] = {
        "constant": lambda: config.forget_bias,
        "chrono": lambda: chrono(max(length, SHORTEST_CHRONO)),
        "uniform": uniform_gates,
    }
    return rules[config.gate_init]()


def apply_network(config: ModelConfig, params: Network, batch: Batch) -> jax.Array:
    """Predictions ``(T, B, O)`` float32 of ``batch``; operands of the products in ``config.precision``."""
    narrow = operands(config, params)
    ys, _ = unroll_stack(
        config.variant,
        narrow.stack,
        batch.inputs,
        batch.lengths,
        backend=config.backend,
        remat_chunk=config.remat_chunk,
    )
    return readout(narrow.readout, ys)


def operands(config: ModelConfig, params: Network) -> Network:
    """The weights in the type that the products take, ``config.precision``."""
    return jax.tree.map(lambda weight: weight.astype(_operand_type(config, weight)), params)


def _operand_type(config: ModelConfig, weight: jax.Array) -> jnp.dtype:
    return jnp.dtype(jnp.bfloat16) if config.precision == "bfloat16" else weight.dtype


def count_parameters(params: Network) -> int:
    """Numbers that are learned."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
