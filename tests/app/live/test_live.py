"""The live WebSocket: frames that are newest, events that are never lost, viewers that cannot hurt each other.

How far apart frames come is in tests/measure/app/test_live_frames.py.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from app.lab import Lab
from app.live.frame import Frame
from app.live.hub import Hub
from app.live.viewer import Viewer as LabViewer
from app.metrics import Metrics
from app.settings import Settings
from tests.app.driver import LabProcess, endless, light, plan, until
from tests.app.inside import LabInside
from tests.waiting import BOUND_S


class Viewer:
    """One page's socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def message(self) -> Any:
        """The next message, whatever it is."""
        return json.loads(self.socket.recv(timeout=BOUND_S))

    def next(self, wanted: Callable[[Any], bool], what: str) -> Any:
        """The next message that is wanted; the others are let go."""
        ends = time.monotonic() + BOUND_S
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
                self.socket.recv(timeout=BOUND_S)
        assert end.value.rcvd, "it was cut and not closed"
        return end.value.rcvd.code, end.value.rcvd.reason


@contextmanager
def viewer(lab: LabProcess, **headers: str) -> Iterator[Viewer]:
    origin = headers.pop("origin", None)
    with connect(
        lab.url.replace("http", "ws") + "/ws/v1/live",
        origin=Origin(origin) if origin else None,
        additional_headers=headers,
        max_size=None,
    ) as socket:
        yield Viewer(socket)


