"""The open model: requests are sent when the schedule says so, whether responses arrive or not.

    schedule ──due──> a free connection? ──yes──> send
                              │ no
                              v
                           backlog ──a connection becomes free──> send, late, but not lost

Response time runs from the *intended* instant, service time from the send. While a server stalls, requests
pile up in the backlog and their response time grows: this shows the coordinated omission that a closed model
hides.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic_ns

from app.load.connections.pooled_connection import PooledConnection
from app.load.connections.request_mix import RequestMix
from app.load.executors.dispatcher import Dispatcher
from app.load.executors.ramp import Ramp
from app.load.executors.schedule import Schedule
from app.load.executors.timer import NEVER_NS
from app.load.protocol.shard_share import ShardShare

EVENTS_MAX = 32  # per poll, and so between two checks of the tick; due sends are checked after each response
LATE_NS = 1_000_000


class OpenModel:
    """`constant-arrival-rate` and `ramping-arrival-rate`, over a fixed number of connections."""

    def __init__(self, dispatcher: Dispatcher, spacing: str, share: ShardShare) -> None:
        self.dispatcher = dispatcher
        self.spacing = spacing
        self.share = share
        self._times: Iterator[int] = iter(())
        self._next_due = NEVER_NS
        self._phases = 0
        dispatcher.on_free = self._on_free

    def run(self, mix: RequestMix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        """Block while it offers the load of one phase. This is the hot loop."""
        self._begin_phase(mix, ramp, from_ns, until_ns)
        dispatcher, pool, clock = self.dispatcher, self.dispatcher.pool, monotonic_ns
        free, backlog = dispatcher.free, dispatcher.backlog
        poll, by_fd, ticker, set_timer = pool.poll, pool.by_fd, dispatcher.ticker, dispatcher.timer.set
        while (now := clock()) < until_ns and not dispatcher.stopped:
            if now >= self._next_due:
                self._send_due(now)
            if now >= ticker.tick_at:
                dispatcher.tick(now)
            set_timer(min(self._next_due, ticker.tick_at, until_ns))
            for fd, _ in poll(-1, EVENTS_MAX):
                connection = by_fd[fd]
                if not connection.sent_at:
                    connection.on_event(now := clock())
                    if now >= self._next_due:
                        self._send_due(now)
                    continue
                try:
                    kind = connection.kind
                    data = connection.recv(kind.recv_bytes)
                    now = clock()
                    if (
                        len(data) == kind.expected_bytes
                        and data.startswith(kind.expected_prefix)
                        and data.endswith(kind.expected_body)
                        and not connection.received
                    ):
                        kind.add_service_us((now - connection.sent_at) // 1000)
                        kind.response_us.append((now - connection.intended_at) // 1000)
                        kind.corrected_us.append((now - connection.handled_at) // 1000)
                        connection.completed += 1
                    elif not connection.process_response(data, now):
                        continue
                except OSError as error:
                    connection.handle_error(error, now)
                    continue
                connection.sent_at = 0
                if backlog:
                    due_at, queued_at, kind = backlog.popleft()
                    connection.send_request(kind, due_at, now, queued_at)
                else:
                    free.append(connection)
                if now >= self._next_due:
                    self._send_due(now)
        # What has become due since the last check, so that no request is lost between two phases.
        self._send_due(min(clock(), until_ns - 1))

    def _begin_phase(self, mix: RequestMix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        self._phases += 1
        self.dispatcher.pick = mix.pick
        schedule = Schedule(ramp, self.spacing, self.share, seed=self._phases)
        self._times = schedule.times(from_ns, until_ns)
        self._next_due = next(self._times, NEVER_NS)

    def _send_due(self, now: int) -> None:
        """Send all that is due by `now`, or put it into the backlog."""
        dispatcher, due = self.dispatcher, self._next_due
        assert dispatcher.pick is not None
        while due <= now:
            dispatcher.intended += 1
            actual = monotonic_ns()
            dispatcher.lateness_us.append((actual - due) // 1000)
            dispatcher.late += actual - due > LATE_NS
            if dispatcher.free:
                dispatcher.free.popleft().send_request(dispatcher.pick(), due, actual)
            else:
                dispatcher.waited += 1
                dispatcher.backlog.append((due, actual, dispatcher.pick()))
            due = next(self._times, NEVER_NS)
        self._next_due = due

    def _on_free(self, connection: PooledConnection, now: int) -> None:
        """Send the oldest request of the backlog; else the connection stays free."""
        dispatcher = self.dispatcher
        if dispatcher.backlog:
            due_at, queued_at, kind = dispatcher.backlog.popleft()
            connection.send_request(kind, due_at, now, queued_at)
        else:
            dispatcher.add_free(connection, now)
