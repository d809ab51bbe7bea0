"""Answers of claims as pages show them: chip, figure, and interval on an axis in margins. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

from app import format
from app.experiments.checks import WORDS
from app.results.checks import capitalised
from app.schemas.experiment import ClaimView, ExperimentView, LastAnswer, TestResult
from app.schemas.states import Answer
from app.statistics.decision import BAND

AXIS_WIDTH = 200
AXIS_LOW, AXIS_HIGH = -4.6, 5.4  # in margins: 0 is equal, 1 is the margin
ON_THIS_MACHINE = (Answer.HOLDS, Answer.DOES_NOT_HOLD)
TALLIED = (Answer.HOLDS, Answer.DOES_NOT_HOLD, Answer.NO_DIFFERENCE, Answer.TOO_CLOSE, Answer.CANNOT_TEST)
TALLY_WORDS = {
    Answer.HOLDS: "hold",
    Answer.DOES_NOT_HOLD: "do not hold",
    Answer.NO_DIFFERENCE: "no difference",
    Answer.TOO_CLOSE: "too close",
    Answer.CANNOT_TEST: "cannot test",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """The ratios of one test, as positions on an axis of AXIS_WIDTH in units of its margin.

    All margins are at the same place, so a column of intervals can be read downwards. `zone`: where the claim
    predicts the ratio. `band`: where there is no difference; None if that is the zone.
    """

    low: float
    middle: float
    high: float
    equal: float
    edges: tuple[float, ...]
    zone: tuple[float, float]
    band: tuple[float, float] | None
    label: str


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A claim with its last answer.

    `tested`: what was measured; `figure`: "×5.9"; `range`: "×5.2 to 6.4", or the bound of a count.
    """

    claim: ClaimView
    tested: str
    answer: Answer | None
    words: str
    figure: str = ""
    range: str = ""
    interval: Interval | None = None
    is_reference: bool = False
    is_noisy: bool = False
    experiment: int | None = None
    finished_at: str | None = None
    reason: str = ""  # why it cannot be tested
    tests: int = 0


def claim_row(claim: ClaimView, last: LastAnswer | None) -> ClaimRow:
    """Return the row of a claim. `last`: None if there is no answer at all."""
    if last is None or last.view.answer is None:
        return ClaimRow(claim, _without_result(claim), None, "not run")
    view, answer = last.view, last.view.answer
    result = deciding(view, claim.headline)
    figure, span = figures(result) if result else ("", "")
    return ClaimRow(
        claim=claim,
        tested=result.title if result else _without_result(claim),
        answer=answer,
        words=answer_words(answer, last.is_reference),
        figure=figure,
        range=span,
        interval=interval(result) if result and result.ratios else None,
        is_reference=last.is_reference,
        is_noisy=view.is_noisy,
        experiment=None if last.is_reference else view.id,
        finished_at=view.finished_at or view.created_at,
        reason=_reason(result) if answer == Answer.CANNOT_TEST and result else "",
        tests=sum(each.b is not None for each in view.ratios),
    )


def _without_result(claim: ClaimView) -> str:
    """Return how a claim is tested, or what is shown for one that is not judged."""
    return capitalised(claim.tested_as.removeprefix("not judged; "))


def answer_words(answer: Answer, is_reference: bool = False) -> str:
    """Return an answer in words: "holds here", or "holds" on the reference machine."""
    here = "" if is_reference or answer not in ON_THIS_MACHINE else " here"
    return f"{WORDS[answer]}{here}"


def deciding(view: ExperimentView, headline: int = 0) -> TestResult | None:
    """Return the test that decided: that of the headline if it has the same answer, else the first one."""
    if not view.ratios:
        return None
    same = [result for result in view.ratios if result.answer == view.answer]
    preferred = view.ratios[min(headline, len(view.ratios) - 1)]
    return preferred if preferred in same or not same else same[0]


def figures(result: TestResult) -> tuple[str, str]:
    """Return the figure of a test and its range."""
    if result.ratios and result.ratio is not None:
        low, high = min(result.ratios), max(result.ratios)
        return f"×{format.ratio(result.ratio)}", f"×{format.ratio(low)} to {format.ratio(high)}"
    if result.values:
        return result.value_text, result.bound or ""
    return "", ""


def interval(result: TestResult) -> Interval:
    """Return the interval of a ratio test."""
    margin, band = result.margin or result.band or BAND, result.band or BAND
    unit = max(margin, 1 / margin)
    low, high = min(result.ratios), max(result.ratios)
    middle = exp(sum(map(log, result.ratios)) / len(result.ratios))
    zone = (1 / margin, margin) if result.margin is None else (margin, None)
    return Interval(
        low=_place(low, unit),
        middle=_place(middle, unit),
        high=_place(high, unit),
        equal=_place(1.0, unit),
        edges=tuple(_place(edge, unit) for edge in zone if edge is not None),
        zone=(_place(zone[0], unit), AXIS_WIDTH if zone[1] is None else _place(zone[1], unit)),
        band=None if result.margin is None else (_place(1 / band, unit), _place(band, unit)),
        label=f"ratio ×{format.ratio(low)} to ×{format.ratio(high)}, margin ×{margin:.2f}",
    )


def _place(ratio: float, unit: float) -> float:
    margins = max(AXIS_LOW, min(AXIS_HIGH, log(ratio) / log(unit)))
    return round((margins - AXIS_LOW) / (AXIS_HIGH - AXIS_LOW) * AXIS_WIDTH, 1)


def _reason(result: TestResult) -> str:
    """Return why a test is not possible: the sentences after the first one."""
    return result.sentence.partition(". ")[2] or result.sentence
