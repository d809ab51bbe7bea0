"""Reads one HTTP/1.1 response from the pieces in which it arrives: where it ends, by RFC 9112, section 6.3.

It runs for the first response of each kind and for every response that differs from it: one in pieces, of
another length, chunked, or without a length. The body is counted and compared, and not kept.
"""

from __future__ import annotations

from app.load.connections.response_head import InvalidResponse, ResponseHead, parse_head
from app.load.connections.response_rule import ResponseRule

BAD_LENGTH, BAD_BODY = "bad_length", "bad_body"
SIZE_LINE_MAX = 1024  # bytes of a chunk-size line with its extensions
SIZE_DIGITS_MAX = 16
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
TRAILER_BYTES_MAX = 32 * 1024
SWITCHING_PROTOCOLS = 101
WITHOUT_BODY = frozenset((204, 304))


class ResponseReader:
    """One response at a time: `feed` until it returns True, then `reset`.

    - `rule`: what a correct response is; set before its first byte.
    - `head`: the final head, without interim responses (1xx); None until it is complete.
    - `body_bytes`: bytes of the body so far, without the framing of chunks.
    - `body_differs`: whether these are not the start of the body that the rule requires.
    - `total_bytes`: bytes of the response so far, with heads and framing.
    - `rest`: what came after the end of the response.
    """

    __slots__ = (
        "_buffer",
        "_chunk_left",
        "_in_trailers",
        "body_bytes",
        "body_differs",
        "head",
        "rest",
        "rule",
        "total_bytes",
    )

    def __init__(self) -> None:
        self.rule = ResponseRule()
        self.reset()

    def reset(self) -> None:
        """Prepare for the first byte of a response."""
        self.head: ResponseHead | None = None
        self.body_bytes = self.total_bytes = 0
        self.body_differs = False
        self.rest = b""
        self._buffer = b""
        self._chunk_left = -1  # bytes of the chunk that is being read; -1: a size line comes next
        self._in_trailers = False

    def feed(self, data: bytes) -> bool:
        """Add bytes. Returns whether the response is complete. Raises InvalidResponse."""
        self.total_bytes += len(data)
        if self.head is None:
            data = self._read_head(data)
            if self.head is None:
                return False
        if not self._expects_body(self.head):
            return self._finish(data)
        if self.head.is_chunked:
            return self._read_chunks(data)
        if self.head.body_bytes is None:  # until the server closes
            self._read_body(data)
            return False
        return self._read_length(data, self.head.body_bytes)

    @property
    def ends_by_close(self) -> bool:
        """Whether the end of the response is the end of the connection."""
        head = self.head
        if head is None or not self._expects_body(head):
            return False
        return head.body_bytes is None and not head.is_chunked

    @property
    def error(self) -> str | None:
        """The name of what is wrong with the complete response; None: it is correct."""
        assert self.head
        if self.head.status != self.rule.status:
            return f"status_{self.head.status}"
        if self.rule.body is None:
            return None
        if self.body_bytes != len(self.rule.body):
            return BAD_LENGTH
        return BAD_BODY if self.body_differs else None

    @property
    def is_repeatable(self) -> bool:
        """Whether each response with the same head, and nothing before it, has the same length as this one.

        Not if it is chunked, ends by close, or came after an interim response.
        """
        if self.head is None or self.ends_by_close:
            return False
        return self.total_bytes == len(self.head.raw) + self.body_bytes

    def _read_head(self, data: bytes) -> bytes:
        """Read the head, and interim ones before it. Returns what follows it. Raises InvalidResponse."""
        self._buffer += data
        while head := parse_head(self._buffer):
            rest, self._buffer = self._buffer[len(head.raw) :], b""
            if head.status == SWITCHING_PROTOCOLS:
                raise InvalidResponse("a switch to another protocol, which was not requested")
            if head.status >= 200:
                self.head = head
                return rest
            self._buffer = rest
        return b""

    def _expects_body(self, head: ResponseHead) -> bool:
        return self.rule.has_body and head.status not in WITHOUT_BODY

    def _read_body(self, piece: bytes) -> None:
        expected, begin = self.rule.body, self.body_bytes
        self.body_bytes += len(piece)
        if expected is not None and piece != expected[begin : self.body_bytes]:
            self.body_differs = True

    def _read_length(self, data: bytes, length: int) -> bool:
        missing = length - self.body_bytes
        self._read_body(data[:missing])
        return len(data) >= missing and self._finish(data[missing:])

    def _read_chunks(self, data: bytes) -> bool:
        """Read chunks: a line with the size in hexadecimal, the data, CRLF; the last one has the size 0."""
        data, self._buffer = self._buffer + data, b""
        at = 0
        while not self._in_trailers:
            if self._chunk_left < 0:
                end = data.find(b"\r\n", at)
                if end < 0:
                    return self._keep(data[at:], SIZE_LINE_MAX)
                self._chunk_left = _chunk_size(data[at:end])
                at = end + 2
                if not self._chunk_left:
                    self._in_trailers = True
                    break
            piece = data[at : at + self._chunk_left]
            self._read_body(piece)
            self._chunk_left -= len(piece)
            at += len(piece)
            if self._chunk_left or len(data) < at + 2:
                return self._keep(data[at:], SIZE_LINE_MAX)
            if not data.startswith(b"\r\n", at):
                raise InvalidResponse("a chunk is longer than its size")
            self._chunk_left, at = -1, at + 2
        return self._read_trailers(data[at:])

    def _read_trailers(self, data: bytes) -> bool:
        """Skip the fields after the last chunk, up to an empty line."""
        if data.startswith(b"\r\n"):
            return self._finish(data[2:])
        fields, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return self._keep(data, TRAILER_BYTES_MAX)
        if not all(b":" in line for line in fields.split(b"\r\n")):
            raise InvalidResponse("not a trailer field")
        return self._finish(rest)

    def _keep(self, data: bytes, most: int) -> bool:
        """Keep an incomplete line for the next piece. Raises InvalidResponse if it is too long."""
        if len(data) > most:
            raise InvalidResponse("a line of the chunked body is too long")
        self._buffer = data
        return False

    def _finish(self, rest: bytes) -> bool:
        self.rest = rest
        self.total_bytes -= len(rest)
        return True


def _chunk_size(line: bytes) -> int:
    """Return the size of a chunk. `line` may have extensions, which are ignored. Raises InvalidResponse."""
    digits = line.partition(b";")[0].rstrip(b" \t")  # blanks before an extension: RFC 9112, section 7.1.1
    if not 0 < len(digits) <= SIZE_DIGITS_MAX or not HEX_DIGITS.issuperset(digits):
        raise InvalidResponse("not a chunk size")
    return int(digits, 16)
