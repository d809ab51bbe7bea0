"""A stall on purpose: both clocks tell of it what the schedule says, and no engine stays stopped, whatever happens."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from .driver import LabMaker, LabProcess, gone, plan, until

pytestmark = pytest.mark.alone

OPEN = "constant-arrival-rate"
RATE, STALL_MS = 500, 600


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def stalled(lab: LabProcess, model: str = "reactor") -> tuple[int, Any]:
    """A run in which the engine is stopped for six seconds now; its pid, and the run."""
    engine = lab.start(model)
    run = lab.submit(engine=engine["id"], plan=plan(12.5, 0, executor=OPEN, rate_per_s=50, stall_ms=6000))
    until(lambda: state(engine["pid"]) == "T", "it is stopped", 20)
    return engine["pid"], run


def test_a_stall_shows_in_response_time_as_the_schedule_says_and_hides_in_service_time(lab: LabProcess) -> None:
    run = lab.run(model="reactor", plan=plan(4.0, 0.2, executor=OPEN, rate_per_s=RATE, stall_ms=STALL_MS, timeout_s=5))
    summary, evidence = run["summary"], run["verdict"]["evidence"]
    assert summary["requests"] == 4 * RATE and not run["verdict"]["rankable"]
    # Who was due at the beginning waited for all of it, who was due at its end not at all: a line from 600 ms to 0.
    # So 15 % of the requests waited: of those the upper third (5 % of all) for more than 400 ms.
    curve = dict(lab.get(f"/runs/{run['id']}/percentiles")["response"])
    at_95 = min(curve.items(), key=lambda each: abs(each[0] - 0.95))[1] / 1000
    assert at_95 == pytest.approx(STALL_MS * 2 / 3, rel=0.15)
    assert summary["latency"]["response"]["max_us"] / 1000 == pytest.approx(STALL_MS, rel=0.15)
    assert summary["latency"]["service"]["p99_us"] is not None
    slow = 8 / summary["requests"]  # by service time the eight in flight, and nobody else
    assert slow < 0.01 and summary["latency"]["service"]["p99_us"] < STALL_MS * 1000 / 2
    assert evidence["stalled"] and "stalled on purpose" in " ".join(run["verdict"]["because"])
    (mark,) = [mark for mark in run["marks"] if "stalled" in mark["text"]]
    assert mark["t_s"] == pytest.approx(0.2 + 2.0 - STALL_MS / 2000, abs=0.3)
    assert any("coordinated omission" in note for note in run["notes"])


def test_a_closed_load_says_what_it_cannot_see(lab: LabProcess) -> None:
    run = lab.run(model="prefork", plan=plan(1.0, 0, stall_ms=300))
    assert any("at most 8 of them show the stall" in note for note in run["notes"])
    assert run["summary"]["latency"]["response"]["max_us"] > 250_000  # both of its worker processes were stopped


def test_who_ends_the_run_lets_the_engine_go_on(lab: LabProcess) -> None:
    pid, run = stalled(lab)
    lab.http.post(f"/api/v1/runs/{run['id']}/stop")
    assert lab.ended(run["id"], 8)["state"] == "stopped"
    assert state(pid) != "T"


def test_who_ends_the_lab_lets_the_engine_go_on_to_its_end(make_lab: LabMaker) -> None:
    lab = make_lab()
    stalled(lab, "reactor-pool")
    lab.close()  # expects a clean end, with nothing left


def test_a_lab_that_is_killed_in_a_stall_leaves_no_stopped_engine(make_lab: LabMaker) -> None:
    lab = make_lab()
    pid, _ = stalled(lab, "blocking")
    lab.process.send_signal(signal.SIGKILL)
    until(lambda: gone(pid), "the engine is gone")
    lab.kill()
    until(lambda: not lab.others(), "nothing is left")
