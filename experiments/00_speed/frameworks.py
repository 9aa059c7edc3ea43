"""The update of the search in three frameworks: ours, PyTorch, Flax; see population.py.

Each does the same: one sequence, Gaussian noise on its inputs, binary cross-entropy (sum over keys, mean over steps),
gradient descent with Nesterov momentum. Each is imported by the function that needs it: JAX and PyTorch take threads,
and PyTorch may be absent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RATE, MOMENTUM, NOISE = 1e-3, 0.9, 0.1
DENSITY = 0.05
"""Share of the keys that sound, about that of four voices on 88 keys."""
EXACT_RATE = 1024.0
"""Learning rate at which weights show their gradient: far above their rounding, and a power of two scales exactly."""

Arrays = dict[str, np.ndarray]
Train = Callable[[int], tuple[float, bool]]
"""Chunks of updates to the seconds they took, and whether all trials really learned to the end."""


@dataclass(frozen=True)
class Spec:
    """What one process trains."""

    cell: str
    hidden: int
    trials: int
    inputs: int
    steps: int
    sequences: int
    chunk: int


def rolls(spec: Spec) -> np.ndarray:
    """Keys that sound or not, ``(N, T + 1, I)``: each step predicts the next."""
    shape = (spec.sequences, spec.steps + 1, spec.inputs)
    return (np.random.default_rng(0).random(shape) < DENSITY).astype(np.float32)


class Ours:
    """The training program itself: trials one after another on each host device, one device a core."""

    def __init__(self, threads: int) -> None:
        from lstm_jax.train.machine import describe_machine, use_whole_machine

        use_whole_machine()
        self.about = describe_machine()

    def check(self, spec: Spec, given: Arrays) -> Arrays:
        """First weights, first sequence, and the loss and gradient that the program itself makes of them."""
        import jax
        import jax.numpy as jnp

        from lstm_jax.train.objective import divide
        from lstm_jax.train.source import DATA, stream

        program, problem, state = self._begin(spec, (EXACT_RATE, 0.0, 0.0))
        first = jax.jit(lambda source: source.batch(source.plan(stream(0, DATA), jnp.int32(0), 1)[0]))
        batch = first(problem.train)
        before = jax.tree.map(lambda leaf: np.array(leaf)[0], state.params)  # a copy: advance reuses the memory
        state, metrics = program.advance(state, problem, jnp.int32(0), 1, 1)
        gradient = jax.tree.map(lambda old, new: (old - np.asarray(new)[0]) / EXACT_RATE, before, state.params)
        return {
            "inputs": np.asarray(batch.inputs),
            "targets": np.asarray(batch.targets),
            "loss": np.asarray(divide(metrics["nll"])[0]),
            **{f"weight {name}": array for name, array in _torch_names(before).items()},
            **{f"gradient {name}": array for name, array in _torch_names(gradient).items()},
        }

    def prepare(self, spec: Spec) -> tuple[Train, dict[str, object]]:
        import jax
        import jax.numpy as jnp

        program, problem, state = self._begin(spec, (RATE, MOMENTUM, NOISE))
        step = 0

        def train(chunks: int) -> tuple[float, bool]:
            nonlocal state, step
            start = time.perf_counter()
            for _ in range(chunks):
                state, _ = program.advance(state, problem, jnp.int32(step), spec.chunk, spec.chunk)
                step += spec.chunk
            jax.block_until_ready(state)
            seconds = time.perf_counter() - start
            # A trial that diverged is frozen and costs nothing, which would pass for speed.
            return seconds, bool((np.asarray(state.step)[: spec.trials] == step).all())

        return train, {}

    def _begin(self, spec: Spec, hyper: tuple[float, float, float]) -> tuple[Any, Any, Any]:
        import jax
        import jax.numpy as jnp

        from lstm_jax.datasets.sequences import next_step, take
        from lstm_jax.train.config import Config, DataConfig, ModelConfig, OptimizerConfig, TrainConfig
        from lstm_jax.train.parallel import build_program
        from lstm_jax.train.population import stack_hypers
        from lstm_jax.train.program import begin
        from lstm_jax.train.source import DatasetSource, Problem
        from lstm_jax.train.step import Hyper

        config = Config(
            ModelConfig(spec.cell, spec.hidden),
            OptimizerConfig("damped_sgd", nesterov=True, clip_norm=None),
            DataConfig(batch_size=1, input_noise=NOISE),
            TrainConfig(data_seed=0, placement="map"),
        )
        sequences = jax.tree.map(jnp.asarray, next_step(list(rolls(spec))))
        held_out = jax.tree.map(lambda array: array[None], take(sequences, jnp.array([0])))
        source = DatasetSource(sequences, take, batch_size=1)
        sizes = {"input_size": spec.inputs, "output_size": spec.inputs, "length": spec.steps}
        problem = Problem(source, held_out, held_out, name="rolls", **sizes, loss="bernoulli", metric="nll")
        program = build_program(config, "bernoulli")
        problem = program.place(problem)
        hypers = stack_hypers(config, spec.trials, [Hyper(*map(jnp.float32, hyper))] * spec.trials)
        return program, problem, begin(program, problem, range(spec.trials), hypers).state


def _torch_names(network: Any) -> Arrays:
    """Weights, or their gradient, by their names in PyTorch; its second bias, which is ours split in two, left out."""
    from lstm_jax.convert.torch import to_torch

    arrays = {f"lstm.{name}": array for name, array in to_torch("NP", network.stack).items() if "bias_hh" not in name}
    return {**arrays, "readout.weight": network.readout.W.T, "readout.bias": network.readout.b}


class Torch:
    """``nn.LSTM`` and ``nn.Linear``, with the fused optimizer and without denormal numbers, both of which help it."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        self.about = {"torch": torch.__version__}

    def check(self, spec: Spec, given: Arrays) -> Arrays:
        import torch

        network, update = self._build(spec)
        weights = {name[7:]: torch.from_numpy(array) for name, array in given.items() if name.startswith("weight ")}
        blank = torch.zeros_like(weights["lstm.bias_ih_l0"])
        network.load_state_dict({**weights, "lstm.bias_hh_l0": blank})
        loss = update(torch.from_numpy(given["inputs"]), torch.from_numpy(given["targets"]), 0.0)
        gradients = {f"gradient {name}": weight.grad.numpy() for name, weight in network.named_parameters()}
        return {"loss": loss.numpy(), **gradients}

    def prepare(self, spec: Spec) -> tuple[Train, dict[str, object]]:
        import torch

        _, update = self._build(spec)
        data = torch.from_numpy(rolls(spec))[:, :, None]
        order: list[int] = []

        def train(chunks: int) -> tuple[float, bool]:
            nonlocal order
            start = time.perf_counter()
            for _ in range(chunks * spec.chunk):
                order = order or torch.randperm(len(data)).tolist()
                sequence = data[order.pop()]
                loss = update(sequence[:-1], sequence[1:], NOISE)
            finite = bool(loss.isfinite())
            return time.perf_counter() - start, finite

        return train, {}

    def _build(self, spec: Spec) -> tuple[Any, Callable[[Any, Any, float], Any]]:
        import torch
        from torch.nn import functional

        lstm, readout = torch.nn.LSTM(spec.inputs, spec.hidden), torch.nn.Linear(spec.hidden, spec.inputs)
        network = torch.nn.ModuleDict({"lstm": lstm, "readout": readout})
        rate = RATE * (1 - MOMENTUM)
        optimizer = torch.optim.SGD(network.parameters(), rate, MOMENTUM, nesterov=True, fused=True)

        def update(inputs: Any, targets: Any, noise: float) -> Any:
            optimizer.zero_grad()
            outputs = readout(lstm(inputs + noise * torch.randn_like(inputs))[0])
            loss = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum") / len(inputs)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return network, update


