"""Engines over REST: start, sample, stop; a rejected request changes nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import NotNow, StartFailed
from app.fleet import model_backend
from app.fleet.engine import Engine
from app.lab import Lab
from tests.app.driver import (
    LabProcess,
    assert_problem,
    command_line,
    has_ended,
    run_in_lab,
    unavailable,
    until,
)
from tests.app.in_process_lab import InProcessLab
from tests.waiting import BOUND_S, reserved_port

MODELS = ("blocking", "reactor", "reactor-pool", "main-sub", "proactor", "prefork")
ROLES = {
    "blocking": {"acceptor"},
    "reactor": {"reactor"},
    "reactor-pool": {"reactor", "worker"},
    "main-sub": {"main", "sub", "worker"},
    "proactor": {"ring"},
    "prefork": {"master", "worker"},
}
ID = re.compile(r"(?P<model>[a-z-]+)-\d+")


def require(lab: LabProcess, model: str) -> None:
    if reason := unavailable(lab.get("/models"), model):
        pytest.skip(reason)


@contextmanager
def nothing_changes(lab: LabProcess) -> Iterator[None]:
    """Check that engines, runs and processes are the same after the block as before."""

    def now() -> Any:
        engines = [{**engine, "uptime_s": 0} for engine in lab.get("/engines")]
        return engines, lab.get("/runs"), lab.child_pids()

    before = now()
    yield
    assert now() == before


@pytest.mark.parametrize("model", MODELS)
def test_an_engine_of_each_model_serves_is_listed_and_stops(lab: LabProcess, model: str) -> None:
    require(lab, model)
    with reserved_port() as port:  # so that no other process listens there after the engine has stopped
        answer = lab.post("/engines", {"model": model, "port": port})
        assert answer.status_code == 201, answer.text
        started = answer.json()
        id = started["id"]
        assert answer.headers["location"] == f"/api/v1/engines/{id}"
        assert (started["model"], started["state"], started["exit"]) == (model, "ready", None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", started["started_at"])
        got = httpx.get(started["url"])
        assert (got.status_code, got.text) == (200, "Hello, World!")
        assert f"engines {model}" in command_line(started["pid"])
        listed = next(engine for engine in lab.get("/engines") if engine["id"] == id)
        assert (
            {**listed, "uptime_s": 0}
            == {**started, "uptime_s": 0}
            == {**lab.get(f"/engines/{id}"), "uptime_s": 0}
        )
        stopped = lab.http.delete(f"/api/v1/engines/{id}").json()
        assert (stopped["state"], stopped["pid"]) == ("stopped", None)
        assert (stopped["exit"]["code"], stopped["exit"]["signal"]) == (0, None)
        assert has_ended(started["pid"])
        with pytest.raises(httpx.ConnectError):
            httpx.get(started["url"])


def test_two_engines_of_one_model_have_their_own_knobs(lab: LabProcess) -> None:
    one, two = lab.start("reactor-pool", workers=1), lab.start("reactor-pool", workers=3)
    assert one["id"] != two["id"] and one["port"] != two["port"] and one["pid"] != two["pid"]
    assert (one["knobs"]["workers"], two["knobs"]["workers"]) == (1, 3)
    for engine, workers in ((one, 1), (two, 3)):
        assert httpx.get(engine["url"]).status_code == 200
        threads = lab.get(f"/engines/{engine['id']}/sample")["threads"]
        assert [thread["role"] for thread in threads].count("worker") == workers
    lab.http.delete(f"/api/v1/engines/{one['id']}")
    assert httpx.get(two["url"]).status_code == 200


def test_a_ready_engine_has_a_current_sample(tmp_path: Path) -> None:
    with closing(InProcessLab(tmp_path, sample_interval_ms=5000)) as lab:
        engine = lab.start("reactor-pool", workers=3)
        now = sample(lab, engine)
        assert [thread["role"] for thread in now["threads"]].count("worker") == 3
        assert (now["requests_per_s"], now["cpu_percent"]) == (
            None,
            None,
        )  # no rate without an earlier sample
        for model in (view["name"] for view in lab.get("/models") if view["available"]):
            now = sample(lab, lab.start(model))
            assert {thread["role"] for thread in now["threads"]} >= ROLES[model] - {"connection"}, model
            assert now["connections_total"] == 0, "the control plane's probe connection is closed"
        lab.clean_up()


@pytest.mark.parametrize("answers", [True, False])
def test_an_engine_stopped_during_start_up_never_becomes_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    stops: list[asyncio.Task[None]] = []
    check_ready = Engine._check_ready

    async def stopped_meanwhile(engine: Engine) -> None:
        await check_ready(engine)
        stops.append(asyncio.create_task(engine.stop()))
        await asyncio.sleep(0)  # the stop has begun and not finished
        if not answers:
            raise ConnectionRefusedError

    async def play(lab: Lab) -> list[str]:
        names: list[str] = []
        lab.events.subscribe(lambda event: names.append(event.name))
        with pytest.raises(StartFailed, match="was stopped"):
            await lab.fleet.start("reactor", {})
        await asyncio.gather(*stops)
        (engine,) = lab.fleet.engines.values()
        assert (engine.state, engine.exit and engine.exit.code) == ("stopped", 0)
        return names

    monkeypatch.setattr(Engine, "_check_ready", stopped_meanwhile)
    assert run_in_lab(tmp_path, play) == ["engine.starting", "engine.draining", "engine.stopped"]


def test_an_engine_that_does_not_respond_in_time_is_stopped_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(lab: Lab) -> None:
        with pytest.raises(StartFailed, match="did not become ready: its threads did not run within 0 s"):
            await lab.fleet.start("reactor", {})
        (engine,) = lab.fleet.engines.values()
        assert not engine.alive

    monkeypatch.setattr(model_backend, "READY_TIMEOUT_S", 0)
    run_in_lab(tmp_path, play)


def test_a_fixed_port_is_used_and_released(lab: LabProcess) -> None:
    with reserved_port() as port:
        engine = lab.start("reactor", port=port)
        assert (engine["port"], engine["url"]) == (port, f"http://127.0.0.1:{port}/")
        with nothing_changes(lab):
            detail = assert_problem(lab.post("/engines", {"model": "blocking", "port": port}), 409)
            assert str(port) in detail and "in use" in detail
        lab.http.delete(f"/api/v1/engines/{engine['id']}")
        assert lab.start("blocking", port=port)["port"] == port


def test_a_port_outside_the_configured_range_is_rejected(tmp_path: Path) -> None:
    with reserved_port() as port, closing(InProcessLab(tmp_path, engine_ports=f"{port}-{port}")) as lab:
        with nothing_changes(lab):
            for other in (1, port - 1, port + 1):
                detail = assert_problem(
                    lab.post("/engines", {"model": "reactor", "port": other}), 422, "/port"
                )
                assert str(port) in detail and "THREADLAB_ENGINE_PORTS" in detail
        engine = lab.start("reactor", port=port)
        assert engine["port"] == port
        assert_problem(lab.post("/engines", {"model": "reactor"}), 503)
        lab.http.delete(f"/api/v1/engines/{engine['id']}")
        assert lab.start("reactor")["port"] == port
        lab.clean_up()


def test_engines_of_a_hot_swap_share_one_port_of_the_range(tmp_path: Path) -> None:
    async def play(lab: Lab) -> list[int | None]:
        first = await lab.fleet.start("reactor", {}, reuse_port=True)
        second = await lab.fleet.start("blocking", {}, first.port or 0, reuse_port=True)
        return [first.port, second.port]

    with reserved_port() as port:
        assert run_in_lab(tmp_path, play, engine_ports=f"{port}-{port}") == [port, port]


def test_an_engine_whose_processes_listen_by_themselves_is_alone_on_its_port_or_takes_over(
    tmp_path: Path,
) -> None:
    knobs = {"accept": "reuseport"}

    async def play(lab: Lab) -> list[int | None]:
        first = await lab.fleet.start("prefork", knobs)
        for again in ({}, knobs):
            with pytest.raises(NotNow, match="Address already in use"):
                await lab.fleet.start("prefork", again, first.port or 0)
        serving = await lab.fleet.start("reactor", {}, reuse_port=True)
        successor = await lab.fleet.start("prefork", knobs, serving.port or 0, reuse_port=True)
        return [successor.port, serving.port]

    successor, serving = run_in_lab(tmp_path, play)
    assert successor == serving


INVALID: dict[str, tuple[Any, int, tuple[str, ...], str]] = {
    "unknown model": ({"model": "reactors"}, 404, (), "reactor-pool"),
    "knob out of bounds": (
        {"model": "reactor-pool", "knobs": {"workers": 99999}},
        422,
        ("/knobs/workers",),
        "workers",
    ),
    "knob not a number": (
        {"model": "reactor-pool", "knobs": {"workers": "x"}},
        422,
        ("/knobs/workers",),
        "workers",
    ),
    "knob of no type": (
        {"model": "reactor-pool", "knobs": {"workers": 2.5}},
        422,
        ("/knobs/workers",),
        "workers",
    ),
    "knob is a list": (
        {"model": "reactor-pool", "knobs": {"workers": [1]}},
        422,
        ("/knobs/workers",),
        "workers",
    ),
    "wrong choice": ({"model": "reactor-pool", "knobs": {"reply": "x"}}, 422, ("/knobs/reply",), "worker"),
    "unknown knob": ({"model": "reactor", "knobs": {"workers": 2}}, 422, ("/knobs/workers",), "workers"),
    "two bad knobs": (
        {"model": "reactor-pool", "knobs": {"workers": -1, "idle_s": 0}},
        422,
        ("/knobs/workers", "/knobs/idle_s"),
        "idle_s",
    ),
    "unknown field": ({"model": "reactor", "host": "0.0.0.0"}, 422, ("/host",), "host"),
    "no model": ({}, 422, ("/model",), "model"),
    "port too high": ({"model": "reactor", "port": 70000}, 422, ("/port",), "port"),
    "cpus not here": ({"model": "reactor", "cpus": [4000]}, 422, ("/cpus",), "cpus"),
    "no cpus": ({"model": "reactor", "cpus": []}, 422, ("/cpus",), "cpus"),
    "a list": ([], 422, ("",), "Send a JSON object"),
    "null": (None, 422, ("",), "Send a JSON object"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_request_is_rejected_by_field(lab: LabProcess, case: str) -> None:
    body, status, pointers, word = INVALID[case]
    assert word in assert_problem(lab.post("/engines", body), status, *pointers)


def test_invalid_requests_change_nothing(lab: LabProcess) -> None:
    lab.start("reactor")
    with nothing_changes(lab):
        for case, (body, status, _, _) in INVALID.items():
            assert lab.post("/engines", body).status_code == status, case


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b"[" * 60_000, b'{"model": "reactor", "port": 1e999}', b""]
)
def test_an_unreadable_body_is_rejected_with_a_sentence(lab: LabProcess, body: bytes) -> None:
    with nothing_changes(lab):
        answer = lab.http.post("/api/v1/engines", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert_problem(
            answer, answer.status_code, *(each["pointer"] for each in answer.json().get("errors", ()))
        )
        assert all(each["pointer"] in ("", "/port") for each in answer.json().get("errors", ()))


def test_a_body_of_more_than_64_kib_is_rejected(lab: LabProcess) -> None:
    long = b'{"model": "' + b"r" * 70_000 + b'"}'
    with nothing_changes(lab):
        declared = lab.http.post("/api/v1/engines", content=long)
        assert "64 KiB" in assert_problem(declared, 413)
        chunked = lab.http.post("/api/v1/engines", content=iter([long[:40_000], long[40_000:]]))
        assert "64 KiB" in assert_problem(chunked, 413)


def test_an_unknown_engine_is_404_on_every_path(lab: LabProcess) -> None:
    for method, path in (("GET", ""), ("GET", "/sample"), ("GET", "/log"), ("DELETE", "")):
        detail = assert_problem(lab.http.request(method, f"/api/v1/engines/reactor-99{path}"), 404)
        assert "reactor-99" in detail


def test_a_wrong_method_is_405_with_the_allowed_ones(lab: LabProcess) -> None:
    answer = lab.http.put("/api/v1/engines", json={})
    assert "PUT" in assert_problem(answer, 405)
    assert answer.headers["allow"]


def test_wait_false_returns_202_at_once(lab: LabProcess) -> None:
    answer = lab.post("/engines?wait=false", {"model": "reactor"})
    assert answer.status_code == 202
    engine = answer.json()
    assert engine["state"] == "starting"
    assert answer.headers["location"] == f"/api/v1/engines/{engine['id']}"
    until(lambda: lab.get(f"/engines/{engine['id']}")["state"] == "ready", "it becomes ready")
    assert httpx.get(engine["url"]).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_a_sample_shows_threads_with_roles_and_connections(lab: LabProcess, model: str) -> None:
    require(lab, model)
    engine = lab.start(model, idle_s=600)
    with httpx.Client(base_url=engine["url"]) as one, httpx.Client(base_url=engine["url"]) as two:
        assert one.get("/").status_code == two.get("/").status_code == 200
        seen = until(
            lambda: found if (found := sample(lab, engine))["connections_total"] == 2 else None,
            "two connections",
        )
        until(
            lambda: sample(lab, engine)["requests"] >= 3, "two requests, and the probe of the control plane"
        )
    assert {thread["role"] for thread in seen["threads"]} >= ROLES[model], seen["threads"]
    assert sum(seen["connections"].values()) == 2
    assert seen["thread_count"] >= len(ROLES[model])
    assert seen["rss_bytes"] > 1_000_000
    tids = {int(task.name) for task in Path(f"/proc/{engine['pid']}/task").iterdir()}
    assert {thread["tid"] for thread in sample(lab, engine)["threads"]} & tids
    assert seen["engine"] == engine["id"] and seen["errors"] == 0
    assert all(thread["state"] != "ended" for thread in seen["threads"])


def sample(lab: LabProcess, engine: Any) -> Any:
    return lab.get(f"/engines/{engine['id']}/sample")


def test_the_log_is_a_list_of_lines(lab: LabProcess) -> None:
    log = lab.get(f"/engines/{lab.start('reactor')['id']}/log")
    assert isinstance(log, list) and all(isinstance(line, str) for line in log)


def test_force_kills_the_engine(lab: LabProcess) -> None:
    engine = lab.start("reactor")
    os.kill(engine["pid"], signal.SIGSTOP)  # a stopped process cannot drain
    view = lab.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True}).json()
    assert (view["state"], view["exit"]["signal"]) == ("stopped", "SIGKILL")
    assert has_ended(engine["pid"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_engine_reports_its_signal(lab: LabProcess, number: signal.Signals) -> None:
    engine = lab.start("main-sub")
    os.kill(engine["pid"], number)
    view = until(
        lambda: found if (found := lab.get(f"/engines/{engine['id']}"))["state"] == "exited" else None,
        "it has exited",
    )
    assert (view["exit"]["signal"], view["exit"]["code"], view["pid"]) == (number.name, None, None)
    assert number.name in view["exit"]["reason"]
    last = sample(lab, engine)
    assert last["thread_count"] and last["requests_per_s"] is None, "the last sample, without a rate"
    assert lab.start("main-sub")["state"] == "ready"


def test_threads_of_a_killed_engine_have_no_cpu_use(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", workers=100)  # each sample reads only some of so many threads

    def known() -> list[Any]:
        return [thread for thread in sample(lab, engine)["threads"] if thread["cpu_percent"] is not None]

    until(lambda: len(known()) == 101, "each was sampled twice", every_s=0.05)
    os.kill(engine["pid"], signal.SIGKILL)
    until(lambda: not known(), "no CPU use is left", every_s=0.05)
    assert len(sample(lab, engine)["threads"]) == 101, "the last sample"


def test_a_stopped_process_still_shows_a_sample(lab: LabProcess) -> None:
    engine = lab.start("blocking", idle_s=600)
    with socket.create_connection(("127.0.0.1", engine["port"])):
        until(lambda: sample(lab, engine)["connections_total"] == 1, "the connection is accepted")
        os.kill(engine["pid"], signal.SIGSTOP)
        before = sample(lab, engine)
        after = until(
            lambda: found if (found := sample(lab, engine))["t_s"] > before["t_s"] else None, "a new sample"
        )
        assert after["connections_total"] == 1 and after["threads"]
        assert lab.http.get("/healthz").status_code == 200


def test_stopping_twice_changes_nothing(lab: LabProcess) -> None:
    id = lab.start("reactor")["id"]
    first = lab.http.delete(f"/api/v1/engines/{id}").json()
    second = lab.http.delete(f"/api/v1/engines/{id}").json()
    assert first == second


def test_at_most_max_engines_run(tmp_path: Path) -> None:
    with closing(InProcessLab(tmp_path, max_engines=2)) as lab:
        first = lab.start("reactor")
        lab.start("reactor")
        with nothing_changes(lab):
            answer = lab.post("/engines", {"model": "reactor"})
            assert "2 engines" in assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1
        lab.http.delete(f"/api/v1/engines/{first['id']}")
        assert lab.start("reactor")["state"] == "ready"


def test_stopping_drains_requests_in_flight(lab: LabProcess) -> None:
    engine = lab.start("reactor-pool", grace_s=600, write_s=3600)
    path, size = f"/engines/{engine['id']}", 1_000_000
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(BOUND_S)
        connection.connect(("127.0.0.1", engine["port"]))
        connection.sendall(b"GET /bytes?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % size)
        until(
            lambda: sample(lab, engine)["connections"]["writing"] == 1,
            "the response exceeds the socket buffers",
        )
        with ThreadPoolExecutor(1) as thread:
            stopped = thread.submit(lab.http.delete, f"/api/v1{path}")
            until(lambda: lab.get(path)["state"] == "draining", "it drains")
            received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
            view = stopped.result().json()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and len(body) == size
    assert view["exit"]["code"] == 0, view


def test_models_are_described_with_knobs_and_roles(lab: LabProcess) -> None:
    models = lab.get("/models")
    assert [model["name"] for model in models] == list(MODELS)
    for model in models:
        assert {"title", "order", "aliases", "summary", "pros", "cons", "used_by", "roles"} <= set(model)
        assert model["pros"] and model["cons"] and model["roles"] and model["source"]
        assert model["available"] == (model["unavailable_reason"] is None)
        for knob in model["knobs"]:
            assert knob["help"] and (knob["choices"] or knob["minimum"] <= knob["default"] <= knob["maximum"])
        assert lab.get(f"/models/{model['name']}") == model
    assert_problem(lab.http.get("/api/v1/models/nope"), 404)
