"""The decision rule of comparisons and experiments: what ratios within rounds show about a margin. Pure.

The unit is the ratio of two entries in one round, measured seconds apart on one host, so that drift of the
machine cancels out. The rule is a sign test: it assumes nothing about the distribution of the ratios.

    after seven rounds, else after nine     seven rounds     nine rounds
    holds           beyond the margin       7 of 7           at least 8 of 9
    no difference   inside the band         7 of 7           at most one above and one below it
    does not hold   short of the margin     7 of 7           at least 8 of 9
    too close to call                       otherwise

If the true median ratio is exactly at the margin, each ratio is beyond it with probability 1/2, and the
probability of a wrong *holds* is 1/128 + 7/512 = 2.15 %, both looks included. The same applies to *does not
hold*. Fewer than seven ratios only lean.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.schemas.states import Answer

ROUNDS = 7  # of the first decision
ROUNDS_MAX = 9  # of the second one
QUICK_ROUNDS = 3  # only lean
BAND = 1.10  # ratios from 1/1.10 to 1.10 show no difference


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a claim predicts of a ratio: above `margin`, or (None) inside the band, which is equivalence."""

    margin: float | None
    band: float = BAND

    def is_inside(self, ratio: float) -> bool:
        """Return whether a ratio shows no difference."""
        return 1 / self.band <= ratio <= self.band


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of `n` ratios are beyond or short of the margin, and above, inside or below the band."""

    n: int
    beyond: int
    short: int
    above: int
    inside: int
    below: int

    @classmethod
    def of(cls, ratios: Sequence[float], criterion: Criterion) -> Counts:
        """Return the counts of these ratios. Equivalence has no margin, and so none is beyond or short."""
        margin, band = criterion.margin, criterion.band
        return cls(
            n=len(ratios),
            beyond=0 if margin is None else sum(ratio > margin for ratio in ratios),
            short=0 if margin is None else sum(ratio < margin for ratio in ratios),
            above=sum(ratio > band for ratio in ratios),
            inside=sum(map(criterion.is_inside, ratios)),
            below=sum(ratio < 1 / band for ratio in ratios),
        )


def decide(ratios: Sequence[float], criterion: Criterion) -> Answer:
    """Return the answer of these ratios, in the order of their rounds.

    Of more than nine, the first nine count. Fewer than seven lean. Without any it is unclear.
    """
    if len(ratios) < ROUNDS:
        return _lean(Counts.of(ratios, criterion), criterion)
    answer = _look(Counts.of(ratios[:ROUNDS], criterion), criterion, dissent=0)
    if answer is Answer.TOO_CLOSE and len(ratios) >= ROUNDS_MAX:
        answer = _look(Counts.of(ratios[:ROUNDS_MAX], criterion), criterion, dissent=1)
    return answer


def is_decided(ratios: Sequence[float], criterion: Criterion) -> bool:
    """Return whether further rounds cannot change the answer."""
    enough = len(ratios) >= ROUNDS
    return enough and (len(ratios) >= ROUNDS_MAX or decide(ratios, criterion) is not Answer.TOO_CLOSE)


def _look(counts: Counts, criterion: Criterion, dissent: int) -> Answer:
    """Return the answer if at most `dissent` ratios contradict it."""
    needed = counts.n - dissent
    no_difference = counts.above <= dissent and counts.below <= dissent
    if criterion.margin is None:
        if no_difference:
            return Answer.HOLDS
        refuted = max(counts.above, counts.below) >= needed
        return Answer.DOES_NOT_HOLD if refuted else Answer.TOO_CLOSE
    if counts.beyond >= needed:
        return Answer.HOLDS
    if no_difference:
        return Answer.NO_DIFFERENCE
    return Answer.DOES_NOT_HOLD if counts.short >= needed else Answer.TOO_CLOSE


_LEANINGS = {
    Answer.HOLDS: Answer.LEANS_HOLDS,
    Answer.DOES_NOT_HOLD: Answer.LEANS_DOES_NOT_HOLD,
    Answer.NO_DIFFERENCE: Answer.LEANS_NO_DIFFERENCE,
    Answer.TOO_CLOSE: Answer.UNCLEAR,
}


_DECIDED = {leans: answer for answer, leans in _LEANINGS.items()}


def leaning(answer: Answer) -> Answer:
    """Return the answer as a tendency, for results of too few rounds; others are unchanged."""
    return _LEANINGS.get(answer, answer)


def _lean(counts: Counts, criterion: Criterion) -> Answer:
    return leaning(_look(counts, criterion, dissent=0)) if counts.n else Answer.UNCLEAR


def combine(cells: Iterable[Answer]) -> Answer:
    """Return the answer of a claim with several cells.

    It holds if it holds in all cells. It does not hold if it does not in one, or shows no difference in some
    only. Otherwise it cannot be tested or is too close if that applies to one cell. It leans if a cell does.
    """
    answers = list(cells)
    leans = any(answer in _DECIDED for answer in answers)
    seen = {_DECIDED.get(answer, answer) for answer in answers}
    if len(seen) == 1:
        found = seen.pop()
    elif Answer.DOES_NOT_HOLD in seen:
        found = Answer.DOES_NOT_HOLD
    elif Answer.CANNOT_TEST in seen:
        found = Answer.CANNOT_TEST
    elif Answer.TOO_CLOSE in seen:
        found = Answer.TOO_CLOSE
    else:  # it holds in some cells, and shows no difference in the others
        found = Answer.DOES_NOT_HOLD
    return leaning(found) if leans else found


def count_answer(met: Sequence[bool]) -> Answer:
    """Return the answer of a count, from whether each trial met its bound. None at all: unclear."""
    if not met:
        return Answer.UNCLEAR
    if len(set(met)) > 1:
        return Answer.TOO_CLOSE
    return Answer.HOLDS if met[0] else Answer.DOES_NOT_HOLD


def geometric_mean(ratios: Sequence[float]) -> float:
    """Return the geometric mean of ratios, all above 0: of r and 1/r it is 1."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def log_deviation(ratios: Sequence[float]) -> float | None:
    """Return the standard deviation of the logarithms of ratios: 0.017 is 1.7 %. None: fewer than two."""
    if len(ratios) < 2:
        return None
    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / len(logs)
    return math.sqrt(sum((each - mean) ** 2 for each in logs) / (len(logs) - 1))


