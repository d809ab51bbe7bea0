"""A lab in a separate process with an HTTP client, and functions that find all its processes."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast

import httpx
from fastapi import FastAPI

from app.fleet.launchables import Launchables
from app.lab import Lab
from app.load.protocol.meter import MEASURE, MeterReader, MeterReading
from app.main import create_app
from app.settings import Settings
from app.store.comparisons import ComparisonStore
from app.store.experiments import ExperimentStore
from app.store.runs import RunStore
from app.store.tunings import TuningStore
from app.web.authentication import Authenticator
from tests.waiting import BOUND_S
from tests.waiting import until as until

THREADLAB = str(Path(sys.executable).with_name("threadlab"))
MARK = "THREADLAB_TEST_MARK"
ENDED = ("finished", "stopped", "failed")
PROBLEM = "application/problem+json"
T = TypeVar("T")
U = TypeVar("U")


def marked_pids(mark: str) -> set[int]:
    """Return the ids of all live processes that have this mark in their environment."""
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (path / "environ").read_bytes():
                    found.add(int(path.name))
            except OSError:
                pass  # it has ended, or belongs to another user
    return found


def state_of(pid: int) -> str | None:
    """Return the state of a process as in /proc: R, S, T (stopped), Z …; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


def has_ended(pid: int) -> bool:
    """Return whether a process has ended; a zombie has."""
    return state_of(pid) in (None, "Z")


def command_line(pid: int) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def generators(pids: Iterable[int]) -> list[int]:
    """Return the processes that are shards of a load generator."""
    return [pid for pid in pids if "app.load" in command_line(pid)]


def read_meter(pid: int) -> MeterReading | None:
    """Return the live numbers of a shard from its shared memory; None if it has none or has ended."""
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            if path.readlink().name.startswith("memfd:threadlab-meter"):
                with path.open("rb") as file:
                    meter = MeterReader(file.fileno())
                try:
                    return meter.read()
                finally:
                    meter.close()
    except OSError:
        pass
    return None


def with_descriptors(number: int | None, command: list[str]) -> list[str]:
    """Return the command with a limit of descriptors; None: no limit."""
    return ["sh", "-c", f'ulimit -n {number}; exec "$@"', "sh", *command] if number else command


