"""Limits of WebSocket handshakes, messages, and the number of viewers."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from app.web import server
from tests.app.driver import until
from tests.app.in_process_lab import InProcessLab
from tests.app.live.test_live import viewer
from tests.app.web.served import CONNECTIONS_MAX, UPGRADE, Served, head, open_websocket, read_all
from tests.waiting import BOUND_S


def expect_close_1009(sock: socket.socket) -> None:
    """Read frames of the live view until the connection is closed with 1009."""
    found = bytearray()

    def read() -> bool:
        found.extend(sock.recv(65536))
        return (1009).to_bytes(2, "big") in found

    until(read, "it is closed with 1009")


def test_a_message_over_16_kib_is_refused_by_its_frame_header(inside: InProcessLab) -> None:
    with open_websocket(inside) as sock:
        sock.sendall(
            b"\x81\xff" + (server.MESSAGE_MAX + 1).to_bytes(8, "big") + b"mask"
        )  # the payload is not sent
        expect_close_1009(sock)
    with viewer(inside) as view:
        view.send(type="subscribe", engines=["x" * (server.MESSAGE_MAX - 100)])
        view.frame()


INVALID_HANDSHAKES = {
    "a body": head("GET /ws/v1/live", f"Content-Length: 5\r\n{UPGRADE}"),
    "chunks": head("GET /ws/v1/live", f"Transfer-Encoding: chunked\r\n{UPGRADE}"),
    "a long address": head(f"GET /{'a' * 9000}", UPGRADE),
    "a long field": head("GET /ws/v1/live", f"a: {'b' * 9000}\r\n{UPGRADE}"),
    "a control character": head("GET /ws/v1/live", f"a: \x01\r\n{UPGRADE}"),
    "no key": head("GET /ws/v1/live", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
}


@pytest.mark.parametrize("case", INVALID_HANDSHAKES)
def test_an_invalid_handshake_gets_400_and_is_closed(inside: InProcessLab, case: str) -> None:
    sock = socket.create_connection(("127.0.0.1", inside.port), BOUND_S)
    sock.sendall(INVALID_HANDSHAKES[case])
    assert read_all(sock).startswith(b"HTTP/1.1 400 ")
    until(lambda: not inside.connections, "the connection is closed")


def test_a_handshake_behind_unread_responses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ACKNOWLEDGED_WITHIN_MS", 1_000_000)  # so that the kernel does not close it
    with (
        closing(Served(CONNECTIONS_MAX)) as served,
        served.connect(head("GET /long") + head("GET /ws", UPGRADE)),
    ):
        until(lambda: served.app.calls, "the first request is handled")
        until(lambda: not served.connections, "the connection is closed")


def test_a_message_has_at_most_64_fragments(inside: InProcessLab) -> None:
    with open_websocket(inside) as sock:
        sock.sendall(b"\x01\x80mask" + b"\x00\x80mask" * 100)
        expect_close_1009(sock)


def test_a_client_that_reads_no_pongs_is_not_read(inside: InProcessLab) -> None:
    """Otherwise the server would buffer pongs without limit."""
    with open_websocket(inside) as sock:
        sock.setblocking(False)
        ping = (b"\x89\xfd" + b"mask" + b"x" * 125) * 500
        is_blocked = until(lambda: _is_blocked(sock, ping), "the server reads nothing more")
        buffered = [each.transport.get_write_buffer_size() for each in inside.connections]
        assert is_blocked and max(buffered) < 1024 * 1024, buffered


def _is_blocked(sock: socket.socket, data: bytes) -> bool:
    """Send until the socket is full. Returns whether nothing could be sent."""
    sent = 0
    with suppress(BlockingIOError):
        while True:
            sent += sock.send(data)
    return not sent


def test_viewers_over_the_limit_are_closed_with_a_reason(
    inside: InProcessLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.live.hub.VIEWERS_MAX", 2)
    with viewer(inside) as first:
        with viewer(inside) as second, viewer(inside) as third:
            first.frame()
            second.frame()
            code, reason = third.closed()
            assert code == 1013 and reason.startswith("The limit of 2 live pages is reached.")
        _expect_accepted(inside)


def test_viewers_per_address_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.VIEWERS_PER_ADDRESS_MAX", 1)
    one, other = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
    with closing(InProcessLab(tmp_path, trusted_proxies="127.0.0.1")) as lab, viewer(lab, **one) as first:
        first.frame()
        with viewer(lab, **one) as second, viewer(lab, **other) as third:
            code, reason = second.closed()
            assert code == 1013 and reason.startswith("The limit of 1 live pages from 192.0.2.1 is reached.")
            third.frame()


def _expect_accepted(lab: InProcessLab) -> None:
    """A viewer is served as shorten_timeout as the lab has seen that the others left."""

    def is_accepted() -> bool:
        with viewer(lab) as view:
            return bool(view.message()["type"] == "hello")

    until(lambda: _unless_closed(is_accepted), "a viewer is accepted")


def _unless_closed(play: Callable[[], bool]) -> bool:
    with suppress(ConnectionClosed):
        return play()
    return False
