"""From one step to a sequence: scan, lengths, resets, direction, stacks, and the fast backends."""

from lstm_jax.unroll.choice import BACKENDS, automatic
from lstm_jax.unroll.sequence import unroll
from lstm_jax.unroll.stack import Stack, States, init_stack, unroll_stack

__all__ = ["BACKENDS", "Stack", "States", "automatic", "init_stack", "unroll", "unroll_stack"]