class LabProcess:
    """`threadlab serve --port 0`. `close` asserts a clean shutdown without remaining processes."""

    def __init__(self, data_dir: Path, *flags: str, port: int = 0, descriptors: int | None = None) -> None:
        self.mark = uuid.uuid4().hex
        self.data_dir = data_dir
        self._err = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            with_descriptors(
                descriptors, [THREADLAB, "serve", "--port", str(port), "--data-dir", str(data_dir), *flags]
            ),
            stdout=subprocess.PIPE,
            stderr=self._err,
            text=True,
            env={**os.environ, MARK: self.mark},
        )
        self.pid = self.process.pid
        self.killed = False
        try:
            self.url = self._printed_url()
        except BaseException:
            self.process.kill()
            self._reap()
            raise
        self.http = httpx.Client(base_url=self.url, timeout=BOUND_S)

    def _printed_url(self) -> str:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], BOUND_S)
        line = self.process.stdout.readline() if ready else ""
        assert "http://" in line, f"the lab printed {line!r}; {self.errors()}"
        return line.split()[-1].rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def errors(self) -> str:
        """Return its stderr so far."""
        self._err.seek(0)
        return self._err.read()

    def child_pids(self) -> set[int]:
        """Return all live processes that it has started."""
        return {pid for pid in marked_pids(self.mark) - {self.pid} if not has_ended(pid)}

    def close(self) -> None:
        """Send SIGTERM; assert exit code 0, no traceback, and no remaining process."""
        if self.killed:
            return
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(BOUND_S)
            stderr = self.errors()
        finally:
            self.kill()
        until(lambda: not self.child_pids(), "all processes of the lab have ended", every_s=0.05)
        assert "Traceback" not in stderr, stderr
        assert code == 0, f"exit code {code}; {stderr}"

    def kill(self) -> None:
        """Send SIGKILL; `close` asserts nothing then. Does nothing if it has ended."""
        self.killed = True
        self.http.close()
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(BOUND_S)
        self._err.close()
        if self.process.stdout:
            self.process.stdout.close()

    # REST calls

    def get(self, path: str) -> Any:
        """Return the JSON of a GET below /api/v1; assert status 200."""
        answer = self.http.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """Send a POST below /api/v1 and return the response."""
        return self.http.post(f"/api/v1{path}", json=body)

    def start(self, model: str, port: int = 0, **knobs: int | str) -> Any:
        """Start an engine and return its view when it is ready."""
        answer = self.post("/engines", {"model": model, "knobs": knobs, "port": port})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def submit(self, **spec: Any) -> Any:
        """Submit a run and return its view."""
        answer = self.post("/runs", spec)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def wait_ended(self, id: int) -> Any:
        """Wait until a run has ended, and return its view."""
        return until(
            lambda: view if (view := self.get(f"/runs/{id}"))["state"] in ENDED else None,
            f"run {id} ends",
            every_s=0.05,
        )

    def wait_state(self, id: int, state: str) -> Any:
        """Wait until a run is in this state, and return its view."""
        return until(
            lambda: view if (view := self.get(f"/runs/{id}"))["state"] == state else None,
            f"run {id} is {state}",
            every_s=0.02,
        )

    def run(self, **spec: Any) -> Any:
        """Submit a run, wait until it has ended, and return its view."""
        return self.wait_ended(self.submit(**spec)["id"])

    def stop(self, id: int) -> Any:
        """Stop a run, wait until it has ended, and return its view."""
        answer = self.http.post(f"/api/v1/runs/{id}/stop")
        assert answer.status_code == 200, answer.text
        return self.wait_ended(id)

    def meters(self) -> list[MeterReading]:
        """Return the live numbers of each shard that is measuring."""
        meters = (read_meter(pid) for pid in generators(self.child_pids()))
        return [meter for meter in meters if meter and meter.phase == MEASURE]

    def wait_measuring(self, id: int, responses: int = 1) -> Any:
        """Wait until a run without warm-up is measuring and has this many responses; return its view."""
        view = self.wait_state(id, "running")
        until(
            lambda: sum(meter.completed for meter in self.meters()) >= responses,
            f"{responses} responses of run {id}",
            every_s=0.02,
        )
        return view

    def wait_next_second(self, id: int) -> None:
        """Wait until the lab has sampled the next second of a run: it samples at the start of each second."""

        def seconds() -> float:
            return min((meter.at_ns - meter.measured_from_ns) / 1e9 for meter in self.meters())

        def elapsed_s() -> float:
            return float(self.get(f"/runs/{id}")["progress"] * 590)

        next_s = int(seconds()) + 1
        until(lambda: seconds() > next_s, f"second {next_s} begins", every_s=0.05)
        since_s = elapsed_s()
        # The lab reads the generator every 20 ms.
        until(lambda: elapsed_s() > since_s + 0.1, "the lab has sampled again", every_s=0.02)

    def wait_compared(self, id: int) -> Any:
        """Wait until a comparison has ended, and return its view."""
        return until(
            lambda: view if (view := self.get(f"/comparisons/{id}"))["state"] in ENDED else None,
            f"comparison {id} ends",
            every_s=0.05,
        )

    def compare(self, models: Sequence[Any], **spec: Any) -> Any:
        """Submit a comparison under a small open load, wait until it has ended, and return its view."""
        small = plan(0.5, 0.2, executor="constant-arrival-rate", rate_per_s=200)
        rounds = {} if "trials" in spec else {"rounds": 1}
        answer = self.post("/comparisons", {"models": models, "plan": small, **rounds, **spec})
        assert answer.status_code == 201, answer.text
        return self.wait_compared(answer.json()["id"])

    def wait_tuned(self, id: int) -> Any:
        """Wait until a tuning has ended, and return its view."""
        return until(
            lambda: view if (view := self.get(f"/tunings/{id}"))["state"] in ENDED else None,
            f"tuning {id} ends",
            every_s=0.05,
        )

    def clean_up(self) -> None:
        """Stop unfinished comparisons, tunings and runs, then live engines."""
        for each in self.get("/comparisons?limit=20"):  # at most 11 are unfinished
            if each["state"] not in ENDED:
                self.http.post(f"/api/v1/comparisons/{each['id']}/stop")
                self.wait_compared(each["id"])
        for each in self.get("/tunings?limit=20"):
            if each["state"] not in ENDED:
                self.http.post(f"/api/v1/tunings/{each['id']}/stop")
                self.wait_tuned(each["id"])
        newest = self.get("/runs?limit=60")  # runs end in order, and the queue has 50 places
        unfinished = [run["id"] for run in newest if run["state"] not in ENDED]
        for id in reversed(unfinished):
            self.http.post(f"/api/v1/runs/{id}/stop")
        for id in unfinished:
            self.wait_ended(id)
        for engine in self.get("/engines"):
            if engine["exit"] is None:
                self.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True})


