"""What only the proactor has: a shared buffer pool, operations in flight, and cancellation."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from engines.common.board.board import SEND_CALLS, WAIT_CALLS, WOULD_BLOCKS, EngineInfo, make_board
from engines.common.board.writer import Board
from engines.common.calibration import Calibration
from engines.common.connection import READ_AHEAD_BYTES
from engines.common.contract import Setup, parse_knobs
from engines.common.handler import Handler
from engines.common.http.request_parser import RequestParser
from engines.common.stop_handshakes import stop_handshakes
from engines.completion_io import ring
from engines.completion_io.completion_queue import CompletionQueue
from engines.completion_io.connection import CompletionConnection
from engines.completion_io.ring import RECEIVED, Ring
from engines.completion_io.worker_pool import CompletionWorkerPool
from engines.proactor import MODEL, Proactor

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
ROUNDS_MAX = 2000  # of at most a second each, when something that must come does not

Connect = Callable[[], socket.socket]
needs_ring = pytest.mark.skipif(ring.why_unavailable() is not None, reason=str(ring.why_unavailable()))


def make_proactor(**knobs: int) -> Proactor:
    """Create a proactor of one ring, in the test's thread, that the test runs round by round."""
    board = Board(make_board(8, 512), EngineInfo("proactor", "3", True, ("ring", "worker")))
    values = SimpleNamespace(**parse_knobs(MODEL, knobs))
    setup = Setup(Handler(Calibration(1, 1)), RequestParser, board, values, stopping=-1, ready=lambda: None)
    proactor = Proactor(setup, board.claim("ring"))
    proactor.sockets = CompletionQueue(setup, proactor.row, proactor.mailbox)
    proactor.pool = CompletionWorkerPool(setup, proactor.row, proactor.mailbox, proactor.sockets)
    return proactor


@pytest.fixture
def proactor(request: pytest.FixtureRequest) -> Iterator[Proactor]:
    made = make_proactor(**getattr(request, "param", {}))
    yield made
    for connection in tuple(made.sockets.by_fd.values()):
        assert isinstance(connection, CompletionConnection)
        made.sockets.close(connection)
    turn_until(made, lambda: not made.sockets.by_fd)
    made.sockets.shutdown()
    made.mailbox.close()


def turn_until(proactor: Proactor, done: Callable[[], bool]) -> None:
    for _ in range(ROUNDS_MAX):
        if done():
            return
        proactor.run_round()
    raise AssertionError("it did not come")


