"""Reading the careful way: answers that differ from the first of their kind, come in pieces, or come unasked.

The hot loops call `digest` for all that is not exactly what they learned: one answer in thousands, or each piece of a
large one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.load.connections.response_head import BadAnswer, parse_head

if TYPE_CHECKING:
    from app.load.connections.connection import Peer
    from app.load.connections.pool import Crew


def digest(crew: Crew, peer: Peer, data: bytes, now: int) -> bool:
    """True when the request is over, well or badly, and the peer can take the next one."""
    if not data:
        peer.lose("closed", now)
        return False
    try:
        whole = take(peer, data)
    except BadAnswer:
        peer.lose("bad_answer", now)
        return False
    return whole and _judge(crew, peer, now)


def take(peer: Peer, data: bytes) -> bool:
    """Add bytes to a peer's answer; True when it is whole. Raises BadAnswer."""
    peer.got += len(data)
    if peer.head is None:
        peer.buffer += data
        peer.head = parse_head(peer.buffer)
    return peer.head is not None and peer.got >= peer.head.whole


def _judge(crew: Crew, peer: Peer, now: int) -> bool:
    head, kind = peer.head, peer.kind
    assert head is not None
    if peer.got > head.whole or (head.status == 200 and kind.body_bytes not in (None, head.body_bytes)):
        peer.lose("bad_length", now)
        return False
    if head.status == 200:
        kind.take(head, now, peer.asked_at, peer.intended, peer.handled)
    else:
        peer.count_loss(f"status_{head.status}", now)
    # Answered before the request was out (413): what is left of it would be read as the next request.
    return peer.over(head.closes or peer.unsent is not None, now)


def heard_unasked(crew: Crew, peer: Peer, now: int) -> None:
    """The server closed a connection that was at rest (its right), or said something that nobody asked."""
    try:
        data = peer.recv(4096)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        crew.errors["unasked_bytes"] += 1
    else:
        crew.reconnects += 1
    crew.reopen(peer, now)
