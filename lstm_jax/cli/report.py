"""``lstm-jax report``: tables and figures anew, from the results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import tyro

from lstm_jax.cli.dispatch import DONE


@dataclass(frozen=True)
class Options:
    """Make tables and figures anew from the results.csv (or .csv.gz) in a folder, and print the comparison.

    Repeated runs give table.md and figure.png; a random search gives report.md, report.html and their figures.
    """

    folder: tyro.conf.Positional[Path]
    """What a study wrote (--out)."""
    out: Path | None = None
    """Folder for tables and figures; default: that of the results."""
    reference: str = "V"
    """The variant that the others are compared with."""
    readme: tuple[Path, ...] = ()
    """Markdown files whose overview, between the markers `begin: NAME` and `end: NAME`, is brought up to date."""
    name: str = "gate_ablation"
    """NAME of the markers; between those of NAME/short goes the short form that a random search has."""


def run(arguments: list[str]) -> int:
    """Regenerate, print."""
    options = tyro.cli(Options, args=arguments, prog="lstm-jax report")
    from lstm_jax.analysis import report, search_report
    from lstm_jax.train.records import write_atomically

    written = publish(options.folder, options.reference, options.out)
    forms = {options.name: report.readme_section}
    if _holds_search(options.folder):
        forms = {options.name: search_report.readme_section, f"{options.name}/short": search_report.short_section}
    for readme in options.readme:
        sections = {name: form(options.folder, options.reference) for name, form in forms.items()}
        write_atomically(readme, report.embed_those(readme.read_text(), sections).encode())
    print(f"wrote {', '.join(map(str, [*written, *options.readme]))}")
    return DONE


def show_section(section: str, name: str, readmes: Iterable[Path] = (), table: Path | None = None) -> None:
    """Print what an experiment gave, and put it between the markers NAME of ``readmes`` and into ``table``."""
    from lstm_jax.analysis.report import embed
    from lstm_jax.train.records import write_atomically

    if table is not None:
        write_atomically(table, f"{section}\n".encode())
    for readme in readmes:
        write_atomically(readme, embed(readme.read_text(), name, section).encode())
    print(section)


class Presets(Protocol):
    """Options of an experiment whose presets have a folder each, and whose report may join several of them."""

    @property
    def preset(self) -> str: ...
    @property
    def out(self) -> Path: ...
    @property
    def report(self) -> tuple[Path, ...]: ...
    @property
    def readme(self) -> tuple[Path, ...]: ...


def run_or_report(options: Presets, run: Callable[[Path], None], section: Callable[..., str], name: str) -> None:
    """Run a preset into its folder, or, with --report, run nothing; then show and keep what the folders hold."""
    folders = options.report or (options.out / options.preset,)
    if not options.report:
        run(*folders)
    show_section(section(*folders), name, options.readme if options.report else (), folders[0] / "table.md")


def publish(folder: Path, reference: str = "V", out: Path | None = None) -> list[Path]:
    """Write the report that fits the results in a folder, print their comparison, return the paths written."""
    from lstm_jax.analysis.report import write_report
    from lstm_jax.analysis.search_report import write_search_report
    from lstm_jax.cli.console import print_comparison
    from lstm_jax.studies.collect import find_results, read_rows

    if _holds_search(folder):
        written = write_search_report(folder, out, reference)
        _print_search(folder, reference)
        return written
    written = [*write_report(folder, out, reference)]
    print_comparison(read_rows(find_results(folder)), reference)
    return written


def _holds_search(folder: Path) -> bool:
    from lstm_jax.studies.collect import find_results, read_rows
    from lstm_jax.studies.search import is_search

    return is_search(read_rows(find_results(folder)))


def _print_search(folder: Path, reference: str) -> None:
    """The best trials of each task, and how the claims stand."""
    from collections import Counter

    from lstm_jax.analysis.search_report import load_search
    from lstm_jax.analysis.search_tables import best_table
    from lstm_jax.cli.console import print_table
    from lstm_jax.studies.claims import judge

    search = load_search(folder, reference)
    for task in search.tasks:
        table = best_table(task, reference)
        direction = "higher" if task.higher_is_better else "lower"
        title = f"{task.task}: test {task.metric} of the best trials by validation, {direction} is better"
        print_table(table.header, table.rows, title, right=True)
    counts = Counter(verdict.verdict for verdict in judge(search))
    print(f"claims of the Odyssey: {', '.join(f'{count} {verdict}' for verdict, count in counts.most_common())}")
