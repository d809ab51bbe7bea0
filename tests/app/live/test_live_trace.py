"""Lanes, grid, request costs and events on the live channel match the requests of clients.

tests/measure/app tests the accuracy of times and costs.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.live.lanes import SLICES
from tests.app.driver import LabProcess, assert_problem, endless, plan, until
from tests.app.live.test_live import Viewer, viewer
from tests.engines.driver import GREETING, HOST, Client

SLEEP_MS = 250
SLEEP = b"GET /sleep?ms=%d HTTP/1.1\r\n%b\r\n" % (SLEEP_MS, HOST)
WAITING, HANDLING, BLOCKED = 1, 4, 7


def subscribe(view: Viewer, engine: str, *parts: str) -> None:
    view.send(type="subscribe", engines=[engine], interval_ms=100, **dict.fromkeys(parts, True))


class Lanes:
    """Collects traces as a page does: (µs, new state) by lane."""

    def __init__(self, view: Viewer, engine: str) -> None:
        self.view, self.engine = view, engine
        self.frames: list[Any] = []
        self.changes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        subscribe(view, engine, "trace", "threads")
        view.frame(lambda f: f["engines"][engine].get("trace"), "a trace")

    def read(self) -> Any:
        """Read the next frame with a trace, and return it."""
        frame = self.view.frame(lambda f: f["engines"].get(self.engine, {}).get("trace"), "a trace")
        trace = frame["engines"][self.engine]["trace"]
        self.frames.append(frame)
        for slot, generation, _, _, transitions, _ in trace["lanes"]:
            at_us = trace["from_us"]
            for dt, state in zip((transitions or [])[::2], (transitions or [])[1::2], strict=True):
                at_us += dt
                self.changes.setdefault((slot, generation), []).append((at_us, state))
        return frame

    def durations_ms(self, state: int) -> list[float]:
        """Return how long each stay in this state was."""
        return [
            (until_us - at_us) / 1000
            for changes in self.changes.values()
            for (at_us, each), (until_us, _) in pairwise(changes)
            if each == state
        ]


@contextmanager
def client(engine: Any) -> Iterator[Client]:
    with Client(engine["port"]) as client:
        yield client


# Lanes


@pytest.mark.parametrize("model", ["blocking", "main-sub"])
def test_a_lane_shows_how_long_a_handler_sleeps(lab: LabProcess, model: str) -> None:
    engine = lab.start(model, idle_s=600)
    with viewer(lab) as view, client(engine) as asker:
        lanes = Lanes(view, engine["id"])
        assert asker.ask().body == GREETING
        asker.send(SLEEP)
        assert asker.answer().status == 200
        until(lambda: lanes.read() and lanes.durations_ms(BLOCKED), "a lane has the sleep")
    (slept_ms,) = lanes.durations_ms(BLOCKED)
    assert slept_ms >= SLEEP_MS
    for before, after in pairwise(lanes.frames):
        if after["seq"] == before["seq"] + 1:
            earlier, later = (each["engines"][engine["id"]]["trace"] for each in (before, after))
            assert earlier["to_us"] == later["from_us"], "consecutive intervals"
            assert later["to_us"] == pytest.approx(after["t_s"] * 1e6, abs=200), "the same clock"


def test_two_pages_get_the_same_traces(lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=600)
    traces: dict[int, dict[int, Any]] = {1: {}, 2: {}}
    with viewer(lab) as one, viewer(lab) as two, client(engine) as asker:
        lanes = {1: Lanes(one, engine["id"]), 2: Lanes(two, engine["id"])}

        def busy_in_both() -> bool:
            assert asker.ask().body == GREETING
            for page, each in lanes.items():
                frame = each.read()
                traces[page][frame["seq"]] = frame["engines"][engine["id"]]["trace"]
            both = traces[1].keys() & traces[2].keys()
            return sum(any(lane[4] for lane in traces[1][seq]["lanes"]) for seq in both) >= 3

        until(busy_in_both, "three frames with changes that both pages have received")
    for seq in traces[1].keys() & traces[2].keys():
        assert traces[1][seq] == traces[2][seq]


def test_a_busy_lane_is_sent_as_shares_of_time(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    with viewer(lab) as view:
        lanes = Lanes(view, engine["id"])
        id = lab.submit(engine=engine["id"], plan=plan(590, 0, timeout_s=60, trace=True))["id"]

        def sliced() -> Any:
            lane = lanes.read()["engines"][engine["id"]]["trace"]["lanes"][0]
            return lane if lane[5] else None

        slot, generation, _, _, transitions, slices = until(sliced, "the lane is busy")
        lab.stop(id)
    assert (slot, generation, transitions) == (0, 1, None)
    assert len(slices) == SLICES
    for shares in slices:
        assert abs(sum(shares[1::2]) - 1000) <= 4


def test_tracing_stops_when_the_last_page_has_disconnected_or_paused(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as other:
        assert "no viewer shows the lanes" in other.frame()["engines"][engine]["tracing"]
        with viewer(lab) as view:
            Lanes(view, engine)
            other.frame(lambda f: f["engines"][engine]["tracing"] == "on", "the engine traces")
            assert "trace" not in other.frame()["engines"][engine], "not subscribed"
            view.socket.socket.shutdown(socket.SHUT_RDWR)  # like a page that has crashed
            other.frame(
                lambda f: "no viewer shows the lanes" in f["engines"][engine]["tracing"],
                "tracing is off again",
            )
        with viewer(lab) as view:
            lanes = Lanes(view, engine)
            view.send(type="pause")
            other.frame(
                lambda f: "no viewer shows the lanes" in f["engines"][engine]["tracing"],
                "a paused page shows no lanes",
            )
            view.send(type="resume")
            assert lanes.read()


def test_viewers_do_not_trace_during_an_untraced_run(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as view:
        lanes = Lanes(view, engine)
        id = lab.submit(engine=engine, plan=endless(warmup_s=0.3))["id"]
        seen: list[tuple[str, str, bool]] = []

        def measured(frame: Any) -> bool:
            if frame["run"] and frame["run"]["phase"] in ("warmup", "measure"):
                each = frame["engines"][engine]
                seen.append((frame["run"]["phase"], each["tracing"], each["trace"] is None))
            return [phase for phase, _, _ in seen].count("measure") >= 3

        view.frame(measured, "three frames of the measurement")
        assert {has_no_trace for _, _, has_no_trace in seen} == {True}
        assert all("untraced run" in tracing for _, tracing, _ in seen)
        lab.stop(id)
        assert lanes.read(), "after the run the trace is on again"


def test_threads_have_run_queue_wait_and_context_switches(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", idle_s=600)
    with viewer(lab) as view, client(engine) as asker:
        fields = view.message()["thread_fields"]
        subscribe(view, engine["id"], "threads")

        def busy(frame: Any) -> bool:
            assert asker.ask().body == GREETING
            rows = [
                dict(zip(fields, row, strict=True))
                for row in frame["engines"][engine["id"]].get("threads", ())
            ]
            return any(row["switches_per_s"] and row["run_queue_us_per_s"] is not None for row in rows)

        view.frame(busy, "a thread with switches")


def test_threads_have_their_wait_for_the_gil_while_they_are_traced(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", workers=2, idle_s=600)
    with viewer(lab) as view, client(engine) as asker:
        fields = view.message()["thread_fields"]

        def stalled(frame: Any) -> list[float | None]:
            assert asker.ask("/cpu?us=100").status == 200
            rows = frame["engines"][engine["id"]].get("threads", ())
            return [dict(zip(fields, row, strict=True))["stalled_percent"] for row in rows]

        subscribe(view, engine["id"], "threads")
        untraced = view.frame(lambda frame: "threads" in frame["engines"][engine["id"]], "a frame")
        assert set(stalled(untraced)) == {None}
        subscribe(view, engine["id"], "threads", "trace")

        def known(frame: Any) -> bool:
            shares = stalled(frame)
            return len(shares) == 3 and all(share is not None and 0 <= share <= 100 for share in shares)

        view.frame(known, "the wait of all three threads")


# The grid


def test_the_grid_has_every_connection(lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=600)
    words: dict[int, int] = {}

    def count(frame: Any) -> int:
        grid = frame["engines"].get(engine["id"], {}).get("grid")
        if not grid:
            return -1
        found = array("I", base64.b64decode(grid["words"]))
        if grid["full"]:
            words.clear()
            words.update(enumerate(found))
        else:
            words.update(zip(found[::2], found[1::2], strict=True))
        return sum(word & 0xFF != 0 for word in words.values())

    with viewer(lab) as view:
        subscribe(view, engine["id"], "connections")
        assert view.frame(lambda f: count(f) == 0, "a grid")["engines"][engine["id"]]["grid"]["full"]
        clients = [Client(engine["port"]) for _ in range(30)]
        try:
            for each in clients:
                assert each.ask().body == GREETING
            frame = view.frame(lambda f: count(f) == 30, "30 connections")
            assert {word >> 16 for word in words.values() if word & 0xFF} == {0}, (
                "all are owned by the only thread"
            )
            assert frame["engines"][engine["id"]]["connections_total"] <= 30
        finally:
            for each in clients:
                each.sock.close()
        view.frame(lambda f: count(f) == 0, "no connection")
        subscribe(view, engine["id"], "connections")
        view.frame(
            lambda f: f["engines"][engine["id"]].get("grid", {}).get("full"),
            "a full grid after a new subscription",
        )


# Request costs


def test_the_cost_per_request_is_known_while_there_are_requests(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", workers=1)
    queueing = plan(590, 0, vus=4, timeout_s=60, work=[{"kind": "sleep", "params": {"ms": 10}}])
    with viewer(lab) as view:

        def numbers(frame: Any) -> Any:
            return frame["engines"].get(engine["id"], {"requests": 0})

        def is_quiet(frame: Any) -> bool:  # the lab's health check was more than a second ago
            return bool(numbers(frame)["requests"] == 1 and numbers(frame)["cpu_us_per_request"] is None)

        def has_costs(frame: Any) -> bool:
            values = numbers(frame)
            known = ("cpu_us_per_request", "io_calls_per_request", "queue_wait_us", "switches_per_request")
            return all(values[each] for each in known) and bool(
                values["bytes_out_per_s"] > values["bytes_in_per_s"] > 0
            )

        view.frame(is_quiet, "a second without a request")
        id = lab.submit(engine=engine["id"], plan=queueing)["id"]
        loaded = numbers(view.frame(has_costs, "costs per request"))
        lab.stop(id)
    assert loaded["cpu_us_per_request"] > 0 and loaded["io_calls_per_request"] > 1
    assert loaded["queue_wait_us"] > 0 and loaded["switches_per_request"] > 0
    assert set(loaded["cpu_percent_by_role"]) == {"reactor", "worker"}
    assert loaded["loop_lag_us"] is None, "the engine is not traced"


# Events


def test_events_are_kept_in_order_for_later_viewers(lab: LabProcess) -> None:
    before = lab.get("/events")[-1]["id"] if lab.get("/events") else 0
    engine = lab.start("reactor")["id"]
    lab.http.delete(f"/api/v1/engines/{engine}")
    events = lab.get(f"/events?since={before}")
    assert [event["id"] for event in events] == list(range(before + 1, before + 1 + len(events)))
    assert [e["event"] for e in events if e["engine"] == engine] == [
        "engine.starting",
        "engine.ready",
        "engine.draining",
        "engine.stopped",
    ]
    assert {event["level"] for event in events} == {"info"}
    with viewer(lab) as view:
        assert view.message()["last_event"] == events[-1]["id"]
        second = lab.start("reactor")["id"]
        event = view.event("engine.ready")
        kept = lab.get(f"/events?since={events[-1]['id']}")
        assert {**event, "type": 0, "seq": 0} == {
            **next(e for e in kept if e["id"] == event["id"]),
            "type": 0,
            "seq": 0,
        }
        assert event["engine"] == second
    assert_problem(lab.http.get("/api/v1/events?since=-1"), 422, "/since")


def test_lines_of_stderr_are_events(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    with viewer(lab) as view:
        sampled = f"/engines/{engine['id']}/sample"
        (worker,) = until(
            lambda: [t["pid"] for t in lab.get(sampled)["threads"] if t["index"] == 1],
            "both workers have started",
        )
        os.kill(worker, signal.SIGKILL)
        line = view.event("log.line")
    assert (line["engine"], line["level"]) == (engine["id"], "warning")
    assert "starting replacement" in line["text"]


INVALID = ['"trace": 1', '"connections": "yes"', '"threads": null']


@pytest.mark.parametrize("field", INVALID)
def test_a_part_must_be_true_or_false(lab: LabProcess, field: str) -> None:
    with viewer(lab) as view:
        view.frame()
        view.socket.send(f'{{"type": "subscribe", {field}}}')
        assert view.closed() == (1008, f"{field.split(chr(34))[1]} must be true or false")


# Documentation


def has_all_parts(numbers: dict[str, Any]) -> bool:
    return bool(numbers.get("trace") and numbers.get("threads") and numbers.get("grid"))


def test_live_md_documents_every_field(lab: LabProcess) -> None:
    text = Path("docs/live.md").read_text()
    engine = lab.start("reactor")["id"]
    with viewer(lab) as view:
        hello = view.message()
        before_s = time.monotonic()
        subscribe(view, engine, "threads", "trace", "connections")
        frame = view.frame(lambda f: has_all_parts(f["engines"].get(engine, {})), "a frame with all parts")
    numbers = frame["engines"][engine]
    table = re.findall(r"^\| (`.*?`)(?: …)? \|", text, re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert named and named <= set(numbers)
    assert set(numbers["trace"]) == {"from_us", "to_us", "rings", "lanes"}
    assert set(numbers["grid"]) == {"full", "words"}
    for name in (*hello, *frame, *numbers["trace"], *numbers["grid"], *hello["lane_fields"]):
        assert re.search(rf"\b{name}\b", text), name
    assert len(numbers["threads"][0]) == len(hello["thread_fields"])
    assert len(numbers["trace"]["lanes"][0]) == len(hello["lane_fields"])
    assert before_s <= frame["t_s"] + 1e-4 and frame["t_s"] - 1e-4 <= time.monotonic(), (
        "the clock of this machine"
    )