class LabMaker(Protocol):
    def __call__(self, *flags: str, data_dir: Path | None = None, port: int = 0) -> LabProcess: ...


class Command(Protocol):
    def __call__(self, *args: str) -> subprocess.CompletedProcess[str]: ...


def assert_problem(answer: httpx.Response, status: int, *pointers: str) -> str:
    """Assert that a response is a problem document (RFC 9457) with these pointers; return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("https://") and body["title"]
    assert len(body["detail"].split()) > 2, body
    assert [each["pointer"] for each in body.get("errors", [])] == list(pointers), body
    assert all(each["detail"] for each in body.get("errors", []))
    return str(body["detail"])


def threadlab(
    *args: str, env: Mapping[str, str] | None = None, timeout_s: float = 2 * BOUND_S
) -> subprocess.CompletedProcess[str]:
    """Run the command line and return its result."""
    return subprocess.run(
        [THREADLAB, *args],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, **(env or {})},
    )


def plan(duration_s: float = 1.0, warmup_s: float = 0.3, **more: Any) -> dict[str, Any]:
    """Return a short plan of a closed load."""
    return {"vus": 8, "duration_s": duration_s, "warmup_s": warmup_s, **more}


def light(duration_s: float = 0.5, warmup_s: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return a plan with an exact number of requests that needs little CPU: 100 req/s without timeouts."""
    calm = {"executor": "constant-arrival-rate", "rate_per_s": 100, "timeout_s": 60}
    return plan(duration_s, warmup_s, **{**calm, **more})


def endless(**more: Any) -> dict[str, Any]:
    """Return a light plan that lasts until the test stops it."""
    return light(590, **more)


def run_in_lab(data_dir: Path, play: Callable[[Lab], Awaitable[T]], **settings: Any) -> T:
    """Run `play` with a lab in this process, whose parts a test can replace, and return its result."""

    async def lab_and_play() -> T:
        given = Settings(data_dir=data_dir, **settings)
        database = given.database
        runs = RunStore(database, data_dir / "traces")
        stores = runs, ComparisonStore(database), ExperimentStore(database), TuningStore(database)
        async with Lab(given, load_launchables(given), *stores) as lab:
            return await play(lab)

    return run_in_thread(lab_and_play)


def run_in_thread(play: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in another thread: a browser test may have an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, play()).result()


@cache
def load_launchables_once() -> Launchables:
    """Return the models, loaded once per test process: the calibration takes 0.2 s of CPU."""
    return Launchables.load(None, sys.executable)


def load_launchables(settings: Settings) -> Launchables:
    """Return models and servers for these settings: the shared ones, unless they need others."""
    if settings.servers is None and settings.engine_python == sys.executable:
        return load_launchables_once()
    return Launchables.load(settings.servers, settings.engine_python)


async def until_async(condition: Callable[[], U | None], what: str) -> U:
    """Like `until`, for a coroutine."""
    deadline_s = time.monotonic() + BOUND_S
    while not (found := condition()):
        assert time.monotonic() < deadline_s, f"did not happen within {BOUND_S} s: {what}"
        await asyncio.sleep(0.01)
    return found


def app_without_lab() -> FastAPI:
    """Return the application without a lab, to list its routes."""
    lab = SimpleNamespace(settings=Settings(), launchables=SimpleNamespace(hue=str))
    return create_app(cast(Lab, lab), Authenticator(""))


def unavailable(models: Sequence[Any], name: str) -> str | None:
    """Return why a model cannot run on this machine; None if it can."""
    reason: str | None = next(model["unavailable_reason"] for model in models if model["name"] == name)
    return reason
