"""How fast is it?

    python experiments/00_speed/run.py                     # or: make bench
    python experiments/00_speed/run.py --shapes 4,1000,64,128 --contestants torch NP/fused --population none

One layer beside every other LSTM that runs here (layer.py), after a population beside PyTorch (population.py). Writes
results.csv, table.md, figure.png and manifest.json, and population.csv and population.json; quote ratios, not
milliseconds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from lstm_jax.analysis.report import embed
from lstm_jax.cli.dispatch import guarded

if str(Path(__file__).parent) not in sys.path:  # as for a script, where this file is loaded by its path
    sys.path.insert(0, str(Path(__file__).parent))


@dataclass(frozen=True)
class Options:
    """Times of one layer, side by side with every other LSTM; a population, side by side with PyTorch."""

    shapes: tuple[str, ...] = ("all",)
    """B,T,I,H: batch, steps, inputs, cells; bidirectional, layers, ragged or long: the cases of that name; all; none
    times no single layer."""
    contestants: tuple[str, ...] = ()
    """Who is timed: linen, nnx, keras, haiku, equinox, naive, torch, NP/scan, NP/fused ...; none named means all."""
    rounds: int = 7
    """Times that each contestant is timed in each of two passes, in turn with the others."""
    budget: float = 20.0
    """Seconds of a shape and mode; a heavy one gets fewer rounds, five in all at least."""
    population: Literal["search", "toy", "none"] = "search"
    """Time a population beside PyTorch too: the search's net, or one that only shows that everything works."""
    population_rounds: int = 9
    """Times that each of its contestants is timed."""
    out: Path = Path("results/speed")
    """Folder of the results."""
    readme: tuple[Path, ...] = ()
    """Time nothing; bring the tables in these Markdown files, and the figure, up to date with the results in OUT."""


def readme_section(folder: Path) -> str:
    """The table that READMEs show, from results.csv and manifest.json alone."""
    from layer_report import section

    return section(folder)


def layers_section(folder: Path) -> str:
    """Every contestant in every case, from results.csv alone."""
    from layer_report import layers_section

    return layers_section(folder)


def population_section(folder: Path) -> str:
    """The table of the population, from population.csv and population.json alone."""
    from population import section

    return section(folder)


def avx512_section(folder: Path) -> str:
    """The layers on another processor, a smaller run in a folder of its own."""
    return readme_section(folder / "avx512")


SECTIONS = {
    "speed": readme_section,
    "speed/layers": layers_section,
    "speed/avx512": avx512_section,
    "speed/population": population_section,
}
"""Markers in Markdown files to what stands between them."""


def update_tables(readme: Path, results: Path) -> None:
    """Bring the tables between the markers of a Markdown file up to date."""
    text = readme.read_text()
    for name, section in SECTIONS.items():
        if f"<!-- begin: {name} -->" in text:
            text = embed(text, name, section(results))
    readme.write_text(text)


def draw(folder: Path) -> None:
    """Table and figure of the layers, from results.csv and manifest.json alone."""
    from layer_report import figure, full_table

    from lstm_jax.analysis.paper import save_figure

    (folder / "table.md").write_text(full_table(folder))
    save_figure(figure(folder), folder / "figure.png")


def measure_layers(options: Options) -> None:
    """Time one layer of each shape; results.csv, manifest.json, table.md, figure.png."""
    import layer
    from layer_cases import cases_named

    cases = [case for name in options.shapes for case in cases_named(name)]
    layer.run(cases, layer.choose(options.contestants), options.rounds, options.budget, options.out)
    draw(options.out)
    print(readme_section(options.out), layers_section(options.out), sep="\n\n")
    print(f"written to {options.out}: results.csv, manifest.json, table.md, figure.png")


def main(arguments: list[str]) -> int:
    options = tyro.cli(Options, args=arguments, prog="lstm-jax bench")
    for readme in options.readme:
        update_tables(readme, options.out)
    if options.readme:
        if (options.out / "results.csv").is_file():
            draw(options.out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    if options.population != "none":
        import population  # timed first: what else runs on the machine shows only before we do

        population.run(population.SCALES[options.population], options.population_rounds, options.out)
        print(population.section(options.out), end="\n\n")
    if options.shapes:
        measure_layers(options)
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main, sys.argv[1:]))
