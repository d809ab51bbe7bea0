"""The figures of claims: values that are computed from a run, and why a run does not count for one."""

from __future__ import annotations

from typing import Any

import pytest

from app.experiments.measurements import measurement, values, void_reasons
from app.schemas.run import RunView
from app.schemas.states import VerdictName
from tests.app.stored_runs import LEDGER, PERCENTILES, VIEW, stored_run

EVIDENCE = {"occupied_worker": 0.25, "stalled_worker": 0.5, "busy_cpu_0": 0.9, "busy_cpu_1": 0.2}


def run(
    ledger: dict[str, Any] | None = None, fitness: dict[str, str | None] | None = None, **changes: Any
) -> RunView:
    verdict = {
        **VIEW["verdict"],
        "name": "client_bound",
        "title": "Limited by the load generator",
        "evidence": EVIDENCE,
        "fitness": {name: None for name in ("cpu_us", "achieved_per_s", "p99_us")} | (fitness or {}),
    }
    return stored_run(ledger={**LEDGER, **(ledger or {})}, verdict=verdict, **changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpu_us", 12.5),
        ("achieved_per_s", 1000.5),
        ("cores_used", 12.5 * 1000.5 / 1e6),
        ("switches", 0.11),
        ("occupied:worker", 0.25),
        ("waiting:worker", 0.75),
        ("stalled:worker", 0.5),
        ("occupied:reactor", None),
        ("idlest_cpu", 0.8),
        ("connections", 64.0),
        ("connection_memory_bytes", 64 * 500 + 4096),
    ],
)
def test_each_figure_of_a_run(name: str, value: float | None) -> None:
    seen = run({"anon_bytes_per_connection": 500.0, "kernel_stack_bytes": 4096})
    assert measurement(name).value(seen) == (pytest.approx(value) if value is not None else None)


def test_unknown_values_are_none_and_void() -> None:
    unknown = run({"cpu_us": None})
    assert values(("cpu_us", "cores_used", "connection_memory_bytes"), unknown) == {
        "cpu_us": None,
        "cores_used": None,
        "connection_memory_bytes": None,
    }
    assert void_reasons(("cpu_us",), unknown) == {"cpu_us": "The CPU per request is unknown."}


def test_only_the_figures_that_an_event_changes_are_void() -> None:
    reason = "Limited by the load generator. It was busy."
    busy = run({}, {"achieved_per_s": reason})
    assert void_reasons(("cpu_us", "achieved_per_s", "cores_used", "threads_peak"), busy) == {
        "achieved_per_s": reason,
        "cores_used": reason,
    }


def test_a_verdict_that_is_the_predicted_effect_voids_nothing() -> None:
    reason = "Limited by the load generator. It was busy."
    busy = run({}, {"achieved_per_s": reason, "cpu_us": "Thread tracing was on."})
    tolerated = frozenset((VerdictName.CLIENT_BOUND,))
    assert void_reasons(("achieved_per_s", "cpu_us"), busy, tolerated) == {"cpu_us": "Thread tracing was on."}


def test_a_run_without_a_result_is_void_with_its_failure() -> None:
    failed = stored_run(summary=None, verdict=None, failure="The engine ended.", state="failed")
    assert void_reasons(("cpu_us",), failed) == {"cpu_us": "The engine ended."}


def test_a_p99_needs_a_thousand_requests_of_its_kind() -> None:
    def kind(count: int) -> dict[str, Any]:
        times = {**PERCENTILES, "count": count}
        return {"label": "plaintext", "requests": count, "errors": 0, "service": times, "response": times}

    few, enough = (run(summary={**VIEW["summary"], "by_kind": [kind(count)]}) for count in (999, 1000))
    assert void_reasons(("plaintext.p99_us",), few) == {
        "plaintext.p99_us": "Only 999 requests of plaintext were measured; a p99 needs 1,000."
    }
    assert void_reasons(("plaintext.p99_us",), enough) == {}
