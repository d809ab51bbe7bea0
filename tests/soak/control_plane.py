"""Soak test: attacks on the control plane while another client sends a request every 50 ms.

    python -m tests.soak.control_plane [--seconds 15] [--tree /path/of/another/checkout] [--only cookie …]
    THREADLAB_TOKEN=… python -m tests.soak.control_plane --port 8000 --pid PID

For each attack: the latency of the other client, the increase of the lab's memory, the size of its log, and
the responses to the attackers. An attack is passed if the median latency is below 100 ms, no request failed,
and memory grew by less than 50 MB. `--tree` attacks the lab of another checkout. `--port` attacks a running
lab, such as in a container; `--pid` is its process id, for its memory. Its log is not read.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Protocol
from urllib.parse import urlencode

from app.web.authentication import new_token
from tests.app.driver import LabProcess
from tests.engines.crowds import allow_descriptors

PROBE_INTERVAL_S, PROBE_TIMEOUT_S = 0.05, 30.0
MEDIAN_MAX_MS, MEMORY_MAX_MB = 100.0, 50.0
TOKEN = os.environ.get("THREADLAB_TOKEN") or new_token()
AUTHORIZATION = f"Authorization: Bearer {TOKEN}\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
SOCKETS = 2000
REOPENED_PER_S = 500
FEW_DESCRIPTORS = 400


@dataclass
class Result:
    """What the other client measured, and the responses to the attackers."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    memory_mb: float = 0.0
    log_bytes: int = 0
    attackers: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.failed and self._median_ms < MEDIAN_MAX_MS and self.memory_mb < MEMORY_MAX_MB

    @property
    def _median_ms(self) -> float:
        return median(self.latencies_ms) if self.latencies_ms else float("inf")

    def line(self) -> str:
        """Return the row of the table."""
        max_ms = max(self.latencies_ms, default=float("inf"))
        responses = ", ".join(f"{number} × {what}" for what, number in self.attackers.most_common(4))
        return (
            f"{self._median_ms:10.1f} {max_ms:10.1f} {len(self.latencies_ms):7} {self.failed:7} "
            f"{self.memory_mb:+9.1f} {self.log_bytes / 1000:9.1f}  "
            f"{'passed' if self.passed else 'FAILED':6} {responses}"
        )


class Lab(Protocol):
    """The lab under attack."""

    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int: ...
    def errors(self) -> str: ...


@dataclass(frozen=True)
class ExternalLab:
    """A lab that was started outside of this test, such as in a container."""

    port: int
    pid: int

    def errors(self) -> str:
        return ""


@dataclass(frozen=True)
class Target:
    """The lab, the end of the attack, and the responses to the attackers."""

    lab: Lab
    deadline_s: float
    attackers: Counter[str]

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.deadline_s

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.lab.port), 10)

    def head(self, line: str, more: str = "") -> bytes:
        return f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{self.lab.port}\r\n{more}".encode()

    def request(self, data: bytes) -> str:
        """Send a request, count the status line of its response, and return it."""
        status = "no response"
        with contextlib.suppress(OSError), self.connect() as sock:
            sock.settimeout(60)
            sock.sendall(data)
            status = sock.recv(4096).split(b"\r\n")[0].decode("latin-1") or "closed"
        self.attackers[status] += 1
        return status


# Without token


def cookie(target: Target) -> None:
    """Send a quoted cookie of 60 KB, which http.cookies parses in quadratic time."""
    hostile = 'Cookie: a="' + '\\"' * 30_000 + '"'
    while not target.is_over:
        target.request(target.head("GET /", f"{hostile}\r\n\r\n"))


def fields(target: Target) -> None:
    """Send 64 MB of header fields, or a field of 64 MB, on one connection."""
    while not target.is_over:
        for line in (b"a: " + b"b" * 1000 + b"\r\n", b"c" * 1000):
            status = "cut off"
            with contextlib.suppress(OSError), target.connect() as sock:
                sock.sendall(target.head("GET /healthz") + b"x: ")
                for _ in range(64_000):
                    sock.sendall(line)
                sock.sendall(b"\r\n\r\n")
                sock.settimeout(60)
                status = f"64 MB sent, {sock.recv(12).decode('latin-1')}"
            target.attackers[status] += 1
            time.sleep(0.2)


