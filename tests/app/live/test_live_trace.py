"""Lanes, grid, ledger and events on the live channel: what a page is told is what its clients did.

How much longer than asked for a handler sleeps, and what a request costs, are in tests/measure/app.
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
from tests.app.driver import LabProcess, endless, is_problem, plan, until
from tests.app.live.test_live import Viewer, viewer
from tests.engines.driver import GREETING, HOST, Client

SLEEP_MS = 250
SLEEP = b"GET /sleep?ms=%d HTTP/1.1\r\n%b\r\n" % (SLEEP_MS, HOST)
WAITING, HANDLING, BLOCKED = 1, 4, 7


def watch(view: Viewer, engine: str, *parts: str) -> None:
    view.say(type="subscribe", engines=[engine], interval_ms=100, **dict.fromkeys(parts, True))


class Lanes:
    """What a page makes of traces: for each lane, when it came into which state, in µs."""

    def __init__(self, view: Viewer, engine: str) -> None:
        self.view, self.engine = view, engine
        self.frames: list[Any] = []
        self.changes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        watch(view, engine, "trace", "threads")
        view.frame(lambda f: f["engines"][engine].get("trace"), "a trace")

    def read(self) -> Any:
        frame = self.view.frame(lambda f: f["engines"].get(self.engine, {}).get("trace"), "a trace")
        trace = frame["engines"][self.engine]["trace"]
        self.frames.append(frame)
        for slot, generation, _, _, transitions, _ in trace["lanes"]:
            at = trace["from_us"]
            for dt, state in zip((transitions or [])[::2], (transitions or [])[1::2], strict=True):
                at += dt
                self.changes.setdefault((slot, generation), []).append((at, state))
        return frame

    def stays(self, state: int) -> list[float]:
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
def test_a_page_sees_how_long_a_handler_sleeps(lab: LabProcess, model: str) -> None:
    engine = lab.start(model, idle_s=600)
    with viewer(lab) as view, client(engine) as asker:
        lanes = Lanes(view, engine["id"])
        assert asker.ask().body == GREETING
        asker.send(SLEEP)
        assert asker.answer().status == 200
        until(lambda: lanes.read() and lanes.stays(BLOCKED), "the sleep is in a lane")
    (slept,) = lanes.stays(BLOCKED)
    assert slept >= SLEEP_MS
    for before, after in pairwise(lanes.frames):
        if after["seq"] == before["seq"] + 1:
            past, now = (each["engines"][engine["id"]]["trace"] for each in (before, after))
            assert past["to_us"] == now["from_us"], "no time is left out"
            assert now["to_us"] == pytest.approx(after["t_s"] * 1e6, abs=200), "it is one clock"


def test_two_pages_are_told_the_same(lab: LabProcess) -> None:
    engine = lab.start("reactor", idle_s=600)
    told: dict[int, dict[int, Any]] = {1: {}, 2: {}}
    with viewer(lab) as one, viewer(lab) as two, client(engine) as asker:
        lanes = {1: Lanes(one, engine["id"]), 2: Lanes(two, engine["id"])}

        def busy_in_both() -> bool:
            assert asker.ask().body == GREETING
            for page, each in lanes.items():
                frame = each.read()
                told[page][frame["seq"]] = frame["engines"][engine["id"]]["trace"]
            both = told[1].keys() & told[2].keys()
            return sum(any(lane[4] for lane in told[1][seq]["lanes"]) for seq in both) >= 3

        until(busy_in_both, "three frames that both pages got, with changes in them")
    for seq in told[1].keys() & told[2].keys():
        assert told[1][seq] == told[2][seq]


def test_a_busy_lane_is_told_in_shares(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    with viewer(lab) as view:
        lanes = Lanes(view, engine["id"])
        id = lab.submit(engine=engine["id"], plan=plan(590, 0, timeout_s=60, trace=True))["id"]

        def sliced() -> Any:
            lane = lanes.read()["engines"][engine["id"]]["trace"]["lanes"][0]
            return lane if lane[5] else None

        slot, generation, _, _, transitions, slices = until(sliced, "it is busy")
        lab.stop(id)
    assert (slot, generation, transitions) == (0, 1, None)
    assert len(slices) == SLICES
    for each in slices:
        assert abs(sum(each[1::2]) - 1000) <= 4


def test_it_stops_when_the_last_page_has_gone_however_it_went(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as other:
        assert "no viewer shows the lanes" in other.frame()["engines"][engine]["tracing"]
        with viewer(lab) as view:
            Lanes(view, engine)
            other.frame(lambda f: f["engines"][engine]["tracing"] == "on", "it traces")
            assert "trace" not in other.frame()["engines"][engine], "it was not asked for"
            view.socket.socket.shutdown(socket.SHUT_RDWR)  # as a page that has died
            other.frame(
                lambda f: "no viewer shows the lanes" in f["engines"][engine]["tracing"], "it is off again"
            )
        with viewer(lab) as view:
            lanes = Lanes(view, engine)
            view.say(type="pause")
            other.frame(
                lambda f: "no viewer shows the lanes" in f["engines"][engine]["tracing"],
                "a page that pauses sees none",
            )
            view.say(type="resume")
            assert lanes.read()


def test_a_run_that_is_not_traced_is_left_alone(lab: LabProcess) -> None:
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

        view.frame(measured, "three frames of what is measured")
        assert {without for _, _, without in seen} == {True}
        assert all("untraced run" in said for _, said, _ in seen)
        lab.stop(id)
        assert lanes.read(), "afterwards whoever still watches sees it again"


def test_a_thread_has_its_wait_for_a_cpu_and_its_switches(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", idle_s=600)
    with viewer(lab) as view, client(engine) as asker:
        fields = view.message()["thread_fields"]
        watch(view, engine["id"], "threads")

        def busy(frame: Any) -> bool:
            assert asker.ask().body == GREETING
            rows = [
                dict(zip(fields, row, strict=True))
                for row in frame["engines"][engine["id"]].get("threads", ())
            ]
            return any(row["switches_per_s"] and row["run_queue_us_per_s"] is not None for row in rows)

        view.frame(busy, "a thread that was given a CPU")


# The grid


def test_a_page_knows_every_connection(lab: LabProcess) -> None:
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
        watch(view, engine["id"], "connections")
        assert view.frame(lambda f: count(f) == 0, "a grid")["engines"][engine["id"]]["grid"]["full"]
        clients = [Client(engine["port"]) for _ in range(30)]
        try:
            for each in clients:
                assert each.ask().body == GREETING
            frame = view.frame(lambda f: count(f) == 30, "all of them")
            assert {word >> 16 for word in words.values() if word & 0xFF} == {0}, "its one thread owns them"
            assert frame["engines"][engine["id"]]["connections_total"] <= 30
        finally:
            for each in clients:
                each.sock.close()
        view.frame(lambda f: count(f) == 0, "none of them")
        watch(view, engine["id"], "connections")
        view.frame(
            lambda f: f["engines"][engine["id"]].get("grid", {}).get("full"), "the whole, as it asks anew"
        )


# The ledger


def test_a_request_has_its_price_while_there_are_some(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", workers=1)
    queueing = plan(590, 0, vus=4, timeout_s=60, work=[{"kind": "sleep", "params": {"ms": 10}}])
    with viewer(lab) as view:

        def numbers(frame: Any) -> Any:
            return frame["engines"].get(engine["id"], {"requests": 0})

        def is_quiet(frame: Any) -> bool:  # the lab has asked once, and more than a second ago
            return bool(numbers(frame)["requests"] == 1 and numbers(frame)["cpu_us_per_request"] is None)

        def is_priced(frame: Any) -> bool:
            now = numbers(frame)
            known = ("cpu_us_per_request", "io_calls_per_request", "queue_wait_us", "switches_per_request")
            return all(now[each] for each in known) and bool(
                now["bytes_out_per_s"] > now["bytes_in_per_s"] > 0
            )

        view.frame(is_quiet, "a second without a request")
        id = lab.submit(engine=engine["id"], plan=queueing)["id"]
        now = numbers(view.frame(is_priced, "a price"))
        lab.stop(id)
    assert now["cpu_us_per_request"] > 0 and now["io_calls_per_request"] > 1
    assert now["queue_wait_us"] > 0 and now["switches_per_request"] > 0
    assert set(now["cpu_percent_by_role"]) == {"reactor", "worker"}
    assert now["loop_lag_us"] is None, "it is not traced"


# Events


def test_events_are_kept_in_order_for_who_comes_later(lab: LabProcess) -> None:
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
        again = lab.start("reactor")["id"]
        told = view.event("engine.ready")
        kept = lab.get(f"/events?since={events[-1]['id']}")
        assert {**told, "type": 0, "seq": 0} == {
            **next(e for e in kept if e["id"] == told["id"]),
            "type": 0,
            "seq": 0,
        }
        assert told["engine"] == again
    is_problem(lab.http.get("/api/v1/events?since=-1"), 422, "/since")


def test_what_an_engine_says_is_an_event(lab: LabProcess) -> None:
    engine = lab.start("prefork")
    with viewer(lab) as view:
        sampled = f"/engines/{engine['id']}/sample"
        (worker,) = until(
            lambda: [t["pid"] for t in lab.get(sampled)["threads"] if t["index"] == 1], "both workers"
        )
        os.kill(worker, signal.SIGKILL)
        said = view.event("log.line")
    assert (said["engine"], said["level"]) == (engine["id"], "warning")
    assert "starting replacement" in said["text"]


BAD = ['"trace": 1', '"connections": "yes"', '"threads": null']


@pytest.mark.parametrize("field", BAD)
def test_a_part_is_asked_for_with_true_or_false(lab: LabProcess, field: str) -> None:
    with viewer(lab) as view:
        view.frame()
        view.socket.send(f'{{"type": "subscribe", {field}}}')
        assert view.closed() == (1008, f"{field.split(chr(34))[1]} is true or false")


# The page that explains it


def whole(numbers: dict[str, Any]) -> bool:
    return bool(numbers.get("trace") and numbers.get("threads") and numbers.get("grid"))


def test_every_name_that_the_document_gives_is_there(lab: LabProcess) -> None:
    text = Path("docs/live.md").read_text()
    engine = lab.start("reactor")["id"]
    with viewer(lab) as view:
        hello = view.message()
        before_s = time.monotonic()
        watch(view, engine, "threads", "trace", "connections")
        frame = view.frame(lambda f: whole(f["engines"].get(engine, {})), "a frame with all of it")
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
