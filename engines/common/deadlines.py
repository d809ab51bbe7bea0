"""Deadlines of many connections, without a scan of all of them at each tick.

A connection is scheduled under the second in which it would expire. Activity does not move it: when that
second comes it is checked, and scheduled again if it has been active since. A connection is therefore checked
once per timeout period, not once per request or per tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Generic, TypeVar

from engines.common.connection import LINGER_S, Connection

C = TypeVar("C", bound=Connection)


class Deadlines(Generic[C]):
    """The connections of one thread by the second in which they expire. That thread only."""

    def __init__(self, knobs: SimpleNamespace, now_s: float) -> None:
        self._knobs = knobs
        self._by_second: defaultdict[int, set[C]] = defaultdict(set)
        self._checked_until = int(now_s)

    def schedule(self, connection: C) -> None:
        """Schedule a new connection, or move one forward whose phase now has an earlier deadline.

        Never moves a connection back: one that sends a byte now and then would postpone its check forever.
        """
        second = max(int(self.deadline_of(connection)), self._checked_until) + 1
        if connection.scheduled_s:
            if connection.scheduled_s <= second:
                return
            self._by_second[connection.scheduled_s].discard(connection)
        connection.scheduled_s = second
        self._by_second[second].add(connection)

    def remove(self, connection: C) -> None:
        """Forget `connection`, which is closed."""
        if connection.scheduled_s in self._by_second:
            self._by_second[connection.scheduled_s].discard(connection)

    def deadline_of(self, connection: C) -> float:
        """Return when `connection` expires, in monotonic seconds. Head and body have one deadline each."""
        if connection.busy:
            return self._checked_until + float(self._knobs.idle_s)  # it waits for a response
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
        """Yield connections that have expired by `now_s`; others that were due are scheduled again."""
        # Set before the loop: deadline_of() counts from it for busy connections, which must not expire here.
        first, self._checked_until = self._checked_until, int(now_s) + 1
        for second in range(first, self._checked_until):
            for connection in tuple(self._by_second.pop(second, ())):
                if self.deadline_of(connection) <= now_s:
                    yield connection
                else:
                    connection.scheduled_s = 0
                    self.schedule(connection)