def sockets(target: Target) -> None:
    """Open 2,000 sockets: silent, with a partial head, with a partial body.

    Reopen closed ones, 500 per second.
    """
    held: list[socket.socket] = []
    for number in range(SOCKETS):
        with contextlib.suppress(OSError):
            held.append(_part_of_a_request(target, number))
    while not target.is_over:
        for number, sock in enumerate(held):
            if _is_closed(sock):
                target.attackers["closed by the lab"] += 1
                sock.close()
                with contextlib.suppress(OSError):
                    held[number] = _part_of_a_request(target, number)
                time.sleep(1 / REOPENED_PER_S)
                if target.is_over:
                    break
        time.sleep(0.1)
    target.attackers[f"held at the end: {sum(not _is_closed(sock) for sock in held)}"] += 1
    for sock in held:
        sock.close()


def _part_of_a_request(target: Target, number: int) -> socket.socket:
    sock = target.connect()
    sock.setblocking(False)
    parts = (
        b"",
        target.head("GET /"),
        target.head("POST /login", "Content-Length: 60000\r\n\r\n") + b"token=",
    )
    with contextlib.suppress(BlockingIOError):
        sock.send(parts[number % 3])
    return sock


def _is_closed(sock: socket.socket) -> bool:
    try:
        while data := sock.recv(4096):
            if not data:
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


# With token


def stages(target: Target) -> None:
    """Send forms whose field of 2.2 KB was once matched in cubic time, and of 30 KB."""
    while not target.is_over:
        for number in (2000, 30_000):
            plan = {
                "engine": "model:reactor",
                "executor": "ramping-vus",
                "stages": f"5s:5{chr(10) * number}x",
            }
            form = urlencode(plan).replace("%0A", "\n")
            more = f"{AUTHORIZATION}{FORM}Content-Length: {len(form)}\r\n\r\n"
            target.request(target.head("POST /runs", more) + form.encode())


# Without token


def forwarded(target: Target) -> None:
    """Send wrong tokens, each with another forwarded address that contains an escape sequence."""
    number = 0
    while not target.is_over:
        number += 1
        more = f"Authorization: Bearer {number:064}\r\nX-Forwarded-For: 9.9.{number % 250}.9\x1b[31m\r\n"
        status = target.request(target.head("POST /api/v1/runs", f"{more}Content-Length: 0\r\n\r\n"))
        if status.startswith("HTTP/1.1 400"):  # h11 refuses control characters: send it without
            more = more.replace("\x1b[31m", "")
            target.request(target.head("POST /api/v1/runs", f"{more}Content-Length: 0\r\n\r\n"))
        time.sleep(0.02)


# With token


def websockets(target: Target) -> None:
    """Open 60 WebSockets and send 15 MiB of an incomplete message on each."""
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        f"Sec-WebSocket-Version: 13\r\n{AUTHORIZATION}\r\n"
    )
    held = []
    for _ in range(60):
        with contextlib.suppress(OSError):
            sock = target.connect()
            sock.sendall(target.head("GET /ws/v1/live", upgrade))
            target.attackers[sock.recv(4096).split(b"\r\n")[0].decode()] += 1
            held.append(sock)
    for sock in held:
        with contextlib.suppress(OSError):
            sock.sendall(b"\x81\xff" + (16 * 1024 * 1024).to_bytes(8, "big") + b"mask")
            for _ in range(15):
                sock.sendall(b"x" * 1024 * 1024)
            target.attackers["15 MiB sent"] += 1
    while not target.is_over:
        time.sleep(0.1)
    for sock in held:
        sock.close()


# Without token


