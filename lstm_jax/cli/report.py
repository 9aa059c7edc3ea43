"""``lstm-jax report``: table and figure anew, from the results alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from lstm_jax.cli.dispatch import DONE


@dataclass(frozen=True)
class Options:
    """Make table.md and figure.png anew from the results.csv (or .csv.gz) in a folder, and print the comparison."""

    folder: tyro.conf.Positional[Path]
    """What a study wrote (--out)."""
    out: Path | None = None
    """Folder for table and figure; default: that of the results."""
    reference: str = "V"
    """The variant that the others are compared with."""
    readme: tuple[Path, ...] = ()
    """Markdown files whose overview, between the markers `begin: NAME` and `end: NAME`, is brought up to date."""
    name: str = "gate_ablation"
    """NAME of the markers."""


def run(arguments: list[str]) -> int:
    """Regenerate, print."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax report")
    from lstm_jax.analysis.report import embed, readme_section, write_report
    from lstm_jax.cli.console import print_comparison
    from lstm_jax.studies.collect import find_results, read_rows
    from lstm_jax.train.records import write_atomically

    rows = read_rows(find_results(options.folder))
    written = [*write_report(options.folder, options.out, options.reference), *options.readme]
    for readme in options.readme:
        section = readme_section(options.folder, options.reference)
        write_atomically(readme, embed(readme.read_text(), options.name, section).encode())
    print_comparison(rows, options.reference)
    print(f"wrote {', '.join(map(str, written))}")
    return DONE
