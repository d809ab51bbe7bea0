"""Reads one HTTP/1.1 response from the pieces in which it arrives: where it ends, by RFC 9112, section 6.3.

It runs for the first response of each kind and for every response that differs from it: one in pieces, of
another length, chunked, or without a length. The body is counted and not kept.
"""

from __future__ import annotations

from app.load.connections.response_head import InvalidResponse, ResponseHead, parse_head

SIZE_LINE_MAX = 1024  # bytes of a chunk-size line with its extensions
SIZE_DIGITS_MAX = 16
HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
TRAILER_BYTES_MAX = 32 * 1024


class ResponseReader:
    """One response at a time: `feed` until it returns True, then `reset`.

    - `has_body`: False for the response to HEAD, which has none whatever its fields say.
    - `head`: the final head, without interim responses (1xx); None until it is complete.
    - `body_bytes`: bytes of the body so far, without the framing of chunks.
    - `total_bytes`: bytes of the response so far, with heads and framing.
    - `rest`: what came after the end of the response.
    """

    __slots__ = (
        "_buffer",
        "_chunk_left",
        "_in_trailers",
        "body_bytes",
        "has_body",
        "head",
        "rest",
        "total_bytes",
    )

    def __init__(self) -> None:
        self.has_body = True
        self.reset()

    def reset(self) -> None:
        """Prepare for the first byte of a response."""
        self.head: ResponseHead | None = None
        self.body_bytes = self.total_bytes = 0
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
            self.body_bytes += len(data)
            return False
        return self._read_length(data, self.head.body_bytes)

    @property
    def ends_by_close(self) -> bool:
        """Whether the end of the response is the end of the connection."""
        head = self.head
        if head is None or not self._expects_body(head):
            return False
        return head.body_bytes is None and not head.is_chunked

    def _read_head(self, data: bytes) -> bytes:
        """Read the head, and interim ones before it. Returns what follows it. Raises InvalidResponse."""
        self._buffer += data
        while head := parse_head(self._buffer):
            data, self._buffer = self._buffer[head.head_bytes :], b""
            if head.status >= 200:
                self.head = head
                return data
            self._buffer = data
        return b""

    def _expects_body(self, head: ResponseHead) -> bool:
        return self.has_body and head.status not in (204, 304)

    def _read_length(self, data: bytes, length: int) -> bool:
        missing = length - self.body_bytes
        self.body_bytes += min(len(data), missing)
        return len(data) >= missing and self._finish(data[missing:])

    def _read_chunks(self, data: bytes) -> bool:
        """Read chunks: a line with the size in hexadecimal, the data, CRLF; the last one has the size 0."""
        data = self._buffer + data
        self._buffer = b""
        while not self._in_trailers:
            if self._chunk_left < 0:
                line, end, data_after = data.partition(b"\r\n")
                if not end:
                    return self._keep(data, SIZE_LINE_MAX)
                self._chunk_left, data = _chunk_size(line), data_after
                if not self._chunk_left:
                    self._in_trailers = True
                    break
            taken = min(self._chunk_left, len(data))
            self._chunk_left -= taken
            self.body_bytes += taken
            data = data[taken:]
            if self._chunk_left or len(data) < 2:
                return self._keep(data, SIZE_LINE_MAX)
            if data[:2] != b"\r\n":
                raise InvalidResponse("a chunk is longer than its size")
            self._chunk_left, data = -1, data[2:]
        return self._read_trailers(data)

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
    digits = line.partition(b";")[0].strip()
    if not 0 < len(digits) <= SIZE_DIGITS_MAX or not HEX_DIGITS.issuperset(digits):
        raise InvalidResponse("not a chunk size")
    return int(digits, 16)