@pytest.fixture
def connect(proactor: Proactor) -> Iterator[Connect]:
    """Open a connection that `proactor` serves; all are closed after the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as clients:

        def one() -> socket.socket:
            client = clients.enter_context(socket.create_connection(listener.getsockname(), timeout=10))
            proactor.sockets.open(listener.accept()[0])
            return client

        yield one


def only_connection(proactor: Proactor) -> CompletionConnection:
    (connection,) = proactor.sockets.by_fd.values()
    assert isinstance(connection, CompletionConnection)
    return connection


def answered(proactor: Proactor, ours: socket.socket, answers: int) -> bytes:
    """Run rounds until `answers` responses have arrived."""
    got = bytearray()
    ours.setblocking(False)

    def enough() -> bool:
        if select.select([ours], [], [], 0)[0]:
            got.extend(ours.recv(1 << 20))
        return got.count(b"HTTP/1.1 ") >= answers

    turn_until(proactor, enough)
    return bytes(got)


@needs_ring
@pytest.mark.parametrize("proactor", [{"buffers": 4, "buffer_size": 64}], indirect=True)
def test_a_buffer_pool_that_is_too_small_delays_but_loses_nothing(
    proactor: Proactor, connect: Connect
) -> None:
    clients = [connect() for _ in range(40)]
    for client in clients:
        client.sendall(GET * 10)
    for client in clients:
        assert answered(proactor, client, 10).count(b"Hello, World!") == 10
        client.close()
    assert proactor.row.counters[WOULD_BLOCKS] > 0


@needs_ring
def test_every_buffer_is_returned_after_a_burst(proactor: Proactor, connect: Connect) -> None:
    clients = [connect() for _ in range(30)]
    for client in clients:
        client.sendall(GET * 100)
    for client in clients:
        answered(proactor, client, 100)
    assert proactor.sockets.ring.buffers.leased_count == 0
    for client in clients:
        client.close()
    turn_until(proactor, lambda: not proactor.sockets.by_fd)
    assert proactor.sockets.ring.buffers.inflight_count == 0


@needs_ring
def test_a_reused_descriptor_never_gets_bytes_of_the_previous_connection(
    proactor: Proactor, connect: Connect
) -> None:
    first = connect()
    connection = only_connection(proactor)
    server, second = socket.create_server(("127.0.0.1", 0)), socket.socket()
    second.connect(server.getsockname())  # waits to be accepted: it will get the lowest free descriptor
    first.sendall(GET[:5])
    turn_until(proactor, lambda: connection.parser.partial)
    first.sendall(b"POISON")  # in the socket, perhaps in a completion, when the end is decided
    proactor.sockets.close(connection)
    assert (
        connection.fd in proactor.sockets.by_fd
    )  # a receive is in flight: the descriptor must not be free yet
    turn_until(proactor, lambda: not proactor.sockets.by_fd)
    with server, second:
        proactor.sockets.open(server.accept()[0])
        assert only_connection(proactor).fd == connection.fd
        second.sendall(GET)
        assert answered(proactor, second, 1).endswith(b"Hello, World!")
    assert connection.receiving is None and not connection.pending


@needs_ring
def test_completions_carry_the_connection_and_not_its_descriptor() -> None:
    ours, theirs = socket.socketpair()
    one = Ring(8, 64)
    user_data = object()
    with ours, theirs:
        one.recv(theirs.fileno(), user_data)
        ours.sendall(b"x" * 100)  # two buffers of 64
        complete = one.wait(10)
        assert [c.kind for c in complete] == [RECEIVED, RECEIVED]
        assert all(c.user_data is user_data for c in complete)
        assert one.buffers.leased_count == 2
        del complete
        assert one.buffers.leased_count == 0
    one.close()


@needs_ring
def test_input_beyond_the_handled_request_is_bounded(proactor: Proactor, connect: Connect) -> None:
    client = connect()
    client.setblocking(False)
    connection = only_connection(proactor)
    asked = memoryview(b"GET /bytes?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 200_000)

    def stuffed() -> bool:
        nonlocal asked
        try:
            asked = asked[client.send(asked) :]
        except BlockingIOError:
            return connection.receiving is None and bool(connection.unsent)
        return False

    turn_until(proactor, stuffed)
    assert READ_AHEAD_BYTES < connection.read_ahead < READ_AHEAD_BYTES + (1 << 20)
    assert len(connection.unsent) < 3_000_000
    client.close()


@needs_ring
def test_many_responses_are_submitted_by_one_call(proactor: Proactor, connect: Connect) -> None:
    clients = [connect() for _ in range(50)]
    before = proactor.row.counters[WAIT_CALLS]
    for client in clients:
        client.sendall(GET)
    for client in clients:
        answered(proactor, client, 1)
        client.close()
    assert proactor.row.counters[WAIT_CALLS] - before < 25
    assert proactor.row.counters[SEND_CALLS] == 0


@needs_ring
def test_resets_leak_nothing(proactor: Proactor, connect: Connect) -> None:
    for asked in (b"", GET[:10], GET, GET * 50, b"GET /bytes?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 3):
        client = connect()
        client.sendall(asked)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.close()
    turn_until(proactor, lambda: not proactor.sockets.by_fd)
    assert proactor.sockets.ring.buffers.leased_count == 0


@needs_ring
@pytest.mark.parametrize("proactor", [{"workers": 2}], indirect=True)
def test_workers_respond_to_one_connection_in_order(proactor: Proactor, connect: Connect) -> None:
    client = connect()
    bodies = [b"%04d" % i for i in range(60)]
    post = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
    client.sendall(b"".join(post + body for body in bodies))
    got = answered(proactor, client, 60)
    turn_until(proactor, lambda: not only_connection(proactor).unsent)
    assert [part[-4:] for part in got.split(b"HTTP/1.1 ")[1:]] == bodies
    proactor.pool.stop()
    client.close()


def test_stop_handshakes_keeps_established_connections_and_refuses_new_ones() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket() as begun,
        socket.socket() as late,
    ):
        begun.connect(listener.getsockname())
        stop_handshakes(listener)
        assert late.connect_ex(listener.getsockname()) == errno.ECONNREFUSED
        accepted, _ = listener.accept()
        with accepted:
            begun.sendall(b"begun")
            assert accepted.recv(9) == b"begun"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@needs_ring
def test_buffers_are_rounded_up_to_a_power_of_two() -> None:
    one = Ring(1000, 64)
    assert one.buffers.buffer_count == 1024
    one.close()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EPERM, "EPERM"),
        (errno.ENOSYS, "io_uring does not exist (ENOSYS"),
        (errno.ENOMEM, "RLIMIT_MEMLOCK"),
        (errno.EINVAL, "EINVAL"),
    ],
)
def test_a_ring_that_cannot_be_created_is_reported_in_one_sentence(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        __liburing_version__ = "2"

        def Ring(self, entries: int) -> object:
            raise OSError(number, "no")

    monkeypatch.setattr(ring, "uring_api", Refused())
    assert words in str(ring.why_unavailable())


def test_a_missing_binding_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "uring_api", None)
    assert "not installed" in str(ring.why_unavailable())


@needs_ring
def test_a_ring_lets_other_threads_run_while_it_waits() -> None:
    """The other thread ends the wait; with the GIL held, it would last a minute and return nothing."""
    one, event_fd = Ring(8, 64), os.eventfd(0)
    one.poll(event_fd, "rung")
    threading.Timer(0.01, os.eventfd_write, (event_fd, 1)).start()
    assert [complete.user_data for complete in one.wait(60)] == ["rung"]
    one.close()
    os.close(event_fd)
