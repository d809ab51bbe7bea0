"""What checks have in common: decide ratios and counts, and put them into sentences. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from app import format
from app.experiments.claim import Count, Finding, Need, Ratio
from app.experiments.evidence import Evidence
from app.experiments.measurements import measurement
from app.results.checks import capitalised
from app.schemas.experiment import TestResult
from app.schemas.states import Answer
from app.statistics.decision import combine, count_answer, decide, geometric_mean

WORDS = {
    Answer.HOLDS: "holds",
    Answer.DOES_NOT_HOLD: "does not hold",
    Answer.NO_DIFFERENCE: "no difference",
    Answer.TOO_CLOSE: "too close to call",
    Answer.CANNOT_TEST: "cannot test",
    Answer.NOT_JUDGED: "not judged",
    Answer.LEANS_HOLDS: "leans to holds",
    Answer.LEANS_DOES_NOT_HOLD: "leans to does not hold",
    Answer.LEANS_NO_DIFFERENCE: "leans to no difference",
    Answer.UNCLEAR: "unclear",
}


def check_ratios(evidence: Evidence, needs: Iterable[Need]) -> Finding:
    """Return the answer of a claim whose ratios must all hold."""
    results = tuple(ratio_result(evidence, need) for need in needs if isinstance(need, Ratio))
    return finding(results)


def finding(results: Sequence[TestResult], *further: str) -> Finding:
    """Return the combined answer of all results, with their sentences and `further` ones."""
    answer = combine(result.answer for result in results)
    return Finding(answer, (*(result.sentence for result in results), *further), tuple(results))


def cannot_test(reason: str) -> Finding:
    """Return the answer of a claim that was not measured."""
    return Finding(Answer.CANNOT_TEST, (reason,))


def ratio_result(evidence: Evidence, need: Ratio) -> TestResult:
    """Return what the ratios of two entries show about their margin."""
    ratios = evidence.ratios(need.cell, need.a, need.b, need.figure)
    figure = measurement(need.figure)
    where = f" ({need.where})" if need.where else ""
    title = f"{capitalised(figure.title)}: {need.a} / {need.b}{where}"
    reason = evidence.reason(need.cell, need.entries, need.figures)
    if len(ratios) < evidence.rounds_wanted and reason:
        answer, sentence = Answer.CANNOT_TEST, f"{title} cannot be compared. {reason}"
    elif not ratios:
        answer, sentence = Answer.CANNOT_TEST, f"{title} was not measured."
    else:
        answer = decide(ratios, need.criterion)
        sentence = f"{title} is {_ratio_text(ratios)}{_meaning(answer, need, ratios)}."
    return TestResult(
        title=title,
        cell=need.cell,
        a=need.a,
        b=need.b,
        figure=need.figure,
        answer=answer,
        sentence=sentence,
        margin=need.margin,
        band=need.criterion.band,
        ratios=tuple(ratios),
        ratio=geometric_mean(ratios) if ratios else None,
    )


def count_result(
    evidence: Evidence, need: Count, title: str, bound: str, is_met: Callable[[float], bool]
) -> TestResult:
    """Return whether the first figure of a count meets a bound in every trial. `bound`: in words."""
    values = evidence.values(need.cell, need.entry, need.figures[0], need.figures)
    return bound_result(evidence, need, values, title, bound, is_met, measurement(need.figures[0]).text)


def factor_text(value: float | None) -> str:
    """Return a factor: ×2.1."""
    return f"×{format.ratio(value)}"


def bound_result(
    evidence: Evidence,
    need: Count,
    values: Sequence[float],
    title: str,
    bound: str,
    is_met: Callable[[float], bool],
    text: Callable[[float | None], str] = factor_text,
) -> TestResult:
    """Return whether values that were computed from a count meet a bound, all of them.

    `text`: formats a value; by default they are factors.
    """
    name = need.figures[0]
    if not values:
        reason = evidence.reason(need.cell, need.entries, need.figures) or "It was not measured."
        answer, sentence, shown = Answer.CANNOT_TEST, f"{title} cannot be counted. {reason}", ""
    else:
        answer = count_answer([is_met(value) for value in values])
        shown = value_range(text, values)
        trials = "one trial" if len(values) == 1 else f"{len(values)} trials"
        sentence = f"{title}: {shown} in {trials}; {bound}: {WORDS[answer]}."
    return TestResult(
        title=title,
        cell=need.cell,
        a=need.entry,
        b=None,
        figure=name,
        answer=answer,
        sentence=sentence,
        values=tuple(values),
        value_text=text(median(values)) if values else "",
        values_text=shown,
        bound=bound,
    )


def value_range(text: Callable[[float | None], str], values: Sequence[float]) -> str:
    """Return values with their unit: "1.25", or "1.20 to 1.31"."""
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low} to {high}"


def shown(evidence: Evidence, cell: str, entries: Sequence[str], *figures: str) -> list[str]:
    """Return one sentence for each figure that is shown besides, with the median of each entry."""
    found = []
    for name in figures:
        known = {entry: evidence.shown(cell, entry, name) for entry in entries}
        texts = [
            f"{entry} {measurement(name).text(median(values))}" for entry, values in known.items() if values
        ]
        if texts:
            found.append(f"{capitalised(measurement(name).title)}: {', '.join(texts)}.")
    return found


def _ratio_text(ratios: Sequence[float]) -> str:
    mean = f"×{geometric_mean(ratios):.2f}"
    if len(ratios) == 1:
        return f"{mean} in one round"
    return f"{mean} ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)"


def _meaning(answer: Answer, need: Ratio, ratios: Sequence[float]) -> str:
    """Return what the answer means: "beyond the margin ×1.10", "smaller than claimed", "reversed"."""
    if need.margin is None:
        bounds = f"1/{need.criterion.band:.2f} to {need.criterion.band:.2f}"
        if answer in (Answer.HOLDS, Answer.LEANS_HOLDS):
            return f": within {bounds}, no difference"
        if answer in (Answer.DOES_NOT_HOLD, Answer.LEANS_DOES_NOT_HOLD):
            return f": outside of {bounds}"
        return f": neither inside nor outside of {bounds}"
    margin = f"margin ×{need.margin:.2f}"
    if answer in (Answer.HOLDS, Answer.LEANS_HOLDS):
        return f": beyond the {margin}"
    if answer in (Answer.NO_DIFFERENCE, Answer.LEANS_NO_DIFFERENCE):
        return f": no difference ({margin})"
    if answer in (Answer.DOES_NOT_HOLD, Answer.LEANS_DOES_NOT_HOLD):
        mean = geometric_mean(ratios)
        what = "reversed" if mean < 1 / need.criterion.band else "smaller than claimed"
        return f": {what} ({margin})"
    return f": too few ratios on one side of the {margin}"
