"""Deadlines for many peers, without a scan of them all at each tick.

A peer is filed under the second in which it would expire. Activity does not move it: when its second comes it
is looked at, and filed again if it has been active since. So a peer costs one look per timeout period, not
one per request and not one per tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Generic, TypeVar

from engines.common.connection import LINGER_S, Connection

C = TypeVar("C", bound=Connection)


class Deadlines(Generic[C]):
    """The peers of one thread, by the second in which they expire. That thread only."""

    def __init__(self, knobs: SimpleNamespace, now_s: float) -> None:
        self._knobs = knobs
        self._by_second: defaultdict[int, set[C]] = defaultdict(set)
        self._checked_until = int(now_s)

    def schedule(self, connection: C) -> None:
        """File `peer`, or file it earlier: when it is new, and when its phase changes to a shorter one.

        Never later than it stands: a peer that trickles bytes would move its deadline before it for ever.
        """
        second = max(int(self.deadline_of(connection)), self._checked_until) + 1
        if connection.scheduled_s:
            if connection.scheduled_s <= second:
                return
            self._by_second[connection.scheduled_s].discard(connection)
        connection.scheduled_s = second
        self._by_second[second].add(connection)

    def remove(self, connection: C) -> None:
        """The peer is closed."""
        if connection.scheduled_s in self._by_second:
            self._by_second[connection.scheduled_s].discard(connection)

    def deadline_of(self, connection: C) -> float:
        """When `peer` expires, on the monotonic clock: the whole head and body have one deadline each."""
        if connection.busy:
            return self._checked_until + float(self._knobs.idle_s)  # the peer waits for us, not we for it
        if connection.lingering:
            return connection.phase_start_s + LINGER_S
        if connection.unsent:
            return connection.phase_start_s + float(self._knobs.write_s)
        if connection.parser.partial:
            return connection.phase_start_s + float(
                self._knobs.body_s if connection.parser.in_body else self._knobs.header_s
            )
        return connection.phase_start_s + float(self._knobs.idle_s)

    def expired(self, now_s: float) -> Iterator[C]:
        """Peers whose time is up; the others of the seconds that have passed are filed again."""
        first, self._checked_until = (
            self._checked_until,
            int(now_s) + 1,
        )  # now: whom we make wait does not expire, however late we look
        for second in range(first, self._checked_until):
            for connection in tuple(self._by_second.pop(second, ())):
                if self.deadline_of(connection) <= now_s:
                    yield connection
                else:
                    connection.scheduled_s = 0
                    self.schedule(connection)