def probability_of_success(share: float) -> float:
    """Return the probability that both looks together give an answer that each ratio supports with `share`.

    share^7 for the first look, and 7 · share^8 · (1 - share) for the second: one of the first seven dissents,
    and the two new ratios do not. 2.15 % at a share of 1/2.
    """
    return share**ROUNDS + ROUNDS * share ** (ROUNDS_MAX - 1) * (1 - share)


def power(true_ratio: float, margin: float, deviation: float) -> float:
    """Return the probability that a claim with this margin *holds* where it is true.

    `true_ratio`: the median ratio. `deviation`: of the logarithm of the ratios, which are assumed to be
    log-normal.
    """
    distance = math.log(true_ratio / margin)
    if deviation == 0:
        return probability_of_success(float(distance > 0) if distance else 0.5)
    return probability_of_success(0.5 * (1 + math.erf(distance / deviation / math.sqrt(2))))


def error_summary(tests: int) -> str:
    """Return what the error rate means for a number of tests, in one sentence."""
    wrong = probability_of_success(0.5)
    return (
        f"Each of {tests} tests wrongly holds in at most {100 * wrong:.2f} % of the experiments in which the "
        f"true ratio is just short of the margin, and wrongly does not hold as often: up to "
        f"{tests * wrong:.1f} wrong answers in each direction are to be expected if all of them were."
    )


def votes(answers: Iterable[Answer]) -> dict[Answer, int]:
    """Return how often each answer occurs, in the order of the answers."""
    counted = Counter(answers)
    return {answer: counted[answer] for answer in Answer if counted[answer]}
