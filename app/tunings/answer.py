"""The answer of a tuning: the best value, and the smallest one within 10 % of it. Pure.

Values are compared by the ratio of their rates in the same round, with the decision rule of
app/statistics/decision.py: the best rate must not be more than 1.10 times that of the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from statistics import median

from app.schemas.run import RunView
from app.schemas.states import Answer, RunState
from app.schemas.tuning import TuningTrial, ValueResult
from app.statistics.decision import BAND, ROUNDS, ROUNDS_MAX, Criterion, decide

FIGURE = "kept_per_s"
MISSES_AT_LOWEST = 2  # trials after which a search is sure of its lowest rate
IS_WITHIN = frozenset((Answer.HOLDS, Answer.LEANS_HOLDS))
LEANS = frozenset(
    (Answer.LEANS_HOLDS, Answer.LEANS_DOES_NOT_HOLD, Answer.LEANS_NO_DIFFERENCE, Answer.UNCLEAR)
)
# What "the best rate is more than 1.10 times that of the value" means for "the value is within 10 %".
_WITHIN = {
    Answer.HOLDS: Answer.DOES_NOT_HOLD,
    Answer.LEANS_HOLDS: Answer.LEANS_DOES_NOT_HOLD,
    Answer.DOES_NOT_HOLD: Answer.HOLDS,
    Answer.LEANS_DOES_NOT_HOLD: Answer.LEANS_HOLDS,
    Answer.NO_DIFFERENCE: Answer.HOLDS,
    Answer.LEANS_NO_DIFFERENCE: Answer.LEANS_HOLDS,
}
RULE = (
    f"Each value is measured once in each round, with a new server, in random order. The best value has the "
    f"highest median. A value is within 10 % of it if the rate of the best one is at most {BAND:.2f} times "
    f"its own in {ROUNDS} of {ROUNDS} rounds, or in {ROUNDS_MAX - 1} of {ROUNDS_MAX}; fewer rounds show a "
    f"tendency. A run whose rate was not limited by the server is void: it is not part of the median, and is "
    f"not repeated."
)


def tuning_trial(value: int, number: int, run: RunView, void: str | None) -> TuningTrial:
    """Return a finished run as the trial of a value in round `number`.

    `void`: why its rate is not valid by its verdict, which has a rate that no load kept as a reason, too.
    """
    capacity = run.capacity
    rate, why_not = capacity.kept_per_s if capacity else None, None
    if run.state != RunState.FINISHED:
        rate, why_not = None, run.failure or f"The run was {run.state} before the search was complete."
    elif _missed_everywhere(run):
        rate = 0.0
    elif void or rate is None:
        why_not = void or "The search found no rate."
        rate = None
    cpus = run.placement.get("engine_cpus")
    return TuningTrial(
        value=value,
        round=number,
        run=run.id,
        state=run.state,
        rate_per_s=rate,
        at_least_per_s=_lower_bound(run) if why_not else None,
        limited_by=capacity.limited_by if capacity else None,
        verdict=run.verdict.title if run.verdict else None,
        cpu_us=run.ledger.cpu_us if run.ledger else None,
        cpus=len(cpus) if cpus else None,
        why_not=why_not,
    )


def _missed_everywhere(run: RunView) -> bool:
    """Return whether a search has found that even the lowest rate misses the objective.

    Without a rate that is met, it repeats only the lowest one.
    """
    found = run.capacity
    if found is None or found.kept_per_s is not None or found.failed_per_s is None:
        return False
    misses = [step for step in found.steps if step.rate_per_s == found.failed_per_s and not step.kept]
    return len(misses) >= MISSES_AT_LOWEST


def _lower_bound(run: RunView) -> float | None:
    """Return the rate that was kept, if the load generator or a limit of the lab was reached above it."""
    found = run.capacity
    return found.kept_per_s if found and found.failed_per_s is None else None


def value_results(values: int, trials: Sequence[TuningTrial]) -> tuple[tuple[ValueResult, ...], int | None]:
    """Return the result of each of the `values`, and the index of the best one.

    None: no rate keeps the objective with any value, no two values have a valid run, or a value without a
    valid rate has kept a rate above all valid ones.
    """
    rates = [_rates(each, trials) for each in range(values)]
    best = _best(rates, trials)
    return tuple(_result(each, rates, best, trials) for each in range(values)), best


def smallest_within(results: Sequence[ValueResult]) -> int | None:
    """Return the index of the first value within 10 % of the best; None: there is none."""
    return next((each.value for each in results if each.within in IS_WITHIN), None)


def is_decided(results: Sequence[ValueResult], answer: int) -> bool:
    """Return whether the answer, and that no value before it is within 10 %, rest on enough rounds."""
    return all(each.within is not None and each.within not in LEANS for each in results[: answer + 1])


def _rates(value: int, trials: Sequence[TuningTrial]) -> Mapping[int, float]:
    """Return the valid rates of a value by round."""
    return {
        each.round: each.rate_per_s
        for each in trials
        if each.value == value and each.rate_per_s is not None and each.why_not is None
    }


def is_exceeded(value: int, rate: float, trials: Sequence[TuningTrial]) -> bool:
    """Return whether a void run of another value has kept a higher rate than `rate` of this one."""
    return any(each.value != value and (each.at_least_per_s or 0.0) > rate for each in trials)


def _best(rates: Sequence[Mapping[int, float]], trials: Sequence[TuningTrial]) -> int | None:
    medians = {value: median(found.values()) for value, found in enumerate(rates) if found}
    best = max(medians, key=lambda value: medians[value], default=None)
    if best is None or not medians[best] or len(medians) < 2:
        return None
    return None if is_exceeded(best, medians[best], trials) else best


def _result(
    value: int, rates: Sequence[Mapping[int, float]], best: int | None, trials: Sequence[TuningTrial]
) -> ValueResult:
    own = [rate for _, rate in sorted(rates[value].items())]
    ratios = _ratios(rates[value], rates[best]) if best is not None else ()
    return ValueResult(
        value=value,
        n=len(own),
        trials=sum(each.value == value for each in trials),
        rates=tuple(own),
        median_per_s=median(own) if own else None,
        min_per_s=min(own, default=None),
        max_per_s=max(own, default=None),
        ratios=ratios,
        within=_is_within(ratios) if ratios else None,
    )


def _ratios(own: Mapping[int, float], best: Mapping[int, float]) -> tuple[float, ...]:
    """Return the ratios to the best value of the rounds in which both have a rate above 0, or only it."""
    return tuple(own[number] / best[number] for number in sorted(own.keys() & best.keys()) if best[number])


def _is_within(ratios: Sequence[float]) -> Answer:
    found = decide([1 / ratio if ratio else inf for ratio in ratios], Criterion(margin=BAND))
    return _WITHIN.get(found, found)
