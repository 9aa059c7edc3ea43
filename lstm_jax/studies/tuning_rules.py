"""Rules that decide claims about hyperparameters, from shares of variance and marginal curves. See ``claims.py``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lstm_jax.studies.importance import Importance, VarianceShare
from lstm_jax.studies.rules import MARGIN, Decision, combine, if_complete, is_music
from lstm_jax.studies.search import Search, TaskSearch
from lstm_jax.studies.tuning import Curve

ENOUGH = 200
"""Trials whose shares of variance decide. In fewer a forest finds shares of what does not matter: of momentum, above
1 %, in 3 of 8 simulated searches of 80 trials where the rate alone mattered and noise was as large as its effect."""
TENTH = 0.1
"""Of a curve: its smallest or largest values, whose mean is less rough than one place of a forest."""


class Finding(NamedTuple):
    """What one task says to a claim, and the numbers, to be read after "on TASK"."""

    task: str
    supports: bool
    refutes: bool
    told: str


def rate_dominates(threshold: float) -> Callable[[Search], Decision]:
    """The main effect of the learning rate, with its interval, against a share of variance."""

    def look(task: TaskSearch, shares: Importance) -> Finding | None:
        share = shares.main.get("learning_rate")
        if share is None:
            return None
        return Finding(task.task, share.low > threshold, share.high < threshold, f"{percent(share)} of the variance")

    return lambda search: _decide(search, "The rate alone has", _by_shares(search, look))


def momentum_is_idle(threshold: float) -> Callable[[Search], Decision]:
    """The main effect of momentum on score and on training time against a share of variance."""

    def look(task: TaskSearch, shares: Importance) -> Finding | None:
        time = task.tuning.time
        if "momentum" not in shares.main or time is None:
            return None
        both = [shares.main["momentum"], time.main["momentum"]]
        told = f"{percent(both[0])} of the variance of the score and {percent(both[1])} of that of the time"
        supports = all(share.high < threshold for share in both)
        return Finding(task.task, supports, any(share.low > threshold for share in both), told)

    return lambda search: _decide(search, "Momentum alone has", _by_shares(search, look))


def hardly_interact(threshold: float) -> Callable[[Search], Decision]:
    """The share of all interactions against a share of variance."""

    def look(task: TaskSearch, shares: Importance) -> Finding | None:
        if len(shares.main) < 2:
            return None
        found = interactions(shares)
        pair = shares.pairs.get(("learning_rate", "hidden_size"))
        told = f"{percent(found)} of the variance" + (f", rate with size {percent(pair)}" if pair else "")
        return Finding(task.task, found.high < threshold, found.low > threshold, told)

    return lambda search: _decide(search, "Interactions have", _by_shares(search, look))


def interactions(shares: Importance) -> VarianceShare:
    """All pairs and the rest; each end of the interval is the nearer of two: the sum of theirs, 1 less the mains."""
    parts, mains = [*shares.pairs.values(), shares.rest], list(shares.main.values())
    low = max(sum(part.low for part in parts), 1.0 - sum(main.high for main in mains))
    high = min(sum(part.high for part in parts), 1.0 - sum(main.low for main in mains))
    return VarianceShare(sum(part.mean for part in parts), low, high)


def plateau(confirmed: float, contradicted: float) -> Callable[[Search], Decision]:
    """Width in decades of the rates whose marginal score is within the margin of the best.

    Confirmed if even the places that are a deviation of the forest worse than its mean are that wide, contradicted if
    those that would be a deviation better are as narrow: a jagged curve of few trials decides nothing.
    """

    def look(task: TaskSearch) -> Finding | None:
        curve = task.tuning.curves.get("learning_rate")
        if curve is None:
            return None
        low, best, high = good_rates(curve, task.higher_is_better)
        width, least, most = (_decades(curve, task.higher_is_better, doubt) for doubt in (0.0, -1.0, 1.0))
        edges = [end for end, at in (("lower", curve.at[0]), ("upper", curve.at[-1])) if _near(curve, best, at)]
        edge = f", at the {edges[0]} end of the searched range" if edges else ""
        told = f"{width:.2f} decades [{least:.2f}, {most:.2f}], {low:.1e} to {high:.1e}, best {best:.1e}{edge}"
        return Finding(task.task, least >= confirmed, most <= contradicted, told)

    return lambda search: _decide(search, "The region within 1 % of the best rate spans", _by_task(search, look))


def _decades(curve: Curve, higher_is_better: bool, doubt: float) -> float:
    low, _, high = good_rates(curve, higher_is_better, doubt)
    return math.log10(high / low)


def good_rates(curve: Curve, higher_is_better: bool, doubt: float = 0.0) -> tuple[float, float, float]:
    """Lowest, best and highest value of the unbroken region around the best that stays within the margin of it.

    ``doubt``: all places but the best are taken to be so many deviations of the forest better than they are.
    """
    quality = _quality(curve, higher_is_better)
    best = int(quality.argmax())
    good = quality + doubt * curve.sd >= quality[best] - MARGIN / 100.0 * abs(quality[best])
    good[best] = True
    low = best - int(np.argmin(np.append(good[: best + 1][::-1], False))) + 1
    high = best + int(np.argmin(np.append(good[best:], False))) - 1
    return float(curve.at[low]), float(curve.at[best]), float(curve.at[high])


def _near(curve: Curve, value: float, end: float) -> bool:
    """Within a twentieth of the searched range, on the logarithmic axis."""
    return abs(math.log(value / end)) <= 0.05 * math.log(curve.at[-1] / curve.at[0])


def size_is_second(search: Search) -> Decision:
    """Size between the rate and the others by main effect, and larger nets better at a falling gain per cell."""

    def look(task: TaskSearch, shares: Importance) -> Finding | None:
        curve = task.tuning.curves.get("hidden_size")
        if curve is None or "learning_rate" not in shares.main:
            return None
        size, rate = shares.main["hidden_size"], shares.main["learning_rate"]
        others = [share for name, share in shares.main.items() if name not in ("hidden_size", "learning_rate")]
        second = rate.low > size.high and all(size.low > other.high for other in others)
        not_second = size.low > rate.high or any(other.low > size.high for other in others)
        small, large, sd = _ends(curve, task.higher_is_better)
        quality, middle = _quality(curve, task.higher_is_better), len(curve.at) // 2
        lower = (quality[middle] - quality[0]) / (curve.at[middle] - curve.at[0])
        upper = (quality[-1] - quality[middle]) / (curve.at[-1] - curve.at[middle])
        told = f"{percent(size)} of the variance, the largest nets gain {large - small:+.3g} over the smallest, a "
        told += f"cell {lower:+.1e} in the lower half of log N and {upper:+.1e} in the upper"
        supports = second and large - small > sd and lower > upper
        return Finding(task.task, supports, not_second or small - large > sd, told)

    return _decide(search, "Size alone has", _by_shares(search, look))


def noise_rarely_helps(search: Search) -> Decision:
    """The best and the most input noise against almost none; music decides, other tasks are told."""

    def look(task: TaskSearch) -> Finding | None:
        curve = task.tuning.curves.get("input_noise")
        if curve is None:
            return None
        quality = _quality(curve, task.higher_is_better)
        none, most, sd = _ends(curve, task.higher_is_better)
        best = int(quality.argmax())
        unit = abs(none) / 100.0 or 1.0
        gain, rough, harm = (quality[best] - none) / unit, curve.sd[best] / unit, (none - most) / unit
        told = f"the best noise ({curve.at[best]:.2f}) gains {gain:.2f} %, the most loses {harm:.2f} %"
        helps = gain > MARGIN and gain > sd / unit
        return Finding(task.task, gain + rough < MARGIN and none - most > sd, helps, told)

    return _decide(search, "Against almost no noise,", _by_task(search, look), is_music)


def small_nets_tell(search: Search) -> Decision:
    """Curves of the learning rate of small and of large nets: their rank correlation, and what the small one costs."""

    def look(task: TaskSearch) -> Finding | None:
        curves = task.tuning.transfer
        if curves is None:
            return None
        sign = 1.0 if task.higher_is_better else -1.0
        pairs = list(zip(sign * curves.small, sign * curves.large, strict=True))
        alike = [_rank_correlation(small, large) for small, large in pairs]
        costs = [_cost(small, large) for small, large in pairs]
        least, most, cheapest, dearest = *_middle(alike[1:]), *_middle(costs[1:])
        taken, best = (curves.at[int(quality.argmax())] for quality in pairs[0])
        told = f"correlation {alike[0]:.2f} [{least:.2f}, {most:.2f}], best rate {taken:.1e} (small) and {best:.1e} "
        told += f"(large), cost {costs[0]:.2f} % [{cheapest:.2f}, {dearest:.2f}]"
        return Finding(task.task, least >= 0.8 and dearest <= MARGIN, most < 0.5 or cheapest > MARGIN, told)

    return _decide(search, "Small against large nets:", _by_task(search, look))


def _cost(small: np.ndarray, large: np.ndarray) -> float:
    """What large nets lose at the rate that is best for small ones, in % of their best quality."""
    best = float(large.max())
    return (best - float(large[small.argmax()])) / (abs(best) / 100.0 or 1.0)


def _middle(found: Sequence[float]) -> tuple[float, float]:
    """The ends of the middle 95 %; NaN where there is nothing."""
    return tuple(np.quantile(found, [0.025, 0.975]).tolist()) if found else (math.nan, math.nan)


def percent(share: VarianceShare) -> str:
    """A share with its interval in percent."""
    interval = "" if math.isnan(share.low) else f" [{100 * share.low:.1f}, {100 * share.high:.1f}]"
    return f"{100 * share.mean:.1f} %{interval}"


def _by_task(search: Search, look: Callable[[TaskSearch], Finding | None]) -> list[Finding]:
    return [finding for task in search.tasks if (finding := look(task)) is not None]


def _by_shares(search: Search, look: Callable[[TaskSearch, Importance], Finding | None]) -> list[Finding]:
    """Shares of few trials are told and decide nothing."""
    found = []
    for task in search.tasks:
        shares = task.tuning.score
        if shares is None or (finding := look(task, shares)) is None:
            continue
        few = shares.count < ENOUGH
        told = f"{finding.told} ({shares.count} trials decide nothing)" if few else finding.told
        found.append(Finding(task.task, finding.supports and not few, finding.refutes and not few, told))
    return found


def _decide(
    search: Search, lead: str, findings: Sequence[Finding], decides: Callable[[str], bool] = lambda task: True
) -> Decision:
    """All are told; ``decides``: which tasks count, all of which must say something to confirm."""
    counted = [finding for finding in findings if decides(finding.task)]
    supported, refuted = [finding.supports for finding in counted], [finding.refutes for finding in counted]
    found, against = combine([finding.task for finding in counted], supported, refuted)
    verdict = if_complete(found, len(counted) == sum(decides(task.task) for task in search.tasks))
    if not findings:
        return Decision(verdict, "No task has 30 trials in which the hyperparameters vary that this needs.")
    told = "; ".join(f"on {finding.task} {finding.told}" for finding in findings)
    return Decision(verdict, f"{lead} {told}.", against)


def _quality(curve: Curve, higher_is_better: bool) -> np.ndarray:
    return curve.mean if higher_is_better else -curve.mean


def _ends(curve: Curve, higher_is_better: bool) -> tuple[float, float, float]:
    """Quality at the low and at the high end, and both standard deviations together."""
    count = max(1, round(TENTH * len(curve.at)))
    quality = _quality(curve, higher_is_better)
    sd = curve.sd[:count].mean() + curve.sd[-count:].mean()
    return float(quality[:count].mean()), float(quality[-count:].mean()), float(sd)


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's, with equal values sharing their mean rank; NaN where one side does not vary."""
    from scipy.stats import rankdata

    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return math.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
