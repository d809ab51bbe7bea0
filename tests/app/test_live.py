"""The live WebSocket: frames that are newest, events that are never lost, viewers that cannot hurt each other."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .driver import LabProcess, plan, until

WITHIN_S = 5.0


class Viewer:
    """One page's socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def next(self, wanted: Callable[[Any], bool], what: str, within_s: float = WITHIN_S) -> Any:
        """The next message that is wanted; the others are let go."""
        ends = time.monotonic() + within_s
        while True:
            left = ends - time.monotonic()
            assert left > 0, f"never came: {what}"
            try:
                message = json.loads(self.socket.recv(timeout=left))
            except TimeoutError:
                raise AssertionError(f"never came: {what}") from None
            if wanted(message):
                return message

    def frame(self, wanted: Callable[[Any], bool] = lambda _: True, what: str = "a frame") -> Any:
        return self.next(lambda message: message["type"] == "frame" and wanted(message), what)

    def event(self, name: str) -> Any:
        return self.next(lambda message: message["type"] == "event" and message["event"] == name, name)

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def closed(self) -> tuple[int, str]:
        """Code and reason with which the lab closes."""
        with pytest.raises(ConnectionClosed) as end:
            while True:
                self.socket.recv(timeout=WITHIN_S)
        assert end.value.rcvd, "it was cut and not closed"
        return end.value.rcvd.code, end.value.rcvd.reason


@contextmanager
def viewer(lab: LabProcess, **headers: str) -> Iterator[Viewer]:
    origin = headers.pop("origin", None)
    with connect(
        lab.url.replace("http", "ws") + "/ws/v1/live", origin=origin, additional_headers=headers, max_size=None,  # type: ignore[arg-type]
    ) as socket:  # fmt: skip
        yield Viewer(socket)


