"""A strict parser for the head of an HTTP/1.1 response.

It runs for the first response of each kind and for every response that differs from it. The others are
compared byte by byte with what was learned from the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES_MAX = 32 * 1024
LENGTH_DIGITS_MAX = 18  # int() raises ValueError only above 4,300 digits, and no body is that long


class InvalidResponse(ValueError):
    """The bytes are not an HTTP/1.1 response with a Content-Length."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The parts of a response head that the generator uses.

    - `status`: the status code. `status_line`: the whole line with its CRLF.
    - `head_bytes`, `body_bytes`: the length of the head with its empty line, and of the body.
    - `closes`: whether the server closes the connection after this response.
    """

    status: int
    status_line: bytes
    head_bytes: int
    body_bytes: int
    closes: bool

    @property
    def total_bytes(self) -> int:
        return self.head_bytes + self.body_bytes


def parse_head(data: bytes) -> ResponseHead | None:
    """Return the head at the start of `data`, or None if it is incomplete.

    Raises InvalidResponse if it is longer than HEAD_BYTES_MAX, malformed, or has no Content-Length (RFC 9112:
    chunked responses are valid HTTP, but the engines never send them).
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_BYTES_MAX:
            raise InvalidResponse("the response head has no end")
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    fields = dict(_field(line) for line in lines)
    return ResponseHead(
        status=_status(status_line),
        status_line=status_line + b"\r\n",
        head_bytes=end + 4,
        body_bytes=_content_length(fields),
        closes=_closes(status_line, fields),
    )


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code, _, _ = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit():
        raise InvalidResponse("not a status line")
    return int(code)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not name or name != name.strip():
        raise InvalidResponse("not a header field")
    return name.lower(), value.strip()


def _content_length(fields: dict[bytes, bytes]) -> int:
    text = fields.get(b"content-length", b"")
    if not text.isdigit():
        raise InvalidResponse("no Content-Length")
    if len(text) > LENGTH_DIGITS_MAX:
        raise InvalidResponse("the Content-Length is too large")
    return int(text)


def _closes(status_line: bytes, fields: dict[bytes, bytes]) -> bool:
    option = fields.get(b"connection", b"").lower()
    return option == b"close" or (status_line.startswith(b"HTTP/1.0") and option != b"keep-alive")
