"""Labels without times (CTC): the loss, reading labels off a network's outputs, and how far two strings are apart.

Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
Networks", 2006. Output 0 is the blank. ``targets (L, B)`` hold the labels of each sequence, 1 and up, zeros behind
them; L has nothing to do with T. Every valid frame of the inputs is in ``loss_mask``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from lstm_jax.tasks.batch import Batch, Inputs
from lstm_jax.train.config import ModelConfig
from lstm_jax.train.network import Network, apply_network

BLANK = 0

Counted = tuple[jax.Array, jax.Array]
"""Values ``(1, B)``, one a sequence, and their weights."""


def nll(outputs: jax.Array, batch: Batch) -> Counted:
    """Minus the log probability of the labels, all alignments together, in nats a sequence.

    Args:
        outputs: ``(T, B, 1 + labels)`` logits.
        batch: see the top of the file.
    """
    labels, frames = batch.targets.T, batch.loss_mask.T
    paddings = jnp.asarray(~frames, outputs.dtype), jnp.asarray(labels == BLANK, outputs.dtype)
    losses = optax.ctc_loss(outputs.swapaxes(0, 1), paddings[0], labels, paddings[1], blank_id=BLANK)
    counted = jnp.any(frames, axis=1)
    return jnp.where(counted, losses, 0)[None], counted[None]


def errors(outputs: jax.Array, batch: Batch) -> tuple[Counted, Counted]:
    """Two metrics of the greedy reading, which is read once.

    Insertions, deletions and substitutions, whose weight is the number of true labels; and 1 where the reading is not
    the string of labels, 0 where it is.
    """
    distance = edit_distance(emitted(outputs, batch.loss_mask), batch.targets)[None]
    labels, frames = jnp.sum(batch.targets != BLANK, axis=0), jnp.any(batch.loss_mask, axis=0)
    return (distance, labels[None]), (distance > 0, frames[None])


def metrics(outputs: jax.Array, batch: Batch) -> tuple[Counted, Counted, Counted]:
    """``nll``, and the two of ``errors``."""
    return nll(outputs, batch), *errors(outputs, batch)


def emitted(outputs: jax.Array, frames: jax.Array) -> jax.Array:
    """The greedy reading: the label ``(T, B)`` that each frame begins, BLANK where it begins none.

    The best output of every frame, repetitions merged (Graves et al. 2006, section 3.2).
    """
    best = jnp.where(frames, jnp.argmax(outputs, axis=-1), BLANK)
    before = jnp.pad(best, ((1, 0), (0, 0)))[:-1]
    return jnp.where(best != before, best, BLANK)


def edit_distance(read: jax.Array, labels: jax.Array) -> jax.Array:
    """Levenshtein's distance ``(B,)`` int32 of two strings whose zeros count as nothing.

    Args:
        read: ``(T, B)``, zeros anywhere.
        labels: ``(L, B)``, zeros at the end.
    """
    places = jnp.arange(labels.shape[0] + 1, dtype=jnp.int32)[:, None]

    def one_more(row: jax.Array, symbol: jax.Array) -> tuple[jax.Array, None]:
        """``row[k]``: distance of what was read so far to the first k labels."""
        changed = row[:-1] + (labels != symbol[None])
        new = jnp.concatenate([row[:1] + 1, jnp.minimum(row[1:] + 1, changed)])
        new = lax.cummin(new - places) + places  # labels that were left out
        return jnp.where(symbol[None] == BLANK, row, new), None

    start = jnp.broadcast_to(places, (len(places), labels.shape[1]))
    row, _ = lax.scan(one_more, start, read)
    count = jnp.sum(labels != BLANK, axis=0)
    return jnp.take_along_axis(row, count[None], axis=0)[0]


def greedy_labels(logits: np.ndarray) -> list[int]:
    """The greedy reading of one sequence ``(T, 1 + labels)``, all frames valid."""
    frames = jnp.ones((len(logits), 1), bool)
    read = np.asarray(emitted(jnp.asarray(logits)[:, None], frames))[:, 0]
    return [int(label) for label in read if label != BLANK]


def beam_labels(logits: np.ndarray, width: int = 16) -> tuple[list[int], float]:
    """The most probable string that a beam of ``width`` prefixes finds, and its log probability (nats).

    A string's probability is the sum over all alignments, of which the greedy reading knows one. With a beam wide
    enough the result is exact.

    Source: Graves & Jaitly, "Towards End-to-End Speech Recognition with Recurrent Neural Networks", 2014, algorithm 1,
    without a language model.
    """
    if width < 1:
        raise ValueError(f"the beam must hold 1 prefix or more, got width={width}")
    wide = np.asarray(logits, np.float64)
    logs = wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)
    # Of each prefix: log probability of the alignments that end in a blank, and of those that end in its last label.
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for now in logs:
        grown: dict[tuple[int, ...], tuple[float, float]] = {}

        def add(prefix: tuple[int, ...], blank: float, label: float, grown: dict = grown) -> None:
            before = grown.get(prefix, (-np.inf, -np.inf))
            grown[prefix] = (float(np.logaddexp(before[0], blank)), float(np.logaddexp(before[1], label)))

        for prefix, (blank, label) in beam.items():
            either = np.logaddexp(blank, label)
            add(prefix, either + now[BLANK], label + now[prefix[-1]] if prefix else -np.inf)
            for symbol in range(1, len(now)):
                repeated = prefix and symbol == prefix[-1]  # only a blank between them makes two of it
                add((*prefix, symbol), -np.inf, (blank if repeated else either) + now[symbol])
        best = sorted(grown, key=lambda prefix: -np.logaddexp(*grown[prefix]))[:width]
        beam = {prefix: grown[prefix] for prefix in best}
    winner = max(beam, key=lambda prefix: np.logaddexp(*beam[prefix]))
    return list(winner), float(np.logaddexp(*beam[winner]))


def best_of(logits: np.ndarray, candidates: np.ndarray) -> int:
    """Which of K strings the outputs ``(T, 1 + labels)`` of one sequence make most probable.

    Args:
        logits: all frames valid.
        candidates: ``(L, K)`` labels, zeros behind them.
    """
    steps, count = len(logits), candidates.shape[1]
    padded = np.pad(logits, ((0, -steps % FRAMES), (0, 0)))
    mask = np.broadcast_to((np.arange(len(padded)) < steps)[:, None], (len(padded), count))
    outputs = np.broadcast_to(padded[:, None], (len(padded), count, padded.shape[1]))
    return int(np.argmin(_nlls(jnp.asarray(outputs), jnp.asarray(candidates), jnp.asarray(mask))))


@jax.jit
def _nlls(outputs: jax.Array, candidates: jax.Array, mask: jax.Array) -> jax.Array:
    lengths = jnp.sum(mask, axis=0)
    return nll(outputs, Batch(outputs, candidates, lengths, mask))[0][0]


FRAMES = 64
"""Single sequences are padded to a multiple of this, so that a few programs serve all."""


def logits_of(config: ModelConfig, params: Network, frames: np.ndarray) -> np.ndarray:
    """Outputs ``(T, 1 + labels)`` of a network for one sequence ``(T, I)``."""
    steps = len(frames)
    inputs = np.pad(frames, ((0, -steps % FRAMES), (0, 0)))[:, None]
    read = Inputs(jnp.asarray(inputs), jnp.asarray([steps], jnp.int32))
    return np.asarray(_outputs(config, params, read))[:steps, 0]


_outputs = jax.jit(apply_network, static_argnums=0)
