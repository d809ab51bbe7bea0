"""The numbers of a scenario show the effect that it demonstrates."""

from __future__ import annotations

from tests.app.driver import LabProcess
from tests.measure.conftest import Report

SHORT = {"duration_s": 1.5, "warmup_s": 0.3, "timeout_s": 60}


def test_pipelining_needs_less_than_one_io_call_per_request(lab: LabProcess, report: Report) -> None:
    """Noise: calls are counted, not timed, and the control is the same scenario without pipelining. A slow
    generator writes fewer requests at a time; the ratio allows for a factor of two."""
    pipelined = lab.run(model="reactor-pool", scenario="pipelining", plan=SHORT)["ledger"]["io_calls"]
    single = lab.run(model="reactor-pool", scenario="pipelining", plan={**SHORT, "pipeline": 1})["ledger"][
        "io_calls"
    ]
    report(f"{pipelined:.2f} I/O calls per request with 16 at a time, {single:.2f} with one")
    assert pipelined < 1 and pipelined < single / 2


def test_an_idle_connection_costs_a_reactor_memory_and_no_thread(lab: LabProcess, report: Report) -> None:
    """Noise: memory and threads do not depend on time. The control is the blocking model."""
    reactor = lab.run(model="reactor", scenario="c10k", plan=SHORT)
    blocking = lab.run(model="blocking", scenario="idle-crowd", plan=SHORT)
    each = reactor["ledger"]["anon_bytes_per_connection"]
    report(
        f"{reactor['summary']['idle_connections_held']:,} idle at {each:,.0f} bytes each and "
        f"{reactor['ledger']['threads_peak']} thread; "
        f"blocking: {blocking['ledger']['threads_peak']:,} threads for "
        f"{blocking['summary']['idle_connections_held']:,}"
    )
    assert reactor["summary"]["idle_connections_held"] == reactor["plan"]["idle_connections"]
    assert reactor["ledger"]["threads_peak"] == 1 and each < 20_000
    assert blocking["ledger"]["threads_peak"] >= blocking["summary"]["idle_connections_held"] == 1000
