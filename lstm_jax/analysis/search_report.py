"""The report of a random search: a pure function of its results.csv."""

from __future__ import annotations

import functools
from pathlib import Path

from lstm_jax.analysis.page import Block, Bullets, Heading, Paragraph, Picture, Table, to_html, to_markdown
from lstm_jax.analysis.report import REGRESSION, counts, named, number, present_step
from lstm_jax.analysis.search_tables import (
    best_table,
    claims_table,
    detail_table,
    overview_table,
    run_table,
    shares_table,
    variants_table,
    verdicts_table,
    winner_table,
)
from lstm_jax.studies.claims import ABSENT, Verdict, judge
from lstm_jax.studies.collect import find_results, read_rows, write_atomically
from lstm_jax.studies.rules import ENOUGH, MARGIN, is_music
from lstm_jax.studies.search import RESAMPLES, TREES, Search, TaskSearch, analyse, is_search
from lstm_jax.studies.tuning import FEW, LARGE, SMALL, SMOOTHER

__all__ = ["is_search", "load_search", "readme_section", "short_section", "write_search_report"]

METRICS = {
    "nll": "negative log-likelihood in nats, mean over scored steps",
    "accuracy": "share of right classes among scored steps",
    "mse": "squared error, mean over scored steps and outputs",
}
MUSIC_METRIC = "binary cross-entropy summed over 88 keys, nats, mean over predicted steps"
BEST, HYPER, IMPORTANCE = "best.png", "hyper.png", "importance.png"
MARKED = (
    "▼ worse, ▲ better than {}: Welch's test, two-sided, 5 %, Holm-corrected over the variants of a task, and an "
    "interval of the difference without 0."
)
KNOWN_BY = (
    "The paper's text was not at hand: “known by” says whether a claim was read in its abstract (verified), in "
    "summaries by others (secondary), or is remembered, unseen (recalled)."
)
CAPTIONS = {
    BEST: "Test scores of the best trials of each variant. Box: quartiles; whiskers: full range; line: median; dot: "
    "mean; coloured: significantly different from the reference after Holm's correction; an arrow: beyond the axis, "
    "with the median. Grey bars: parameters, median of the same trials.",
    HYPER: "Test score against each hyperparameter: every trial of all variants, and the marginal mean of a random "
    "forest over all other hyperparameters, with one standard deviation over its trees.",
    IMPORTANCE: "Shares of variance by functional ANOVA: each hyperparameter alone, pairs of them, the rest.",
}


def write_search_report(folder: Path, out: Path | None = None, reference: str = "V") -> list[Path]:
    """Write ``report.md``, ``report.html`` and their figures from the results in a folder alone; returns the paths.

    The figures are ``best.png`` and, where hyperparameters vary in 30 trials of a task, ``hyper.png`` and
    ``importance.png``. The page holds them; the Markdown links them.

    Raises:
        FileNotFoundError, ValueError: where results are missing or unreadable; ImportError: without matplotlib or
        scikit-learn.
    """
    from lstm_jax.analysis.paper import save_figure
    from lstm_jax.analysis.search_figures import best_figure
    from lstm_jax.analysis.tuning_figures import hyper_figure, importance_figure

    search = load_search(folder, reference)
    out = Path(out) if out is not None else find_results(folder).parent
    out.mkdir(parents=True, exist_ok=True)
    made = {BEST: best_figure(search), HYPER: hyper_figure(search), IMPORTANCE: importance_figure(search)}
    figures = {name: figure for name, figure in made.items() if figure is not None}
    for name, figure in figures.items():
        save_figure(figure, out / name)
    blocks = report_blocks(search, judge(search), tuple(figures))
    pages = {
        "report.md": to_markdown(blocks),
        "report.html": to_html(blocks, {name: (out / name).read_bytes() for name in figures}),
    }
    for name, text in pages.items():
        write_atomically(out / name, text.encode())
    return [out / name for name in (*pages, *figures)]


def load_search(folder: Path, reference: str = "V") -> Search:
    """The analysis of the results in a folder; asking again is free while they stay the same."""
    path = find_results(folder)
    return _analysed(path, path.read_bytes(), reference)


@functools.lru_cache(maxsize=4)
def _analysed(path: Path, content: bytes, reference: str) -> Search:
    return analyse(read_rows(path), reference)


