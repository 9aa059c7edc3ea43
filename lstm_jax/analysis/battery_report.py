"""The battery of old experiments beside their own tables: pure functions of the results of its trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from lstm_jax.analysis.report import DASH, computed_by, embed, markdown
from lstm_jax.studies.battery import BATTERY
from lstm_jax.studies.battery_results import PACKED, TrialResult, by_row, most, read_results
from lstm_jax.studies.battery_row import BatteryRow
from lstm_jax.studies.collect import write_table
from lstm_jax.studies.statistics import FEWEST, Interval, Waits, holm, log_rank, mean_interval, wilson
from lstm_jax.train.records import write_atomically

FULL = "full-gradient"
HEADER = (
    "row", "setting", "choice", "weights", "solved", "paper", "inside", "sequences", "95 % interval", "range", "paper",
    "inside", "wrong of 2560", "paper", "us a step",
)  # fmt: skip


def publish(folder: Path, readme: Sequence[Path] = ()) -> list[Path]:
    """Write ``results.csv.gz``, ``table.md``, ``figure.png`` from the rows in a folder; bring READMEs up to date."""
    from lstm_jax.analysis.battery_figure import battery_figure
    from lstm_jax.analysis.paper import save_figure

    found = read_results(folder)
    packed, text, figure = folder / PACKED, folder / "table.md", folder / "figure.png"
    if (folder / "rows").is_dir():
        write_table(packed, TrialResult, found)
    write_atomically(text, f"# Results\n\n{table(found)}\n".encode())
    save_figure(battery_figure(found), figure)
    for path in readme:
        write_atomically(path, embed(path.read_text(), "battery_1997", readme_section(folder)).encode())
    return [packed, text, figure]


def readme_section(folder: Path) -> str:
    """What a README shows between its markers."""
    return table(read_results(folder))


def table(found: Sequence[TrialResult]) -> str:
    """A table for each experiment, then what was not run, and how to read it."""
    rows, parts = by_row(found), []
    for experiment in dict.fromkeys(row.experiment for row in BATTERY.values()):
        of_it = [BATTERY[name] for name in rows if BATTERY[name].experiment == experiment]
        if of_it:
            lines = [_line(row, rows[row.name]) for row in of_it]
            header = (*HEADER, "best test", "paper") if of_it[0].streams else HEADER
            parts += [f"### {experiment}\n\n{markdown(header, lines, left=3)}", *_errors(rows, of_it)]
    if pairs := gradient_pairs(rows):
        parts.append(
            f"### The truncated gradient beside full back-propagation through time\n\n{_gradients(rows, pairs)}"
        )
    missing = [name for name in BATTERY if ":" not in name and name not in rows]
    if missing:
        parts.append(f"Not run as printed: {', '.join(f'`{name}`' for name in missing)}.")
    return "\n\n".join([*parts, _legend(found)])


def gradient_pairs(rows: Iterable[str]) -> list[tuple[str, str]]:
    """Names of rows that differ in nothing but the gradient, the truncated one first."""
    names = list(rows)
    full = [name for name in names if name.endswith(FULL)]
    pairs = [(name.removesuffix(FULL).rstrip("-:"), name) for name in full]
    return [(cut, name) for cut, name in pairs if cut in names]


def _gradients(rows: Mapping[str, Sequence[TrialResult]], pairs: Sequence[tuple[str, str]]) -> str:
    """How many trials each gradient solved and after how many sequences, with a test that knows who was given up."""
    corrected = holm({full: log_rank(_needed(rows[cut]), _needed(rows[full])) for cut, full in pairs})
    lines = []
    for cut, full in pairs:
        cells = []
        for trials in (rows[cut], rows[full]):
            done = _needed(trials).done
            mean = f", {sum(done) / len(done):,.0f}" if done else ""
            cells.append(f"{len(done)} of {len(trials)}{mean}{_given_up(trials)}")
        row, p = BATTERY[cut], corrected[full]
        name, said = f"`{row.name.partition(':')[0]}`", DASH if math.isnan(p) else f"{p:.2g}"
        lines.append((name, row.setting, row.choice, *cells, said))
    note = (
        "Solved, and after how many sequences (mean of those). p: log-rank test of the sequences needed, which counts "
        "the others as not yet done when they were given up; Holm-corrected over this table. Rates are the paper's, "
        "which were chosen for the truncated gradient."
    )
    return markdown(("row", "setting", "choice", "truncated", "full", "p"), lines, left=5) + "\n\n" + note


def _needed(trials: Sequence[TrialResult]) -> Waits:
    return Waits(
        [trial.seen for trial in trials if trial.ended == "met"],
        [trial.seen for trial in trials if trial.ended != "met"],
    )


def _line(row: BatteryRow, trials: Sequence[TrialResult]) -> tuple[str, ...]:
    published, goals = row.published, len(row.published.sequences)
    solved = [trial for trial in trials if trial.ended == "met"]
    low, high = wilson(len(solved), len(trials))
    met = [
        [times[goal] for trial in trials if (times := (trial.met_1, trial.met_2))[goal] > 0] for goal in range(goals)
    ]
    means = [mean_interval(of_goal) if of_goal else None for of_goal in met]
    last, guessed = means[-1], row.guesses
    uneven = len(set(map(len, met))) > 1  # two criteria met by different trials
    means_known, shares_known, longest_known = published.known
    return (
        f"`{row.name.partition(':')[0]}`",
        row.setting,
        row.choice,
        f"{row.protocol.net.weight_count}",
        f"{len(solved)} of {len(trials)} [{100 * low:.0f}, {100 * high:.0f} %]{_given_up(trials)}",
        DASH if math.isnan(published.success) else f"{100 * published.success:.0f} %{_unread(shares_known)}",
        DASH if guessed or shares_known == "recalled" else _share_verdict(trials, published.success),
        _both(
            f"{mean.mean:,.0f}{f' ({len(of)})' if uneven else ''}" if mean else DASH
            for mean, of in zip(means, met, strict=True)
        ),
        DASH if last is None or math.isnan(last.low) else f"[{max(last.low, 0):,.0f}, {last.high:,.0f}]",
        f"{min(met[-1]):,} to {max(met[-1]):,}" if len(met[-1]) > 1 else DASH,
        ("learning: " if guessed else "")
        + _both(DASH if math.isnan(mean) else f"{mean:,.0f}{_unread(means_known)}" for mean in published.sequences)
        + ("" if math.isnan(published.low) else f" ({published.low:,.0f} to {published.high:,.0f})"),
        DASH if guessed or means_known == "recalled" else _mean_verdict(trials, last, published.sequences[-1]),
        _both(_wrong(trials, goal) for goal in range(goals)) if trials[0].tested else DASH,
        _both(f"{2560 * share:.3g}" for share in published.wrong) or DASH,
        f"{1e6 * trials[0].seconds / max(trials[0].steps, 1):.2f}",
        *(
            [
                _longest(trials),
                DASH if math.isnan(published.longest) else f"{published.longest:,.0f}{_unread(longest_known)}",
            ]
            if row.streams
            else []
        ),
    )


def _longest(trials: Sequence[TrialResult]) -> str:
    """Length of the test streams, at best: median and range over trials."""
    lengths = [trial.best_test for trial in trials]
    return f"{median(lengths):,.0f} ({min(lengths):,.0f} to {max(lengths):,.0f})"


def _unread(known: str) -> str:
    return "" if known == "verified" else f" ({known})"


def _mean_verdict(trials: Sequence[TrialResult], ours: Interval | None, paper: float) -> str:
    """Whether the paper's mean lies within our interval; said where every trial met the criterion, and where those
    that met it, half of all at least, took longer already: the others can only have taken longer still.
    """
    if ours is None or math.isnan(ours.low + paper) or not most(trials):
        return DASH
    if paper < ours.low:
        return "no, more"
    if any(trial.ended != "met" for trial in trials):
        return DASH
    return "yes" if paper <= ours.high else "no, fewer"


def _share_verdict(trials: Sequence[TrialResult], paper: float) -> str:
    """Whether the paper's share lies within the interval of ours, however the trials end whose time was over."""
    solved, open_ = (sum(trial.ended == ended for trial in trials) for ended in ("met", "stopped"))

    def verdict(count: int) -> str:
        low, high = wilson(count, len(trials))
        return "yes" if low <= paper <= high else f"no, {'fewer' if high < paper else 'more'}"

    least, most_ = verdict(solved), verdict(solved + open_)
    return least if least == most_ and not math.isnan(paper) else DASH


