"""Runs the generator as the control plane does: a process, an order on stdin, an outcome on stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from app.load import histogram
from app.load.histogram import Percentiles
from app.load.meter import MeterReader, make_meter
from app.load.outcome import Outcome

from .server import Answer, Server, plain

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "app.load"]


class ServerMaker(Protocol):
    def __call__(self, answer: Answer = plain, delay_s: float = 0.0) -> Server: ...


def order(port: int, plan: dict[str, Any], **more: Any) -> str:
    base = {"vus": 4, "duration_s": 0.5, "warmup_s": 0.0, "timeout_s": 2.0}
    return json.dumps({"host": "127.0.0.1", "port": port, "plan": {**base, **plan}, **more})


def try_load(text: str) -> subprocess.CompletedProcess[str]:
    """Run the generator to its end, whatever that is."""
    return subprocess.run(COMMAND, input=text, capture_output=True, text=True, timeout=30, cwd=ROOT)


def run_load(port: int, **plan: Any) -> Outcome:
    """Run a plan that must have an outcome."""
    done = try_load(order(port, plan))
    assert done.returncode == 0, done.stderr
    return Outcome.from_json(json.loads(done.stdout))


def service(outcome: Outcome) -> Percentiles:
    return histogram.percentiles(histogram.merge(histogram.decode(kind.service) for kind in outcome.kinds))


def response(outcome: Outcome) -> Percentiles:
    return histogram.percentiles(histogram.merge(histogram.decode(kind.response) for kind in outcome.kinds))


def until(condition: Callable[[], bool], what: str, deadline_s: float = 10.0) -> None:
    """Wait for a condition; the deadline only bounds a failure."""
    ends = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends, f"never happened: {what}"
        time.sleep(0.005)


class Running:
    """A generator that is running, with its meter and the far end of its life-line."""

    def __init__(self, port: int, plan: dict[str, Any]) -> None:
        self._meter_fd = make_meter()
        self.meter = MeterReader(self._meter_fd)
        far_fd, self._lifeline = os.pipe()
        more = {"meter_fd": self._meter_fd, "lifeline_fd": far_fd, "parent_pid": os.getpid()}
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            pass_fds=(self._meter_fd, far_fd),
        )  # fmt: skip
        os.close(far_fd)
        assert self.process.stdin
        self.process.stdin.write(order(port, plan, **more))
        self.process.stdin.close()
        self.process.stdin = None

    def reach(self, phase: int) -> None:
        until(lambda: self.meter.read().phase >= phase, f"phase {phase}")

    def outcome(self) -> Outcome:
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, err
        return Outcome.from_json(json.loads(out))

    def cut_lifeline(self) -> None:
        os.close(self._lifeline)
        self._lifeline = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.meter.close()
        os.close(self._meter_fd)
        if self._lifeline >= 0:
            os.close(self._lifeline)


class Starter(Protocol):
    def __call__(self, port: int, **plan: Any) -> Running: ...