def readme_section(folder: Path, reference: str = "V") -> str:
    """What a README shows between its markers: the best trials of each task, and the claims."""
    search = load_search(folder, reference)
    blocks: list[Block] = []
    for task in search.tasks:
        blocks += [Paragraph(_what(task)), best_table(task, reference)]
    cells = named(contender.variant for task in search.tasks for contender in task.contenders)
    marks, known = Paragraph(f"{_marks(reference)} {cells}"), Paragraph(KNOWN_BY)
    return to_markdown([*blocks, marks, *_claims(judge(search)), known]).rstrip("\n")


def short_section(folder: Path, reference: str = "V") -> str:
    """The same in short: a row a variant, a column a task, and of each claim the verdict alone."""
    search = load_search(folder, reference)
    cells = named(contender.variant for task in search.tasks for contender in task.contenders)
    tasks = "; ".join(f"`{task.task}` {task.metric}, {_chosen(task)}" for task in search.tasks)
    legend = (
        f"{reference}: mean test score of its best trials by validation; others: the difference from it and its 95 % "
        f"interval, a bootstrap of all trials that chooses the best anew. {tasks}. {MARKED.format(reference)} {cells}"
    )
    return to_markdown([overview_table(search), Paragraph(legend), verdicts_table(judge(search))]).rstrip("\n")


def report_blocks(search: Search, verdicts: list[Verdict], figures: tuple[str, ...]) -> list[Block]:
    """The whole report; ``figures`` are the names of those that exist."""
    tasks = ", ".join(task.task for task in search.tasks)
    return [
        Heading(1, f"Random search: {tasks}"),
        *_run(search),
        *_best(search),
        *_hyperparameters(search, figures),
        Heading(2, "Claims of the Odyssey"),
        Paragraph(
            f"What Greff et al., “LSTM: A Search Space Odyssey”, report, and what this search says to it. {KNOWN_BY}"
        ),
        *_claims(verdicts),
        Heading(3, "When a claim counts as confirmed or contradicted"),
        Paragraph(
            "Losses and gains are in % of the mean of V's chosen trials, with the intervals of the short tables. That "
            f"a difference is not significant confirms nothing: its interval has to exclude {MARGIN:g} %, and that of "
            f"fewer than {ENOUGH} chosen trials excludes nothing. What is neither confirmed nor contradicted is not "
            "decided."
        ),
        Bullets(tuple(f"Claim {verdict.number}. {verdict.rule}" for verdict in verdicts)),
        *_methods(search),
    ]


def _run(search: Search) -> list[Block]:
    rows = search.rows
    seeds = [row.seed for row in rows]
    # Sorted, so that rounding does not depend on the order of the rows either.
    hours = sum(sorted(row.seconds for row in rows)) / 3600
    diverged = sum(row.diverged for row in rows)
    rate = f" ({number(len(rows) / hours)} trials an hour)" if hours > 0 else ""
    facts = (
        f"{len(rows)} trials, seeds {min(seeds)} to {max(seeds)}, {diverged} of them stopped by a NaN or infinity.",
        f"Time of one device, added up over trials: {number(hours)} h{rate}.",
        f"Commit: {', '.join(sorted({row.commit or 'unknown' for row in rows}))}.",
        f"Device: {', '.join(sorted({row.device or 'unknown' for row in rows}))}.",
    )
    return [Heading(2, "What was run"), run_table(search), Bullets(facts)]


def _best(search: Search) -> list[Block]:
    blocks: list[Block] = [Heading(2, "The best trials"), Picture(BEST, CAPTIONS[BEST])]
    for task in search.tasks:
        blocks += [
            Heading(3, task.task),
            Paragraph(_what(task)),
            best_table(task, search.reference),
            detail_table(task),
            Paragraph("The best trial of each variant by validation:"),
            winner_table(task),
        ]
    return [*blocks, Paragraph(_marks(search.reference))]


def _what(task: TaskSearch) -> str:
    metric = MUSIC_METRIC if is_music(task.task) and task.metric == "nll" else METRICS.get(task.metric, "")
    direction = "higher" if task.higher_is_better else "lower"
    meaning = f" ({metric})" if metric else ""
    score = present_step(task.task)
    regressed = "" if score is None else f", {REGRESSION} {number(score)}"
    return (
        f"`{task.task}`: test {task.metric}{meaning}, {direction} is better; chance {number(task.chance)}"
        f"{regressed}. Each variant by its {_chosen(task)}, chosen by validation."
    )


