"""The live WebSocket: newest frames, events without loss, and viewers that do not affect each other.

tests/measure/app/test_live_frames.py tests the interval between frames.
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
from app.live import viewer as viewers
from app.live.frame import Frame
from app.live.hub import Hub
from app.metrics import Metrics
from app.settings import Settings
from tests.app.driver import LabProcess, endless, light, plan, until
from tests.app.in_process_lab import InProcessLab
from tests.waiting import BOUND_S


class Viewer:
    """The WebSocket of one page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def message(self) -> Any:
        """Return the next message."""
        return json.loads(self.socket.recv(timeout=BOUND_S))

    def next(self, wanted: Callable[[Any], bool], what: str) -> Any:
        """Return the next message that is `wanted`, and discard the others. `what` is for the failure."""
        deadline_s = time.monotonic() + BOUND_S
        while True:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"not received: {what}"
            try:
                message = json.loads(self.socket.recv(timeout=left_s))
            except TimeoutError:
                raise AssertionError(f"not received: {what}") from None
            if wanted(message):
                return message

    def frame(self, wanted: Callable[[Any], bool] = lambda _: True, what: str = "a frame") -> Any:
        """Return the next frame that is `wanted`."""
        return self.next(lambda message: message["type"] == "frame" and wanted(message), what)

    def event(self, name: str) -> Any:
        """Return the next event of this name."""
        return self.next(lambda message: message["type"] == "event" and message["event"] == name, name)

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.socket.send(json.dumps(message))

    def closed(self) -> tuple[int, str]:
        """Return code and reason with which the lab closes the connection."""
        with pytest.raises(ConnectionClosed) as end:
            while True:
                self.socket.recv(timeout=BOUND_S)
        assert end.value.rcvd, "the connection was lost without a close frame"
        return end.value.rcvd.code, end.value.rcvd.reason


@contextmanager
def viewer(lab: LabProcess, **headers: str) -> Iterator[Viewer]:
    """Connect a page, with these headers."""
    origin = headers.pop("origin", None)
    with connect(
        lab.url.replace("http", "ws") + "/ws/v1/live",
        origin=Origin(origin) if origin else None,
        additional_headers=headers,
        max_size=None,
    ) as socket:
        yield Viewer(socket)


def test_a_viewer_gets_hello_and_then_frames(lab: LabProcess) -> None:
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


def test_threads_are_sent_only_for_subscribed_engines(lab: LabProcess) -> None:
    watched, other = lab.start("reactor-pool")["id"], lab.start("reactor")["id"]
    with viewer(lab) as view:
        view.send(type="subscribe", engines=[watched], threads=True, interval_ms=100)
        frame = view.frame(
            lambda f: "threads" in f["engines"].get(watched, {}) and other in f["engines"],
            "threads of the subscribed engine",
        )
        assert "threads" not in frame["engines"][other]
        rows = frame["engines"][watched]["threads"]
        assert len(rows) == 5 and all(len(row) == 12 for row in rows)
        assert [row[3] for row in rows].count("worker") == 4
        view.send(type="subscribe", engines="all", threads=True)
        view.frame(lambda f: all("threads" in f["engines"][id] for id in (watched, other)), "threads of all")
        view.send(type="subscribe", engines="all", threads=False)
        view.frame(lambda f: not any("threads" in e for e in f["engines"].values()), "no threads")


def test_a_paused_viewer_gets_events_but_no_frames(lab: LabProcess) -> None:
    with viewer(lab) as view:
        view.frame()
        view.send(type="pause")
        id = lab.start("reactor")["id"]  # takes longer than several frames
        view.event("engine.ready")
        lab.http.delete(f"/api/v1/engines/{id}")
        seen: list[str] = []

        def stopped(message: Any) -> bool:
            seen.append(message["type"])
            return bool(message.get("event") == "engine.stopped")

        view.next(stopped, "the engine stops")
        assert "frame" not in seen
        view.send(type="resume")
        assert view.frame()["engines"] == {}


