"""A test server with a known latency: a thread a connection, and a function that says what to answer.

It counts what it was asked and how long it took, so that the generator's own counts can be held against it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = Callable[[str, bytes], bytes]


def ok(body: bytes = b"Hello, World!", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def plain(path: str, body: bytes) -> bytes:
    """What an engine would answer."""
    if path == "/echo":
        return ok(body)
    return ok(b"b" * int(path.partition("=")[2])) if path.startswith("/bytes") else ok()


def every_third(other: bytes) -> Answer:
    """Answer well, but each third time otherwise."""
    lock, seen = threading.Lock(), iter(range(10**9))

    def answer(path: str, body: bytes) -> bytes:
        with lock:
            return other if next(seen) % 3 == 2 else ok()

    return answer


@dataclass
class Server:
    """Answers until it is stopped. An empty answer closes the connection."""

    answer: Answer = plain
    delay_s: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    took_us: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self.open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def requests(self) -> int:
        return self.asked.total()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self.accepted += 1
                    self.open.add(sock)
                thread = threading.Thread(target=self._talk, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _talk(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            for path, body in _requests(sock):
                with self._lock:
                    self.asked[path] += 1
                began = time.monotonic()
                if self.delay_s:
                    time.sleep(self.delay_s)
                answer = self.answer(path, body)
                self.took_us.append((time.monotonic() - began) * 1e6)
                sock.sendall(answer)
                if not answer or b"Connection: close" in answer[:200]:
                    break
        with self._lock:
            self.open.discard(sock)

    def close(self) -> None:
        """May be called again."""
        with contextlib.suppress(OSError), self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        with self._lock:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def _requests(sock: socket.socket) -> Iterator[tuple[str, bytes]]:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(65536)):
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        _, _, length = head.partition(b"Content-Length: ")
        wanted = int(length.split(b"\r\n")[0]) if length else 0
        while len(data) < wanted:
            data += sock.recv(65536)
        body, data = data[:wanted], data[wanted:]
        yield head.split(b" ")[1].decode(), body
