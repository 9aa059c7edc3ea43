"""Tables and figure of the layer benchmark, from results.csv and manifest.json alone; see layer.py."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

from crew import short
from layer_cases import CONTESTANTS, OURS

from lstm_jax.analysis.report import markdown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, str]
Rows = list[Row]
NONE = "Not measured yet."
LONG = " long"
"""How the rows of cost against T are marked."""


def read(folder: Path) -> tuple[Rows, dict]:
    """The rows of a run and what it depends on; no rows where there was none."""
    if not (folder / "results.csv").exists():
        return [], {}
    with (folder / "results.csv").open() as stream:
        return list(csv.DictReader(stream)), json.loads((folder / "manifest.json").read_text())


def group(rows: Rows, *names: str) -> dict[tuple[str, ...], Rows]:
    """Rows that agree in these columns, in the order of the file."""
    found: dict[tuple[str, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found


def mean_of(rows: Rows, name: str) -> float:
    """Over the passes of one contestant."""
    return mean(float(row[name]) for row in rows)


def label(key: str) -> str:
    """What tables call a contestant; one that this code no longer has keeps its key."""
    return CONTESTANTS.get(key, ("", key))[1]


def is_ours(key: str) -> bool:
    return key in OURS or "/" in key


def full_table(folder: Path) -> str:
    """Every row of results.csv."""
    rows, _ = read(folder)
    return markdown(list(rows[0]), [list(row.values()) for row in rows], left=1) + "\n" if rows else NONE + "\n"


def section(folder: Path) -> str:
    """The fastest of our NP cells beside the fastest peer, a line for each case and mode."""
    rows, manifest = read(folder)
    lines = []
    for (case, mode), those in group([row for row in rows if row["status"] == "timed"], "case", "mode").items():
        cost = {key: mean_of(passes, "median ms") for (key,), passes in group(those, "contestant").items()}
        own = [key for key in cost if is_ours(key) and key.startswith("NP/")]
        peers = [key for key in cost if not is_ours(key)]
        if own and peers:
            best, rival = min(own, key=cost.__getitem__), those[0]["best peer"]
            passes, rivals = ([row for row in those if row["contestant"] == key] for key in (best, rival))
            numbers = (short(cost[best]), short(cost[rival]), verdict(passes, rivals))
            use = short(mean_of(passes, "GFLOP/s")), f"{100 * mean_of(passes, 'share of peak'):.0f} %"
            lines.append([case, mode, label(best), label(rival), *numbers, *use])
    if not lines:
        return NONE
    header = ["(B,T,I,H)", "mode", "ours", "best peer", "ours ms", "peer ms", "times as fast", "GFLOP/s", "of peak"]
    return markdown(header, lines, left=4) + "\n\n" + circumstances(manifest)


def verdict(passes: Rows, rivals: Rows = ()) -> str:
    """How many times as fast as the best peer, by pass; a tie if within the spread of either, or if passes name two
    winners.

    ``rivals``: the rows of that peer.
    """
    ratios = [float(row["times best peer"]) for row in passes]
    spreads: dict[str, float] = {}
    for row in (*passes, *rivals):
        spreads[row["pass"]] = max(spreads.get(row["pass"], 0.0), float(row["spread"]))
    within = any(abs(ratio - 1) < spreads[row["pass"]] for ratio, row in zip(ratios, passes, strict=True))
    return ", ".join(f"{ratio:.2f}" for ratio in ratios) + " (tie)" * (within or min(ratios) < 1 < max(ratios))


def circumstances(manifest: dict) -> str:
    """What the numbers depend on, as a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items() if version)
    missing = f" Not installed: {', '.join(manifest['missing'])}." if manifest["missing"] else ""
    loads = f"load {manifest['load_begin']:.1f} before and {manifest['load_end']:.1f} after"
    return (
        f"float32, medians; {manifest['passes']} passes of at most {manifest['rounds']} rounds; "
        f"{manifest['processor']}, {manifest['cores']} cores, {loads}, peak {manifest['peak_gflops']:.0f} GFLOP/s (a "
        f"large square product); {versions}; commit {str(manifest['commit'])[:9]}"
        f"{'+changes' * bool(manifest['dirty'])}.{missing}"
    )


def layers_section(folder: Path) -> str:
    """Forward and forward + gradient of every contestant in every case, in milliseconds, then cost against T."""
    rows, _ = read(folder)
    if not rows:
        return NONE
    plain = [row for row in rows if not row["case"].endswith(LONG)]
    cases, lines = list(group(plain, "case")), []
    for (key,), own in group(plain, "contestant").items():
        cells = group(own, "case", "mode")
        lines.append([label(key), *(cell([p for (c, _), p in cells.items() if c == case]) for (case,) in cases)])
    parts = [markdown(["ms forward / with gradient", *(case for (case,) in cases)], lines)] if plain else []
    return "\n\n".join([*parts, *growth_table(rows)])


