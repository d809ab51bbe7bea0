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

RECV_BYTES = 64 * 1024


class PipelinedConnection(ClientConnection):
    """A connection with up to `depth` requests in flight.

    `pending`: their kinds, in the order of the responses. `reader` has what has come of the first of these.
    """

    __slots__ = ("depth", "pending")

    def __init__(self, pool: ConnectionPool, kind: RequestKind, depth: int) -> None:
        super().__init__(pool, kind)
        self.depth = depth
        self.pending: deque[RequestKind] = deque()

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
        elif not self.pending and self.finish_response(closes, now):
            self.pool.release(self, now)

    def _parse_responses(self, data: bytes, now: int) -> bool:
        """Record every complete response; empty data: the server closed.

        Returns whether the connection cannot be used after them. Raises InvalidResponse.
        """
        if not data:
            if self.reader.ends_by_close:
                self._record(now)
            return True
        at, closes = 0, False
        while at < len(data) and self.pending and not closes:
            length, closes = self._parse_one(data, at, now)
            at += length
        if at < len(data) and not self.pending:
            self.pool.errors["unasked_bytes"] += 1
            return True
        return closes

    def _parse_one(self, data: bytes, at: int, now: int) -> tuple[int, bool]:
        """Record the next response if it is complete.

        Returns how many bytes of `data` from `at` belong to it, and whether the server closes after it.
        Raises InvalidResponse.
        """
        kind, available = self.pending[0], len(data) - at
        # An identical head has an identical length; each new Date header costs one parse. The expected length
        # alone would cut the stream at the wrong place as soon as one response is longer.
        if (
            kind.expected_start
            and available >= kind.expected_bytes
            and not self.received
            and data.startswith(kind.expected_start, at)
        ):
            self.completed += 1
            kind.add_service_us((now - self.started_at) // 1000)
            self._end_response()
            return kind.expected_bytes, False
        self.kind = kind
        if not self.append_response(data[at:]):
            return available, False
        assert self.reader.head
        length, closes = available - len(self.reader.rest), self.reader.head.closes
        self._record(now)
        return length, closes

    def _record(self, now: int) -> None:
        """Record a complete response, as correct or as an error."""
        reader, kind, began = self.reader, self.kind, self.started_at
        assert reader.head
        if error := reader.error:
            self.pool.count_error(kind, error, now - began, reader.total_bytes)
        else:
            self.completed += 1
            kind.record(reader, now, began, began, began)
            if reader.total_bytes == kind.expected_bytes and reader.is_repeatable and not reader.head.closes:
                kind.expected_start = reader.head.raw + kind.expected_body
        self.received = 0
        reader.reset()
        self._end_response()

    def _end_response(self) -> None:
        self.pending.popleft()
        self.pool.in_flight -= 1

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
