"""The executor `find-capacity`: trials at varying rates until the highest that meets the objective."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from app.load.protocol.plan import Plan
from app.plans.thresholds import Threshold
from app.results.limits import ERRORS_MAX, RATE_RATIO_MIN
from app.results.summary import summarise
from app.results.threshold_check import check, measured_value
from app.runs.bisection import RateTrial, Search
from app.runs.generator import GeneratorFailed
from app.runs.trial import TrialResult
from app.schemas.capacity import Capacity, SearchStep
from app.schemas.states import VerdictName

PROBE_S = 2.0
PROBE_SHARE = 0.5  # the search begins at this share of the throughput of a closed loop
SAMPLE_MARGIN = 1.1  # times the requests that the percentile of the objective needs
TRIALS_MAX = 30
TRIAL_MAX_S = 30.0  # a lower rate would need longer for as many requests
REQUESTS_MIN = 100  # per trial: with fewer, one late request is more than the 1 % that may be missing
BACKLOG_MAX_S = 0.010  # work that may be left at the end of a trial: a scheduling delay, not a growing queue

RunTrial = Callable[[Plan], Awaitable[TrialResult | None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a search: the highest rate in req/s, and the total time in seconds."""

    max_rate: float
    budget_s: float


@dataclass
class CapacitySearch:
    """One capacity search. Event loop only.

    `run_trial` offers a plan and returns the result (None: stopped); `on_step` receives the capacity known
    after each trial.
    """

    plan: Plan
    limits: Limits
    run_trial: RunTrial
    on_step: Callable[[Capacity], None]
    steps: list[SearchStep] = field(default_factory=list)
    best: TrialResult | None = (
        None  # of the last trial at the highest met rate; before that, of the last trial
    )
    limited_by: str | None = None
    search: Search | None = None
    _results: dict[float, TrialResult] = field(default_factory=dict)
    _progress: float = 0.0
    _began_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        assert self.plan.objective
        self.objective = Threshold.parse(self.plan.objective)

    async def run(self) -> None:
        """Search until the capacity is known, or something else ends the search: `limited_by` then names it.

        Raises GeneratorFailed if the first trial has no result.
        """
        search = self.search = Search(await self._start_rate(), self._rate_min, self.limits.max_rate)
        while self.limited_by is None and (rate := search.next_rate()) is not None:
            plan = self._plan_at(rate)
            if len(self.steps) >= TRIALS_MAX:
                self.limited_by = (
                    f"No stable result after {TRIALS_MAX} trials: the measurements are too noisy."
                )
                break
            if self._elapsed_s + plan.total_s > self.limits.budget_s:
                self.limited_by = f"The time limit of a search, {self.limits.budget_s:g} s, was reached."
                break
            await self._step(search, rate, plan)
        self.limited_by = self.limited_by or self._reached_limit(search)
        if search.kept_per_s is not None:
            self.best = self._results[search.kept_per_s]

    @property
    def capacity(self) -> Capacity:
        """The result so far."""
        met = self.search.kept_per_s if self.search else None
        missed = self.search.failed_per_s if self.search and not self.search.is_generator_limited else None
        return Capacity(str(self.plan.objective), met, missed, self.limited_by, tuple(self.steps))

    @property
    def progress(self) -> float:
        """The estimated share that is done, from 0 to 1. It never decreases, even if an end is overturned."""
        if self.search is None:
            return 0.0
        ended = len(self.steps)
        share = ended / (ended + self.search.remaining_trials) if ended else 0.0
        self._progress = max(self._progress, share)
        return self._progress

    @property
    def estimated_total_s(self) -> float:
        """The estimated duration of the whole search in seconds."""
        remaining = self.search.remaining_trials if self.search else 0
        return min(self.limits.budget_s, max(1.0, self._elapsed_s + remaining * self.plan.total_s))

    async def _start_rate(self) -> float:
        """Return the plan's rate, or half of the throughput in a closed loop."""
        if self.plan.rate_per_s:
            return self.plan.rate_per_s
        duration_s = min(PROBE_S, self.plan.duration_s)
        probe = replace(self.plan, executor="constant-vus", objective=None, duration_s=duration_s)
        result = await self.run_trial(probe)
        if result is None or result.verdict.name == VerdictName.DEGRADED:
            self.limited_by = _end_reason(result)
            return self._rate_min
        self.best = result
        return PROBE_SHARE * result.summary.achieved_per_s

    @property
    def _requests_needed(self) -> float:
        return max(SAMPLE_MARGIN * self.objective.samples_needed, REQUESTS_MIN)

    @property
    def _rate_min(self) -> float:
        """Below this rate, a trial of 30 s has too few requests for the percentile of the objective."""
        longest_s = max(TRIAL_MAX_S, self.plan.duration_s)
        return max(1.0, float(f"{self._requests_needed / longest_s:.3g}"))

    def _plan_at(self, rate: float) -> Plan:
        return replace(
            self.plan,
            executor="constant-arrival-rate",
            objective=None,
            rate_per_s=rate,
            duration_s=max(self.plan.duration_s, round(self._requests_needed / rate, 1)),
        )

    async def _step(self, search: Search, rate: float, plan: Plan) -> None:
        try:
            result = await self.run_trial(plan)
        except GeneratorFailed as error:
            if self.best is None:
                raise
            self.limited_by = str(error)
            return
        if result is None or result.outcome.stopped or result.verdict.name == VerdictName.DEGRADED:
            self.limited_by = _end_reason(result)
            self.best = self.best or result
            return
        self._record(search, rate, result)
        self.best = result
        self.on_step(self.capacity)

    def _record(self, search: Search, rate: float, result: TrialResult) -> None:
        failure = self._failure(result)
        generator_limited = failure is not None and (
            result.verdict.name == VerdictName.CLIENT_BOUND or self._met_without_generator_delay(result)
        )
        number = len(search.trials.get(rate, ())) + 1
        search.record(rate, RateTrial(failure is None, generator_limited))
        because = failure or "The objective was met."
        if generator_limited:
            because += " The load generator was the limit."
        measured = (self.objective, result.summary, result.ledger, result.verdict, result.outcome)
        value = measured_value(*measured)
        assert not isinstance(value, str), "an objective is a latency"
        seen, ratio = check(*measured).seen, result.summary.rate_ratio
        self.steps.append(SearchStep(rate, number, seen, ratio, failure is None, because, value))
        if failure is None:
            self._results[rate] = result

    def _failure(self, result: TrialResult) -> str | None:
        """Return why a trial missed the objective or the rate, in one sentence; None: it met both."""
        summary = result.summary
        failed = sum(summary.errors.values())
        if failed > ERRORS_MAX * (failed + summary.requests):
            return f"{failed:,} of {failed + summary.requests:,} requests failed."
        offered = summary.offered_per_s or 0.0
        missing = (offered - summary.achieved_per_s) * summary.duration_s
        if missing > max(1.0, BACKLOG_MAX_S * offered, (1 - RATE_RATIO_MIN) * offered * summary.duration_s):
            return f"Only {100 * (summary.rate_ratio or 0):.1f} % of the offered rate was achieved."
        checked = check(self.objective, summary, result.ledger, result.verdict, result.outcome)
        return f"{self.objective.what} was {checked.seen}." if checked.breached else None

    def _met_without_generator_delay(self, result: TrialResult) -> bool:
        """Return whether the trial would have met the objective if no request had been sent late."""
        if not result.outcome.kinds or not all(kind.corrected for kind in result.outcome.kinds):
            return False
        kinds = tuple(replace(kind, response=kind.corrected) for kind in result.outcome.kinds)
        corrected = replace(result.outcome, kinds=kinds)
        return self._failure(replace(result, outcome=corrected, summary=summarise(corrected))) is None

    def _reached_limit(self, search: Search) -> str | None:
        met, missed = search.kept_per_s, search.failed_per_s
        if search.is_generator_limited and missed is not None:
            return (
                f"From {missed:,.6g} req/s on the load generator was the limit; the engine's capacity may be "
                "higher."
            )
        if missed is None:
            return f"The objective was met at the highest allowed rate, {self.limits.max_rate:,.6g} req/s."
        if met is None:
            return f"The objective was missed at the lowest possible rate, {missed:,.6g} req/s."
        return None

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s


def _end_reason(result: TrialResult | None) -> str:
    if result is None or result.verdict.name != VerdictName.DEGRADED:
        return "Stopped before the search was complete."
    return result.verdict.because[0]
