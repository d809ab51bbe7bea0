"""A WSGI application for the tests, behind the checks of wsgiref: a violation of PEP 3333 is a 500."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

IMPORTED_IN = os.getpid()
PLAIN = ("Content-Type", "text/plain")


def respond(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    """Respond by path; any other path returns the environ."""
    match environ["PATH_INFO"]:
        case "/raises":
            raise RuntimeError("raised before start_response")
        case "/raises-late":
            return raise_late(start)
        case "/exits":
            sys.exit("an application that exits")
        case "/thread-fails":
            thread = threading.Thread(target=fail)
            thread.start()
            thread.join()
        case "/terminates":
            environ["test.ended"] = terminated()
        case "/fork-returns":
            if pid := os.fork():
                environ["test.ended"] = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        case "/fork-sockets":
            environ["test.sockets"] = sockets_of_a_fork(environ["SERVER_PORT"])
        case "/deep":
            return Deep().missing  # type: ignore[no-any-return]
        case "/prints":
            print("a line of the application")  # noqa: T201
        case "/stream":
            start("200 OK", [PLAIN])
            return iter([b"x"] if environ["REQUEST_METHOD"] == "GET" else [])
        case "/empty":
            start("204 No Content", [])
            return [b""]
        case "/cookies":
            start("302 Found", [PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Location", "/x")])
            return [b"moved"]
        case "/parts":
            write = start("200 OK", [PLAIN])
            write(b"1")
            return iter([b"2", b"3"])
        case "/large":
            start("200 OK", [PLAIN])
            return (b"x" * 2**20 for _ in range(17))
    variables: dict[str, Any] = {name: value for name, value in environ.items() if isinstance(value, str)}
    variables |= {
        "body": environ["wsgi.input"].read(-1).decode(),
        "pid": os.getpid(),
        "imported_in": IMPORTED_IN,
    }
    variables |= {"multiprocess": environ["wsgi.multiprocess"]}
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(variables).encode()]


def terminated() -> str:
    """Return how a process that this one has forked ends by SIGTERM."""
    if (pid := os.fork()) == 0:
        while True:
            signal.pause()
    os.kill(pid, signal.SIGTERM)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def sockets_of_a_fork(port: str) -> str:
    """Return how many sockets with a local port a process has that this one has forked."""
    read_end, write_end = os.pipe()
    if (pid := os.fork()) == 0:
        table = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
        inodes = {f"socket:[{row[9]}]" for row in table if int(row[1].split(":")[1], 16) == int(port)}
        held = 0
        for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208
            with contextlib.suppress(OSError):
                held += os.readlink(f"/proc/self/fd/{fd}") in inodes  # noqa: PTH115
        os.write(write_end, str(held).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        return pipe.read()


def fail() -> None:
    raise RuntimeError("raised in a thread of the application")


class Deep:
    """Looks an attribute up in itself, without end: on a small stack that is a crash."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, name)


def raise_late(start: Any) -> Iterable[bytes]:
    start("200 OK", [PLAIN])
    yield b"a part"
    raise RuntimeError("raised after the first part")


def wait() -> None:
    threading.Event().wait()


threading.Thread(target=wait).start()  # the end of an engine does not wait for it
application = validator(respond)
not_callable = 1
