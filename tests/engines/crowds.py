"""Many clients in one loop: each sends a request, reads its whole response, and repeats."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator

from .driver import GET, PATIENCE_S, Answer, Engine, take_answer


def allow_descriptors() -> None:
    """Raise the descriptor limit to the hard limit: each client needs a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
PER_SOURCE = 4000  # connections from one address


def connect_from(source: int, port: int) -> socket.socket:
    """A connection from 127.0.0.`source`: each such address has its own ephemeral ports.

    The port is chosen by connect(): bind() would look for one that is not used at all, past all in TIME_WAIT.
    """
    sock = socket.socket()
    sock.settimeout(PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    try:
        sock.bind((f"127.0.0.{source}", 0))
        sock.connect(("127.0.0.1", port))
    except OSError:
        sock.close()
        raise
    return sock


class Asker:
    """One connection of a closed loop. `waiting`: a request was sent, and its response is incomplete."""

    def __init__(self, port: int, source: int = 1) -> None:
        self.sock = connect_from(source, port)
        self.sock.setblocking(False)
        self.data = bytearray()
        self.answers: list[Answer] = []
        self.asked = 0
        self.asked_s = 0.0  # when the last request had been sent
        self.error: OSError | None = None  # how the connection ended, if not by an orderly end
        self.open = True

    @property
    def waiting(self) -> bool:
        return len(self.answers) < self.asked

    def ask(self, request: bytes = GET) -> None:
        try:
            assert self.sock.send(request) == len(request)
        except OSError as error:
            self.end(error)
        self.asked_s = time.monotonic()
        self.asked += 1

    def read(self) -> bool:
        """Read what has arrived; return whether a response is complete now."""
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            self.end(error)
            return False
        self.data += data
        if not data:
            self.end(None)
        if answer := take_answer(self.data):
            self.answers.append(answer)
            return True
        return False

    def hang_up(self) -> None:
        """Close both directions; the end arrives with the next read."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def end(self, error: OSError | None) -> None:
        self.open, self.error = False, error


class Askers:
    """Many of them in one loop."""

    def __init__(self, port: int, size: int) -> None:
        self.all: list[Asker] = []
        self._poll = select.epoll()
        self._by_fd: dict[int, Asker] = {}
        for number in range(size):
            self.add(Asker(port, 1 + number // PER_SOURCE))

    def add(self, asker: Asker) -> Asker:
        self.all.append(asker)
        self._by_fd[asker.sock.fileno()] = asker
        self._poll.register(asker.sock, select.EPOLLIN)
        return asker

    @property
    def answers(self) -> int:
        return sum(len(asker.answers) for asker in self.all)

    @property
    def open(self) -> int:
        return sum(asker.open for asker in self.all)

    def turn(self, then: Callable[[Asker], None], wait_s: float = 0.1) -> None:
        """Run one round: read what is ready, and call `then` for each complete response."""
        for fd, _ in self._poll.poll(wait_s):
            asker = self._by_fd[fd]
            answered = asker.read()
            if not asker.open:
                self._poll.unregister(fd)
                del self._by_fd[fd]
            elif answered:
                then(asker)

    def ask_until(self, done: Callable[[], bool], what: str, deadline_s: float = 2 * PATIENCE_S) -> None:
        """Send requests in a closed loop until `done()`."""
        for asker in self.all:
            if asker.open and not asker.waiting:
                asker.ask()
        ends = time.monotonic() + deadline_s
        while not done():
            assert time.monotonic() < ends, f"never happened: {what}"
            self.turn(lambda asker: asker.ask())

    def settle(self, deadline_s: float = PATIENCE_S) -> None:
        """Read the outstanding responses, and send no more."""
        ends = time.monotonic() + deadline_s
        while any(asker.open and asker.waiting for asker in self.all):
            assert time.monotonic() < ends, "an answer is owed and does not come"
            self.turn(lambda asker: None)

    def close(self) -> None:
        for asker in self.all:
            asker.sock.close()
        self._poll.close()


@contextlib.contextmanager
def asking(engine: Engine, size: int) -> Iterator[Askers]:
    askers = Askers(engine.port, size)
    try:
        yield askers
    finally:
        askers.close()


def ask_once(port: int, patience_s: float) -> float | None:
    """Request plaintext on a new connection; return the time in seconds, or None without a response."""
    began_s = time.monotonic()
    data = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience_s) as sock:
            sock.sendall(GET)
            while not (answer := take_answer(data)):
                sock.settimeout(max(0.001, began_s + patience_s - time.monotonic()))
                more = sock.recv(65536)
                if not more:
                    return None
                data += more
    except OSError:
        return None
    return time.monotonic() - began_s if answer.status == 200 else None
