"""h11 with bounds: it gets no more than it needs now, and nothing that it would take too long for.

h11 bounds what is incomplete, and nothing else. Its patterns take time that is quadratic in a run of blanks, and each
field and each chunk costs it some microseconds, however small. So a head is looked at before h11 sees it, and a chunked
body comes to it in pieces, so that no line of it is long.
"""

from __future__ import annotations

import h11

from app.web.refusal import Refusal

HEAD_MAX = 64 * 1024
FIELDS_MAX = 100
BLANKS_MAX = 64  # in a row
CHUNKS_FREE = 64  # of one body, of any size
BYTES_PER_CHUNK = 64  # of the others
CHUNK_LINE_MAX = 256  # with its extensions; also of all trailers

TOO_LONG = Refusal(431, f"A request line with its header fields is at most {HEAD_MAX // 1024} KiB here.")
TOO_MANY = Refusal(431, f"A request has at most {FIELDS_MAX} header fields here.")
BLANKS = Refusal(400, f"A head has at most {BLANKS_MAX} blanks in a row here.")
TWO_LENGTHS = Refusal(400, "A request has Content-Length or Transfer-Encoding, not both.")
SMALL_CHUNKS = Refusal(400, f"The chunks of this body are too small: send {BYTES_PER_CHUNK} bytes or more in each.")
LONG_CHUNK_LINE = Refusal(400, f"The size of a chunk, with its extensions, is at most {CHUNK_LINE_MAX} bytes here.")


class BoundedConnection(h11.Connection):
    """The server's side of a connection. Where a bound is passed `next_event` raises, and `refusal` says why."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self.refusal: Refusal | None = None
        self._pending = b""  # received, and not given to h11 yet
        self._is_chunked = False
        self._chunks = self._carried = 0  # chunks of the body, and bytes in them

    @property
    def has_unparsed(self) -> bool:
        """Whether something came that is no whole event yet, or belongs to the next request."""
        return bool(self._pending or self.trailing_data[0])

    def receive_data(self, data: bytes) -> None:
        self._pending += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            event = super().next_event()
            if event is not h11.NEED_DATA or not self._pending:
                return self._counted(event)
            if self.their_state is h11.DONE:
                return h11.PAUSED
            if self.their_state not in (h11.IDLE, h11.SEND_BODY):
                self._pending = b""  # after a request that is the last
                return event
            super().receive_data(self._take_piece())

    def _take_piece(self) -> bytes:
        """What h11 is to have next: at most a head, a part of a chunked body, or all of another one."""
        if self.their_state is h11.IDLE:
            size = self._judge_head()
        elif self._is_chunked:
            size = CHUNK_LINE_MAX
            if len(self.trailing_data[0]) > CHUNK_LINE_MAX:
                self._refuse(LONG_CHUNK_LINE)
        else:
            size = len(self._pending)
        piece, self._pending = self._pending[:size], self._pending[size:]
        return piece

    def _judge_head(self) -> int:
        """How much of what is pending belongs to the head."""
        before = self.trailing_data[0]
        head = before + self._pending
        head = head[: _head_size(head)]
        if len(head) > HEAD_MAX:
            self._refuse(TOO_LONG)
        if head.count(b"\n") > FIELDS_MAX + 2:  # the request line, and the empty one
            self._refuse(TOO_MANY)
        if b" " * (BLANKS_MAX + 1) in head.replace(b"\t", b" "):
            self._refuse(BLANKS)
        return len(head) - len(before)

    def _counted(
        self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
    ) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        if isinstance(event, h11.Request):
            names = {name for name, _ in event.headers}
            self._is_chunked = b"transfer-encoding" in names
            self._chunks = self._carried = 0
            if self._is_chunked and b"content-length" in names:
                self._refuse(TWO_LENGTHS)
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_start
            self._carried += len(event.data)
            if self._chunks > CHUNKS_FREE + self._carried // BYTES_PER_CHUNK:
                self._refuse(SMALL_CHUNKS)
        return event

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        raise h11.RemoteProtocolError(refusal.detail, error_status_hint=refusal.status)


def _head_size(data: bytes) -> int:
    """Up to the end of a head; all of it, where its end has not come."""
    found = [data.find(end) + len(end) for end in (b"\n\r\n", b"\n\n") if end in data]
    return min(found, default=len(data))