def cell(modes: Sequence[Rows]) -> str:
    """Milliseconds of the modes of one case, or why there are none."""
    if not modes:
        return "-"
    return " / ".join(short(mean_of(p, "median ms")) if p[0]["status"] == "timed" else p[0]["status"] for p in modes)


def growth_table(rows: Rows) -> list[str]:
    """Time and temporary memory a step against T, if it was measured."""
    long = [row for row in rows if row["case"].endswith(LONG) and row["status"] == "timed"]
    steps = sorted({int(row["T"]) for row in long})
    lines = []
    for (key,), own in group(long, "contestant").items():
        at = {int(t): those for (t,), those in group(own, "T").items()}
        lines.append([label(key), *(f"{mean_of(at[t], 'us/step'):.3g} us, {bytes_a_step(at[t])}" for t in steps)])
    return [markdown(["a step, gradient", *(f"T = {t}" for t in steps)], lines)] if lines else []


def bytes_a_step(rows: Rows) -> str:
    return f"{mean_of(rows, 'temporary MiB') * 2**20 / int(rows[0]['T']):.0f} B"


def figure(folder: Path) -> Figure:
    """Times as fast as the best peer, a panel a mode; time and temporary memory a step against T below, if measured.

    Raises:
        ImportError: without matplotlib.
    """
    from lstm_jax.analysis.paper import FONT, new_figure, styled

    rows = [row for row in read(folder)[0] if row["status"] == "timed"]
    plain = [row for row in rows if not row["case"].endswith(LONG) and row["times best peer"]]
    long = [row for row in rows if row["case"].endswith(LONG)]
    with styled():
        cases = len(group(plain, "case"))
        heights = [0.8 + 0.27 * cases, 1.7][: 1 + bool(long)]
        figure = new_figure(6.5, sum(heights))
        panels = figure.subplots(len(heights), 2, height_ratios=heights, squeeze=False)
        for axes, mode in zip(panels[0], ("forward", "forward + gradient"), strict=True):
            _speeds(axes, [row for row in plain if row["mode"] == mode])
            axes.set_title(mode, loc="left")
        panels[0, 1].tick_params(labelleft=False)  # as in the panel beside it
        panels[0, 0].set_ylabel("batch, steps, inputs, cells", labelpad=2)
        for axes, name in zip(panels[1:].flat, ("us/step", "temporary MiB")[: 2 * bool(long)], strict=True):
            _growth(axes, long, name)
            what = {"us/step": "µs a step"}.get(name, "temporary bytes a step")
            axes.set(xlabel="steps T", ylabel=what, xscale="log", xticks=sorted({int(row["T"]) for row in long}))
            axes.set_ylim(bottom=0)
        for axes in panels[:, 1]:
            if axes.get_legend_handles_labels()[1]:
                axes.legend(fontsize=FONT["legend.fontsize"], frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _speeds(axes: Axes, rows: Rows) -> None:
    """A point for each contestant in each case: ours filled, peers hollow."""
    from matplotlib.ticker import LogLocator, NullFormatter

    from lstm_jax.analysis.plots import COLORS

    cases = [case for (case,) in group(rows, "case")]
    marks, counts = "osD^vP*", {True: 0, False: 0}
    for (key,), own in group(rows, "contestant").items():
        ours = is_ours(key)
        n = counts[ours]
        counts[ours] += 1
        color, at = COLORS[n % len(COLORS)], group(own, "case")
        xs = [mean_of(those, "times best peer") for those in at.values()]
        ys = [-cases.index(case) for (case,) in at]
        style = {"facecolors": color if ours else "none", "edgecolors": color if ours else "#777777"}
        axes.scatter(xs, ys, s=18 if ours else 12, marker=marks[n % len(marks)], label=label(key), lw=0.7, **style)
    axes.axvline(1, color="#333333", lw=0.6, zorder=0)
    axes.set_yticks([-n for n in range(len(cases))], cases)
    axes.set(xscale="log", xlabel="times as fast as the best peer", ylim=(0.5 - len(cases), 0.5))
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if high > 20 * low else (1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _growth(axes: Axes, rows: Rows, name: str) -> None:
    from lstm_jax.analysis.plots import COLORS, DASHES

    for n, ((key,), own) in enumerate(group(rows, "contestant").items()):
        at = {
            int(t): mean_of(those, name) for (t,), those in sorted(group(own, "T").items(), key=lambda i: int(i[0][0]))
        }
        each = [value if name == "us/step" else max(value * 2**20 / t, 1e-3) for t, value in at.items()]
        axes.plot(
            list(at), each, marker="o", ms=3, lw=1, color=COLORS[n], ls=DASHES[n % len(DASHES)], label=label(key)
        )
