"""Engines as processes, and clients that send raw bytes to them. Nothing sleeps: all wait for a condition."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from engines.catalogue import model_modules
from engines.common.board.board import BLOCKED, make_board
from engines.common.board.reader import BoardReader, Reading
from engines.common.board.trace_reader import TraceReader
from engines.common.calibration import calibrate
from engines.common.contract import parse_knobs
from tests.waiting import BOUND_S
from tests.waiting import until as until

ROOT = Path(__file__).parents[2]
HOST = b"Host: engine\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
GREETING = b"Hello, World!"
PATIENCE_S = BOUND_S
PYTHON = (
    os.environ.get("THREADLAB_TEST_PYTHON") or sys.executable
)  # so that all of this can be asked of another one


@dataclass(frozen=True)
class Variant:
    """A model with knobs other than the defaults."""

    model: str
    knobs: tuple[tuple[str, int | str], ...] = ()

    @property
    def name(self) -> str:
        return " ".join([self.model, *(f"{name}={value}" for name, value in self.knobs)])

    @property
    def pooled(self) -> bool:
        """Whether workers run the handlers."""
        own = {knob.name: knob.default for knob in model_modules()[self.model].MODEL.knobs} | dict(self.knobs)
        return bool(own.get("workers", 0))

    def with_knobs(self, **knobs: int | str) -> Variant:
        """Return this variant with other knobs; those that the model does not have are left out."""
        known = {knob for knob in parse_knobs(model_modules()[self.model].MODEL, {})}
        return Variant(self.model, self.knobs + tuple((k, v) for k, v in knobs.items() if k in known))

    def patient(self) -> Variant:
        """Return this variant without timeouts, except those that it names."""
        return Variant(self.model, (*PATIENT.items(), *self.knobs))


# For tests that are not about timeouts: a client that is slow on a busy machine must not hit one.
PATIENT: dict[str, int | str] = {"idle_s": 3600, "header_s": 3600, "body_s": 3600, "write_s": 3600}

VARIANTS = (
    Variant("blocking"),
    Variant("reactor"),
    Variant("reactor-pool"),
    Variant("reactor-pool", (("reply", "reactor"),)),
    Variant("main-sub"),
    Variant("main-sub", (("workers", 0),)),
    Variant("proactor"),
    Variant("proactor", (("workers", 2),)),
    Variant("prefork"),
)


@functools.cache
def calibration() -> str:
    """Return a calibration, measured once for all engines as the control plane does."""
    return json.dumps(asdict(calibrate()))


class Ended(NamedTuple):
    code: int
    seconds: float  # from the first signal to stop, or else from the wait for the end
    stderr: str


class Answer(NamedTuple):
    """One response, parsed strictly: anything but HTTP/1.1 with a Content-Length is an assertion error."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


