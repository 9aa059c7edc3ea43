"""One layer in PyTorch on the CPU, where ``nn.LSTM`` is oneDNN's; see layer.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import layer_cases as cases
import numpy as np
from layer_cases import Arrays, Spec
from layer_jax import PEAK_SIZE, PEAK_TRIES, Work


@dataclass(frozen=True)
class Program:
    """What is timed, and the weights whose gradient it leaves behind."""

    call: Callable[[], tuple[Any, ...]]
    lstm: Any

    def __call__(self, times: int) -> tuple[float, bool]:
        start = time.perf_counter()
        for _ in range(times):
            results = self.call()
        return time.perf_counter() - start, bool(results[0].isfinite().all())


class Torch:
    """``nn.LSTM`` with all cores as threads and denormal numbers off; ragged rows are packed sequences."""

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)
        self.about = {"torch": torch.__version__}
        self.programs: dict[Spec, Program] = {}

    def prepare(self, spec: Spec) -> tuple[Work, dict[str, object]]:
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        lstm = torch.nn.LSTM(spec.inputs, spec.hidden, spec.layers, bidirectional=spec.directions > 1)
        drawn = {name: torch.from_numpy(array) for name, array in cases.weights(spec).items()}
        blank = {n.replace("_ih_", "_hh_"): torch.zeros_like(a) for n, a in drawn.items() if n.startswith("bias")}
        lstm.load_state_dict(drawn | blank)
        xs, lengths = torch.from_numpy(cases.inputs(spec)), torch.from_numpy(cases.lengths(spec)).long()
        weigh = [torch.from_numpy(array) for array in cases.loss_weights(spec)]

        def run() -> tuple[Any, ...]:
            if not spec.ragged:
                return (lstm(xs)[0],)
            outputs, (last, _) = lstm(pack_padded_sequence(xs, lengths, enforce_sorted=False))
            return pad_packed_sequence(outputs, total_length=spec.steps)[0], last[-1]

        def forward() -> tuple[Any, ...]:
            with torch.inference_mode():
                return run()

        def gradient() -> tuple[Any, ...]:
            lstm.zero_grad()
            loss = sum((a * b).sum() for a, b in zip(run(), weigh, strict=True))
            loss.backward()
            return (loss.detach(),)

        program = self.programs[spec] = Program(gradient if spec.gradient else forward, lstm)
        return program, {"compile": None, "bytes": resident_growth(program.call)}

    def check(self, spec: Spec, given: Arrays) -> Arrays:
        """Outputs, or the gradient for every weight; that of the second bias, which equals the first's, left out."""
        program = self.programs[spec]
        results = program.call()
        if spec.gradient:
            gradients = {name: weight.grad.numpy() for name, weight in program.lstm.named_parameters()}
            return {f"gradient {name}": array for name, array in gradients.items() if "bias_hh" not in name}
        return {"outputs": results[0].numpy()} | {f"last outputs {n}": a.numpy() for n, a in enumerate(results[1:])}

    def forget(self) -> None:
        self.programs.clear()

    def peak(self) -> float:
        """GFLOP/s of the best of some large float32 products."""
        import torch

        square, seconds = torch.from_numpy(np.ones((PEAK_SIZE, PEAK_SIZE), np.float32)), []
        for _ in range(PEAK_TRIES):
            start = time.perf_counter()
            torch.mm(square, square)
            seconds.append(time.perf_counter() - start)
        return 2e-9 * PEAK_SIZE**3 / min(seconds)


def resident_growth(run: Callable[[], Any]) -> int | None:
    """Bytes by which memory rises above its level before while something runs; None where Linux does not tell."""
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the highest level counts from now
        before = _resident(status, "VmRSS")
        run()
        return max(_resident(status, "VmHWM") - before, 0)
    except OSError:
        return None


def _resident(status: Path, name: str) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(name + ":")]
    return int(line.split()[1]) * 1024
