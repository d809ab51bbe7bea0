"""Scenarios show in numbers what they are there for."""

from __future__ import annotations

from tests.app.driver import LabProcess
from tests.measure.conftest import Report

SHORT = {"duration_s": 1.5, "warmup_s": 0.3, "timeout_s": 60}


def test_pipelining_needs_less_than_one_io_call_for_each_request(lab: LabProcess, report: Report) -> None:
    """Noise: calls are counted and not timed, and a control without pipelining runs under the same scenario. A
    generator that is slow to write sends less at a time; the ratio leaves it a factor of two."""
    pipelined = lab.run(model="reactor-pool", scenario="pipelining", plan=SHORT)["ledger"]["io_calls"]
    single = lab.run(model="reactor-pool", scenario="pipelining", plan={**SHORT, "pipeline": 1})["ledger"][
        "io_calls"
    ]
    report(f"{pipelined:.2f} I/O calls per request with 16 at a time, {single:.2f} with one")
    assert pipelined < 1 and pipelined < single / 2


def test_an_idle_connection_costs_a_reactor_memory_and_no_thread(lab: LabProcess, report: Report) -> None:
    """Noise: memory and threads do not depend on the time; the blocking model under a smaller crowd is the control."""
    crowd = lab.run(model="reactor", scenario="c10k", plan=SHORT)
    threads = lab.run(model="blocking", scenario="idle-crowd", plan=SHORT)
    each = crowd["ledger"]["anon_bytes_per_connection"]
    report(
        f"{crowd['summary']['idle_connections_held']:,} idle at {each:,.0f} bytes each and "
        f"{crowd['ledger']['threads_peak']} thread; blocking: {threads['ledger']['threads_peak']:,} threads for "
        f"{threads['summary']['idle_connections_held']:,}"
    )
    assert crowd["summary"]["idle_connections_held"] == crowd["plan"]["idle_connections"]
    assert crowd["ledger"]["threads_peak"] == 1 and each < 20_000
    assert threads["ledger"]["threads_peak"] >= threads["summary"]["idle_connections_held"] == 1000