def take_answer(data: bytearray, head: bool = False) -> Answer | None:
    """Remove the first complete response from `data` and return it; None while there is none."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = bytes(data[:end]).decode("ascii").split("\r\n")
    version, code, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon, f"malformed field {line!r}"
        assert name.lower() not in headers, f"{name} is there twice"
        headers[name.lower()] = value
    status = int(code)
    size = 0 if head or status < 200 else int(headers["content-length"])
    if len(data) < end + 4 + size:
        return None
    body = bytes(data[end + 4 : end + 4 + size])
    del data[: end + 4 + size]
    return Answer(status, headers, body)


class Client:
    """One connection to an engine."""

    def __init__(self, port: int, timeout_s: float = PATIENCE_S, receive_buffer: int = 0) -> None:
        self.sock = socket.socket()
        self.sock.settimeout(timeout_s)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock.connect(("127.0.0.1", port))
        except OSError:
            self.sock.close()
            raise
        self.data = bytearray()
        self.sent = self.received = 0

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)
        self.sent += len(data)

    def answer(self, head: bool = False) -> Answer:
        """Return the next response; `head` when it is one to HEAD."""
        while (answer := take_answer(self.data, head)) is None:
            assert self._more(), f"the connection ended after {bytes(self.data[:200])!r}"
        return answer

    def ask(self, target: str = "/", method: str = "GET", body: bytes = b"", more: bytes = b"") -> Answer:
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        self.send(f"{method} {target} HTTP/1.1\r\n".encode() + HOST + length + more + b"\r\n" + body)
        return self.answer(head=method == "HEAD")

    def rest(self) -> bytes:
        """Return all bytes until the engine closes. A reset is an error: it could lose a response."""
        while self._more():
            pass
        rest, self.data = bytes(self.data), bytearray()
        return rest

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def readable(self, timeout_s: float = 0.0) -> bool:
        return bool(self.data) or bool(select.select([self.sock], [], [], timeout_s)[0])

    def _more(self) -> bool:
        data = self.sock.recv(1 << 20)
        self.data += data
        self.received += len(data)
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.sock.close()


class Engine:
    """An engine's process, and its board as the control plane reads it."""

    def __init__(
        self,
        variant: Variant,
        shell: str = "",
        arguments: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        rows: int | None = None,
        python: str = PYTHON,
    ) -> None:
        self.variant = variant
        self._told_s: float | None = None  # when it was first asked to stop
        self._looked: tuple[set[str], float] | None = None
        model = model_modules()[variant.model].MODEL
        knobs = parse_knobs(model, dict(variant.knobs))
        board = make_board(rows or model.board_rows(knobs), model.descriptor_words(knobs))
        self._board = BoardReader(board)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        command = [
            python,
            "-m",
            "engines",
            variant.model,
            "--port",
            "0",
            "--board-fd",
            str(board),
            "--calibration",
            calibration(),
            *arguments,
            *(part for name, value in variant.knobs for part in ("--set", f"{name}={value}")),
        ]
        if shell:
            command = ["sh", "-c", f'{shell} && exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._errors, pass_fds=(board, *pass_fds)
        )
        os.close(board)
        self.pid = self.process.pid
        try:
            self.ready = self._ready_line()
        except BaseException:
            self.close()
            raise
        self.port: int = self.ready["port"]

    def _ready_line(self) -> dict[str, Any]:
        stdout = self.process.stdout
        assert stdout
        assert select.select([stdout], [], [], PATIENCE_S)[0], f"{self.variant.name} does not become ready"
        line = stdout.readline()
        assert line, f"{self.variant.name} ended: {self.stderr()}"
        said: dict[str, Any] = json.loads(line)
        return said

    def connect(self, timeout_s: float = PATIENCE_S, receive_buffer: int = 0) -> Client:
        return Client(self.port, timeout_s, receive_buffer)

    @contextlib.contextmanager
    def clients(self, size: int) -> Iterator[list[Client]]:
        """Open so many connections, wait until the engine has accepted them, and close them at the end."""
        with contextlib.ExitStack() as stack:
            held = self.held()
            clients = [stack.enter_context(self.connect()) for _ in range(size)]
            until(lambda: self.held() == held + size, f"{size} connections are held")
            yield clients
        if self.process.poll() is None and self._told_s is None:
            until(lambda: self.held() == held, "they are closed")

    def board(self) -> Reading:
        return self._board.read()

    @property
    def trace(self) -> TraceReader:
        return self._board.trace

    def traced(self) -> int:
        """Return how many trace entries its threads have ever written."""
        return self._board.trace.written()

    def held(self) -> int:
        """Return how many connections its threads have."""
        return sum(thread.connections for thread in self.board().threads)

    def blocked(self) -> int:
        """Return how many threads are blocked in a handler."""
        return sum(thread.state == BLOCKED for thread in self.board().threads)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return its processes: the one that was started, and those that it has forked."""
        return (self.pid, *(pid for pid in self._board.processes() if pid != self.pid))

    def tasks(self) -> list[Path]:
        return [task for pid in self.pids for task in Path(f"/proc/{pid}/task").iterdir()]

    def threads(self) -> int:
        """Return the number of threads, as the kernel counts them."""
        return len(self.tasks())

    def cpu_s(self) -> float:
        """Return user and system time of all its threads, ended ones included, in seconds."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def run_queue_s(self) -> float:
        """Return how long its threads were ready to run and waited for a CPU, in seconds."""
        return sum(int((task / "schedstat").read_text().split()[1]) for task in self.tasks()) / 1e9

    def rss_mib(self) -> float:
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids)
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def tell(self, number: int) -> None:
        if self._told_s is None and number in (signal.SIGTERM, signal.SIGINT):
            self._told_s = time.monotonic()
        self.process.send_signal(number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the engine meanwhile, so that it finds everything that happens at once."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: set(self._task_states()) == {"T"}, "all its threads are stopped")
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def is_asleep(self) -> bool:
        """Whether all its threads sleep in the kernel, and none has used a CPU since the call before.

        Then it has done all that there was to do. A loop that spins never comes to this, on a busy machine
        either: a thread that waits for a CPU is not asleep.
        """
        before, self._looked = self._looked, (set(self._task_states()), self.cpu_s())
        return self._looked[0] <= {"S"} and self._looked == before

    def kill(self) -> None:
        """Kill it, for a test that does not wait for sleeping handlers."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def _task_states(self) -> list[str]:
        return [(task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in self.tasks()]

    def stderr(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def wait(self, deadline_s: float = PATIENCE_S) -> Ended:
        """Wait until it has exited."""
        began_s = self._told_s or time.monotonic()
        code = self.process.wait(deadline_s)
        return Ended(code, time.monotonic() - began_s, self.stderr())

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = PATIENCE_S) -> Ended:
        self.tell(number)
        return self.wait(deadline_s)

    def finish(self) -> None:
        """Ask a living engine to stop, and insist that it does so in time, with code 0 and without a
        complaint.
        """
        if self.process.poll() is None:
            ended = self.stop() if self._told_s is None else self.wait()
            assert ended.code == 0, ended
            assert "Traceback" not in ended.stderr, ended.stderr

    def close(self) -> None:
        """Kill what is left and release all resources."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stdout
        self.process.stdout.close()
        self._errors.close()
        self._board.close()


@contextlib.contextmanager
def running(variant: Variant, **how: Any) -> Iterator[Engine]:
    """Start an engine; at the end it must stop with code 0."""
    engine = Engine(variant, **how)
    try:
        yield engine
        engine.finish()
    finally:
        engine.close()
