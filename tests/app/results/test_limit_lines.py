"""Which thresholds of a run are lines in its latency charts."""

from __future__ import annotations

from app.results.limit_lines import LimitLine, limit_lines
from app.schemas.capacity import Capacity
from app.schemas.result import ThresholdResult
from tests.app.stored_runs import stored_run


def thresholds(*texts: str) -> tuple[ThresholdResult, ...]:
    return tuple(ThresholdResult(text, "unknown", True) for text in texts)


def test_latency_thresholds_are_lines_and_others_are_not() -> None:
    texts = ("p(99)<20ms", "errors<1%", "service_max<1s", "verdict==server_bound")
    assert limit_lines(stored_run(thresholds=thresholds(*texts))) == (
        LimitLine(20_000.0, "p(99)<20ms", "p(99)", 0.99),
        LimitLine(1e6, "service_max<1s", "max", None),
    )
    assert limit_lines(stored_run()) == ()


def test_the_objective_of_a_search_is_a_line_once() -> None:
    capacity = Capacity("p(99)<20ms", None, None, None, ())
    objective = LimitLine(20_000.0, "objective p(99)<20ms", "p(99)", 0.99)
    assert limit_lines(stored_run(capacity=capacity)) == (objective,)
    assert limit_lines(stored_run(capacity=capacity, thresholds=thresholds("p(99)<20ms"))) == (objective,)
