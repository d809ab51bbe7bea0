"""HTTP/1.1 pipelining: a batch of requests in one send, responses in order; then the next batch.

The service time of each response runs from the send of its batch. It includes the wait for the responses
before it, as for any client that pipelines.
"""

from __future__ import annotations

from collections import deque

from app.load.connections.client_connection import ClientConnection
from app.load.connections.connection_pool import ConnectionPool
from app.load.connections.error_names import error_name
from app.load.connections.request_kind import RequestKind
from app.load.connections.response_head import InvalidResponse
from app.load.connections.response_reader import ResponseReader

RECV_BYTES = 64 * 1024


class PipelinedConnection(ClientConnection):
    """A connection with up to `depth` requests in flight.

    `pending`: their kinds, in the order of the responses. `buffer`: what has come of the next responses.
    """

    __slots__ = ("buffer", "depth", "pending")

    def __init__(self, pool: ConnectionPool, kind: RequestKind, depth: int) -> None:
        super().__init__(pool, kind)
        self.depth = depth
        self.pending: deque[RequestKind] = deque()

    def reset_response(self) -> None:
        """Prepare for the first byte of a batch of responses."""
        super().reset_response()
        self.buffer = b""

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return len(self.pending)

    def send_request(self, kind: RequestKind, intended_at: int, now: int, queued_at: int = 0) -> None:
        """Send a batch that begins with this request."""
        pool = self.pool
        self.pending.extend((kind, *(pool.pick() for _ in range(self.depth - 1))))
        pool.in_flight += len(self.pending)
        self.started_at = now
        batch = b"".join(each.request for each in self.pending)
        try:
            sent = self.send(batch)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fail(error_name(error), now)
            return
        if sent < len(batch):
            self.keep_unsent(batch, sent)

    def on_event(self, now: int) -> None:
        """Send what is unsent, and read responses."""
        if not self.started_at:
            super().on_event(now)
            return
        try:
            if self.unsent is not None:
                self.send_unsent(now)
                if not self.started_at:
                    return  # the connection was broken, and the batch has failed
            data = self.recv(RECV_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(error_name(error), now)
            return
        try:
            closes = self._parse_responses(data, now)
        except InvalidResponse:
            self.fail("bad_answer", now)
            return
        if closes and self.pending:
            self.fail("closed", now)
        elif not self.pending and self.finish_response(closes or bool(self.buffer), now):
            self.pool.release(self, now)

    def _parse_responses(self, data: bytes, now: int) -> bool:
        """Record every complete response.

        Returns whether the server closes after them. Raises InvalidResponse.
        """
        if not data:
            return True
        self.buffer += data
        at, closes = 0, False
        while at < len(self.buffer) and self.pending and not closes:
            length, closes = self._parse_one(at, now)
            if not length:
                break
            at += length
        self.buffer = self.buffer[at:]
        if self.buffer and not self.pending:
            self.pool.errors["unasked_bytes"] += 1
        return closes

    def _parse_one(self, at: int, now: int) -> tuple[int, bool]:
        """Record the response that begins at `at`.

        Returns its length, 0 if it is incomplete, and whether the server closes. Raises InvalidResponse.
        """
        kind, available = self.pending[0], len(self.buffer) - at
        # An identical head has an identical length; each new Date header costs one parse. The expected length
        # alone would cut the stream at the wrong place as soon as one response is longer.
        if kind.expected_head and self.buffer.startswith(kind.expected_head, at):
            if available < kind.expected_bytes:
                return 0, False
            length, closes = kind.expected_bytes, False
            self.completed += 1
            kind.add_service_us((now - self.started_at) // 1000)
        else:
            reader = ResponseReader()
            if not reader.feed(self.buffer[at:]):
                return 0, False
            assert reader.head
            length, closes = reader.total_bytes, reader.head.closes
            self._record(kind, reader, now)
            if length == kind.expected_bytes and reader.head.body_bytes is not None and not closes:
                kind.expected_head = self.buffer[at : at + reader.head.head_bytes]
        self.pending.popleft()
        self.pool.in_flight -= 1
        return length, closes

    def _record(self, kind: RequestKind, reader: ResponseReader, now: int) -> None:
        """Record a complete response, as correct or as an error."""
        head, length = reader.head, reader.total_bytes
        assert head
        if head.status != kind.status:
            self.pool.count_error(kind, f"status_{head.status}", now - self.started_at, length)
        elif kind.body_bytes not in (None, reader.body_bytes):
            self.pool.count_error(kind, "bad_length", now - self.started_at, length)
        else:
            self.completed += 1
            kind.record(head, length, now, self.started_at, self.started_at, self.started_at)

    def finish_response(self, closes: bool, now: int) -> bool:
        """End the batch. Returns whether the next one can be sent."""
        self.started_at = 0
        return super().finish_response(closes, now)

    def count_failure(self, error: str, now: int) -> None:
        """Count all requests of the batch that have no response as failed."""
        for kind in self.pending:
            self.pool.count_error(kind, error, now - self.started_at, 0)
        self.pool.in_flight -= len(self.pending)
        self.pending.clear()
        self.started_at = 0
