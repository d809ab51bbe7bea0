"""The result of a tuning from its trials. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from app.schemas.tuning import TuningResult, TuningView
from app.tunings.answer import is_decided, smallest_within, value_results
from app.tunings.formula import pool_formula, pools_of
from app.tunings.sentences import Tuned, sentences


def compute_result(
    view: TuningView, bounds: tuple[int | None, int | None], knobs: Mapping[str, int | str]
) -> TuningResult:
    """Return the result of the trials of `view`.

    `bounds`: of the tuned knob. `knobs`: the others, with their defaults.
    """
    results, best = value_results(len(view.values), view.runs)
    answer = smallest_within(results) if view.is_number else best
    at = best if answer is None else answer
    own = [trial for trial in view.runs if trial.value == at]
    formula = pool_formula(view.plan, view.unit, pools_of(view.knob, knobs), own)
    # Of choices, every value is compared with the best, and none is smaller than another.
    decided = answer is not None and is_decided(results, answer if view.is_number else len(results) - 1)
    tuned = Tuned(
        view.knob,
        view.unit,
        view.values,
        bounds,
        view.objective,
        results,
        view.runs,
        best,
        answer,
        decided,
        formula,
    )
    return TuningResult(results, best, answer, decided, formula, tuple(sentences(tuned)))