def test_a_frame_during_a_run_has_all_samples_since_the_last_frame(lab: LabProcess) -> None:
    run = lab.submit(model="reactor-pool", plan=endless())
    lab.wait_measuring(run["id"])
    with viewer(lab) as view:
        view.send(type="subscribe", engines="all", threads=True, interval_ms=100)

        def has_several(frame: Any) -> bool:
            return any(len(engine.get("samples", ())) > 1 for engine in frame["engines"].values())

        frame = view.frame(has_several, "a frame with more than two samples of the loaded engine")
    (engine,) = frame["engines"].values()
    at_us = [us for us, _ in engine["samples"]]
    assert at_us == sorted(set(at_us)) and at_us[-1] / 1e6 < frame["t_s"]
    slots = {str(row[0]) for row in engine["threads"]}
    assert all(states.keys() <= slots for _, states in engine["samples"]), (
        "the first samples may be from its start"
    )
    lab.stop(run["id"])


def test_there_are_fewer_frames_during_a_run_and_never_more_than_samples() -> None:
    def interval_s(sample_interval_ms: int, run: object) -> float:
        lab = SimpleNamespace(
            settings=Settings(sample_interval_ms=sample_interval_ms),
            events=SimpleNamespace(subscribe=lambda _: None),
            runs=SimpleNamespace(current=lambda: run),
        )
        return Hub(cast(Lab, lab), cast(Metrics, None))._interval_s

    alone, concurrent = (SimpleNamespace(view=SimpleNamespace(beside=others)) for others in ((), (2,)))
    assert [interval_s(100, None), interval_s(100, alone), interval_s(1000, alone)] == [0.1, 0.5, 1.0]
    assert interval_s(100, concurrent) == 0.1, "concurrent runs are never ranked"


def test_a_longer_interval_gets_fewer_frames(lab: LabProcess) -> None:
    engine = lab.start("reactor")["id"]
    with viewer(lab) as slow, viewer(lab) as fast:
        slow.send(type="subscribe", engines="all", threads=True, interval_ms=500)
        seen = [
            slow.frame(lambda f: "threads" in f["engines"].get(engine, {}), "a frame of this subscription")
        ]
        seen, seen_by_fast = [*seen, slow.frame()], [fast.frame()]

        def between() -> bool:
            if seen_by_fast[-1]["seq"] > seen[-1]["seq"]:
                seen.append(slow.frame())
            seen_by_fast.append(fast.frame())
            return any(a["seq"] < each["seq"] < b["seq"] for a, b in pairwise(seen) for each in seen_by_fast)

        until(between, "the fast viewer gets a frame that the slow one does not get")
    assert min(b["t_s"] - a["t_s"] for a, b in pairwise(seen)) > 0.479, "a frame may come 20 ms early"


def test_a_frame_is_due_after_the_subscribed_interval() -> None:
    page = viewers.Viewer()
    page.handle_message({"type": "subscribe", "interval_ms": 500})
    assert page.is_due(10.0)
    page.offer(Frame(1, 10.0, {}, "null"), 10.0)
    assert [page.is_due(now_s) for now_s in (10.1, 10.47, 10.49, 10.6)] == [False, False, True, True]
    page.handle_message({"type": "pause"})
    assert not page.is_due(20.0)


def test_the_newest_frame_is_sent_and_the_skipped_ones_are_counted() -> None:
    page = viewers.Viewer()
    for seq in (1, 2, 3):
        page.offer(Frame(seq, 10.0, {}, "null"), 10.0)
    sent = json.loads(page.take_frame() or "")
    assert (sent["seq"], sent["skipped"]) == (3, 2)
    assert page.take_frame() is None
    page.offer(Frame(4, 11.0, {}, "null"), 11.0)
    assert json.loads(page.take_frame() or "")["skipped"] == 0


def test_changes_of_engines_are_sent_as_events(lab: LabProcess) -> None:
    with viewer(lab) as view:
        engine = lab.start("main-sub")
        starting, ready = view.event("engine.starting"), view.event("engine.ready")
        assert starting["engine"] == ready["engine"] == engine["id"] and ready["model"] == "main-sub"
        assert str(engine["port"]) in ready["text"] and ready["seq"] > starting["seq"]
        os.kill(engine["pid"], signal.SIGKILL)
        assert "SIGKILL" in view.event("engine.exited")["text"]
        view.frame(lambda f: engine["id"] not in f["engines"], "a frame without it")


def test_events_follow_a_run_from_queue_to_verdict(lab: LabProcess) -> None:
    with viewer(lab) as view:
        run = lab.submit(model="reactor", plan=light(0.5, 0.2))
        seqs = []
        for state in ("queued", "warming", "running", "finished"):
            event = view.event(f"run.{state}")
            assert event["run"] == run["id"]
            seqs.append(event["seq"])
        assert seqs == sorted(set(seqs))
        view.frame(lambda f: f["run"] is None, "a frame without a run")


