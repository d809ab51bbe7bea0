"""The result of a tuning in sentences: the answer, what limits it, and which runs are void. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app import format
from app.schemas.states import Answer
from app.schemas.tuning import PoolFormula, TuningTrial, ValueResult
from app.statistics.decision import ROUNDS
from app.tunings.answer import IS_WITHIN
from app.tunings.values import value_name

PERCENT = "10 %"
_UNCLEAR = frozenset((Answer.UNCLEAR, Answer.TOO_CLOSE))


@dataclass(frozen=True, slots=True)
class Tuned:
    """What the sentences are about. `bounds`: of the knob; None: no bound, or not a number."""

    knob: str
    unit: str
    values: Sequence[int | str]
    bounds: tuple[int | None, int | None]
    objective: str
    results: Sequence[ValueResult]
    trials: Sequence[TuningTrial]
    best: int | None
    answer: int | None
    is_decided: bool
    formula: PoolFormula | None

    @property
    def is_number(self) -> bool:
        return not isinstance(self.values[0], str)

    def name(self, value: int) -> str:
        """Return the value of this index: "16 threads"."""
        return value_name(self.knob, self.unit, self.values[value])

    def rate(self, value: int) -> str:
        """Return the median rate of the value of this index."""
        return format.request_rate(self.results[value].median_per_s)


def sentences(tuned: Tuned) -> Iterator[str]:
    """Yield the result, the answer first."""
    if tuned.answer is None:
        yield _no_answer(tuned)
    else:
        yield _smallest(tuned, tuned.answer) if tuned.is_number else _choice(tuned)
        if not tuned.is_decided:
            yield _tendency(tuned, tuned.answer)
        yield from _unclear(tuned, tuned.answer)
        yield from _at_the_end(tuned)
    if tuned.formula:
        yield _formula(tuned, tuned.formula)
    yield from _missed(tuned)
    yield from _void(tuned)


def _smallest(tuned: Tuned, answer: int) -> str:
    assert tuned.best is not None
    if answer != tuned.best:
        return (
            f"{tuned.name(answer)} is the smallest value within {PERCENT} of the best rate: "
            f"{tuned.rate(answer)}, against {tuned.rate(tuned.best)} with {tuned.name(tuned.best)}."
        )
    measured = f"{tuned.name(answer)} has the best rate, {tuned.rate(answer)}"
    if answer == 0:
        return f"{measured}, and is the smallest value."
    apart = _not_compared(tuned, range(answer))
    return f"{measured}; no {'other ' if apart else ''}smaller value is within {PERCENT} of it.{apart}"


def _choice(tuned: Tuned) -> str:
    assert tuned.best is not None
    near = [
        f"{tuned.name(each.value)} ({tuned.rate(each.value)})"
        for each in tuned.results
        if each.within in IS_WITHIN and each.value != tuned.best
    ]
    others = f"Within {PERCENT}: {_listed(near)}." if near else f"No other value is within {PERCENT} of it."
    apart = _not_compared(tuned, range(len(tuned.values)))
    return f"{tuned.name(tuned.best)} has the best rate, {tuned.rate(tuned.best)}. {others}{apart}"


def _not_compared(tuned: Tuned, values: Iterable[int]) -> str:
    """Return a sentence about those of the values that have a rate, but in no round of the best one."""
    results = [tuned.results[each] for each in values]
    names = [tuned.name(each.value) for each in results if each.within is None and each.median_per_s]
    if not names:
        return ""
    return f" {_listed(names)}: not compared, because no round has a valid run of both."


def _tendency(tuned: Tuned, answer: int) -> str:
    fewest = min(len(each.ratios) for each in tuned.results[: answer + 1] if each.within is not None)
    if fewest >= ROUNDS:
        other = "a smaller" if tuned.is_number else "another"
        return f"This is a tendency: {other} value is too close to call or has no valid run."
    rounds = "1 round shows" if fewest == 1 else f"{fewest} rounds show"
    return f"{rounds} a tendency: an answer needs {ROUNDS} valid rounds of each value."


def _unclear(tuned: Tuned, answer: int) -> Iterator[str]:
    """Yield the values that may be within 10 %, if they would change the answer."""
    for each in tuned.results[:answer] if tuned.is_number else tuned.results:
        if each.within in _UNCLEAR:
            low, high = min(each.ratios), max(each.ratios)
            yield (
                f"{tuned.name(each.value)} is too close to call: {low:.2f} to {high:.2f} of the best rate in "
                f"{len(each.ratios)} rounds."
            )


def _at_the_end(tuned: Tuned) -> Iterator[str]:
    """Yield that the range may be too small, if the best value is at an end that is not the knob's own."""
    if not tuned.is_number or tuned.best is None:
        return
    value, (low, high) = tuned.values[tuned.best], tuned.bounds
    if tuned.best == len(tuned.values) - 1 and value != high:
        yield "The best value is the largest one measured: the range may be too small."
    if tuned.best == 0 and value != low:
        yield "The best value is the smallest one measured: the range may be too small."


def _formula(tuned: Tuned, found: PoolFormula) -> str:
    cpus = "1 CPU" if found.cpus == 1 else f"{found.cpus} CPUs"
    pools = f", {found.value:.1f} for each of {found.pools} processes" if found.pools > 1 else ""
    return (
        f"The formula N · (1 + W/C) gives {found.threads:.1f}{pools}: N = {cpus}, "
        f"W = {format.us(found.wait_us)} of sleep, C = {format.us(found.compute_us)} of CPU per request."
    )


def _missed(tuned: Tuned) -> Iterator[str]:
    names = [tuned.name(each.value) for each in tuned.results if each.median_per_s == 0]
    if names and tuned.answer is not None:
        yield f"No rate keeps {tuned.objective} with {_listed(names)}."


def _void(tuned: Tuned) -> Iterator[str]:
    """Yield how many runs of each value are void, and their most frequent reason."""
    for each in tuned.results:
        reasons = [
            trial.why_not for trial in tuned.trials if trial.value == each.value and trial.why_not is not None
        ]
        if reasons:
            are = "is" if len(reasons) == 1 else "are"
            count = f"{len(reasons)} of {each.trials} runs {are} void and not part of the median"
            yield f"{tuned.name(each.value)}: {count}. {max(reasons, key=reasons.count)}"


def _no_answer(tuned: Tuned) -> str:
    measured = [each for each in tuned.results if each.n]
    if not measured:
        return "No answer: no value has a valid run."
    if not any(each.median_per_s for each in measured):
        which = "No value" if len(measured) == len(tuned.values) else "No value with a valid run"
        return f"{which} keeps {tuned.objective} at any rate."
    if len(measured) == 1:
        return f"No answer: only {tuned.name(measured[0].value)} has a valid run."
    higher = max(tuned.trials, key=lambda trial: trial.at_least_per_s or 0.0)
    best = max(measured, key=lambda each: each.median_per_s or 0.0)
    return (
        f"The best value is not known: {tuned.name(higher.value)} keeps {tuned.objective} at "
        f"{format.request_rate(higher.at_least_per_s)} at least, more than the best valid rate, "
        f"{format.request_rate(best.median_per_s)} with {tuned.name(best.value)}."
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