def test_it_says_hello_and_then_sends_frames(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as view:
        hello = json.loads(view.socket.recv(timeout=WITHIN_S))
        assert (hello["type"], hello["schema"], hello["interval_ms"]) == ("hello", 1, 100)
        assert {"waiting", "handling", "blocked"} <= set(hello["thread_states"])
        assert hello["connection_states"][0] == "closed"
        frames = [view.frame() for _ in range(8)]
    assert [frame["seq"] for frame in frames] == sorted({frame["seq"] for frame in frames})
    times = [frame["t_s"] for frame in frames]
    assert times == sorted(times) and 0.4 < times[-1] - times[0] < 10
    for frame in frames:
        assert frame["run"] is None and frame["skipped"] == 0
        numbers = frame["engines"][engine]
        assert (numbers["model"], numbers["state"], numbers["p99_us"]) == ("reactor", "ready", None)
        assert "threads" not in numbers


def test_threads_come_only_for_what_was_subscribed(lab: LabProcess) -> None:
    watched, other = lab.start("reactor-pool")["id"], lab.start("reactor")["id"]
    with viewer(lab) as view:
        view.say(type="subscribe", engines=[watched], threads=True, interval_ms=100)
        frame = view.frame(lambda f: "threads" in f["engines"].get(watched, {}), "threads of the watched")
        assert "threads" not in frame["engines"][other]
        rows = frame["engines"][watched]["threads"]
        assert len(rows) == 5 and all(len(row) == 11 for row in rows)
        assert [row[3] for row in rows].count("worker") == 4
        view.say(type="subscribe", engines="all", threads=True)
        view.frame(lambda f: all("threads" in f["engines"][id] for id in (watched, other)), "threads of all")
        view.say(type="subscribe", engines="all", threads=False)
        view.frame(lambda f: not any("threads" in e for e in f["engines"].values()), "no threads")


def test_a_viewer_that_pauses_gets_events_but_no_frames(lab: LabProcess) -> None:
    with viewer(lab) as view:
        view.frame()
        view.say(type="pause")
        id = lab.start("reactor")["id"]  # it takes several frames' time
        view.event("engine.ready")
        lab.http.delete(f"/api/v1/engines/{id}")
        seen: list[str] = []

        def stopped(message: Any) -> bool:
            seen.append(message["type"])
            return bool(message.get("event") == "engine.stopped")

        view.next(stopped, "it stops")
        assert "frame" not in seen
        view.say(type="resume")
        assert view.frame()["engines"] == {}


def test_a_slow_interval_gets_fewer_frames(lab: LabProcess) -> None:
    with viewer(lab) as slow, viewer(lab) as fast:
        slow.say(type="subscribe", engines="all", threads=False, interval_ms=500)
        slow.frame()
        first, second = slow.frame(), slow.frame()
        assert 0.4 < second["t_s"] - first["t_s"] < 5
        frames = [fast.frame() for _ in range(10)]
        assert min(b["t_s"] - a["t_s"] for a, b in pairwise(frames)) < 0.4


def test_what_happens_to_engines_is_told_as_events(lab: LabProcess) -> None:
    with viewer(lab) as view:
        engine = lab.start("main-sub")
        starting, ready = view.event("engine.starting"), view.event("engine.ready")
        assert starting["engine"] == ready["engine"] == engine["id"] and ready["model"] == "main-sub"
        assert str(engine["port"]) in ready["text"] and ready["seq"] > starting["seq"]
        os.kill(engine["pid"], signal.SIGKILL)
        assert "SIGKILL" in view.event("engine.exited")["text"]
        view.frame(lambda f: engine["id"] not in f["engines"], "a frame without it")


def test_a_run_is_told_from_queue_to_verdict_with_its_numbers(lab: LabProcess) -> None:
    with viewer(lab) as view:
        run = lab.submit(model="reactor", plan=plan(1.5, 1.0))
        for state in ("queued", "warming", "running"):
            assert view.event(f"run.{state}")["run"] == run["id"]
        frame = view.frame(lambda f: f["run"] and f["run"]["achieved_per_s"], "its numbers")
        progress = frame["run"]
        assert progress["id"] == run["id"] and progress["connections"] == 8
        assert progress["p99_us"] > 0 and progress["response_p99_us"] > 0
        assert frame["engines"][progress["engine"]]["p99_us"] == pytest.approx(progress["response_p99_us"], rel=0.01)
        finished = view.event("run.finished")
        assert finished["run"] == run["id"]
        view.frame(lambda f: f["run"] is None, "a frame without a run")


def test_a_run_that_warms_up_says_so(lab: LabProcess) -> None:
    with viewer(lab) as view:
        run = lab.submit(model="reactor", plan=plan(0.5, 1.0))
        seen: list[tuple[str, str]] = []

        def finished(message: Any) -> bool:
            if message.get("run") and message["type"] == "frame":
                seen.append((message["run"]["phase"], message["run"]["state"]))
            return bool(message.get("event") == "run.finished")

        view.next(finished, "its end")
        lab.ended(run["id"])
    assert {state for phase, state in seen if phase == "warmup"} == {"warming"}
    assert {state for phase, state in seen if phase == "measure"} == {"running"}


BAD = {
    "no JSON": "{",
    "not an object": "[]",
    "null": "null",
    "no type": "{}",
    "unknown type": '{"type": "start"}',
    "engines of the wrong kind": '{"type": "subscribe", "engines": 5}',
    "too fast": '{"type": "subscribe", "interval_ms": 1}',
    "too slow": '{"type": "subscribe", "interval_ms": 1e9}',
    "no number": '{"type": "subscribe", "interval_ms": NaN}',
    "nested deeply": "[" * 10_000,
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_message_closes_with_1008_and_a_reason(lab: LabProcess, case: str) -> None:
    with viewer(lab) as view:
        view.frame()
        view.socket.send(BAD[case])
        code, reason = view.closed()
        assert code == 1008 and reason
    with viewer(lab) as view:
        view.frame()


def test_a_binary_message_and_a_long_one_are_closed_in_words(lab: LabProcess) -> None:
    for message, codes in ((b"\x00\x01", (1003, 1008)), (json.dumps({"type": "x" * 20_000}), (1008, 1009))):
        with viewer(lab) as view:
            view.frame()
            view.socket.send(message)
            code, reason = view.closed()
            assert code in codes and reason


@contextmanager
def stalled(lab: LabProcess, **wants: Any) -> Iterator[socket.socket]:
    """A page that subscribes, and takes no byte from then on."""
    sock = socket.create_connection(("127.0.0.1", lab.port))
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.sendall(
            f"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert sock.recv(64).startswith(b"HTTP/1.1 101")
        text = json.dumps({"type": "subscribe", **wants}).encode()
        sock.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)  # masked with zeros
        yield sock


def test_a_stalled_viewer_is_closed_and_does_not_delay_another(lab: LabProcess) -> None:
    engine = lab.start("blocking")
    clients = [socket.create_connection(("127.0.0.1", engine["port"])) for _ in range(250)]
    try:
        with viewer(lab) as view, stalled(lab, threads=True):
            frames = [view.frame() for _ in range(30)]
            until(lambda: viewers(lab) == 2, "both are there")
            until(lambda: viewers(lab) == 1, "the stalled one is closed", 40)
            view.frame()
    finally:
        for client in clients:
            client.close()
    gaps = [b["t_s"] - a["t_s"] for a, b in pairwise(frames)]
    assert statistics.median(gaps) < 0.25 and max(gaps) < 5
    assert sum(frame["skipped"] for frame in frames) <= 10


def viewers(lab: LabProcess) -> int:
    found = re.search(r"^threadlab_viewers (\d+)", lab.http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def test_many_viewers_see_the_same_frame(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as one, viewer(lab) as two:
        seen = {frame["seq"]: frame for frame in (one.frame() for _ in range(10))}
        both = [frame for frame in (two.frame() for _ in range(10)) if frame["seq"] in seen]
        assert both
        for frame in both:
            assert frame["engines"][engine] == seen[frame["seq"]]["engines"][engine]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:1"]
)
def test_a_foreign_origin_is_refused(lab: LabProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, viewer(lab, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_foreign_site_is_refused(lab: LabProcess) -> None:
    with pytest.raises(InvalidStatus), viewer(lab, **{"Sec-Fetch-Site": "cross-site"}):
        pass


def test_a_foreign_host_is_refused(lab: LabProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://lab.evil.example:{lab.port}/ws/v1/live", sock=socket.create_connection(("127.0.0.1", lab.port)))
    assert refused.value.response.status_code in (403, 421)


def test_its_own_origin_is_welcome(lab: LabProcess) -> None:
    with viewer(lab, origin=lab.url) as view:
        view.frame()


def test_viewers_that_leave_leave_nothing(lab: LabProcess) -> None:
    def descriptors() -> int:
        return len(list(Path(f"/proc/{lab.pid}/fd").iterdir()))

    with viewer(lab) as view:
        view.frame()
    before = descriptors()
    for _ in range(10):
        with viewer(lab) as view:
            view.frame()
    until(lambda: descriptors() <= before + 1, "their descriptors are closed")
