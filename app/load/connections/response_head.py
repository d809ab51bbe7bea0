"""Reading the head of an answer, slowly and carefully: the first of each kind, and whatever differs from it."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_LIMIT = 32 * 1024
LENGTH_DIGITS = 18  # no body is longer; int() itself refuses from 4,301 digits on, and not as a bad answer


class InvalidResponse(ValueError):
    """The bytes are no HTTP/1.1 answer with a known length."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What the generator needs to know of an answer's head."""

    status: int
    status_line: bytes
    head_bytes: int
    body_bytes: int
    closes: bool

    @property
    def total_bytes(self) -> int:
        return self.head_bytes + self.body_bytes


def parse_head(data: bytes) -> ResponseHead | None:
    """The head, or None while it is not whole. Raises BadAnswer."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_LIMIT:
            raise InvalidResponse("the head has no end")
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    fields = dict(_field(line) for line in lines)
    return ResponseHead(
        _status(status_line), status_line + b"\r\n", end + 4, _length(fields), _closes(status_line, fields)
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


def _length(fields: dict[bytes, bytes]) -> int:
    text = fields.get(b"content-length", b"")
    if not text.isdigit():
        raise InvalidResponse("no Content-Length")
    if len(text) > LENGTH_DIGITS:
        raise InvalidResponse("no length that a body can have")
    return int(text)


def _closes(status_line: bytes, fields: dict[bytes, bytes]) -> bool:
    connection = fields.get(b"connection", b"").lower()
    return connection == b"close" or (status_line.startswith(b"HTTP/1.0") and connection != b"keep-alive")