def _given_up(trials: Sequence[TrialResult]) -> str:
    """How long the others were tried, each."""
    tried = [f"{seen:,}" for seen in sorted({trial.seen for trial in trials if trial.ended != "met"})]
    return f", others not within {' to '.join(dict.fromkeys([tried[0], tried[-1]]))}" if tried else ""


def _wrong(trials: Sequence[TrialResult], goal: int) -> str:
    values = [wrong for trial in trials if (wrong := (trial.wrong_1, trial.wrong_2)[goal]) >= 0]
    if not values:
        return DASH
    return f"{sum(values) / len(values):.3g}" + (f" (to {max(values)})" if len(values) > 1 and max(values) else "")


ERRORS = (
    ("rmse", ("rmse_1", "rmse_2"), "Root mean squared error on them"),
    ("distance", ("mean_1", "mean_2"), "Mean distance to the target without noise on them"),
)
"""Of ``Published``, of ``TrialResult`` goal by goal, and in words; on the fresh sequences."""


def _errors(rows: Mapping[str, Sequence[TrialResult]], of_it: Sequence[BatteryRow]) -> list[str]:
    """Ours beside the papers', of the rows for which they print one."""
    said = []
    for name, columns, what in ERRORS:
        parts = []
        for row in of_it:
            theirs = getattr(row.published, name)
            if theirs:
                ours = [
                    [value for trial in rows[row.name] if not math.isnan(value := getattr(trial, column))]
                    for column in columns[: len(theirs)]
                ]
                count = len(rows[row.name])
                shown = _both(
                    f"{sum(of) / len(of):.4f}{f' ({len(of)})' if len(of) < count else ''}" if of else DASH
                    for of in ours
                )
                parts.append(f"`{row.name}` {shown} (paper: {_both(f'{value:.4f}' for value in theirs)})")
        if parts:
            said.append(f"{what}: {'; '.join(parts)}.")
    return said


