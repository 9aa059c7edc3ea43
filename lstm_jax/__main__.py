"""``python -m lstm_jax`` is ``lstm-jax``."""

from __future__ import annotations

import sys

from lstm_jax.cli import main

if __name__ == "__main__":
    sys.exit(main())