def _chosen(task: TaskSearch) -> str:
    """``best 5 trials of 50``."""
    chosen = counts(len(contender.chosen) for contender in task.contenders)
    trials = counts(contender.trials for contender in task.contenders)
    return f"best {chosen} trial{'' if chosen == '1' else 's'} of {trials}"


def _marks(reference: str) -> str:
    return (
        f"{MARKED.format(reference)} Intervals: Student's t of the mean; of the difference a "
        "bootstrap of all trials that chooses the best anew. Parameters: median of the chosen trials."
    )


def _hyperparameters(search: Search, figures: tuple[str, ...]) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Hyperparameters")]
    if HYPER in figures:
        blocks.append(Picture(HYPER, CAPTIONS[HYPER]))
    if IMPORTANCE in figures:
        blocks.append(Picture(IMPORTANCE, CAPTIONS[IMPORTANCE]))
    for task in search.tasks:
        blocks += [Heading(3, f"Shares of variance, {task.task}"), *_shares(task)]
    return blocks


def _shares(task: TaskSearch) -> list[Block]:
    tuning = task.tuning
    if tuning.score is None and tuning.time is None:
        return [Paragraph(f"Nothing to share: fewer than {FEW} trials, or nothing varies.")]
    told = (
        f"All variants together, {len(tuning.responses)} trials. {tuning.clipped} were worse than chance or had no "
        f"score and count as chance; {tuning.untimed} were never validated and have no training time."
    )
    blocks: list[Block] = [Paragraph(told), shares_table(task)]
    if tuning.variants:
        blocks += [Paragraph("Main effects on the score, variant by variant:"), variants_table(task)]
    return blocks


def _claims(verdicts: list[Verdict]) -> list[Table | Paragraph]:
    return [claims_table(verdicts), Paragraph(ABSENT)]


def _methods(search: Search) -> list[Block]:
    reference = f"The reference of every difference is {search.reference}."
    return [Heading(2, "How it was computed"), Bullets((*METHODS, reference))]


METHODS = (
    "All of this is computed from `results.csv`, one row a trial, and from nothing else; the order of its rows does "
    "not matter.",
    "Selection: of each variant on each task the best tenth of its trials by validation score, rounded up, but five "
    "where there are as many. The test score has no say. Equal validation scores: the lower seed comes first.",
    "A trial without a finite test score counts as the worst finite test score of its task, or as chance if that is "
    "worse. None is dropped or drawn again. A trial that a NaN or infinity stopped after a validation keeps the score "
    "of its best validation.",
    "Scores: the test score at the update with the best validation score. The mean is over all scored steps; “by "
    "sequence” is the mean over sequences of each one's mean.",
    "Differences: Welch's t-test of the chosen scores against those of the reference, two-sided, raw and "
    "Holm-corrected over the variants of the task; Hedges' g and the difference of means with percentile bootstraps "
    "of 10,000 draws of the chosen alone.",
    "The best of many resemble each other more than two searches do, so those tests see differences that are none: "
    "with 200 simulated trials of equal variants, Welch's test at 5 % in 20 % of searches. The interval of the "
    "difference in the short tables therefore draws all trials anew and chooses the best among them each time, 10,000 "
    "times. A difference is called significant where the Holm-corrected p is below 5 % and this interval excludes 0.",
    "A rank test (Mann and Whitney) compares the test scores of all trials; superiority is the chance that a trial's "
    "score exceeds one of the reference, ties half.",
    f"Shares of variance: functional ANOVA (Hutter et al., 2014) of random forests of {TREES} trees, on log10 of "
    "learning rate and hidden size, log10 of 1 - momentum, and noise as it is; a hyperparameter that does not vary is "
    "no axis; axes reach from the lowest to the highest value tried. Variant is no axis: what variants differ by is "
    f"noise here, which a forest can mistake for interactions, so the shares of each variant with {FEW} trials stand "
    "beside.",
    "The score is analysed as it is, not as its logarithm, but scores worse than chance count as chance: a few trials "
    "that exploded would own all variance. Training time is the number of updates until the best validation.",
    f"Intervals of shares: 2.5 % and 97.5 % quantiles over {RESAMPLES} forests grown on trials drawn with "
    "replacement, laid around the share of all trials by their median: such a forest sees fewer different trials.",
    f"Marginal curves: mean prediction of a forest of {SMOOTHER * TREES} trees over all other hyperparameters, and "
    f"its standard deviation over the trees. Small and large nets: below {SMALL} and above {LARGE} cells.",
)
