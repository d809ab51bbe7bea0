"""HTTP connections: the timeout of each phase, unread bodies, and shutdown."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.web import server
from app.web.http_protocol import LINGER_MAX, TIMEOUT_S, UNREAD_MAX, Phase
from tests.app.driver import until
from tests.app.in_process_lab import InProcessLab
from tests.app.live.test_live import viewer
from tests.app.web.served import CONNECTIONS_MAX, LONG, Served, head, read_all, read_status
from tests.waiting import BOUND_S


def test_a_connection_is_reused_after_a_short_unread_body(served: Served) -> None:
    with served.connect(head("POST /", "Content-Length: 9\r\n")) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(b"unwanted." + head())
        assert read_status(sock) == b"HTTP/1.1 200 OK"


def test_a_long_unread_body_is_discarded_and_then_the_connection_is_closed(served: Served) -> None:
    with served.connect(head("POST /", "Content-Length: 99999999\r\n")) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"
        sock.sendall(b"x" * (UNREAD_MAX + 1))
        assert sock.recv(1) == b"", "no further response on this connection"
        with pytest.raises(OSError):
            for _ in range(2 + LINGER_MAX // 1024):
                sock.sendall(b"x" * 1024 * 1024)
    until(lambda: not served.connections, "the connection is closed")


def test_an_unread_body_is_limited_while_the_client_does_not_read(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for phase in (Phase.RESPONSE, Phase.UNREAD_BODY, Phase.LINGER):
        monkeypatch.setitem(TIMEOUT_S, phase, 2 * BOUND_S)  # so that no timeout closes the connection
    with served.connect(head("POST /long", "Content-Length: 99999999\r\n")) as sock, pytest.raises(OSError):
        for _ in range(8 * (UNREAD_MAX + LINGER_MAX) // 65536):
            sock.sendall(b"x" * 65536)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost:", b"G"], ids=["field", "letter"])
def test_an_incomplete_head_times_out_with_408(
    served: Served, shorten_timeout: Callable[[Phase], None], data: bytes
) -> None:
    shorten_timeout(Phase.HEAD)
    assert read_all(served.connect(data)).startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed(served: Served, shorten_timeout: Callable[[Phase], None]) -> None:
    shorten_timeout(Phase.HEAD)
    assert read_all(served.connect()) == b""


def test_a_trickle_of_bytes_does_not_extend_the_deadline(served: Served) -> None:
    with served.connect(b"GET / HTTP/1.1\r\n") as sock:
        protocol = until(lambda: next(iter(served.connections), None), "the connection is accepted")
        due_s = protocol._deadline.when()
        sock.sendall(b"a: b\r\n")
        until(lambda: b"a: b" in protocol.conn.trailing_data[0], "more of the head was read")
        assert protocol._deadline.when() == due_s


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
def test_an_incomplete_body_times_out_with_408(
    served: Served, shorten_timeout: Callable[[Phase], None], framing: str
) -> None:
    shorten_timeout(Phase.BODY)
    assert read_all(served.connect(head("POST /body", f"{framing}\r\n"))).startswith(b"HTTP/1.1 408 ")


def test_the_application_has_no_timeout(served: Served, shorten_timeout: Callable[[Phase], None]) -> None:
    for phase in (Phase.HEAD, Phase.BODY):
        shorten_timeout(phase)
    with served.connect(head("GET /work")) as sock, served.connect(b"GET") as other:
        until(lambda: served.app.working, "the application handles the request")
        assert read_all(other)  # it has timed out
        served.app.unblock.set()
        assert read_status(sock) == b"HTTP/1.1 200 OK"


def test_a_pipelined_partial_head_is_not_closed_by_the_keep_alive_timeout() -> None:
    """The keep-alive timeout is 0 here."""
    with closing(Served(CONNECTIONS_MAX, timeout_keep_alive=0)) as server_without_keep_alive:
        request = head()
        with server_without_keep_alive.connect(request + request[:9]) as sock:
            assert read_status(sock) == b"HTTP/1.1 200 OK"
            assert len(server_without_keep_alive.connections) == 1
            sock.sendall(request[9:])
            assert read_status(sock) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /",
        head("POST /body", "Content-Length: 9\r\n"),
        head("POST /", "Content-Length: 9\r\n"),
        head("GET /long"),
    ],
    ids=["silent", "head", "body", "unread body", "response"],
)
def test_shutdown_does_not_wait_for_clients(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(server, "GRACE_S", 10 * BOUND_S)
    monkeypatch.setattr(server, "ACKNOWLEDGED_WITHIN_MS", 1_000_000)  # so that the kernel does not close it
    for phase in TIMEOUT_S:
        monkeypatch.setitem(TIMEOUT_S, phase, 10 * BOUND_S)
    served = Served(CONNECTIONS_MAX)
    with served.connect(data):
        until(lambda: served.connections, "the connection is accepted")
        served.close()


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.UNREAD_BODY])
def test_a_connection_is_closed_when_no_request_follows(
    served: Served, shorten_timeout: Callable[[Phase], None], phase: Phase
) -> None:
    shorten_timeout(phase)
    body = "Content-Length: 10\r\n" if phase is Phase.UNREAD_BODY else ""
    assert read_all(served.connect(head("POST /", body))).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_is_closed(
    served: Served, shorten_timeout: Callable[[Phase], None]
) -> None:
    shorten_timeout(Phase.RESPONSE)
    with served.connect(head("GET /long")):
        until(lambda: served.app.calls, "the request is handled")
        until(lambda: not served.connections, "the connection is closed")


def test_a_large_response_is_delivered_completely(
    served: Served, shorten_timeout: Callable[[Phase], None]
) -> None:
    with served.connect(head("GET /long", "Connection: close\r\n")) as sock:
        assert len(read_all(sock)) > LONG


def test_the_timeouts_do_not_apply_to_a_websocket(
    tmp_path: Path, shorten_timeout: Callable[[Phase], None]
) -> None:
    with closing(InProcessLab(tmp_path)) as lab, viewer(lab) as view:
        for phase in TIMEOUT_S:
            shorten_timeout(phase)
        with viewer(lab) as late:
            for _ in range(5):  # one frame every 100 ms
                view.frame()
                late.frame()


def test_an_aborted_body_logs_one_line(inside: InProcessLab, caplog: pytest.LogCaptureFixture) -> None:
    paths = {"/login": "application/x-www-form-urlencoded", "/api/v1/runs": "application/json"}
    for path, kind in paths.items():
        with socket.create_connection(("127.0.0.1", inside.port), BOUND_S) as sock:
            more = f"Content-Type: {kind}\r\nContent-Length: 100\r\n"
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{inside.port}\r\n{more}\r\n{{".encode())
        until(lambda path=path: f"'{path}'" in caplog.text, f"{path} was logged")  # type: ignore[misc]
    until(lambda: len(inside.connections) <= 1, "the connections are closed")
    assert [each.getMessage() for each in caplog.records if each.name != "httpx"] == [
        f"127.0.0.1 disconnected before the body of POST '{path}' was complete" for path in paths
    ]
