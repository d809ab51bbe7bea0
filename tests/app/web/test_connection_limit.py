"""The limit of connections: which connection is closed for a new one, and the reserve of descriptors."""

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
from app.web.connection_limit import ACCEPT_BATCH, ConnectionLimit, connections_for
from app.web.tokens import new_token
from tests.app.driver import LabProcess, until
from tests.app.inside import LabInside
from tests.app.live.test_live import Viewer, viewer
from tests.app.web.served import MOST, Served, all_of, answered, head
from tests.waiting import BOUND_S

TOKEN = new_token()


def test_the_oldest_waiting_connection_is_closed_for_a_new_one(served: Served) -> None:
    held = [served.connect(part) for part in (b"", b"GET /", head("POST /body", "Content-Length: 9\r\n")) * 2]
    until(lambda: len(served.connections) == MOST, "all places are taken")
    with served.connect(head()) as sock:
        assert answered(sock) == b"HTTP/1.1 200 OK"
        assert all_of(held[0]) == b"", "the oldest is closed"
        until(lambda: len(served.connections) == MOST, "and only that one")
    for each in held:
        each.close()


def test_a_connection_whose_request_is_being_handled_is_not_closed(served: Served) -> None:
    with ExitStack() as stack:
        at_work = [stack.enter_context(served.connect(head("GET /work"))) for _ in range(MOST)]
        until(lambda: served.app.working == MOST, "all are at work")
        assert all_of(served.connect(head())).startswith(b"HTTP/1.1 503 ")
        served.app.go_on.set()
        assert [answered(sock) for sock in at_work] == [b"HTTP/1.1 200 OK"] * MOST
        with served.connect(head()) as sock:
            assert answered(sock) == b"HTTP/1.1 200 OK"


class Waiting:
    def __init__(self) -> None:
        self.closed = False

    def evict(self) -> None:
        self.closed = True


def test_connections_without_a_served_request_are_closed_first() -> None:
    limit = ConnectionLimit(2)
    known, first, second, third = some = Waiting(), Waiting(), Waiting(), Waiting()
    limit.mark_waiting(known, served=True)
    for each in (first, second, third):
        limit.mark_waiting(each, served=False)
    limit.mark_waiting(first, served=False)  # it waits anew, and so is the youngest now
    limit.mark_busy(third)
    assert limit.admit(2) and not any(each.closed for each in some)
    closed = []
    while limit.admit(3):
        closed.append(next(each for each in some if each.closed and each not in closed))
    assert closed == [second, first, known]


def test_descriptors_are_reserved_for_engines() -> None:
    assert connections_for(10**6, 16) == connection_limit.CONNECTIONS_MAX
    few = connections_for(400, 16)
    assert few + 16 * connection_limit.RESERVED_PER_ENGINE + 2 * ACCEPT_BATCH < 400 and few > 50
    assert connections_for(400, 8) > few
    assert connections_for(100, 16) == connection_limit.CONNECTIONS_MIN


def test_the_soft_limit_of_descriptors_is_raised() -> None:
    few = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 200))"
    raised = "from app.web.connection_limit import raise_descriptor_limit as up; "
    raised += "print(up(), r.getrlimit(r.RLIMIT_NOFILE))"
    done = subprocess.run(
        [sys.executable, "-c", f"{few}; {raised}"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "200 (200, 200)\n"


def test_the_lab_serves_requests_while_2000_sockets_are_opened_at_400_descriptors(tmp_path: Path) -> None:
    """Silent, with a partial head, with a partial body. 600 are held at a time, as a client has 1,024 descriptors."""
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
        lab.tidy()


@contextmanager
def sockets_of(lab: LabProcess, number: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", lab.port), BOUND_S))
            for _ in range(number)
        ]


def test_a_websocket_is_not_closed_for_new_connections(tmp_path: Path) -> None:
    with closing(LabInside(tmp_path, most=4)) as lab, viewer(lab) as view, sockets_of(lab, 10):
        assert lab.get("/engines") == []
        assert isinstance(view, Viewer)
        view.frame()
        with connect(lab.url.replace("http", "ws") + "/ws/v1/live") as socket:
            assert socket.recv(BOUND_S)
