"""From one step to a sequence: scan, lengths, resets, direction, stacks, and the fast backends."""

from lstm_jax.unroll.choice import BACKENDS, kernel_is_here, xla_options
from lstm_jax.unroll.sequence import unroll
from lstm_jax.unroll.stack import Stack, States, init_stack, unroll_stack

__all__ = ["BACKENDS", "Stack", "States", "init_stack", "kernel_is_here", "unroll", "unroll_stack", "xla_options"]
