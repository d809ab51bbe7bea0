"""The search for the highest rate that keeps an objective: which rate to try next, and when it is found. Pure.

    start ──kept──> double ... ──failed──> bisect until the interval is 5 % ──> repeat its two ends

A trial may err, so a rate counts by the majority of its trials: one is enough on the way, but the two ends of the last
interval are repeated until two of three agree. If one is overturned, the search goes on from what is known then.
A trial that the load generator failed says nothing of the server, and is repeated; twice, and it is the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log2

WIDTH = 0.05  # the interval that is narrow enough: its upper end is at most so much above its lower one
AGREE = 2
DIGITS = 3  # of a rate that is tried: 1,230 and not 1,234.375
HOPS = 2  # until the first bracket, as a guess for the progress


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial of a rate came to; `by_generator`: it failed, and the load generator was at its own limit."""

    kept: bool
    by_generator: bool = False


@dataclass
class Search:
    """Between `floor` and `ceiling`, beginning at `start`: requests a second."""

    start: float
    floor: float
    ceiling: float
    tried: dict[float, list[Tried]] = field(default_factory=dict)

    def next_rate(self) -> float | None:
        """What to try now; None when it is found."""
        if undecided := next((rate for rate, trials in self.tried.items() if _undecided(trials)), None):
            return undecided
        kept, failed = self._ends()
        if kept is None and failed is None:
            return min(self.ceiling, max(self.floor, _rounded(self.start)))
        if failed is None:
            assert kept is not None
            return min(self.ceiling, 2 * kept) if kept < self.ceiling else self._doubted(kept)
        if kept is None:
            return max(self.floor, _rounded(failed / 2)) if failed > self.floor else self._doubted(failed)
        middle = _rounded((kept + failed) / 2)
        if failed / kept - 1 > WIDTH and kept < middle < failed:
            return middle
        return self._doubted(kept) or self._doubted(failed)

    def take(self, rate: float, result: Tried) -> None:
        self.tried.setdefault(rate, []).append(result)

    @property
    def kept_per_s(self) -> float | None:
        """The highest rate that was kept, below the lowest that was not."""
        return self._ends()[0]

    @property
    def failed_per_s(self) -> float | None:
        return self._ends()[1]

    @property
    def by_generator(self) -> bool:
        """Whether the upper end is the load generator's: no trial there has shown the server's own."""
        failed = self.failed_per_s
        return failed is not None and all(each.by_generator for each in self.tried[failed])

    @property
    def remaining(self) -> int:
        """Trials that are likely to be needed still."""
        if self.next_rate() is None:
            return 0
        kept, failed = self._ends()
        if failed is None:
            return HOPS + _halvings(2.0) + 2 * (AGREE - 1)
        if kept is None:
            return 1 + _halvings(2.0) + 2 * (AGREE - 1)
        repeats = sum(max(0, AGREE - len(_votes(self.tried[rate]))) for rate in (kept, failed))
        return _halvings(failed / kept) + max(1, repeats)

    def _ends(self) -> tuple[float | None, float | None]:
        failed = min((rate for rate, trials in self.tried.items() if not _kept(trials)), default=None)
        below = [
            rate for rate, trials in self.tried.items() if _kept(trials) and (failed is None or rate < failed)
        ]
        return max(below, default=None), failed

    def _doubted(self, rate: float) -> float | None:
        """The rate once more, unless enough of its trials agree."""
        trials = _votes(self.tried[rate])
        agreeing = max(sum(each.kept for each in trials), sum(not each.kept for each in trials))
        return None if agreeing >= AGREE else rate


def _votes(trials: list[Tried]) -> list[Tried]:
    """Those that say something of the server: where the generator failed, another trial may not; twice is its limit."""
    own = [each for each in trials if not each.by_generator]
    return own if own or len(trials) < AGREE else trials


def _kept(trials: list[Tried]) -> bool:
    votes = _votes(trials)
    return sum(each.kept for each in votes) * 2 > len(votes)


def _undecided(trials: list[Tried]) -> bool:
    votes = _votes(trials)
    return sum(each.kept for each in votes) * 2 == len(votes)


def _halvings(ratio: float) -> int:
    """Bisections until an interval of this ratio is narrow enough."""
    return max(0, ceil(log2((ratio - 1) / WIDTH)))


def _rounded(rate: float) -> float:
    return float(f"{rate:.{DIGITS}g}")
