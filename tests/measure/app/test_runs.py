"""What a run measures, against what is known beforehand: rates, service times, CPU per second, costs."""

from __future__ import annotations

import shutil
import statistics
import subprocess

import pytest

from tests.app.driver import LabProcess, plan
from tests.app.runs.test_runs import rows_of
from tests.measure.conftest import Report

from .noise import rounds, told

OPEN = "constant-arrival-rate"
MIX = [{"kind": "plaintext", "weight": 3}, {"kind": "sleep", "weight": 1, "params": {"ms": 5}}]


def test_an_open_run_keeps_its_rate_and_each_second_of_it_does(lab: LabProcess, report: Report) -> None:
    """Noise: the rate is a fiftieth of what the engine answers, so only a stall of the whole machine costs some of it;
    the median of three rounds counts, and what is offered is exact in each."""
    runs = rounds(lab, model="reactor-pool", plan=plan(2.0, 0.5, executor=OPEN, rate_per_s=400, work=MIX))
    ratios = [run["summary"]["rate_ratio"] for run in runs]
    report(f"achieved of offered: {ratios}; " + "; ".join(map(told, runs)))
    assert statistics.median(ratios) > 0.99
    for run in runs:
        assert run["summary"]["offered_per_s"] == pytest.approx(400, rel=1e-6)
        seconds = [row for row in rows_of(lab, run["id"]) if row["phase"] == "measure"]
        assert [row["offered_per_s"] for row in seconds] == pytest.approx([400, 400], rel=0.01)
        answered = statistics.fmean(row["achieved_per_s"] for row in seconds)
        assert answered == pytest.approx(run["summary"]["achieved_per_s"], rel=0.01)
        assert any(row["connections"] == 8 for row in seconds)
        assert any(row["threads"] == run["ledger"]["threads_peak"] == 5 for row in seconds)


def test_a_closed_run_lasts_as_long_as_it_was_planned(lab: LabProcess, report: Report) -> None:
    """Noise: it ends with the answer that is in flight when its time is over, so the longest answer of the same run and
    one look of the generator (50 ms) are allowed for; the median of three rounds counts."""
    runs = rounds(lab, model="reactor", plan=plan(1.5, 0.2, think_time_ms=5))
    over = [run["summary"]["duration_s"] - 1.5 for run in runs]
    allowed = [0.05 + run["summary"]["latency"]["service"]["max_us"] / 1e6 for run in runs]
    report(
        f"over its time by {[round(1000 * each, 1) for each in over]} ms, allowed {[round(1000 * a) for a in allowed]}"
    )
    assert min(over) >= 0
    assert statistics.median(o - a for o, a in zip(over, allowed, strict=True)) < 0


def test_a_known_service_time_is_measured_as_it_is(lab: LabProcess, report: Report) -> None:
    """Noise: plaintext of the same run is the control: it takes the way there and back and nothing else. A sleep of
    5 ms must take 5 ms more than that, by the median, which a few late wake-ups do not move."""
    run = lab.run(model="reactor-pool", plan=plan(2.0, 0.5, executor=OPEN, rate_per_s=400, work=MIX))
    plaintext, sleep = (kind["service"]["p50_us"] for kind in run["summary"]["by_kind"])
    report(f"p50: plaintext {plaintext:.0f} µs, sleep ms=5 {sleep:.0f} µs")
    assert sleep >= 5000 > plaintext
    assert sleep - plaintext == pytest.approx(5000, abs=500 + plaintext)


def test_the_cpu_of_a_second_is_that_of_this_second(lab: LabProcess, report: Report) -> None:
    """Noise: seconds of the same run are compared: 25 requests that burn a millisecond each in the first, and 300 in
    the second and in the third. Whatever a neighbour adds to the CPU of a request is in all of them."""
    stages = [{"duration_s": second, "target": rate} for second, rate in ((0.9, 10), (0.1, 300), (2.0, 300))]
    work = [{"kind": "hash", "params": {"us": 1000}}]
    wanted = {"executor": "ramping-arrival-rate", "rate_per_s": 10, "stages": stages, "work": work}
    run = lab.run(model="reactor", plan=plan(3.0, 0, **wanted))
    cpu = [row["cpu_percent"] for row in rows_of(lab, run["id"]) if row["phase"] == "measure"]
    report(f"CPU by second: {[round(each, 1) for each in cpu]} %")
    assert len(cpu) == 3 and None not in cpu
    assert 4 * cpu[0] < min(cpu[1:]), "12 times as many requests, and what the thread costs without any"


def test_a_request_costs_what_its_work_burns_and_the_way_there_and_back(
    lab: LabProcess, report: Report
) -> None:
    """Noise: an A/B pair under the same load. The cost of a plaintext request is subtracted from that of one that burns
    a millisecond; CPU time does not count what the machine does for others."""
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
    asked = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]
    return subprocess.run(asked, capture_output=True).returncode == 0


@pytest.mark.skipif(not perf_works(), reason="no perf here, or it is not allowed to count system calls")
def test_all_io_calls_are_system_calls_and_hand_overs_need_more(lab: LabProcess, report: Report) -> None:
    """Noise: both are counts and not times. The two windows begin a few milliseconds after each other, so 5 % may be
    missing; a model without hand-overs is the control for how many are."""
    load = plan(1.0, 0.2, trace=True, executor=OPEN, rate_per_s=200)
    ledgers = {model: lab.run(model=model, plan=load)["ledger"] for model in ("reactor", "main-sub")}
    more = {model: ledger["syscalls"] / ledger["io_calls"] for model, ledger in ledgers.items()}
    report(", ".join(f"{model}: {ratio:.2f} system calls for each I/O call" for model, ratio in more.items()))
    assert all(ratio > 0.95 for ratio in more.values())
    assert more["main-sub"] > more["reactor"], "the futexes of the hand-overs"
    assert lab.run(model="reactor", plan=plan(0.5, 0))["ledger"]["syscalls"] is None
