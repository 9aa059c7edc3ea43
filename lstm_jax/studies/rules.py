"""Rules that decide claims about variants: the best trials of each against the reference V. See ``claims.py``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lstm_jax.studies.search import Contender, Search, TaskSearch

EIGHT = ("NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
MUSIC = ("jsb_chorales", "nottingham", "bach_chorales")
"""Tasks of polyphonic music, by how their names begin."""
MARGIN = 1.0
"""Differences within so many percent of V's mean count as none: on JSB 0.08 nats, a fifth of what an LSTM and a tanh
network differ by (Bai et al., 2018, table 1: 8.45 and 8.91)."""
ENOUGH = 10
"""A bootstrap of fewer trials is too narrow to exclude anything."""
CONFIRMED, CONTRADICTED, OPEN = "confirmed", "contradicted", "not decided"


class Decision(NamedTuple):
    """``"confirmed"``, ``"contradicted"`` or ``"not decided"``, the numbers behind it as a sentence, and which tasks
    contradict.
    """

    verdict: str
    evidence: str
    against: tuple[str, ...] = ()


class Loss(NamedTuple):
    """A variant on a task: how much worse than V, in % of V's mean, with its interval; negative is a gain.

    ``trials`` are those chosen, of the side that has fewer.
    """

    task: str
    variant: str
    mean: float
    low: float
    high: float
    verdict: str
    p: float
    trials: int

    @property
    def excluded(self) -> bool:
        """No loss beyond the margin: not significantly worse, and none in the interval."""
        return self.verdict != "worse" and self.trials >= ENOUGH and self.high <= MARGIN

    @property
    def gain_excluded(self) -> bool:
        """No gain beyond the margin: not significantly better, and none in the interval."""
        return self.verdict != "better" and self.trials >= ENOUGH and self.low >= -MARGIN

    def __str__(self) -> str:
        p = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}" if math.isfinite(self.p) else "no test"
        interval = "" if math.isnan(self.low) else f" [{signed(self.low)}, {signed(self.high)}]"
        return f"{self.variant} {signed(self.mean)} %{interval}, {p}"


def combine(tasks: Iterable[str], supports: Sequence[bool], refutes: Sequence[bool]) -> tuple[str, tuple[str, ...]]:
    """The verdict where each task supports, refutes or does neither, and those that refute.

    One that refutes is enough, all must support.
    """
    against = tuple(dict.fromkeys(task for task, refuted in zip(tasks, refutes, strict=True) if refuted))
    if against:
        return CONTRADICTED, against
    return CONFIRMED if supports and all(supports) else OPEN, ()


def if_complete(verdict: str, complete: bool) -> str:
    """Nothing is confirmed while a task or a variant that counts has said nothing."""
    return OPEN if verdict == CONFIRMED and not complete else verdict


def signed(value: float) -> str:
    """Two decimals with a sign; no minus before a zero."""
    return f"{round(value, 2) + 0.0:+.2f}"


def hurts(variant: str) -> Callable[[Search], Decision]:
    """Confirmed by a significant loss on every task; contradicted by one task that excludes a loss."""

    def decide(search: Search) -> Decision:
        losses = _losses(search, (variant,))
        refuted = [_refutes_loss(loss) for loss in losses]
        found, against = combine(_tasks(losses), [loss.verdict == "worse" for loss in losses], refuted)
        verdict = if_complete(found, len(losses) == len(search.tasks))
        return Decision(verdict, _told(search, losses, (variant,)), against)

    return decide


def costs_nothing(variant: str) -> Callable[[Search], Decision]:
    """Confirmed where every task excludes a loss; contradicted by one significant loss."""

    def decide(search: Search) -> Decision:
        losses = _losses(search, (variant,))
        refuted = [loss.verdict == "worse" for loss in losses]
        found, against = combine(_tasks(losses), [loss.excluded for loss in losses], refuted)
        verdict = if_complete(found, len(losses) == len(search.tasks))
        return Decision(verdict, _told(search, losses, (variant,)), against)

    return decide


def nothing_gains(variants: Sequence[str]) -> Callable[[Search], Decision]:
    """Confirmed where all were run on every task and each excludes a gain; contradicted by one significant gain."""

    def decide(search: Search) -> Decision:
        losses = _losses(search, variants)
        refuted = [loss.verdict == "better" for loss in losses]
        found, against = combine(_tasks(losses), [loss.gain_excluded for loss in losses], refuted)
        verdict = if_complete(found, len(losses) == len(variants) * len(search.tasks))
        # Eight variants on each task would be no sentence: the largest gain of each task is told.
        largest = [min((x for x in losses if x.task == task.task), key=_mean, default=None) for task in search.tasks]
        shown = [loss for loss in losses if loss.verdict == "better"] or [loss for loss in largest if loss is not None]
        told = _told(search, shown, variants, "Least loss" if len(variants) > 1 else "Loss")
        return Decision(verdict, told, against)

    return decide


def rescued(variant: str, remedied: str) -> Callable[[Search], Decision]:
    """A loss on every task that a second change excludes; contradicted by one task where both lose significantly."""

    def decide(search: Search) -> Decision:
        losses = _losses(search, (variant, remedied))
        of = {(loss.variant, loss.task): loss for loss in losses}
        tasks = [task.task for task in search.tasks if {(variant, task.task), (remedied, task.task)} <= of.keys()]
        pairs = [(of[variant, task], of[remedied, task]) for task in tasks]
        found, against = combine(
            tasks,
            [alone.verdict == "worse" and both.excluded for alone, both in pairs],
            [alone.verdict == both.verdict == "worse" for alone, both in pairs],
        )
        missing = "" if not losses or any(loss.variant == remedied for loss in losses) else f" {remedied} was not run."
        told = _told(search, losses, (variant, remedied))
        return Decision(if_complete(found, len(pairs) == len(search.tasks)), told + missing, against)

    return decide


def hurts_off_music(variants: Sequence[str]) -> Callable[[Search], Decision]:
    """Music has to exclude a loss and every other task to show one; both kinds of task are needed to confirm."""

    def decide(search: Search) -> Decision:
        losses = _losses(search, variants)
        music = [loss for loss in losses if is_music(loss.task)]
        others = [loss for loss in losses if not is_music(loss.task)]
        refuted = [loss.verdict == "worse" for loss in music] + [_refutes_loss(loss) for loss in others]
        supported = [loss.excluded for loss in music] + [loss.verdict == "worse" for loss in others]
        found, against = combine(_tasks([*music, *others]), supported, refuted)
        complete = bool(music and others) and len(losses) == len(variants) * len(search.tasks)
        missing = "" if music and others else f" No task is {'music' if not music else 'other than music'}."
        told = _told(search, losses, variants)
        return Decision(if_complete(found, complete), told + missing, against)

    return decide


def best_result(published: float, status: str) -> Callable[[Search], Decision]:
    """The best of all trials on JSB Chorales, by validation, against the published best."""

    def decide(search: Search) -> Decision:
        task = next((task for task in search.tasks if task.task.startswith("jsb") and task.metric == "nll"), None)
        best = _best(task) if task is not None else None
        if task is None or best is None:
            return Decision(OPEN, "JSB Chorales was not run, or no trial of it has a score.")
        test = best.chosen[0].test
        away = 100.0 * (test / published - 1.0)
        full = {c.variant for c in task.contenders if c.trials >= 200} >= {"V", *EIGHT}
        contradicted = away < -MARGIN or (away > MARGIN and full)
        verdict = CONTRADICTED if contradicted else CONFIRMED if abs(away) <= MARGIN else OPEN
        trials = sum(contender.trials for contender in task.contenders)
        evidence = f"The best of {trials} trials by validation is one of {best.variant}: {test:.3f} nats on test, "
        evidence += f"{signed(away)} % from {published} ({status})."
        return Decision(verdict, evidence, (task.task,) if contradicted else ())

    return decide


def is_music(task: str) -> bool:
    """Whether a task is polyphonic music."""
    return task.startswith(MUSIC)


def _best(task: TaskSearch) -> Contender | None:
    """The variant that has the trial with the best validation score; the first of equals; None without any score."""
    scored = [contender for contender in task.contenders if math.isfinite(contender.chosen[0].test)]
    sign = -1.0 if task.higher_is_better else 1.0
    return min(scored, key=lambda contender: sign * contender.chosen[0].validation, default=None)


def _losses(search: Search, variants: Sequence[str]) -> list[Loss]:
    """Of these variants, task by task; none unless the reference is V, which the claims are about."""
    if search.reference != "V":
        return []
    return [
        _loss(task, contender)
        for task in search.tasks
        for contender in task.contenders
        if contender.variant in variants and contender.contrast is not None
    ]


def _loss(task: TaskSearch, contender: Contender) -> Loss:
    contrast = contender.contrast
    assert contrast is not None
    mean, low, high = contrast.reselected
    if task.higher_is_better:
        mean, low, high = -mean, -high, -low
    reference = task.contenders[0]
    unit = abs(reference.interval.mean) / 100.0 or 1.0
    trials = min(len(contender.chosen), len(reference.chosen))
    percents = (mean / unit, low / unit, high / unit)
    return Loss(task.task, contender.variant, *percents, contrast.verdict, contrast.p, trials)


def _tasks(losses: Iterable[Loss]) -> list[str]:
    return [loss.task for loss in losses]


def _mean(loss: Loss) -> float:
    return loss.mean


def _refutes_loss(loss: Loss) -> bool:
    return loss.verdict == "better" or loss.excluded


def _told(search: Search, losses: Sequence[Loss], variants: Sequence[str], lead: str = "Loss") -> str:
    """The losses as a sentence, or why there are none."""
    if search.reference != "V":
        return f"The reference of this analysis is {search.reference}, the claim is about V."
    if not losses:
        return f"No task has {' or '.join(variants)} beside V."
    tasks = dict.fromkeys(loss.task for loss in losses)
    parts = (f"on {task}: {'; '.join(str(loss) for loss in losses if loss.task == task)}" for task in tasks)
    return f"{lead} against V {', and '.join(parts)}."
