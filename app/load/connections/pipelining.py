"""Pipelining: a batch of requests in one send, their answers in order; the next batch when the last has come.

Each answer's time runs from the send of its batch: the later ones waited for the earlier, which is what a client of
HTTP/1.1 pipelining lives with.
"""

from __future__ import annotations

from collections import deque

from app.load.connections.connection import Peer
from app.load.connections.failures import name_of
from app.load.connections.pool import Crew
from app.load.connections.request_mix import Kind
from app.load.connections.response_head import BadAnswer, Head, parse_head

ROOM = 64 * 1024


class PipelinePeer(Peer):
    """One connection with up to `depth` requests in flight."""

    __slots__ = ("asked", "depth")

    def __init__(self, crew: Crew, kind: Kind, depth: int) -> None:
        super().__init__(crew, kind)
        self.depth = depth
        self.asked: deque[Kind] = deque()  # in the order of their answers

    @property
    def owed(self) -> int:
        return len(self.asked)

    def ask(self, kind: Kind, intended: int, now: int, queued: int = 0) -> None:
        crew = self.crew
        self.asked.extend((kind, *(crew.pick() for _ in range(self.depth - 1))))
        crew.owed += len(self.asked)
        self.since = now
        batch = b"".join(each.request for each in self.asked)
        try:
            sent = self.send(batch)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.lose(name_of(error), now)
            return
        if sent < len(batch):
            self.cut_short(batch, sent)

    def ready(self, now: int) -> None:
        if not self.since:
            super().ready(now)
            return
        crew = self.crew
        try:
            if self.unsent is not None:
                self.push(now)
                if not self.since:
                    return  # the push found the connection broken
            data = self.recv(ROOM)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(name_of(error), now)
            return
        try:
            closes = self._take(data, now)
        except BadAnswer:
            self.lose("bad_answer", now)
            return
        if closes and self.asked:
            self.lose("closed", now)
        elif not self.asked and self.over(closes or bool(self.buffer), now):
            crew.admit(self, now)

    def _take(self, data: bytes, now: int) -> bool:
        """Count every answer that is whole; True if the server closes after them. Raises BadAnswer."""
        if not data:
            return True
        self.buffer += data
        at, closes = 0, False
        while at < len(self.buffer) and self.asked and not closes:
            length, closes = self._one(at, now)
            if not length:
                break
            at += length
        self.buffer = self.buffer[at:]
        if self.buffer and not self.asked:
            self.crew.errors["unasked_bytes"] += 1
        return closes

    def _one(self, at: int, now: int) -> tuple[int, bool]:
        """The answer that begins at `at`: its length, 0 while it is not whole, and whether the server closes."""
        kind, there = self.asked[0], len(self.buffer) - at
        # The same head to the byte has the same length; a new Date costs one look with care. The learned length alone
        # would cut a stream of answers at the wrong place as soon as one is longer.
        if kind.head and self.buffer.startswith(kind.head, at):
            if there < kind.length:
                return 0, False
            length, closes = kind.length, False
            kind.note((now - self.since) // 1000)
        else:
            head = parse_head(self.buffer[at:])
            if head is None or there < head.whole:
                return 0, False
            length, closes = head.whole, head.closes
            self._judge(kind, head, now)
            if head.whole == kind.length and not closes:
                kind.head = self.buffer[at : at + head.head_bytes]
        self.asked.popleft()
        self.crew.owed -= 1
        return length, closes

    def _judge(self, kind: Kind, head: Head, now: int) -> None:
        """The careful way, for the first of each kind and for whatever differs."""
        if head.status != 200:
            self.crew.count_error(kind, f"status_{head.status}", now - self.since, head.whole)
        elif kind.body_bytes not in (None, head.body_bytes):
            self.crew.count_error(kind, "bad_length", now - self.since, head.whole)
        else:
            kind.take(head, now, self.since, self.since, self.since)

    def over(self, closes: bool, now: int) -> bool:
        self.since = 0
        return super().over(closes, now)

    def count_loss(self, error: str, now: int) -> None:
        for kind in self.asked:
            self.crew.count_error(kind, error, now - self.since, 0)
        self.crew.owed -= len(self.asked)
        self.asked.clear()
        self.since = 0
