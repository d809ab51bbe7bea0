"""A strict parser for the head of an HTTP/1.1 response.

It runs for the first response of each kind and for every response that differs from it; see RequestKind.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES_MAX = 32 * 1024
LENGTH_DIGITS_MAX = 18  # int() raises ValueError only above 4,300 digits, and no body is that long


class InvalidResponse(ValueError):
    """The bytes are not an HTTP/1.1 response."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The parts of a response head that the generator uses.

    - `status`: the status code. `status_line`: the whole line with its CRLF.
    - `raw`: the whole head with its empty line. `body_bytes`: its Content-Length; None: the body is chunked,
      or ends when the server closes.
    - `is_chunked`: whether the body comes in chunks.
    - `closes`: whether the server closes the connection after this response.
    """

    status: int
    status_line: bytes
    raw: bytes
    body_bytes: int | None
    is_chunked: bool
    closes: bool


def parse_head(data: bytes) -> ResponseHead | None:
    """Return the head at the start of `data`, or None if it is incomplete.

    Raises InvalidResponse if it is longer than HEAD_BYTES_MAX or malformed.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_BYTES_MAX:
            raise InvalidResponse("the response head has no end")
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    fields = _fields(lines)
    is_chunked = _is_chunked(fields)
    body_bytes = None if is_chunked else _content_length(fields)
    return ResponseHead(
        status=_status(status_line),
        status_line=status_line + b"\r\n",
        raw=data[: end + 4],
        body_bytes=body_bytes,
        is_chunked=is_chunked,
        closes=_closes(status_line, fields),
    )


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code, _, _ = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or code < b"100":
        raise InvalidResponse("not a status line")
    return int(code)


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Return the values of each field by its name in lower case."""
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise InvalidResponse("not a header field")
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


def _is_chunked(fields: dict[bytes, list[bytes]]) -> bool:
    """Return whether the last transfer coding is chunked.

    Raises InvalidResponse if there is a Content-Length as well: the two could differ (RFC 9112, section 6.1).
    """
    codings = _options(fields, b"transfer-encoding")
    if codings and b"content-length" in fields:
        raise InvalidResponse("both Transfer-Encoding and Content-Length")
    return codings[-1:] == [b"chunked"]


def _content_length(fields: dict[bytes, list[bytes]]) -> int | None:
    """Return the Content-Length; None: there is none. Raises InvalidResponse."""
    texts = set(fields.get(b"content-length", ()))
    if not texts:
        return None
    if len(texts) > 1:
        raise InvalidResponse("Content-Lengths that differ")
    text = texts.pop()
    if not text.isdigit():
        raise InvalidResponse("the Content-Length is not a number")
    if len(text) > LENGTH_DIGITS_MAX:
        raise InvalidResponse("the Content-Length is too large")
    return int(text)


def _closes(status_line: bytes, fields: dict[bytes, list[bytes]]) -> bool:
    options = _options(fields, b"connection")
    return b"close" in options or (status_line.startswith(b"HTTP/1.0") and b"keep-alive" not in options)


def _options(fields: dict[bytes, list[bytes]], name: bytes) -> list[bytes]:
    """Return the comma-separated values of a field, in lower case."""
    values = b",".join(fields.get(name, ()))
    return [option.strip().lower() for option in values.split(b",") if option.strip()]
