"""The calibration of a session: one A/A pair through the same decision rule as every claim. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.experiments.cells import REACTOR, plaintext_rate
from app.experiments.checks import check_ratios
from app.experiments.claim import Claim, Entry, Finding, Ratio
from app.experiments.evidence import Evidence
from app.schemas.experiment import Calibration
from app.schemas.states import Answer
from app.statistics.decision import BAND, ROUNDS, Criterion, decide, log_deviation, power

TRUE_RATIO = 1.15  # for which the power is stated
FIGURE = "cpu_us"
A, B = "reactor", "reactor (A/A)"
QUIET = (Answer.NO_DIFFERENCE, Answer.LEANS_NO_DIFFERENCE)


def _claim(number: int) -> Claim:
    """Return the A/A pair as a claim. `number`: 1, or 2 for the pair that repeats it."""
    second = Entry(REACTOR.model, key=B, copy=number)
    cell = plaintext_rate(REACTOR, second)
    need = Ratio(cell.key, A, B, FIGURE)

    def check(evidence: Evidence) -> Finding:
        return check_ratios(evidence, (need,))

    return Claim(
        id=f"calibration-{number}",
        order=0,
        text="A model compared with itself shows no difference.",
        tested_as="an A/A pair: CPU per request at the same rate",
        check=check,
        cells=(cell,),
        needs=(need,),
    )


FIRST, REPEATED = _claim(1), _claim(2)


def calibrate(first: Sequence[float], repeated: Sequence[float]) -> Calibration:
    """Return the calibration of the ratios of the first pair, and of the one that repeats it if there is one.

    The machine is noisy if neither shows that there is no difference. Without ratios it is noisy, too.
    """
    ratios = repeated or first
    answer = decide(ratios, Criterion(BAND))
    deviation = log_deviation(ratios)
    return Calibration(
        answer=answer,
        ratios=tuple(ratios),
        deviation=deviation,
        power=None if deviation is None else power(TRUE_RATIO, BAND, deviation),
        noisy=not is_quiet(ratios),
        pairs=2 if repeated else 1,
    )


def is_quiet(ratios: Sequence[float]) -> bool:
    """Return whether an A/A pair shows no difference, or leans to it with few rounds."""
    return decide(ratios, Criterion(BAND)) in QUIET


def pair_text(calibration: Calibration) -> str:
    """Return how far two equal servers were apart, and what that means, in a few words."""
    word = "noisy" if calibration.noisy else "quiet"
    if not calibration.ratios:
        return "not measured"
    if calibration.pairs == 2:
        word = "noisy, twice" if calibration.noisy else "quiet, after a noisy pair"
    if calibration.deviation is None:
        return f"too few rounds for a spread: {word}"
    return f"two equal servers differed by {100 * calibration.deviation:.1f} % (spread): {word}"


def noise_sentence(calibration: Calibration) -> str:
    """Return what the calibration means for ratio answers, in one sentence."""
    spread = "" if calibration.deviation is None else f" (spread {100 * calibration.deviation:.1f} %)"
    if not calibration.ratios:
        return "The A/A pair was not measured, so it is not known how noisy the machine was."
    if calibration.noisy:
        twice = "" if calibration.pairs == 1 else ", twice"
        return f"Noisy machine{spread}: a model compared with itself was not without difference{twice}."
    if calibration.power is None:
        return "The A/A pair shows no difference."
    lean = "leans to" if len(calibration.ratios) < ROUNDS else "shows"
    return (
        f"The A/A pair {lean} no difference{spread}; at this spread a true ratio of {TRUE_RATIO} passes a "
        f"margin of {BAND:.2f} in {100 * calibration.power:.0f} % of the experiments."
    )
