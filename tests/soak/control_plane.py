"""Attacks on the control plane, each while a second client asks for /healthz every 50 ms.

    python -m tests.soak.control_plane [--seconds 15] [--tree /path/of/another/checkout] [--only cookie …]
    THREADLAB_TOKEN=… python -m tests.soak.control_plane --port 8000 --pid PID

For each: how long /healthz took, how much memory the lab took more, how much it logged, and what the attackers got.
An attack is stood if /healthz stays under 100 ms at the median, nothing failed, and memory under +50 MB. `--tree`: the
lab of another checkout, to see what it was before. `--port`: a lab that is running, in a container for one; `--pid` is
that of its process, for its memory; its log is not read.
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

PROBE_EVERY_S, PROBE_WITHIN_S = 0.05, 30.0
MEDIAN_MAX_MS, MEMORY_MAX_MB = 100.0, 50.0
TOKEN = os.environ.get("THREADLAB_TOKEN") or new_token()
AUTHORIZATION = f"Authorization: Bearer {TOKEN}\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
MANY = 2000
REOPENED_PER_S = 500
FEW_DESCRIPTORS = 400


@dataclass
class Seen:
    """What a second client saw, and what the attackers got."""

    latencies_ms: list[float] = field(default_factory=list)
    failed: int = 0
    memory_mb: float = 0.0
    log_bytes: int = 0
    attackers: Counter[str] = field(default_factory=Counter)

    @property
    def stood(self) -> bool:
        return not self.failed and self._median_ms < MEDIAN_MAX_MS and self.memory_mb < MEMORY_MAX_MB

    @property
    def _median_ms(self) -> float:
        return median(self.latencies_ms) if self.latencies_ms else float("inf")

    def line(self) -> str:
        most = max(self.latencies_ms, default=float("inf"))
        got = ", ".join(f"{number} × {what}" for what, number in self.attackers.most_common(4))
        return (
            f"{self._median_ms:10.1f} {most:10.1f} {len(self.latencies_ms):7} {self.failed:7} {self.memory_mb:+9.1f} "
            f"{self.log_bytes / 1000:9.1f}  {'stood' if self.stood else 'FELL':6} {got}"
        )


class Lab(Protocol):
    """The lab under attack, as far as an attack needs it."""

    @property
    def port(self) -> int: ...
    @property
    def pid(self) -> int: ...
    def errors(self) -> str: ...


@dataclass(frozen=True)
class Elsewhere:
    """A lab that somebody else has started."""

    port: int
    pid: int

    def errors(self) -> str:
        return ""


@dataclass(frozen=True)
class Target:
    """The lab, and what the attackers got of it."""

    lab: Lab
    ends_s: float
    attackers: Counter[str]

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends_s

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.lab.port), 10)

    def head(self, line: str, more: str = "") -> bytes:
        return f"{line} HTTP/1.1\r\nHost: 127.0.0.1:{self.lab.port}\r\n{more}".encode()

    def ask(self, data: bytes) -> str:
        """Send a whole request, and note the status of its answer."""
        said = "no answer"
        with contextlib.suppress(OSError), self.connect() as sock:
            sock.settimeout(60)
            sock.sendall(data)
            said = sock.recv(4096).split(b"\r\n")[0].decode("latin-1") or "closed"
        self.attackers[said] += 1
        return said


# 1. no token


def cookie(target: Target) -> None:
    """One quoted cookie of 60 KB, which http.cookies reads in quadratic time."""
    hostile = 'Cookie: a="' + '\\"' * 30_000 + '"'
    while not target.over:
        target.ask(target.head("GET /", f"{hostile}\r\n\r\n"))


# 2. no token


def fields(target: Target) -> None:
    """64 MB of header fields on one connection, and a field of 48 MB."""
    while not target.over:
        for line in (b"a: " + b"b" * 1000 + b"\r\n", b"c" * 1000):
            said = "cut off"
            with contextlib.suppress(OSError), target.connect() as sock:
                sock.sendall(target.head("GET /healthz") + b"x: ")
                for _ in range(64_000):
                    sock.sendall(line)
                sock.sendall(b"\r\n\r\n")
                sock.settimeout(60)
                said = f"64 MB sent, {sock.recv(12).decode('latin-1')}"
            target.attackers[said] += 1
            time.sleep(0.2)


# 3. no token


def sockets(target: Target) -> None:
    """2,000 sockets: idle, with a part of a head, with a part of a body; what is closed is opened again,
    500 a second."""
    held: list[socket.socket] = []
    for number in range(MANY):
        with contextlib.suppress(OSError):
            held.append(_part_of_a_request(target, number))
    while not target.over:
        for number, sock in enumerate(held):
            if _is_closed(sock):
                target.attackers["closed by the lab"] += 1
                sock.close()
                with contextlib.suppress(OSError):
                    held[number] = _part_of_a_request(target, number)
                time.sleep(1 / REOPENED_PER_S)
                if target.over:
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


# 4. with access


def stages(target: Target) -> None:
    """A form whose field of 2.2 KB was matched in cubic time, and one of 30 KB."""
    while not target.over:
        for number in (2000, 30_000):
            plan = {
                "engine": "model:reactor",
                "executor": "ramping-vus",
                "stages": f"5s:5{chr(10) * number}x",
            }
            form = urlencode(plan).replace("%0A", "\n")
            more = f"{AUTHORIZATION}{FORM}Content-Length: {len(form)}\r\n\r\n"
            target.ask(target.head("POST /runs", more) + form.encode())


# 5. no token


def forwarded(target: Target) -> None:
    """Guesses of the token, each as if from another address, with an escape code in it."""
    number = 0
    while not target.over:
        number += 1
        more = f"Authorization: Bearer {number:064}\r\nX-Forwarded-For: 9.9.{number % 250}.9\x1b[31m\r\n"
        said = target.ask(target.head("POST /api/v1/runs", f"{more}Content-Length: 0\r\n\r\n"))
        if said.startswith("HTTP/1.1 400"):  # h11 refuses control characters; the address alone
            more = more.replace("\x1b[31m", "")
            target.ask(target.head("POST /api/v1/runs", f"{more}Content-Length: 0\r\n\r\n"))
        time.sleep(0.02)


# 6. with access


def websockets(target: Target) -> None:
    """60 WebSockets, each with 15 MiB of a message that does not end."""
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
    while not target.over:
        time.sleep(0.1)
    for sock in held:
        sock.close()


# 7. no token: not of the six, but as cheap for who sends them


def pieces(target: Target) -> None:
    """Heads of 15,000 fields and bodies in chunks of a byte, on eight connections at a time."""
    chunked = "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    requests = (
        target.head("GET /", "a:\r\n" * 15_000 + "\r\n"),
        target.head("POST /login", chunked) + b"1\r\na\r\n" * 60_000 + b"0\r\n\r\n",
    )

    def send(number: int) -> None:
        while not target.over:
            target.ask(requests[number % 2])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, range(8)))


@dataclass(frozen=True)
class Attack:
    """One of them, and with how many descriptors the lab has to stand it."""

    carry_out: Callable[[Target], None]
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


def suffer(attack: Attack, seconds: float, lab: Lab) -> Seen:
    """One attack on a lab."""
    seen = Seen()
    _probe(lab, Seen())  # the first answer imports something
    before_mb, logged = memory_mb(lab.pid), len(lab.errors())
    with watched(lab, seen, before_mb):
        attack.carry_out(Target(lab, time.monotonic() + seconds, seen.attackers))
    seen.log_bytes = len(lab.errors()) - logged
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lab.errors()):
        seen.attackers["control character in the log"] = 1
    return seen


@contextlib.contextmanager
def fresh(descriptors: int | None) -> Iterator[Lab]:
    """A lab of its own for an attack."""
    with tempfile.TemporaryDirectory() as folder:
        lab = LabProcess(Path(folder), "--token", TOKEN, descriptors=descriptors)
        try:
            yield lab
        finally:
            lab.kill()


@contextlib.contextmanager
def watched(lab: Lab, seen: Seen, before_mb: float) -> Iterator[None]:
    """A second client, with the token: /healthz and one call of the API by turns; and the lab's memory."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PROBE_EVERY_S):
            _probe(lab, seen)
            with contextlib.suppress(OSError):
                seen.memory_mb = max(seen.memory_mb, memory_mb(lab.pid) - before_mb)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _probe(lab: Lab, seen: Seen) -> None:
    began_s = time.monotonic()
    path = "/healthz" if len(seen.latencies_ms) % 2 == 0 else "/api/v1/engines"
    try:
        asked = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=PROBE_WITHIN_S)
        with contextlib.closing(asked):
            asked.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            if asked.getresponse().status != 200:
                raise http.client.HTTPException
    except (OSError, http.client.HTTPException):
        seen.failed += 1
    else:
        seen.latencies_ms.append(1000 * (time.monotonic() - began_s))


def memory_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--tree", help="another checkout, whose lab is attacked")
    parser.add_argument("--only", nargs="*", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument(
        "--port", type=int, help="of a lab that is running, whose token is in THREADLAB_TOKEN"
    )
    parser.add_argument("--pid", type=int, default=0, help="of that lab")
    asked = parser.parse_args()
    allow_descriptors()
    if asked.tree:
        os.environ["PYTHONPATH"] = asked.tree
    columns = f"{'median ms':>10} {'max ms':>10} {'served':>7} {'failed':>7} {'memory MB':>9} {'log KB':>9}"
    sys.stdout.write(f"{'':26}{columns}\n")
    fell = []
    for name in asked.only:
        attack = ATTACKS[name]
        if asked.port and attack.descriptors:
            continue
        there = (
            contextlib.nullcontext(Elsewhere(asked.port, asked.pid))
            if asked.port
            else fresh(attack.descriptors)
        )
        with there as lab:
            seen = suffer(attack, asked.seconds, lab)
        sys.stdout.write(f"{name:26}{seen.line()}\n")
        sys.stdout.flush()
        fell += [] if seen.stood else [name]
    if fell:
        raise SystemExit(f"\ndid not stand: {', '.join(fell)}")


if __name__ == "__main__":
    main()
