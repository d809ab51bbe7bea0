"""h11 with limits that it does not have itself.

h11 limits only incomplete events. Its regular expressions take quadratic time for consecutive blanks, and
each field and chunk costs microseconds, however small it is. So a head is checked before h11 gets it, and a
chunked body is passed to h11 in small pieces, so that it never gets a long line.
"""

from __future__ import annotations

import h11

from app.web.error_response import ErrorResponse

HEAD_MAX = 64 * 1024
FIELDS_MAX = 100
BLANKS_MAX = 64  # consecutive
CHUNKS_FREE = 64  # chunks of any size, per body
BYTES_PER_CHUNK = 64  # minimum average of all further chunks
CHUNK_LINE_MAX = 256  # bytes of a chunk-size line with its extensions, and of all trailers together

TOO_LONG = ErrorResponse(431, f"The request line and header fields exceed {HEAD_MAX // 1024} KiB.")
TOO_MANY = ErrorResponse(431, f"The request has more than {FIELDS_MAX} header fields.")
BLANKS = ErrorResponse(400, f"The request head has more than {BLANKS_MAX} consecutive blanks.")
TWO_LENGTHS = ErrorResponse(400, "The request has both Content-Length and Transfer-Encoding.")
SMALL_CHUNKS = ErrorResponse(400, f"The chunks are too small: send at least {BYTES_PER_CHUNK} bytes in each.")
LONG_CHUNK_LINE = ErrorResponse(400, f"A chunk-size line, or the trailers, exceed {CHUNK_LINE_MAX} bytes.")


class BoundedConnection(h11.Connection):
    """The server side of a connection.

    When a limit is exceeded, `next_event` raises RemoteProtocolError and `refusal` is the response to send.
    """

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self.refusal: ErrorResponse | None = None
        self._pending = b""  # received, not yet passed to h11
        self._is_chunked = False
        self._chunks = self._chunk_bytes = 0  # of the current body

    @property
    def has_unparsed(self) -> bool:
        """Whether there is data of an incomplete event or of the next request."""
        return bool(self._pending or self.trailing_data[0])

    def receive_data(self, data: bytes) -> None:
        """Add received bytes."""
        self._pending += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event. Raises RemoteProtocolError for invalid data and exceeded limits."""
        while True:
            event = super().next_event()
            if event is not h11.NEED_DATA or not self._pending:
                return self._checked(event)
            if self.their_state is h11.DONE:
                return h11.PAUSED
            if self.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._pending = b""  # the client has announced that this request is the last
                return event
            super().receive_data(self._next_piece())

    def _next_piece(self) -> bytes:
        """Remove and return the next bytes for h11: up to the end of a head, or a piece of the body."""
        if self.their_state is h11.IDLE:
            size = self._check_head()
        elif self._is_chunked:
            size = CHUNK_LINE_MAX
            if len(self.trailing_data[0]) > CHUNK_LINE_MAX:
                self._refuse(LONG_CHUNK_LINE)
        else:
            size = len(self._pending)
        piece, self._pending = self._pending[:size], self._pending[size:]
        return piece

    def _check_head(self) -> int:
        """Return how many of the pending bytes belong to the head. Raises if it exceeds a limit."""
        before = self.trailing_data[0]
        head = before + self._pending
        head = head[: _head_size(head)]
        if len(head) > HEAD_MAX:
            self._refuse(TOO_LONG)
        if head.count(b"\n") > FIELDS_MAX + 2:  # the request line and the empty line
            self._refuse(TOO_MANY)
        if b" " * (BLANKS_MAX + 1) in head.replace(b"\t", b" "):
            self._refuse(BLANKS)
        return len(head) - len(before)

    def _checked(
        self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
    ) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            self._is_chunked = b"transfer-encoding" in names
            self._chunks = self._chunk_bytes = 0
            if self._is_chunked and b"content-length" in names:
                self._refuse(TWO_LENGTHS)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._chunk_bytes += len(event.data)
            if self._chunks > CHUNKS_FREE + self._chunk_bytes // BYTES_PER_CHUNK:
                self._refuse(SMALL_CHUNKS)
        return event

    def _refuse(self, refusal: ErrorResponse) -> None:
        self.refusal = refusal
        raise h11.RemoteProtocolError(refusal.detail, error_status_hint=refusal.status)


def _head_size(data: bytes) -> int:
    """Return the length of the head, or of all data if the head is incomplete."""
    found = [data.find(end) + len(end) for end in (b"\n\r\n", b"\n\n") if end in data]
    return min(found, default=len(data))
