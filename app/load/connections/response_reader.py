"""Reading the careful way: answers that differ from the first of their kind, come in pieces, or come unasked.

The hot loops call `digest` for all that is not exactly what they learned: one answer in thousands, or each piece of a
large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.load.connections.response_head import InvalidResponse, parse_head

if TYPE_CHECKING:
    from app.load.connections.client_connection import ClientConnection
    from app.load.connections.connection_pool import ConnectionPool


def process_response(pool: ConnectionPool, connection: ClientConnection, data: bytes, now: int) -> bool:
    """True when the request is over, well or badly, and the peer can take the next one."""
    if not data:
        connection.fail("closed", now)
        return False
    try:
        complete = append_response(connection, data)
    except InvalidResponse:
        connection.fail("bad_answer", now)
        return False
    return complete and _finish(pool, connection, now)


def append_response(connection: ClientConnection, data: bytes) -> bool:
    """Add bytes to a peer's answer; True when it is whole. Raises BadAnswer."""
    connection.received += len(data)
    if connection.head is None:
        connection.buffer += data
        connection.head = parse_head(connection.buffer)
    return connection.head is not None and connection.received >= connection.head.total_bytes


def _finish(pool: ConnectionPool, connection: ClientConnection, now: int) -> bool:
    head, kind = connection.head, connection.kind
    assert head is not None
    if connection.received > head.total_bytes or (
        head.status == 200 and kind.body_bytes not in (None, head.body_bytes)
    ):
        connection.fail("bad_length", now)
        return False
    if head.status == 200:
        kind.record(head, now, connection.in_flight_since, connection.intended_at, connection.handled_at)
    else:
        connection.count_failure(f"status_{head.status}", now)
    # Answered before the request was out (413): what is left of it would be read as the next request.
    return connection.finish_response(head.closes or connection.unsent is not None, now)


def handle_unexpected(pool: ConnectionPool, connection: ClientConnection, now: int) -> None:
    """The server closed a connection that was at rest (its right), or said something that nobody asked."""
    try:
        data = connection.recv(4096)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        pool.errors["unasked_bytes"] += 1
    else:
        pool.reconnects += 1
    pool.reopen(connection, now)