def test_it_says_hello_and_then_sends_frames(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as view:
        hello = view.message()
        assert (hello["type"], hello["schema"], hello["interval_ms"]) == ("hello", 1, 100)
        assert {"waiting", "handling", "blocked"} <= set(hello["thread_states"])
        assert hello["connection_states"][0] == "closed"
        view.frame(lambda f: engine in f["engines"], "the engine was sampled")
        frames = [view.frame() for _ in range(5)]
    assert [frame["seq"] for frame in frames] == sorted({frame["seq"] for frame in frames})
    times = [frame["t_s"] for frame in frames]
    assert times == sorted(set(times))
    for frame in frames:
        assert frame["run"] is None and frame["skipped"] == 0
        numbers = frame["engines"][engine]
        assert (numbers["model"], numbers["state"], numbers["p99_us"]) == ("reactor", "ready", None)
        assert "threads" not in numbers


def test_threads_come_only_for_what_was_subscribed(lab: LabProcess) -> None:
    watched, other = lab.start("reactor-pool")["id"], lab.start("reactor")["id"]
    with viewer(lab) as view:
        view.say(type="subscribe", engines=[watched], threads=True, interval_ms=100)
        frame = view.frame(
            lambda f: "threads" in f["engines"].get(watched, {}) and other in f["engines"],
            "threads of the watched",
        )
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


def test_a_frame_of_a_measured_run_has_all_samples_since_the_one_before(lab: LabProcess) -> None:
    run = lab.submit(model="reactor-pool", plan=endless())
    lab.measuring(run["id"])
    with viewer(lab) as view:
        view.say(type="subscribe", engines="all", threads=True, interval_ms=100)

        def has_several(frame: Any) -> bool:
            return any(len(engine.get("samples", ())) > 1 for engine in frame["engines"].values())

        frame = view.frame(has_several, "a frame with more than two samples of the loaded engine")
    (engine,) = frame["engines"].values()
    at_us = [us for us, _ in engine["samples"]]
    assert at_us == sorted(set(at_us)) and at_us[-1] / 1e6 < frame["t_s"]
    slots = {str(row[0]) for row in engine["threads"]}
    assert all(states.keys() <= slots for _, states in engine["samples"]), (
        "the first ones may be of its start"
    )
    lab.stop(run["id"])


def test_frames_are_fewer_while_a_run_is_measured_and_never_more_than_samples() -> None:
    def interval_s(sample_interval_ms: int, run: object) -> float:
        lab = SimpleNamespace(
            settings=Settings(sample_interval_ms=sample_interval_ms),
            events=SimpleNamespace(subscribe=lambda _: None),
            runs=SimpleNamespace(current=lambda: run),
        )
        return Hub(cast(Lab, lab), cast(Metrics, None))._interval_s

    assert [interval_s(100, None), interval_s(100, "a run"), interval_s(1000, "a run")] == [0.1, 0.5, 1.0]


def test_a_slow_interval_gets_fewer_frames(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as slow, viewer(lab) as fast:
        slow.say(type="subscribe", engines="all", threads=True, interval_ms=500)
        seen = [
            slow.frame(lambda f: "threads" in f["engines"].get(engine, {}), "a frame of this subscription")
        ]
        seen, told = [*seen, slow.frame()], [fast.frame()]

        def between() -> bool:
            if told[-1]["seq"] > seen[-1]["seq"]:
                seen.append(slow.frame())
            told.append(fast.frame())
            return any(a["seq"] < each["seq"] < b["seq"] for a, b in pairwise(seen) for each in told)

        until(between, "the fast one gets a frame that the slow one does not get")
    assert min(b["t_s"] - a["t_s"] for a, b in pairwise(seen)) > 0.479, "a frame may come 20 ms early"


def test_a_frame_is_due_after_the_interval_that_was_asked_for() -> None:
    one = LabViewer()
    one.obey({"type": "subscribe", "interval_ms": 500})
    assert one.is_due(10.0)
    one.offer(Frame(1, 10.0, {}, "null"), 10.0)
    assert [one.is_due(now_s) for now_s in (10.1, 10.47, 10.49, 10.6)] == [False, False, True, True]
    one.obey({"type": "pause"})
    assert not one.is_due(20.0)


def test_of_two_frames_that_wait_the_newest_is_sent_and_the_other_is_counted() -> None:
    one = LabViewer()
    for seq in (1, 2, 3):
        one.offer(Frame(seq, 10.0, {}, "null"), 10.0)
    sent = json.loads(one.take() or "")
    assert (sent["seq"], sent["skipped"]) == (3, 2)
    assert one.take() is None
    one.offer(Frame(4, 11.0, {}, "null"), 11.0)
    assert json.loads(one.take() or "")["skipped"] == 0


def test_what_happens_to_engines_is_told_as_events(lab: LabProcess) -> None:
    with viewer(lab) as view:
        engine = lab.start("main-sub")
        starting, ready = view.event("engine.starting"), view.event("engine.ready")
        assert starting["engine"] == ready["engine"] == engine["id"] and ready["model"] == "main-sub"
        assert str(engine["port"]) in ready["text"] and ready["seq"] > starting["seq"]
        os.kill(engine["pid"], signal.SIGKILL)
        assert "SIGKILL" in view.event("engine.exited")["text"]
        view.frame(lambda f: engine["id"] not in f["engines"], "a frame without it")


def test_a_run_is_told_from_queue_to_verdict(lab: LabProcess) -> None:
    with viewer(lab) as view:
        run = lab.submit(model="reactor", plan=light(0.5, 0.2))
        seqs = []
        for state in ("queued", "warming", "running", "finished"):
            told = view.event(f"run.{state}")
            assert told["run"] == run["id"]
            seqs.append(told["seq"])
        assert seqs == sorted(set(seqs))
        view.frame(lambda f: f["run"] is None, "a frame without a run")


def test_a_run_shows_its_numbers(lab: LabProcess) -> None:
    with viewer(lab) as view:
        id = lab.submit(model="reactor", plan=plan(590, 0, think_time_ms=20, timeout_s=60))["id"]

        def whole(frame: Any) -> bool:
            run = frame["run"]
            if not run or not run["achieved_per_s"] or not run["response_p99_us"] or run["connections"] != 8:
                return False
            shown = frame["engines"][run["engine"]][
                "p99_us"
            ]  # read anew for each, so a request may lie between them
            return bool(shown == pytest.approx(run["response_p99_us"], rel=0.01))

        run = view.frame(whole, "its numbers")["run"]
        assert (run["id"], run["phase"], run["state"]) == (id, "measure", "running")
        assert run["p99_us"] > 0 and run["generator_utilisation"] > 0
        lab.stop(id)
        view.event("run.stopped")
        view.frame(lambda f: f["run"] is None, "a frame without a run")


def test_a_run_that_warms_up_says_so(lab: LabProcess) -> None:
    """Both phases are held open, each by a run of its own; frames on the way to them must not contradict themselves."""
    states = {"warmup": "warming", "measure": "running"}
    with viewer(lab) as view:
        for phase, load in (("warmup", light(10, 580)), ("measure", light(590, 0.3))):
            id = lab.submit(model="reactor", plan=load)["id"]
            seen = frames_of_a_run(view, id, until_phase=phase)
            lab.stop(id)
            assert {each for each in seen if each[0] in states} <= set(states.items())


def frames_of_a_run(view: Viewer, id: int, until_phase: str) -> list[tuple[str, str]]:
    """Phase and state of a run in each frame, until there are three of this phase."""
    seen: list[tuple[str, str]] = []

    def enough(frame: Any) -> bool:
        if frame["run"] and frame["run"]["id"] == id:
            seen.append((frame["run"]["phase"], frame["run"]["state"]))
        return [phase for phase, _ in seen].count(until_phase) >= 3

    view.frame(enough, f"three frames of the {until_phase}")
    return seen


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


def test_a_viewer_that_takes_nothing_is_closed_and_another_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.socket.SEND_WITHIN_S", 0.1)
    monkeypatch.setattr(
        "app.web.server.ACKNOWLEDGED_WITHIN_MS", 1_000_000
    )  # so that it is not the kernel that closes it
    monkeypatch.setattr(
        "app.live.frames.threads", lambda _: [["x" * 500_000]]
    )  # soon more than the kernel takes
    with closing(LabInside(tmp_path)) as lab, viewer(lab) as view:
        lab.start("reactor")
        with stalled(lab, threads=True):
            until(lambda: viewers(lab) == 2, "both are there")
            seen = [view.frame()]

            def closed() -> bool:
                seen.append(view.frame())
                return viewers(lab) == 1

            until(closed, "the stalled one is closed")
            view.frame(lambda frame: frame["seq"] > seen[-1]["seq"], "the other gets frames")


@pytest.mark.full
def test_a_stalled_viewer_of_an_engine_of_many_threads_is_closed(lab: LabProcess) -> None:
    """As above, with the time that the lab gives a viewer, and with frames that are large by themselves."""
    engine = lab.start("blocking", idle_s=600)
    clients = [socket.create_connection(("127.0.0.1", engine["port"])) for _ in range(250)]
    try:
        with viewer(lab) as view, stalled(lab, threads=True):
            until(lambda: viewers(lab) == 2, "both are there")
            seen = [view.frame()]

            def closed() -> bool:
                seen.append(view.frame())
                return viewers(lab) == 1

            until(closed, "the stalled one is closed")
            view.frame()
    finally:
        for client in clients:
            client.close()
    assert [frame["seq"] for frame in seen] == sorted({frame["seq"] for frame in seen})


def viewers(lab: LabProcess) -> int:
    found = re.search(r"^threadlab_viewers (\d+)", lab.http.get("/metrics").text, re.MULTILINE)
    assert found
    return int(found[1])


def test_many_viewers_see_the_same_frame(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as one, viewer(lab) as two:
        first: dict[int, Any] = {}
        second: dict[int, Any] = {}

        def both() -> bool:
            for view, frames in ((one, first), (two, second)):
                frame = view.frame(lambda f: engine in f["engines"])
                frames[frame["seq"]] = frame
            return len(first.keys() & second.keys()) >= 3

        until(both, "three frames that both have got")
    for seq in first.keys() & second.keys():
        assert {**first[seq], "skipped": 0} == {**second[seq], "skipped": 0}


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
        connect(
            f"ws://lab.evil.example:{lab.port}/ws/v1/live",
            sock=socket.create_connection(("127.0.0.1", lab.port)),
        )
    assert refused.value.response.status_code in (403, 421)


def test_its_own_origin_is_welcome(lab: LabProcess) -> None:
    with viewer(lab, origin=lab.url) as view:
        view.frame()


def descriptors(pid: int) -> dict[int, str]:
    """The open descriptors of a process, and what each is of."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found[int(path.name)] = str(path.readlink())
    return found


def test_viewers_that_leave_leave_nothing(lab: LabProcess) -> None:
    def sockets() -> int:
        return sum(link.startswith("socket:") for link in descriptors(lab.pid).values())

    until(lambda: viewers(lab) == 0, "those of earlier tests are gone")  # and our HTTP connection is open now
    before = sockets()
    for _ in range(10):
        with viewer(lab) as view:
            view.message()
    until(lambda: viewers(lab) == 0 and sockets() <= before, "their descriptors are closed")