def _both(parts: Iterable[str]) -> str:
    return " / ".join(parts)


def _legend(found: Sequence[TrialResult]) -> str:
    return (
        "Sequences: mean over the trials that met the criterion (two figures: two criteria; in brackets how many met "
        f"each, where that differs), its 95 % t-interval (from {FEWEST} on, not below 0) and range. Inside, whether "
        "the paper's mean lies within our interval, is said where all trials met it, or those that did took longer "
        "already; it is no test: the paper's mean of 10 to 30 trials has an error of its own, as large as ours. "
        "Guesses are compared with no published figure, that for learning stands there. Solved: with Wilson's 95 % "
        "interval, whether the paper's share lies inside (said where trials whose time was over cannot change it), "
        "and how many sequences the others were given. Figures noted by others, or recalled, are marked; recalled "
        "ones are compared with nothing. Wrong: mean over trials (and the most), fresh sequences, weights at the "
        "criterion. Of streams, sequences are training streams; best test: the mean length that the test streams "
        "after some training stream had at best, median and range over trials (counting languages: the largest n up "
        "to which every string was accepted; a sequence is a stream of a thousand strings). us a step: time of one "
        "trial and step, learning included, on one core (processor time; of rows of commits before 49307f8 wall "
        f"time, beside other work); all rows together, guesses aside: {_pace(found)}. "
        f"Seeds from 0 on ({computed_by(found)})."
    )


def _pace(found: Sequence[TrialResult]) -> str:
    """What one core did in a second, over all rows."""
    rows = {name: trials for name, trials in by_row(found).items() if not BATTERY[name].guesses}
    steps, seconds = (sum(getattr(trials[0], name) for trials in rows.values()) for name in ("steps", "seconds"))
    told = f"{steps / max(seconds, 1e-9) / 1e6:.2g} million steps"
    whole = [trials for name, trials in rows.items() if not BATTERY[name].streams]
    if not whole:  # a stream has no number of sequences worth telling
        return f"{told} a second"
    sequences = sum(trial.seen for trials in whole for trial in trials) / max(sum(t[0].seconds for t in whole), 1e-9)
    return f"{told}, {sequences:,.0f} sequences a second"
