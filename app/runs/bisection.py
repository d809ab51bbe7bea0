"""The search for the highest rate that meets an objective: the next rate, and when the search ends. Pure.

    start ──met──> double ... ──missed──> bisect until the bracket is 5 % wide ──> repeat both ends

A single trial may be wrong, so a rate counts by the majority of its trials. One trial per rate is enough on
the way, but both ends of the last bracket are repeated until two of three trials agree. If an end is
overturned, the search continues with what is known then. A trial in which the load generator was the limit
says nothing about the server and is repeated; after the second one, the load generator is the limit of the
search.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log2

RESOLUTION = 0.05  # the search ends when the upper end of the bracket is at most 5 % above the lower one
AGREEING_TRIALS = 2
RATE_DIGITS = 3  # significant digits of a rate: 1,230 and not 1,234.375
DOUBLINGS_ESTIMATE = 2  # until the first bracket, for the progress only


@dataclass(frozen=True, slots=True)
class RateTrial:
    """One trial at a rate. `generator_limited`: the objective was missed because of the load generator."""

    met: bool
    generator_limited: bool = False


@dataclass
class Search:
    """A search that begins at `start`, between `rate_min` and `rate_max`; all in requests per second."""

    start: float
    rate_min: float
    rate_max: float
    trials: dict[float, list[RateTrial]] = field(default_factory=dict)  # by rate

    def next_rate(self) -> float | None:
        """Return the rate of the next trial; None: the search has ended."""
        if tied := next((rate for rate, trials in self.trials.items() if _is_tied(trials)), None):
            return tied
        met, missed = self._bracket()
        if met is None and missed is None:
            return min(self.rate_max, max(self.rate_min, _rounded(self.start)))
        if missed is None:
            assert met is not None
            return min(self.rate_max, 2 * met) if met < self.rate_max else self._repeat(met)
        if met is None:
            return (
                max(self.rate_min, _rounded(missed / 2)) if missed > self.rate_min else self._repeat(missed)
            )
        middle = _rounded((met + missed) / 2)
        if missed / met - 1 > RESOLUTION and met < middle < missed:
            return middle
        return self._repeat(met) or self._repeat(missed)

    def record(self, rate: float, trial: RateTrial) -> None:
        """Add the result of a trial."""
        self.trials.setdefault(rate, []).append(trial)

    @property
    def kept_per_s(self) -> float | None:
        """The highest rate that met the objective, below the lowest that missed it."""
        return self._bracket()[0]

    @property
    def failed_per_s(self) -> float | None:
        return self._bracket()[1]

    @property
    def is_generator_limited(self) -> bool:
        """Whether every trial at the upper end of the bracket was limited by the load generator."""
        missed = self.failed_per_s
        return missed is not None and all(each.generator_limited for each in self.trials[missed])

    @property
    def remaining_trials(self) -> int:
        """Estimate how many trials are left."""
        if self.next_rate() is None:
            return 0
        met, missed = self._bracket()
        if missed is None:
            return DOUBLINGS_ESTIMATE + _bisections(2.0) + 2 * (AGREEING_TRIALS - 1)
        if met is None:
            return 1 + _bisections(2.0) + 2 * (AGREEING_TRIALS - 1)
        repeats = sum(max(0, AGREEING_TRIALS - len(_conclusive(self.trials[rate]))) for rate in (met, missed))
        return _bisections(missed / met) + max(1, repeats)

    def _bracket(self) -> tuple[float | None, float | None]:
        missed = min((rate for rate, trials in self.trials.items() if not _is_met(trials)), default=None)
        met = [
            rate
            for rate, trials in self.trials.items()
            if _is_met(trials) and (missed is None or rate < missed)
        ]
        return max(met, default=None), missed

    def _repeat(self, rate: float) -> float | None:
        """Return the rate, to be tried once more, unless enough of its trials agree."""
        trials = _conclusive(self.trials[rate])
        agreeing = max(sum(each.met for each in trials), sum(not each.met for each in trials))
        return None if agreeing >= AGREEING_TRIALS else rate


def _conclusive(trials: list[RateTrial]) -> list[RateTrial]:
    """Return the conclusive trials: those limited by the load generator only if there are no others."""
    by_server = [each for each in trials if not each.generator_limited]
    return by_server if by_server or len(trials) < AGREEING_TRIALS else trials


def _is_met(trials: list[RateTrial]) -> bool:
    votes = _conclusive(trials)
    return sum(each.met for each in votes) * 2 > len(votes)


def _is_tied(trials: list[RateTrial]) -> bool:
    votes = _conclusive(trials)
    return sum(each.met for each in votes) * 2 == len(votes)


def _bisections(ratio: float) -> int:
    """Return the number of bisections until a bracket of this ratio is narrow enough."""
    return max(0, ceil(log2((ratio - 1) / RESOLUTION)))


def _rounded(rate: float) -> float:
    return float(f"{rate:.{RATE_DIGITS}g}")
