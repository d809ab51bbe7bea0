"""A server with the control plane's protocols and a test application that can block; raw clients for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, cast

from app import addresses
from app.web.server import Server, make_config
from tests.app.driver import LabProcess, until
from tests.waiting import BOUND_S

LONG = 16 * 1024 * 1024  # more than the kernel buffers for a client that does not read


class Application:
    """A test application: its response depends on the path. `/work` blocks until `unblock` is set."""

    def __init__(self) -> None:
        self.calls = self.working = 0
        self.unblock = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self._run_lifespan(receive, send)
        self.calls += 1
        body = b"served"
        if scope["path"] == "/work":
            self.working += 1
            await asyncio.to_thread(self.unblock.wait, BOUND_S)
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

    async def _run_lifespan(self, receive: Any, send: Any) -> None:
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})


class Served:
    """The test application in a server in its own thread."""

    def __init__(self, max_connections: int, **more: Any) -> None:
        self.app = Application()
        listener = addresses.listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self._server = Server(make_config(cast(Any, self.app), max_connections, log_level="warning", **more))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the server has started")

    @property
    def connections(self) -> list[Any]:
        """The protocol objects of the open connections."""
        return list(self._server.server_state.connections)

    def connect(self, data: bytes = b"") -> socket.socket:
        """Return a client socket that has sent `data`."""
        sock = socket.create_connection(("127.0.0.1", self.port), BOUND_S)
        sock.sendall(data)
        return sock

    def close(self) -> None:
        self.app.unblock.set()
        self._server.should_exit = True
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()


CONNECTIONS_MAX = 6


def head(line: str = "GET /", more: str = "") -> bytes:
    """Return a request head; `more` are further header lines."""
    return f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def read_all(sock: socket.socket) -> bytes:
    """Return all bytes until the server closes the connection."""
    found = bytearray()
    with sock, suppress(ConnectionResetError, BrokenPipeError):
        while data := sock.recv(65536):
            found += data
    return bytes(found)


def read_status(sock: socket.socket) -> bytes:
    """Read one response of the application and return its first line. The connection may stay open."""
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


def open_websocket(lab: LabProcess) -> socket.socket:
    """Return a socket after the handshake of a live WebSocket."""
    sock = socket.create_connection(("127.0.0.1", lab.port), BOUND_S)
    sock.sendall(
        b"GET /ws/v1/live HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % lab.port
    )
    assert sock.recv(12) == b"HTTP/1.1 101"
    return sock
