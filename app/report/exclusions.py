"""Numbers the reasons for excluded trials of a comparison, so that a repeated one is given once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from app.schemas.comparison import ComparisonTrial


def shared_reasons(trials: Iterable[ComparisonTrial]) -> Mapping[str, int]:
    """Return a number from 1 for each reason that several trials have, in the order of their first trials."""
    counts = Counter(trial.why_not for trial in trials if trial.why_not)
    repeated = (reason for reason, count in counts.items() if count > 1)
    return {reason: number for number, reason in enumerate(repeated, 1)}
