"""A real lab in a process of its own, with an HTTP client, and a way to see every process that it leaves."""

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
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar, cast

import httpx
from fastapi import FastAPI

from app.lab.lab import Lab
from app.main import create_app
from app.settings import Settings
from app.tokens import Tokens

T = TypeVar("T")
THREADLAB = str(Path(sys.executable).with_name("threadlab"))
MARK = "THREADLAB_TEST_MARK"
STARTS_WITHIN_S, STOPS_WITHIN_S = 30.0, 15.0
ENDED = ("finished", "stopped", "failed")
PROBLEM = "application/problem+json"


def until(condition: Callable[[], T | None], what: str, deadline_s: float = 10.0, every_s: float = 0.02) -> T:
    """Wait until `condition` answers something true, and answer that; the deadline only bounds a failure."""
    ends = time.monotonic() + deadline_s
    while not (found := condition()):
        assert time.monotonic() < ends, f"never happened within {deadline_s} s: {what}"
        time.sleep(every_s)
    return found


def marked(mark: str) -> set[int]:
    """Every living process that was started with this mark in its environment, by whomever."""
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (path / "environ").read_bytes():
                    found.add(int(path.name))
            except OSError:
                pass  # it is gone, or not ours
    return found


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie that waits for its parent has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


class LabProcess:
    """`threadlab serve --port 0`, until `close()`, which expects a clean end and nothing left behind."""

    def __init__(self, data_dir: Path, *flags: str, port: int = 0) -> None:
        self.mark = uuid.uuid4().hex
        self.data_dir = data_dir
        self._err = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [THREADLAB, "serve", "--port", str(port), "--data-dir", str(data_dir), *flags],
            stdout=subprocess.PIPE, stderr=self._err, text=True, env={**os.environ, MARK: self.mark},
        )  # fmt: skip
        self.pid = self.process.pid
        self.killed = False
        try:
            self.url = self._printed_url()
        except BaseException:
            self.process.kill()
            self._reap()
            raise
        self.http = httpx.Client(base_url=self.url, timeout=30)

    def _printed_url(self) -> str:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], STARTS_WITHIN_S)
        line = self.process.stdout.readline() if ready else ""
        assert "http://" in line, f"the lab printed {line!r}; {self.errors()}"
        return line.split()[-1].rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def errors(self) -> str:
        """What it has written to stderr so far."""
        self._err.seek(0)
        return self._err.read()

    def others(self) -> set[int]:
        """Every process that belongs to it, and is not it."""
        return {pid for pid in marked(self.mark) - {self.pid} if not gone(pid)}

    def close(self) -> None:
        """TERM: it ends by itself with code 0, says nothing bad, and nothing is left."""
        if self.killed:
            return
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOPS_WITHIN_S)
            said = self.errors()
        finally:
            self.kill()
        until(lambda: not self.others(), "no process of the lab is left", 3)
        assert "Traceback" not in said, said
        assert code == 0, f"exit code {code}; {said}"

    def kill(self) -> None:
        """KILL, as an operator's last resort; `close()` expects nothing then. Harmless when it has ended."""
        self.killed = True
        self.http.close()
        self.process.kill()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(STOPS_WITHIN_S)
        self._err.close()
        if self.process.stdout:
            self.process.stdout.close()

    # REST, as far as many tests need it

    def get(self, path: str) -> Any:
        answer = self.http.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.http.post(f"/api/v1{path}", json=body)

    def start(self, model: str, port: int = 0, **knobs: int | str) -> Any:
        """An engine that is ready."""
        answer = self.post("/engines", {"model": model, "knobs": knobs, "port": port})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def submit(self, **spec: Any) -> Any:
        answer = self.post("/runs", spec)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def ended(self, id: int, deadline_s: float = 20.0) -> Any:
        """A run, once it has ended."""
        return until(
            lambda: view if (view := self.get(f"/runs/{id}"))["state"] in ENDED else None,
            f"run {id} ends", deadline_s, 0.05,
        )  # fmt: skip

    def reaches(self, id: int, state: str, deadline_s: float = 10.0) -> Any:
        return until(
            lambda: view if (view := self.get(f"/runs/{id}"))["state"] == state else None,
            f"run {id} is {state}", deadline_s,
        )  # fmt: skip

    def run(self, **spec: Any) -> Any:
        """Submit a run and wait for its end."""
        return self.ended(self.submit(**spec)["id"])

    def compared(self, id: int, deadline_s: float = 60.0) -> Any:
        """A comparison, once it has ended."""
        return until(
            lambda: view if (view := self.get(f"/comparisons/{id}"))["state"] in ENDED else None,
            f"comparison {id} ends", deadline_s, 0.05,
        )  # fmt: skip

    def compare(self, models: Sequence[Any], **spec: Any) -> Any:
        """A comparison under a tiny open load, to its end."""
        tiny = plan(0.5, 0.2, executor="constant-arrival-rate", rate_per_s=200)
        answer = self.post("/comparisons", {"models": models, "plan": tiny, **spec})
        assert answer.status_code == 201, answer.text
        return self.compared(answer.json()["id"])

    def tidy(self) -> None:
        """End what a test has left: comparisons and runs first, then engines."""
        for each in self.get("/comparisons"):
            if each["state"] not in ENDED:
                self.http.post(f"/api/v1/comparisons/{each['id']}/stop")
                self.compared(each["id"])
        going = [run["id"] for run in self.get("/runs") if run["state"] not in ENDED]
        for id in reversed(going):
            self.http.post(f"/api/v1/runs/{id}/stop")
        for id in going:
            self.ended(id)
        for engine in self.get("/engines"):
            if engine["exit"] is None:
                self.http.delete(f"/api/v1/engines/{engine['id']}", params={"force": True})


class LabMaker(Protocol):
    def __call__(self, *flags: str, data_dir: Path | None = None, port: int = 0) -> LabProcess: ...


def is_problem(answer: httpx.Response, status: int, *pointers: str) -> str:
    """Assert that an answer is RFC 9457 with these pointers; answer its sentence."""
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
    *args: str, env: Mapping[str, str] | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """The command line, to its end."""
    return subprocess.run(
        [THREADLAB, *args], capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **(env or {})}
    )


def plan(duration_s: float = 1.0, warmup_s: float = 0.3, **more: Any) -> dict[str, Any]:
    """A short plan."""
    return {"vus": 8, "duration_s": duration_s, "warmup_s": warmup_s, **more}


def in_a_lab(data_dir: Path, play: Callable[[Lab], Awaitable[None]]) -> None:
    """Play with a lab in this process, where its queues and its store can be got at."""

    async def lab_and_play() -> None:
        async with Lab.open(Settings(data_dir=data_dir)) as lab:
            await play(lab)

    asyncio.run(lab_and_play())


def bare_app() -> FastAPI:
    """The application without a lab behind it, to ask for its routes."""
    return create_app(cast(Lab, SimpleNamespace(settings=Settings())), Tokens(""))


def unavailable(models: Sequence[Any], name: str) -> str | None:
    """Why a model cannot run here."""
    found: str | None = next(model["unavailable_reason"] for model in models if model["name"] == name)
    return found
