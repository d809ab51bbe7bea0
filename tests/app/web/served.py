"""A server with the control plane's protocols and a test application that can block; raw clients for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, cast

from app.web import server
from app.web.server import Server, make_config
from tests.app.driver import LabProcess, until
from tests.waiting import BOUND_S

LONG = 16 * 1024 * 1024  # more than the kernel buffers for a client that does not read


class Application:
    """Responds differently per path; `/work` blocks until the test allows it to continue."""

    def __init__(self) -> None:
        self.calls = self.working = 0
        self.go_on = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        self.calls += 1
        body = b"served"
        if scope["path"] == "/work":
            self.working += 1
            await asyncio.to_thread(self.go_on.wait, BOUND_S)
        elif scope["path"] == "/body":
            while (await receive()).get("more_body"):
                pass
        elif scope["path"] == "/long":
            body = bytes(LONG)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"%d" % len(body))],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


class Served:
    """A server in its own thread."""

    def __init__(self, most: int, **more: Any) -> None:
        self.app = Application()
        listener = server.listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self._server = Server(make_config(cast(Any, self.app), most, log_level="warning", **more))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the server has started")

    @property
    def connections(self) -> list[Any]:
        """The protocols of the connections that are open."""
        return list(self._server.server_state.connections)

    def connect(self, data: bytes = b"") -> socket.socket:
        """A client that has sent `data`."""
        sock = socket.create_connection(("127.0.0.1", self.port), BOUND_S)
        sock.sendall(data)
        return sock

    def close(self) -> None:
        self.app.go_on.set()
        self._server.should_exit = True
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()


MOST = 6


def head(line: str = "GET /", more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def all_of(sock: socket.socket) -> bytes:
    """What is sent until the server closes."""
    found = bytearray()
    with sock, suppress(ConnectionResetError, BrokenPipeError):
        while data := sock.recv(65536):
            found += data
    return bytes(found)


def answered(sock: socket.socket) -> bytes:
    """The first line of an answer of the application, on a connection that may stay open."""
    found = b""
    while data := sock.recv(4096):
        found += data
        if found.endswith(b"served"):
            break
    return found.partition(b"\r\n")[0]


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
)


def upgraded(lab: LabProcess) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", lab.port), BOUND_S)
    sock.sendall(
        b"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % lab.port
    )
    assert sock.recv(12) == b"HTTP/1.1 101"
    return sock
