"""A test server with a known latency: one thread per connection, and a handler for the response.

It counts requests and measures their duration, to compare them with the generator's counts and times.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Handler = Callable[[str, bytes], bytes]


def ok(body: bytes = b"Hello, World!", status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def plain(path: str, body: bytes) -> bytes:
    """Return the response of an engine."""
    if path == "/echo":
        return ok(body)
    return ok(b"x" * int(path.partition("=")[2])) if path.startswith("/bytes") else ok()


def every_third(other: bytes) -> Handler:
    """Return a handler whose every third response is `other`."""
    lock, seen = threading.Lock(), iter(range(10**9))

    def handler(path: str, body: bytes) -> bytes:
        with lock:
            return other if next(seen) % 3 == 2 else ok()

    return handler


class Gate:
    """A response function that lets `count` requests pass and holds the others until the gate is opened.

    Thread-safe. Open it before the server closes, or the server waits for its threads.
    """

    def __init__(self, count: int = 0) -> None:
        self._passes = threading.Semaphore(count)
        self._open = threading.Event()

    def __call__(self, path: str, body: bytes) -> bytes:
        if not self._passes.acquire(blocking=False):
            self._open.wait()
        return ok()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def open(self) -> None:
        self._open.set()


@dataclass
class Server:
    """Serves until it is closed. An empty response closes the connection.

    `port` 0 takes any; another one must be held by `tests.waiting.reserved_port`. `took_us` has the time of
    each request by this server's clock. `open` has the last request path of each open connection.
    """

    handler: Handler = plain
    delay_s: float = 0.0
    port: int = 0
    requested: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    took_us: list[float] = field(default_factory=list)
    open: dict[socket.socket, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def requests(self) -> int:
        with self._lock:
            return self.requested.total()

    def connections(self, path: str) -> list[socket.socket]:
        """The open connections on which `path` was the last request."""
        with self._lock:
            return [sock for sock, requested in self.open.items() if requested == path]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self.accepted += 1
                    self.open[sock] = ""
                thread = threading.Thread(target=self._talk, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _talk(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            for path, body in _requests(sock):
                with self._lock:
                    self.requested[path] += 1
                    self.open[sock] = path
                began = time.monotonic()
                if self.delay_s:
                    time.sleep(self.delay_s)
                handler = self.handler(path, body)
                self.took_us.append((time.monotonic() - began) * 1e6)
                sock.sendall(handler)
                if not handler or b"Connection: close" in handler[:200]:
                    break
        with self._lock:
            self.open.pop(sock, None)

    def close(self) -> None:
        """Stop the server. Idempotent."""
        with contextlib.suppress(OSError), self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
        accepting, *talking = self._threads
        accepting.join()  # first, or a connection that it accepts meanwhile would stay open
        with self._lock:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in talking:
            thread.join()


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
            if not (more := sock.recv(65536)):
                return
            data += more
        body, data = data[:wanted], data[wanted:]
        yield head.split(b" ")[1].decode(), body