def test_frames_have_the_numbers_of_a_run(lab: LabProcess) -> None:
    with viewer(lab) as view:
        id = lab.submit(model="reactor", plan=plan(590, 0, think_time_ms=20, timeout_s=60))["id"]

        def is_complete(frame: Any) -> bool:
            run = frame["run"]
            if not run or not run["achieved_per_s"] or not run["response_p99_us"] or run["connections"] != 8:
                return False
            # The two are read separately, so a request may end between them.
            shown = frame["engines"][run["engine"]]["p99_us"]
            return bool(shown == pytest.approx(run["response_p99_us"], rel=0.01))

        run = view.frame(is_complete, "all numbers of the run")["run"]
        assert (run["id"], run["phase"], run["state"]) == (id, "measure", "running")
        assert run["p99_us"] > 0 and run["generator_utilisation"] > 0
        lab.stop(id)
        view.event("run.stopped")
        view.frame(lambda f: f["run"] is None, "a frame without a run")


def test_frames_show_the_warm_up_and_the_measurement(lab: LabProcess) -> None:
    """Each phase is held open by a separate run; phase and state must agree in every frame."""
    states = {"warmup": "warming", "measure": "running"}
    with viewer(lab) as view:
        for phase, load in (("warmup", light(10, 580)), ("measure", light(590, 0.3))):
            id = lab.submit(model="reactor", plan=load)["id"]
            seen = frames_of_a_run(view, id, until_phase=phase)
            lab.stop(id)
            assert {each for each in seen if each[0] in states} <= set(states.items())


def frames_of_a_run(view: Viewer, id: int, until_phase: str) -> list[tuple[str, str]]:
    """Return phase and state of a run in each frame, until there are three frames of this phase."""
    seen: list[tuple[str, str]] = []

    def enough(frame: Any) -> bool:
        if frame["run"] and frame["run"]["id"] == id:
            seen.append((frame["run"]["phase"], frame["run"]["state"]))
        return [phase for phase, _ in seen].count(until_phase) >= 3

    view.frame(enough, f"three frames of the {until_phase}")
    return seen