def pieces(target: Target) -> None:
    """Send heads with 15,000 fields and bodies in one-byte chunks, on eight connections at a time."""
    chunked = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    requests = (
        target.head("GET /", "a:\r\n" * 15_000 + "\r\n"),
        target.head("POST /login", chunked) + b"1\r\na\r\n" * 60_000 + b"0\r\n\r\n",
    )

    def send(number: int) -> None:
        while not target.is_over:
            target.request(requests[number % 2])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))


@dataclass(frozen=True)
class Attack:
    """An attack, and the lab's limit of descriptors; None: the default."""

    run: Callable[[Target], None]
    descriptors: int | None = None


ATTACKS = {
    "cookie": Attack(cookie),
    "fields": Attack(fields),
    "sockets": Attack(sockets),
    "sockets, few descriptors": Attack(sockets, FEW_DESCRIPTORS),
    "stages": Attack(stages),
    "forwarded": Attack(forwarded),
    "websockets": Attack(websockets),
    "pieces": Attack(pieces),
}


def run_attack(attack: Attack, seconds: float, lab: Lab) -> Result:
    """Run one attack on a lab and return the result."""
    result = Result()
    _probe(lab, Result())  # the first response imports modules
    before_mb, logged = memory_mb(lab.pid), len(lab.errors())
    with probing(lab, result, before_mb):
        attack.run(Target(lab, time.monotonic() + seconds, result.attackers))
    result.log_bytes = len(lab.errors()) - logged
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lab.errors()):
        result.attackers["control character in the log"] = 1
    return result


@contextlib.contextmanager
def new_lab(descriptors: int | None) -> Iterator[Lab]:
    """Start a lab for one attack."""
    with tempfile.TemporaryDirectory() as folder:
        lab = LabProcess(Path(folder), "--token", TOKEN, descriptors=descriptors)
        try:
            yield lab
        finally:
            lab.kill()


@contextlib.contextmanager
def probing(lab: Lab, result: Result, before_mb: float) -> Iterator[None]:
    """Send requests with the token, and measure the lab's memory, in a `with` block."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PROBE_INTERVAL_S):
            _probe(lab, result)
            with contextlib.suppress(OSError):
                result.memory_mb = max(result.memory_mb, memory_mb(lab.pid) - before_mb)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _probe(lab: Lab, result: Result) -> None:
    began_s = time.monotonic()
    path = "/healthz" if len(result.latencies_ms) % 2 == 0 else "/api/v1/engines"
    try:
        asked = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=PROBE_TIMEOUT_S)
        with contextlib.closing(asked):
            asked.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            if asked.getresponse().status != 200:
                raise http.client.HTTPException
    except (OSError, http.client.HTTPException):
        result.failed += 1
    else:
        result.latencies_ms.append(1000 * (time.monotonic() - began_s))


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--tree", help="attack the lab of another checkout")
    parser.add_argument("--only", nargs="*", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--port", type=int, help="port of a running lab, whose token is in THREADLAB_TOKEN")
    parser.add_argument("--pid", type=int, default=0, help="process id of that lab")
    asked = parser.parse_args()
    allow_descriptors()
    if asked.tree:
        os.environ["PYTHONPATH"] = asked.tree
    columns = f"{'median ms':>10} {'max ms':>10} {'served':>7} {'failed':>7} {'memory MB':>9} {'log KB':>9}"
    sys.stdout.write(f"{'':26}{columns}\n")
    failures = []
    for name in asked.only:
        attack = ATTACKS[name]
        if asked.port and attack.descriptors:
            continue
        there = (
            contextlib.nullcontext(ExternalLab(asked.port, asked.pid))
            if asked.port
            else new_lab(attack.descriptors)
        )
        with there as lab:
            result = run_attack(attack, asked.seconds, lab)
        sys.stdout.write(f"{name:26}{result.line()}\n")
        sys.stdout.flush()
        failures += [] if result.passed else [name]
    if failures:
        raise SystemExit(f"\nfailed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
