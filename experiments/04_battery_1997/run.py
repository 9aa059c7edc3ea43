"""The experiments of "Long Short-Term Memory" (1997), as printed, beside what was printed.

    python experiments/04_battery_1997/run.py                                # all rows, as printed
    python experiments/04_battery_1997/run.py --rows order-6a "two-3a*" --budget 10
    python experiments/04_battery_1997/run.py --list

On-line gradient descent, memory blocks that share their gates, no forget gate, the truncated gradient, and the
paper's criteria for stopping and for success. README.md says what was found and what each choice means.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from lstm_jax.cli.dispatch import guarded


@dataclass(frozen=True)
class Options:
    """The battery of 1997 beside its own tables."""

    rows: tuple[str, ...] = ()
    """Names, also with commas; `two-3a*`: all that begin so; `reber`: reber-1 to -5; by default all as printed."""
    trials: int | None = None
    """Trials of each row, by default as many as published."""
    budget: float | None = None
    """Minutes after which no row goes on; the next run continues. By default no limit."""
    out: Path = Path("results/battery_1997")
    """Folder of the results; rows found there are continued."""
    workers: int | None = None
    """Processes, by default one a core."""
    list: bool = False
    """Only say which rows there are."""
    report: Path | None = None
    """Only make table and figure anew from the results in this folder."""
    readme: tuple[Path, ...] = ()
    """With --report: files whose table is brought up to date."""


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, config=(tyro.conf.FlagCreatePairsOff,))
    from lstm_jax.analysis import battery_report
    from lstm_jax.cli.battery import conduct, print_rows
    from lstm_jax.studies.battery import chosen_rows

    rows = chosen_rows(options.rows)
    if options.list:
        print_rows(rows)
    elif options.report:
        battery_report.publish(options.report, options.readme)
    else:
        seconds = None if options.budget is None else 60 * options.budget
        conduct(rows, options.out, options.trials, seconds, options.workers)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
