"""A WSGI application for the tests, behind the checks of wsgiref: a violation of PEP 3333 is a 500."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable
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