INVALID = {
    "not JSON": "{",
    "not an object": "[]",
    "null": "null",
    "no type": "{}",
    "unknown type": '{"type": "start"}',
    "engines of the wrong type": '{"type": "subscribe", "engines": 5}',
    "too fast": '{"type": "subscribe", "interval_ms": 1}',
    "too slow": '{"type": "subscribe", "interval_ms": 1e9}',
    "not a number": '{"type": "subscribe", "interval_ms": NaN}',
    "deeply nested": "[" * 10_000,
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_message_is_closed_with_1008_and_a_reason(lab: LabProcess, case: str) -> None:
    with viewer(lab) as view:
        view.frame()
        view.socket.send(INVALID[case])
        code, reason = view.closed()
        assert code == 1008 and reason
    with viewer(lab) as view:
        view.frame()


def test_binary_and_long_messages_are_closed_with_a_reason(lab: LabProcess) -> None:
    for message, codes in ((b"\x00\x01", (1003, 1008)), (json.dumps({"type": "x" * 20_000}), (1008, 1009))):
        with viewer(lab) as view:
            view.frame()
            view.socket.send(message)
            code, reason = view.closed()
            assert code in codes and reason


@contextmanager
def stalled(lab: LabProcess, **wants: Any) -> Iterator[socket.socket]:
    """Connect a page that subscribes and then reads nothing."""
    sock = socket.create_connection(("127.0.0.1", lab.port))
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.sendall(
            f"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{lab.port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert sock.recv(64).startswith(b"HTTP/1.1 101")
        text = json.dumps({"type": "subscribe", **wants}).encode()
        sock.sendall(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text)  # masked with zeros
        yield sock


def test_a_stalled_viewer_is_closed_and_others_are_not_affected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.socket.SEND_TIMEOUT_S", 0.1)
    # So that the kernel does not close it first, and frames soon exceed the socket buffers.
    monkeypatch.setattr("app.web.server.ACKNOWLEDGED_WITHIN_MS", 1_000_000)
    monkeypatch.setattr("app.live.messages.threads", lambda *_: [["x" * 500_000]])
    with closing(InProcessLab(tmp_path)) as lab, viewer(lab) as view:
        lab.start("reactor")
        with stalled(lab, threads=True):
            until(lambda: viewer_count(lab) == 2, "both are connected")
            seen = [view.frame()]

            def closed() -> bool:
                seen.append(view.frame())
                return viewer_count(lab) == 1

            until(closed, "the stalled viewer is closed")
            view.frame(lambda frame: frame["seq"] > seen[-1]["seq"], "the other viewer gets frames")


@pytest.mark.full
def test_a_stalled_viewer_of_an_engine_with_many_threads_is_closed(lab: LabProcess) -> None:
    """As above, with the default timeout and with real large frames."""
    engine = lab.start("blocking", idle_s=600)
    clients = [socket.create_connection(("127.0.0.1", engine["port"])) for _ in range(250)]
    try:
        with viewer(lab) as view, stalled(lab, threads=True):
            until(lambda: viewer_count(lab) == 2, "both are connected")
            seen = [view.frame()]

            def closed() -> bool:
                seen.append(view.frame())
                return viewer_count(lab) == 1

            until(closed, "the stalled viewer is closed")
            view.frame()
    finally:
        for client in clients:
            client.close()
    assert [frame["seq"] for frame in seen] == sorted({frame["seq"] for frame in seen})


def viewer_count(lab: LabProcess) -> int:
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

        until(both, "three frames that both have received")
    for seq in first.keys() & second.keys():
        assert {**first[seq], "skipped": 0} == {**second[seq], "skipped": 0}


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example", "http://127.0.0.1:1"]
)
def test_another_origin_is_refused(lab: LabProcess, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, viewer(lab, origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_another_site_is_refused(lab: LabProcess) -> None:
    with pytest.raises(InvalidStatus), viewer(lab, **{"Sec-Fetch-Site": "cross-site"}):
        pass


def test_another_host_is_refused(lab: LabProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://lab.evil.example:{lab.port}/ws/v1/live",
            sock=socket.create_connection(("127.0.0.1", lab.port)),
        )
    assert refused.value.response.status_code in (403, 421)


def test_the_same_origin_is_accepted(lab: LabProcess) -> None:
    with viewer(lab, origin=lab.url) as view:
        view.frame()


def descriptors(pid: int) -> dict[int, str]:
    """Return the open descriptors of a process and the target of each."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found[int(path.name)] = str(path.readlink())
    return found


def test_disconnected_viewers_leave_no_descriptor(lab: LabProcess) -> None:
    def sockets() -> int:
        return sum(link.startswith("socket:") for link in descriptors(lab.pid).values())

    # This also opens the HTTP connection of the test.
    until(lambda: viewer_count(lab) == 0, "viewers of earlier tests have disconnected")
    before = sockets()
    for _ in range(10):
        with viewer(lab) as view:
            view.message()
    until(lambda: viewer_count(lab) == 0 and sockets() <= before, "all descriptors of viewers are closed")


def test_the_job_in_progress_is_sent_to_paused_viewers_too(lab: LabProcess) -> None:
    def job_of(view: Viewer, wanted: Callable[[Any], bool]) -> Any:
        return view.next(lambda m: m["type"] == "job" and wanted(m["job"]), "a job")["job"]

    with viewer(lab) as view:
        assert view.message()["type"] == "hello"
        assert view.message() == {"type": "job", "job": None}
        view.send(type="pause")
        spec = {"models": ["reactor", "blocking"], "rounds": 1, "plan": endless()}
        comparison = lab.post("/comparisons", spec).json()
        job = job_of(view, bool)
        assert (job["kind"], job["id"], job["title"]) == ("comparison", comparison["id"], comparison["title"])
        assert 0 <= job["percent"] <= 100 and job["elapsed_s"] >= 0
        with viewer(lab) as later:
            assert job_of(later, bool)["id"] == comparison["id"]
        lab.post(f"/comparisons/{comparison['id']}/stop")
        assert job_of(view, lambda job: job is None) is None
        run = lab.submit(model="reactor", plan=endless())
        assert job_of(view, bool) | {"percent": 0, "elapsed_s": 0} == {
            "kind": "run",
            "id": run["id"],
            "title": run["title"],
            "percent": 0,
            "elapsed_s": 0,
        }
        lab.post(f"/runs/{run['id']}/stop")
