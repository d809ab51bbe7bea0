"""Checks of what llhttp accepts and RFC 9112 does not, as functions of bytes. docs/http.md lists each
decision.

llhttp accepts runs of spaces and names of other protocols in a request line, any target that begins like one,
any Host, and chunk extensions without a name. None of that moves the end of a message, but two servers in a
row must not read the same bytes in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a request is not served: the status, and one line for the client."""

    status: int
    reason: str


class BadRequest(Exception):
    """The client's fault. The connection is closed after the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.rejection = Rejection(status, reason)


_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME = rb"(?:[A-Za-z0-9._~!$&'()*+;=-]++|%[0-9A-Fa-f]{2})++"  # a reg-name; a comma means two merged fields
_LITERAL = rb"\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+)\]"
_HOST = re.compile(rb"(?:%b|%b)(?::[0-9]*)?" % (_NAME, _LITERAL))
_REQUEST_LINE = re.compile(rb"([A-Z-]+) ([^ ]+) HTTP/1\.[01]\r\n")
_ABSOLUTE = re.compile(rb"([A-Za-z]+)://([^/?]*)")
_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
is_plain_request_line = re.compile(
    rb"(?!PRI )[A-Z-]+ /[^ #\r\n]* HTTP/1\.[01]\r\n"
).match  # a request line that llhttp checks completely
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:;%b(?:=(?:%b|%b))?)*\r\n" % (_TOKEN, _TOKEN, _QUOTED))


def is_host(value: bytes) -> bool:
    """Return whether `value` is a non-empty uri-host with an optional port (RFC 9110 4.2.1)."""
    return _HOST.fullmatch(value) is not None


def check_request_line(line: bytes) -> None:
    """Check a whole line that llhttp accepted: spaces, protocol, target. Raises BadRequest."""
    if line == b"\r\n":
        return  # an empty line before a request line
    parts = _REQUEST_LINE.fullmatch(line)
    if parts:
        _check_target(parts[1], parts[2])
    elif b"  " in line:
        raise BadRequest(400, "the request line has two spaces in a row")
    elif line.endswith(b"\r\n") and line[:1].isalpha():
        raise BadRequest(505, "only HTTP/1.1 and HTTP/1.0 are supported")  # HTTP/2.0, HTTP/0.9, RTSP, ICE
    else:
        raise BadRequest(400, "the request line is malformed")


def _check_target(method: bytes, target: bytes) -> None:
    """Check that each of the four forms stands where it belongs (RFC 9112 3.2). Raises BadRequest."""
    if method == b"PRI":
        raise BadRequest(400, "PRI belongs to HTTP/2")  # llhttp waits for the rest of its preface
    if b"#" in target:
        raise BadRequest(400, "a request target must not have a fragment")
    if target[:1] == b"/" or method == b"CONNECT":
        return  # origin-form; CONNECT is rejected elsewhere
    if target[:1] == b"*":
        if target != b"*" or method != b"OPTIONS":
            raise BadRequest(400, "only OPTIONS may have the target *")
        return
    absolute = _ABSOLUTE.match(target)
    if not absolute or not is_host(absolute[2]):
        raise BadRequest(400, "the target's host is malformed")
    if absolute[1].lower() != b"http":
        raise BadRequest(421, "only the scheme http is supported")


def chunk_size(line: bytes) -> int:
    """Return the size in a whole chunk line that llhttp accepted. Raises BadRequest for a bad extension."""
    parts = _CHUNK_LINE.fullmatch(line)
    if not parts:
        raise BadRequest(400, "the chunk extension is malformed")
    return int(parts[1], 16)
