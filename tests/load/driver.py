"""Runs the generator as the control plane does: a process with a job on stdin and an outcome on stdout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

from app.load.protocol import histogram
from app.load.protocol.histogram import Percentiles
from app.load.protocol.meter import H_SEQUENCE, MeterReader, MeterReading, make_meter
from app.load.protocol.outcome import Outcome
from tests.waiting import BOUND_S
from tests.waiting import until as until

from .server import Handler, Server, plain

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "app.load"]
OPEN = "constant-arrival-rate"
HELD_S = 600.0  # duration of a load that runs until its test stops it
TIMEOUT_S = 30.0  # of a request and of the drain: longer than any request takes on a slow machine


class ServerMaker(Protocol):
    def __call__(self, handler: Handler = plain, delay_s: float = 0.0, port: int = 0) -> Server: ...


def job_json(port: int, plan: dict[str, Any], **more: Any) -> str:
    base = {"vus": 4, "duration_s": 0.2, "warmup_s": 0.0, "timeout_s": TIMEOUT_S}
    return json.dumps({"host": "127.0.0.1", "port": port, "plan": {**base, **plan}, **more})


def try_load(text: str) -> subprocess.CompletedProcess[str]:
    """Run the generator until it exits, with whatever exit code."""
    return subprocess.run(COMMAND, input=text, capture_output=True, text=True, timeout=BOUND_S, cwd=ROOT)


def run_load(port: int, **plan: Any) -> Outcome:
    """Run a plan and return its outcome; fail without one."""
    done = try_load(job_json(port, plan))
    assert done.returncode == 0, done.stderr
    return Outcome.from_json(json.loads(done.stdout))


def service(outcome: Outcome) -> Percentiles:
    return histogram.percentiles(merged(outcome, "service"))


def response(outcome: Outcome) -> Percentiles:
    return histogram.percentiles(merged(outcome, "response"))


def merged(outcome: Outcome, clock: str) -> Any:
    """Return the histogram of all kinds together; `clock` is `service` or `response`."""
    return histogram.merge(histogram.decode(getattr(kind, clock)) for kind in outcome.kinds)


def sorted_us(recorded: Any) -> list[float]:
    """Return the latencies of a histogram in order, each too low by less than 0.1 % and 1 µs."""
    return [
        float(histogram.quantise(int(us))) for us, count in histogram.buckets(recorded) for _ in range(count)
    ]


def all_responses(outcome: Outcome) -> int:
    """Return how many responses the generator received, in the measured window and outside of it."""
    return sum(second.requests for second in outcome.seconds) + outcome.background_requests


def lost(outcome: Outcome) -> dict[str, int]:
    """Return the failed requests by name of the error, without errors of connections that did not open."""
    total: dict[str, int] = {}
    for kind in outcome.kinds:
        for name, count in kind.errors.items():
            total[name] = total.get(name, 0) + count
    return total


class Running:
    """A running generator, with its meter and the write end of its lifeline."""

    def __init__(self, port: int, plan: dict[str, Any], **job: Any) -> None:
        """`job`: further fields of its job."""
        self._meter_fd = make_meter()
        self.meter = MeterReader(self._meter_fd)
        far_fd, self._lifeline = os.pipe()
        more = {"meter_fd": self._meter_fd, "lifeline_fd": far_fd, "parent_pid": os.getpid(), **job}
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            pass_fds=(self._meter_fd, far_fd),
        )
        os.close(far_fd)
        assert self.process.stdin
        self.process.stdin.write(job_json(port, plan, **more))
        self.process.stdin.close()
        self.process.stdin = None

    def start_at(self, start_ns: int) -> None:
        """Send the start instant, when all connections are open."""
        until(lambda: self.meter.read().connected_ns, "it has connected")
        os.write(self._lifeline, b"%d\n" % start_ns)

    def reach(self, phase: int) -> None:
        until(lambda: self.meter.read().phase >= phase, f"phase {phase}")

    def complete(self, count: int) -> None:
        until(lambda: self.meter.read().completed >= count, f"{count} responses")

    def consistent_reading(self) -> MeterReading:
        """Return a consistent reading, also if the generator is descheduled while it writes.

        `MeterReader.read` gives up after 100 attempts, which take less time than a busy machine may need.
        """

        def sequence() -> int:
            return self.meter._read()[H_SEQUENCE]

        def attempt() -> MeterReading | None:
            before, reading = sequence(), self.meter.read()
            return reading if before % 2 == 0 and before == sequence() else None

        return until(attempt, "a reading between two writes")

    def outcome(self) -> Outcome:
        out, err = self.process.communicate(timeout=BOUND_S)
        assert self.process.returncode == 0, err
        return Outcome.from_json(json.loads(out))

    def stop(self) -> Outcome:
        """End the load early. The generator then waits at most 1 s for responses: see `unanswered`."""
        self.process.send_signal(signal.SIGTERM)
        return self.outcome()

    @property
    def unanswered(self) -> int:
        """Requests without a response at the end of a stopped load's drain: 0 unless the machine is busy."""
        return self.meter.read().in_flight

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