class Flax:
    """Linen's fastest cell and Optax, one trial: a chunk of updates is one compiled scan."""

    def __init__(self, threads: int) -> None:
        self.about: dict[str, object] = {}

    def check(self, spec: Spec, given: Arrays) -> Arrays:
        import jax

        from lstm_jax import convert
        from lstm_jax.train.network import Network, Readout

        loss, weights = self._build(spec)
        (cell_name,) = weights[0]["params"]
        ((core,),) = convert.from_torch(
            {k[12:]: a for k, a in given.items() if k.startswith("weight lstm.")}
            | {"bias_hh_l0": np.zeros_like(given["weight lstm.bias_ih_l0"])}
        )
        cell = {"params": {cell_name: convert.to_flax("NP", core, "linen")}}
        weights = cell, (given["weight readout.weight"].T, given["weight readout.bias"])
        value, (d_cell, d_readout) = jax.jit(jax.value_and_grad(loss))(weights, given["inputs"], given["targets"])
        gradient = Network(((convert.from_flax(d_cell["params"][cell_name]),),), Readout(*map(np.asarray, d_readout)))
        named = {f"gradient {name}": array for name, array in _torch_names(gradient).items()}
        return {"loss": np.asarray(value), **named}

    def prepare(self, spec: Spec) -> tuple[Train, dict[str, object]]:
        import jax
        import jax.numpy as jnp
        import optax

        loss, weights = self._build(spec)
        data = jnp.asarray(rolls(spec))[:, :, None]
        optimizer = optax.sgd(RATE * (1 - MOMENTUM), MOMENTUM, nesterov=True)

        def update(carry: Any, step: tuple[Any, Any]) -> tuple[Any, Any]:
            weights, memory = carry
            row, key = step
            noise = NOISE * jax.random.normal(key, data[0, :-1].shape)
            value, gradient = jax.value_and_grad(loss)(weights, data[row, :-1] + noise, data[row, 1:])
            moves, memory = optimizer.update(gradient, memory, weights)
            return (optax.apply_updates(weights, moves), memory), value

        def chunk(carry: Any, key: Any) -> tuple[Any, Any]:
            rows = jax.random.permutation(key, max(spec.chunk, len(data)))[: spec.chunk] % len(data)
            return jax.lax.scan(update, carry, (rows, jax.random.split(key, spec.chunk)))

        compiled = jax.jit(chunk, donate_argnums=0)
        carry, done = (weights, optimizer.init(weights)), 0

        def train(chunks: int) -> tuple[float, bool]:
            nonlocal carry, done
            start = time.perf_counter()
            for _ in range(chunks):
                carry, losses = compiled(carry, jax.random.key(done))
                done += 1
            jax.block_until_ready(carry)
            return time.perf_counter() - start, bool(np.isfinite(losses).all())

        return train, {}

    def _build(self, spec: Spec) -> tuple[Callable[[Any, Any, Any], Any], Any]:
        import jax
        import jax.numpy as jnp
        import optax
        from flax import linen

        layer = linen.RNN(linen.OptimizedLSTMCell(spec.hidden), time_major=True)
        cell = jax.jit(layer.init)(jax.random.key(0), jnp.zeros((spec.steps, 1, spec.inputs)))
        readout = 0.1 * jax.random.normal(jax.random.key(1), (spec.hidden, spec.inputs)), jnp.zeros(spec.inputs)

        def loss(weights: Any, inputs: Any, targets: Any) -> Any:
            cell, (matrix, bias) = weights
            outputs = layer.apply(cell, inputs) @ matrix + bias[None, None]
            return optax.sigmoid_binary_cross_entropy(outputs, targets).sum() / len(inputs)

        return loss, (cell, readout)


FRAMEWORKS = {"ours": Ours, "torch": Torch, "flax": Flax}
"""Name to what trains: ``(threads)``, then ``about``, ``check(spec, given)`` and ``prepare(spec)``."""
