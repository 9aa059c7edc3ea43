"""The command line: parse, call, print."""

from lstm_jax.cli.dispatch import main

__all__ = ["main"]
