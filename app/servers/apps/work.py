"""The work kinds as the WSGI and ASGI applications share them: which one a request asks for, and its body."""

from __future__ import annotations

import json
import os
from urllib.parse import parse_qsl

from engines.common.calibration import Calibration, calibrate, hash_rounds, spin

PLAINTEXT = b"Hello, World!"
MAXIMA = {"us": 1_000_000, "ms": 10_000, "n": 1024 * 1024}


def calibration() -> Calibration:
    """Return the iterations per µs that the lab has measured, or measure them."""
    given = os.environ.get("WORK_CALIBRATION", "")
    return Calibration(**json.loads(given)) if given else calibrate()


CALIBRATION = calibration()


class BadRequest(ValueError):
    """A parameter of the request is missing or out of bounds. The message is the reason."""


def sleep_s(query: str) -> float:
    """Return how long `/sleep` must wait, in seconds. Raises BadRequest."""
    return parameter(query, "ms") / 1000


def body(path: str, query: str) -> bytes | None:
    """Return the body of the response, after the CPU work of the path; None: there is no such path.

    Does not wait for `/sleep`. Raises BadRequest.
    """
    if path == "/":
        return PLAINTEXT
    if path == "/healthz":
        return b"ok\n"
    if path == "/sleep":
        return b"slept %d ms\n" % parameter(query, "ms")
    if path == "/bytes":
        return b"x" * parameter(query, "n")
    if path not in ("/cpu", "/hash"):
        return None
    us = parameter(query, "us")
    if path == "/cpu":
        spin(round(us * CALIBRATION.cpu_per_us))
        return b"burnt %d us, holding the GIL\n" % us
    hash_rounds(round(us * CALIBRATION.hash_per_us))
    return b"hashed for %d us, without the GIL\n" % us


def parameter(query: str, name: str) -> int:
    """Return the integer parameter `name` of a query string. Raises BadRequest."""
    text = dict(parse_qsl(query)).get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= MAXIMA[name]):
        raise BadRequest(f"{name} must be a whole number from 0 to {MAXIMA[name]}")
    return int(text)
