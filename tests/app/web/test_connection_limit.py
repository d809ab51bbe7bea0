"""The connection limit: which connection is closed for a new one, and the reserve of descriptors."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from websockets.sync.client import connect

from app.web import connection_limit
from app.web.authentication import new_token
from app.web.connection_limit import ACCEPT_BATCH, ConnectionLimit, max_connections_for
from tests.app.driver import LabProcess, until
from tests.app.in_process_lab import InProcessLab
from tests.app.live.test_live import Viewer, viewer
from tests.app.web.served import CONNECTIONS_MAX, Served, head, read_all, read_status
from tests.waiting import BOUND_S

TOKEN = new_token()


def test_the_oldest_waiting_connection_is_closed_for_a_new_one(served: Served) -> None:
    held = [served.connect(part) for part in (b"", b"GET /", head("POST /body", "Content-Length: 9\r\n")) * 2]
    until(lambda: len(served.connections) == CONNECTIONS_MAX, "the limit is reached")
    with served.connect(head()) as sock:
        assert read_status(sock) == b"HTTP/1.1 200 OK"
        assert read_all(held[0]) == b"", "the oldest is closed"
        until(lambda: len(served.connections) == CONNECTIONS_MAX, "only the oldest is closed")
    for each in held:
        each.close()


def test_a_connection_whose_request_is_being_handled_is_not_closed(served: Served) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(served.connect(head("GET /work"))) for _ in range(CONNECTIONS_MAX)]
        until(lambda: served.app.working == CONNECTIONS_MAX, "all requests are being handled")
        assert read_all(served.connect(head())).startswith(b"HTTP/1.1 503 ")
        served.app.unblock.set()
        assert [read_status(sock) for sock in busy] == [b"HTTP/1.1 200 OK"] * CONNECTIONS_MAX
        with served.connect(head()) as sock:
            assert read_status(sock) == b"HTTP/1.1 200 OK"


class FakeConnection:
    def __init__(self) -> None:
        self.closed = False

    def evict(self) -> None:
        self.closed = True


def test_connections_without_a_served_request_are_closed_first() -> None:
    limit = ConnectionLimit(2)
    known, first, second, third = connections = [FakeConnection() for _ in range(4)]
    limit.mark_waiting(known, served=True)
    for connection in (first, second, third):
        limit.mark_waiting(connection, served=False)
    limit.mark_waiting(first, served=False)  # it is waiting again, so it is the newest now
    limit.mark_busy(third)
    assert limit.admit(2) and not any(connection.closed for connection in connections)
    closed = []
    while limit.admit(3):
        closed.append(next(each for each in connections if each.closed and each not in closed))
    assert closed == [second, first, known]


def test_descriptors_are_reserved_for_engines() -> None:
    assert max_connections_for(10**6, 16) == connection_limit.CONNECTIONS_MAX
    limit = max_connections_for(400, 16)
    assert limit + 16 * connection_limit.RESERVED_PER_ENGINE + 2 * ACCEPT_BATCH < 400 and limit > 50
    assert max_connections_for(400, 8) > limit
    assert max_connections_for(100, 16) == connection_limit.CONNECTIONS_MIN


def test_the_soft_limit_of_descriptors_is_raised() -> None:
    lower = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 200))"
    raised = "from app.web.connection_limit import raise_descriptor_limit as up; "
    raised += "print(up(), r.getrlimit(r.RLIMIT_NOFILE))"
    done = subprocess.run(
        [sys.executable, "-c", f"{lower}; {raised}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "200 (200, 200)\n"


def test_the_lab_serves_requests_while_2000_sockets_are_opened_at_400_descriptors(tmp_path: Path) -> None:
    """Sockets are silent, or send a partial head or body. The client holds 600 at a time."""
    held: deque[socket.socket] = deque()
    with closing(LabProcess(tmp_path, "--token", TOKEN, descriptors=400)) as lab, ExitStack() as stack:
        lab.http.headers["Authorization"] = f"Bearer {TOKEN}"
        body = (
            head("POST /login", "Content-Length: 60000\r\n").replace(b"127.0.0.1", b"localhost") + b"token="
        )
        for number in range(2000):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), BOUND_S))
            held.append(sock)
            if len(held) > 600:
                held.popleft().close()
            with suppress(OSError):
                sock.sendall((b"", b"GET / HTTP/1.1\r\nHost:", body)[number % 3])
            if number % 20 == 0:
                assert lab.get("/engines") == []
        engine = lab.start("reactor")
        assert lab.get("/engines")[0]["id"] == engine["id"]
        assert len(lab.errors().splitlines()) < 50, lab.errors()
        lab.clean_up()


@contextmanager
def open_sockets(lab: LabProcess, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), BOUND_S))
            for _ in range(number)
        ]


def test_a_websocket_is_not_closed_for_new_connections(tmp_path: Path) -> None:
    with (
        closing(InProcessLab(tmp_path, max_connections=4)) as lab,
        viewer(lab) as view,
        open_sockets(lab, 10),
    ):
        assert lab.get("/engines") == []
        assert isinstance(view, Viewer)
        view.frame()
        with connect(lab.url.replace("http", "ws") + "/ws/v1/live") as socket:
            assert socket.recv(BOUND_S)
