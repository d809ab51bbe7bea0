"""Deadlines for many peers, without a scan of them all at each tick.

A peer is filed under the second in which it would expire. Activity does not move it: when its second comes it
is looked at, and filed again if it has been active since. So a peer costs one look per timeout period, not
one per request and not one per tick.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from types import SimpleNamespace

from engines.common.connection import LINGER_S, Peer


class Deadlines:
    """The peers of one thread, by the second in which they expire. That thread only."""

    def __init__(self, knobs: SimpleNamespace, now_s: float) -> None:
        self._knobs = knobs
        self._due: defaultdict[int, set[Peer]] = defaultdict(set)
        self._swept = int(now_s)

    def file(self, peer: Peer) -> None:
        """File `peer`, or file it earlier: when it is new, and when its phase changes to a shorter one.

        Never later than it stands: a peer that trickles bytes would move its deadline before it for ever.
        """
        second = max(int(self.of(peer)), self._swept) + 1
        if peer.filed:
            if peer.filed <= second:
                return
            self._due[peer.filed].discard(peer)
        peer.filed = second
        self._due[second].add(peer)

    def forget(self, peer: Peer) -> None:
        """The peer is closed."""
        if peer.filed in self._due:
            self._due[peer.filed].discard(peer)

    def of(self, peer: Peer) -> float:
        """When `peer` expires, on the monotonic clock: the whole head and body have one deadline each."""
        if peer.busy:
            return self._swept + float(self._knobs.idle_s)  # the peer waits for us, not we for it
        if peer.lingering:
            return peer.since_s + LINGER_S
        if peer.outbox:
            return peer.since_s + float(self._knobs.write_s)
        if peer.inbox.partial:
            return peer.since_s + float(self._knobs.body_s if peer.inbox.in_body else self._knobs.header_s)
        return peer.since_s + float(self._knobs.idle_s)

    def expired(self, now_s: float) -> Iterator[Peer]:
        """Peers whose time is up; the others of the seconds that have passed are filed again."""
        first, self._swept = (
            self._swept,
            int(now_s) + 1,
        )  # now: whom we make wait does not expire, however late we look
        for second in range(first, self._swept):
            for peer in tuple(self._due.pop(second, ())):
                if self.of(peer) <= now_s:
                    yield peer
                else:
                    peer.filed = 0
                    self.file(peer)
