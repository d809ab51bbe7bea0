"""`find-capacity`: trials at one rate after another, until the highest is known that keeps the objective."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from app.load.protocol.plan import Plan
from app.plans.thresholds import Threshold
from app.results.limits import ERRORS_MAX, RATE_RATIO_MIN
from app.results.summary import summarise
from app.results.threshold_check import check
from app.runs.bisection import Search, Tried
from app.runs.generator import NoOutcome
from app.runs.trial import TrialResult
from app.schemas.capacity import Capacity, SearchStep
from app.schemas.states import VerdictName

PROBE_S = 2.0
PROBE_SHARE = 0.5  # of what a closed load reached: where the search begins
ENOUGH = 1.1  # times the requests that the objective's percentile needs
TRIALS_MAX = 30
TRIAL_MAX_S = 30.0  # a lower rate would need longer for as many requests
REQUESTS_LEAST = 100  # of a trial: with fewer, one that is late is more than the 1 % that may be missing
LAG_S = (
    0.010  # how far a rate may be behind at the end of a trial: a scheduler's hiccup, and no growing queue
)

Try = Callable[[Plan], Awaitable[TrialResult | None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator allows a search: the highest rate, and how long it may take."""

    max_rate: float
    budget_s: float


@dataclass
class CapacitySearch:
    """One search. `try_` carries a plan out (None: it was stopped); `told` gets each state of what is known."""

    plan: Plan
    limits: Limits
    try_: Try
    told: Callable[[Capacity], None]
    steps: list[SearchStep] = field(default_factory=list)
    best: TrialResult | None = (
        None  # of the trial that counts: the last that kept the highest rate, or else the last
    )
    limited_by: str | None = None
    search: Search | None = None
    _results: dict[float, TrialResult] = field(default_factory=dict)
    _done: float = 0.0  # never goes back, though an end that is overturned makes the way longer
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        assert self.plan.objective
        self.objective = Threshold.parse(self.plan.objective)

    async def run(self) -> None:
        """Until it is found, or something else is the limit: then `limited_by` says what."""
        search = self.search = Search(await self._start(), self._floor, self.limits.max_rate)
        while self.limited_by is None and (rate := search.next_rate()) is not None:
            plan = self._plan_at(rate)
            if len(self.steps) >= TRIALS_MAX:
                self.limited_by = (
                    f"After {TRIALS_MAX} trials they still contradict each other: it is too noisy here."
                )
                break
            if self._elapsed_s + plan.total_s > self.limits.budget_s:
                self.limited_by = f"The time for a search, {self.limits.budget_s:g} s, was over."
                break
            await self._step(search, rate, plan)
        self.limited_by = self.limited_by or self._own_limit(search)
        if search.kept_per_s is not None:
            self.best = self._results[search.kept_per_s]

    @property
    def capacity(self) -> Capacity:
        """What is known by now."""
        kept = self.search.kept_per_s if self.search else None
        failed = self.search.failed_per_s if self.search and not self.search.by_generator else None
        return Capacity(str(self.plan.objective), kept, failed, self.limited_by, tuple(self.steps))

    @property
    def done(self) -> float:
        """The share of it that is over, as far as one can tell."""
        if self.search is None:
            return 0.0
        tried = len(self.steps)
        self._done = max(self._done, tried / (tried + self.search.remaining) if tried else 0.0)
        return self._done

    @property
    def likely_s(self) -> float:
        """How long it will have taken in all, as far as one can tell."""
        remaining = self.search.remaining if self.search else 0
        return min(self.limits.budget_s, max(1.0, self._elapsed_s + remaining * self.plan.total_s))

    async def _start(self) -> float:
        """Where to begin: as asked, or at half of what the engine answers a closed load."""
        if self.plan.rate_per_s:
            return self.plan.rate_per_s
        length = min(PROBE_S, self.plan.duration_s)
        probe = replace(self.plan, executor="constant-vus", objective=None, duration_s=length)
        result = await self.try_(probe)
        if result is None or result.verdict.name == VerdictName.DEGRADED:
            self.limited_by = _end_words(result)
            return self._floor
        self.best = result
        return PROBE_SHARE * result.summary.achieved_per_s

    @property
    def _floor(self) -> float:
        """Below it, a trial of bearable length has too few requests for the objective's percentile."""
        longest = max(TRIAL_MAX_S, self.plan.duration_s)
        return max(1.0, float(f"{max(ENOUGH * self.objective.samples_needed, REQUESTS_LEAST) / longest:.3g}"))

    def _plan_at(self, rate: float) -> Plan:
        enough_s = max(ENOUGH * self.objective.samples_needed, REQUESTS_LEAST) / rate
        length = max(self.plan.duration_s, round(enough_s, 1))
        return replace(
            self.plan, executor="constant-arrival-rate", objective=None, rate_per_s=rate, duration_s=length
        )

    async def _step(self, search: Search, rate: float, plan: Plan) -> None:
        try:
            result = await self.try_(plan)
        except NoOutcome as error:
            if self.best is None:
                raise
            self.limited_by = str(error)
            return
        if result is None or result.outcome.stopped or result.verdict.name == VerdictName.DEGRADED:
            self.limited_by = _end_words(result)
            self.best = self.best or result
            return
        because = self._why_failed(result)
        by_generator = because is not None and (
            result.verdict.name == VerdictName.CLIENT_BOUND or self._held_but_for_us(result)
        )
        trial = len(search.tried.get(rate, ())) + 1
        search.take(rate, Tried(because is None, by_generator))
        seen = check(self.objective, result.summary, result.ledger, result.verdict, result.outcome).seen
        said = because or "It was kept."
        if by_generator:
            said += " The load generator was at its own limit."
        self.steps.append(SearchStep(rate, trial, seen, result.summary.rate_ratio, because is None, said))
        if because is None:
            self._results[rate] = result
        self.best = result
        self.told(self.capacity)

    def _why_failed(self, result: TrialResult) -> str | None:
        """One sentence; None if the trial kept the objective, the rate, and its answers whole."""
        summary = result.summary
        failed = sum(summary.errors.values())
        if failed > ERRORS_MAX * (failed + summary.requests):
            return f"{failed:,} of {failed + summary.requests:,} requests failed."
        offered = summary.offered_per_s or 0.0
        missing = (offered - summary.achieved_per_s) * summary.duration_s
        if missing > max(1.0, LAG_S * offered, (1 - RATE_RATIO_MIN) * offered * summary.duration_s):
            return f"Only {100 * (summary.rate_ratio or 0):.1f} % of the rate was answered."
        held = check(self.objective, summary, result.ledger, result.verdict, result.outcome)
        return f"{self.objective.what} was {held.seen}." if held.breached else None

    def _held_but_for_us(self, result: TrialResult) -> bool:
        """Whether it would have kept the objective if the load generator had never been late."""
        if not result.outcome.kinds or not all(kind.corrected for kind in result.outcome.kinds):
            return False
        kinds = tuple(replace(kind, response=kind.corrected) for kind in result.outcome.kinds)
        exact = replace(result.outcome, kinds=kinds)
        return self._why_failed(replace(result, outcome=exact, summary=summarise(exact))) is None

    def _own_limit(self, search: Search) -> str | None:
        kept, failed = search.kept_per_s, search.failed_per_s
        if search.by_generator and failed is not None:
            return f"From {failed:,.6g} a second on the load generator was the limit; the engine's own may be higher."
        if failed is None:
            return f"The highest rate that may be asked for, {self.limits.max_rate:,.6g} a second, was kept."
        if kept is None:
            return f"Not even {failed:,.6g} a second kept it, and fewer are not tried."
        return None

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


def _end_words(result: TrialResult | None) -> str:
    if result is None or result.verdict.name != VerdictName.DEGRADED:
        return "It was stopped early."
    return result.verdict.because[0]
