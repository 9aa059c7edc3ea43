"""The network that is trained: recurrent layers and a linear readout, as pure functions of a config."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstm_jax.cell.initializers import SCHEMES, GateBias, Initializer, chrono, uniform, uniform_gates
from lstm_jax.cell.step import initial_state
from lstm_jax.modules.readout import Readout, init_readout, readout
from lstm_jax.names import UsageError
from lstm_jax.tasks.batch import Batch, Inputs
from lstm_jax.train.config import DropoutConfig, ModelConfig
from lstm_jax.train.dropout import drop_features, drop_rows, drop_weights
from lstm_jax.unroll.lengths import packed_starts
from lstm_jax.unroll.stack import Stack, States, init_stack, unroll_stack

SHORTEST_CHRONO = 3
EMBEDDING_WIDTH = 0.1
NOTHING = DropoutConfig()


class Network(NamedTuple):
    """Weights of the recurrent layers and of the readout.

    Attributes:
        stack, readout: as their rooms have them; a tied readout owns no W (None), it reads with the embedding's.
        embedding: ``(V, E)`` features of each symbol; None where the first layer reads the inputs themselves.
    """

    stack: Stack
    readout: Readout
    embedding: jax.Array | None = None


def init_network(key: jax.Array, config: ModelConfig, input_size: int, output_size: int, length: int = 0) -> Network:
    """Draw the weights; ``length`` (steps) is what chrono initialisation takes for the longest time lag."""
    stack_key, readout_key = jax.random.split(key)
    embedding = None
    if config.embedding is not None:
        embedding_key, stack_key = jax.random.split(stack_key)
        embedding = uniform(EMBEDDING_WIDTH)(embedding_key, (input_size, config.embedding), jnp.float32)
    stack = init_stack(
        stack_key,
        config.variant,
        input_size if config.embedding is None else config.embedding,
        config.hidden_size,
        num_layers=config.num_layers,
        bidirectional=config.bidirectional,
        forget_bias=_gate_biases(config, length),
        initializers=config.initializer,
    )
    width = config.hidden_size * (2 if config.bidirectional else 1)
    drawn = init_readout(readout_key, width, output_size, _readout_initializer(config, width))
    return Network(stack, drawn._replace(W=None) if config.tied else drawn, embedding)


def _readout_initializer(config: ModelConfig, width: int) -> Initializer | None:
    """The scheme's own input weights, as its paper drew every weight; ours leaves the readout's default.

    PyTorch draws a cell by its width and a linear layer by that of what it reads.
    """
    if config.initializer == "pytorch":
        return uniform(width**-0.5)
    return None if config.initializer == "standard" else SCHEMES[config.initializer]["W"]


def _gate_biases(config: ModelConfig, length: int) -> float | GateBias | None:
    rules: dict[str, Callable[[], float | GateBias | None]] = {
        "constant": lambda: config.forget_bias,
        "chrono": lambda: chrono(max(length, SHORTEST_CHRONO)),
        "uniform": uniform_gates,
    }
    return rules[config.gate_init]()


def apply_network(config: ModelConfig, params: Network, batch: Batch | Inputs) -> jax.Array:
    """Predictions ``(T, B, O)`` float32 of ``batch``; operands of the products in ``config.precision``."""
    return run_network(config, params, batch)[0]


def run_network(
    config: ModelConfig,
    params: Network,
    batch: Batch | Inputs,
    carry: States | None = None,
    rates: DropoutConfig = NOTHING,
    key: jax.Array | None = None,
) -> tuple[jax.Array, States]:
    """Predictions ``(T, B, O)`` float32, and the states after the last step, from which the next window goes on.

    Args:
        config: the network.
        params: its weights.
        batch: inputs ``(T, B, I)``, or symbols ``(T, B)`` int32; targets and mask are not looked at.
        carry: states to start from, one a layer; None starts blank.
        rates: what is dropped; nothing without ``key``, which masks are drawn from.
        key: of this update.

    Raises:
        UsageError: symbols are wanted and numbers came.
    """
    rates, key = (NOTHING, jax.random.key(0)) if key is None else (rates, key)
    narrow = operands(config, params)
    stack = drop_weights(rates, key, narrow.stack)
    table = None if narrow.embedding is None else drop_rows(rates, key, narrow.embedding)
    ys, states = _features(batch.inputs, table, stack[0][0].W), []
    packed = batch.lengths is not None and batch.lengths.ndim == 2
    lengths, resets = packed_starts(batch.lengths, ys.shape[0]) if packed else (batch.lengths, None)
    for n, layer in enumerate(stack):
        ys = drop_features(rates.between if n else rates.inputs, key, n, ys)
        first = None if carry is None else (carry[n],)
        ys, (state,) = unroll_stack(
            config.variant,
            (layer,),
            ys,
            lengths,
            first,
            resets,
            backend=config.backend,
            remat_chunk=config.remat_chunk,
        )
        states.append(state)
    ys = drop_features(rates.outputs, key, len(stack), ys)
    reader = narrow.readout
    if config.tied and narrow.embedding is not None:
        reader = reader._replace(W=narrow.embedding.T)
    return readout(reader, ys), tuple(states)


def _features(inputs: jax.Array, table: jax.Array | None, W: jax.Array) -> jax.Array:
    """What the first layer reads: the inputs, or the rows of the table (by default one-hot) that symbols name."""
    symbols = jnp.issubdtype(inputs.dtype, jnp.integer)
    if table is None:
        return jax.nn.one_hot(inputs, W.shape[0], dtype=W.dtype) if symbols else inputs
    if not symbols:
        raise UsageError(
            f"model.embedding looks up symbols, but the inputs are {inputs.dtype}{list(inputs.shape)}: leave it out, "
            "or train on a text"
        )
    return table[inputs]


def blank_carry(config: ModelConfig, batch_size: int) -> States:
    """The states that a stream begins with, one a layer, ``(B, H)`` float32.

    Raises:
        UsageError: a stream has no end from which the other direction could start.
    """
    if config.bidirectional:
        raise UsageError("a text is read as it comes: model.bidirectional must be off")
    width = config.width or config.hidden_size
    return tuple(initial_state(config.variant, (batch_size,), width) for _ in range(config.num_layers))


def operands(config: ModelConfig, params: Network) -> Network:
    """The weights in the type that the products take, ``config.precision``."""
    return jax.tree.map(lambda weight: weight.astype(_operand_type(config, weight)), params)


def _operand_type(config: ModelConfig, weight: jax.Array) -> jnp.dtype:
    return jnp.dtype(jnp.bfloat16) if config.precision == "bfloat16" else weight.dtype


def count_parameters(params: Network) -> int:
    """Numbers that are learned."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
