"""A ratio that depends on the kind of host is noted; one that is the same on all kinds is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.comparisons.on_hosts import kind_note
from app.schemas.comparison import ComparisonView
from tests.app.report.test_comparison_charts import compared

SMALL, LARGE = "2 CPUs, AMD", "8 CPUs, Intel"


def measured(a: Sequence[float], b: Sequence[float], void: int = 0) -> tuple[ComparisonView, dict[int, str]]:
    """Return a comparison of A and B with three rounds, and the kinds of the hosts of its runs.

    The last round was measured on the large host. `void`: a round in which A does not count.
    """
    view = compared()
    values = {0: a, 1: b}
    runs = tuple(
        replace(
            trial,
            value=values[trial.entry][trial.trial - 1],
            why_not="late" if (trial.trial, trial.entry) == (void, 0) else None,
        )
        for trial in view.runs
    )
    kinds = {trial.run: LARGE if trial.trial == 3 else SMALL for trial in runs}
    return replace(view, runs=runs), kinds


def test_a_ratio_that_is_reversed_on_another_kind_is_noted() -> None:
    note = kind_note(*measured(a=(20, 20, 10), b=(10, 10, 20)))
    assert note == (
        "The result depends on the kind of host: A / B is ×2.00 on 2 CPUs, AMD; "
        "A / B is ×0.50 on 8 CPUs, Intel."
    )


def test_a_ratio_that_is_the_same_or_close_on_all_kinds_is_not_noted() -> None:
    assert kind_note(*measured(a=(20, 20, 40), b=(10, 10, 20))) is None
    assert kind_note(*measured(a=(20, 20, 10), b=(10, 10, 10.5))) is None, (
        "within ±10 % there is no difference"
    )


def test_a_trial_that_does_not_count_shows_nothing() -> None:
    assert kind_note(*measured(a=(20, 20, 10), b=(10, 10, 20), void=3)) is None
