"""The results of runs against known values: rates, service times, CPU per second, cost per request."""

from __future__ import annotations

import shutil
import statistics
import subprocess

import pytest

from tests.app.driver import LabProcess, plan
from tests.app.runs.test_runs import rows_of
from tests.measure.conftest import Report

from .noise import rounds, verdict_line

OPEN = "constant-arrival-rate"
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "sleep", "weight": 1, "params": {"ms": 5}}]


def test_an_open_run_sustains_its_rate_in_every_second(lab: LabProcess, report: Report) -> None:
    """Noise: the rate is a fiftieth of the engine's capacity, so only a stall of the whole machine lowers it.
    The median of three rounds counts. The offered rate is exact in each."""
    runs = rounds(lab, model="reactor-pool", plan=plan(2.0, 0.5, executor=OPEN, rate_per_s=400, work=MIX))
    ratios = [run["summary"]["rate_ratio"] for run in runs]
    report(f"achieved of offered: {ratios}; " + "; ".join(map(verdict_line, runs)))
    assert statistics.median(ratios) > 0.99
    for run in runs:
        assert run["summary"]["offered_per_s"] == pytest.approx(400, rel=1e-6)
        seconds = [row for row in rows_of(lab, run["id"]) if row["phase"] == "measure"]
        assert [row["offered_per_s"] for row in seconds] == pytest.approx([400, 400], rel=0.01)
        answered = statistics.fmean(row["achieved_per_s"] for row in seconds)
        assert answered == pytest.approx(run["summary"]["achieved_per_s"], rel=0.01)
        assert any(row["connections"] == 8 for row in seconds)
        assert any(row["threads"] == run["ledger"]["threads_peak"] == 5 for row in seconds)


def test_a_closed_run_lasts_for_its_planned_duration(lab: LabProcess, report: Report) -> None:
    """Noise: a run ends with the responses that are in flight at its planned end. It may last longer by the
    longest response of the same run and one sampling interval of the generator (50 ms). The median of three
    rounds counts."""
    runs = rounds(lab, model="reactor", plan=plan(1.5, 0.2, think_time_ms=5))
    over = [run["summary"]["duration_s"] - 1.5 for run in runs]
    allowed = [0.05 + run["summary"]["latency"]["service"]["max_us"] / 1e6 for run in runs]
    report(
        f"longer by {[round(1000 * each, 1) for each in over]} ms, "
        f"allowed {[round(1000 * each) for each in allowed]}"
    )
    assert min(over) >= 0
    assert statistics.median(o - a for o, a in zip(over, allowed, strict=True)) < 0


def test_a_known_service_time_is_measured(lab: LabProcess, report: Report) -> None:
    """Noise: the control is plaintext in the same run, whose service time is the round trip. The median of a
    sleep of 5 ms must be 5 ms longer; a few late wake-ups do not move a median."""
    run = lab.run(model="reactor-pool", plan=plan(2.0, 0.5, executor=OPEN, rate_per_s=400, work=MIX))
    plaintext, sleep = (kind["service"]["p50_us"] for kind in run["summary"]["by_kind"])
    report(f"p50: plaintext {plaintext:.0f} µs, sleep ms=5 {sleep:.0f} µs")
    assert sleep >= 5000 > plaintext
    assert sleep - plaintext == pytest.approx(5000, abs=500 + plaintext)


def test_the_cpu_of_a_second_is_counted_in_that_second(lab: LabProcess, report: Report) -> None:
    """Noise: seconds of the same run are compared: 25 requests that burn a millisecond each in the first
    second, 300 in the second and in the third. Other load adds to the CPU per request in all of them."""
    stages = [{"duration_s": second, "target": rate} for second, rate in ((0.9, 10), (0.1, 300), (2.0, 300))]
    work = [{"kind": "hash", "params": {"us": 1000}}]
    ramp = {"executor": "ramping-arrival-rate", "rate_per_s": 10, "stages": stages, "work": work}
    run = lab.run(model="reactor", plan=plan(3.0, 0, **ramp))
    cpu = [row["cpu_percent"] for row in rows_of(lab, run["id"]) if row["phase"] == "measure"]
    report(f"CPU by second: {[round(each, 1) for each in cpu]} %")
    assert len(cpu) == 3 and None not in cpu
    assert 4 * cpu[0] < min(cpu[1:]), "12 times as many requests, plus the idle cost of the thread"


def test_the_cpu_of_a_request_is_that_of_its_work_plus_that_of_plaintext(
    lab: LabProcess, report: Report
) -> None:
    """Noise: an A/B pair under the same load. The cost of a plaintext request is subtracted from that of one
    that burns a millisecond. CPU time excludes other processes."""
    load = {"executor": OPEN, "rate_per_s": 200}
    plaintext = lab.run(model="reactor", plan=plan(1.5, 0.3, **load))["ledger"]
    burning = lab.run(
        model="reactor", plan=plan(1.5, 0.3, **load, work=[{"kind": "hash", "params": {"us": 1000}}])
    )
    extra = burning["ledger"]["cpu_us"] - plaintext["cpu_us"]
    report(
        f"plaintext {plaintext['cpu_us']:.0f} µs, hash us=1000 {burning['ledger']['cpu_us']:.0f} µs of CPU"
    )
    assert 1 < plaintext["cpu_us"] < 5000
    assert extra == pytest.approx(1000, rel=0.5)
    assert 0 < plaintext["generator"]["utilisation"] <= 1.1


def perf_works() -> bool:
    if shutil.which("perf") is None:
        return False
    command = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not perf_works(), reason="perf is not installed, or may not count system calls")
def test_every_io_call_is_a_system_call_and_handovers_add_futexes(lab: LabProcess, report: Report) -> None:
    """Noise: both are counts, not times. The two windows begin a few milliseconds apart, so 5 % may be
    missing. The control is a model without handovers."""
    load = plan(1.0, 0.2, trace=True, executor=OPEN, rate_per_s=200)
    ledgers = {model: lab.run(model=model, plan=load)["ledger"] for model in ("reactor", "main-sub")}
    more = {model: ledger["syscalls"] / ledger["io_calls"] for model, ledger in ledgers.items()}
    report(", ".join(f"{model}: {ratio:.2f} system calls for each I/O call" for model, ratio in more.items()))
    assert all(ratio > 0.95 for ratio in more.values())
    assert more["main-sub"] > more["reactor"], "handovers use futexes"
    assert lab.run(model="reactor", plan=plan(0.5, 0))["ledger"]["syscalls"] is None
