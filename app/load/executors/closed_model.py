"""The closed model: each connection sends a request, waits for the response, thinks, and sends the next one.

    connection   send ──> wait ──> receive ──> think ──> send ...

A slow response delays the next request of the same connection. So a closed load never offers more than the
server can serve: it finds the maximum, and it *cannot show coordinated omission*. Response time is service
time here.
"""

from __future__ import annotations

from time import monotonic_ns

from app.load.connections.pooled_connection import PooledConnection
from app.load.connections.request_mix import RequestMix
from app.load.executors.dispatcher import EVENTS_MAX, POLL_S, Dispatcher
from app.load.executors.ramp import Ramp
from app.load.executors.timer import NEVER_NS
from app.load.protocol.shard_share import ShardShare


class ClosedModel:
    """`constant-vus` and `ramping-vus`: one request in flight on each connection that does not think.

    `surplus`: connections that are closed as soon as they are free, because the ramp goes down.
    """

    def __init__(self, dispatcher: Dispatcher, think_time_ms: float, share: ShardShare) -> None:
        self.dispatcher = dispatcher
        self.think_ns = int(think_time_ms * 1e6)
        self.share = share
        self.surplus = 0
        dispatcher.on_free = self._on_free

    def run(self, mix: RequestMix, ramp: Ramp, from_ns: int, until_ns: int) -> None:
        """Block while it offers the load of one phase. This is the hot loop."""
        self._begin_phase(mix, from_ns)
        dispatcher, pool, pick, clock = self.dispatcher, self.dispatcher.pool, mix.pick, monotonic_ns
        poll, by_fd, ticker = pool.poll, pool.by_fd, dispatcher.ticker
        pauses = bool(self.think_ns or ramp.stages)
        while (now := clock()) < until_ns and not dispatcher.stopped:
            if now >= ticker.tick_at:
                dispatcher.tick(now)
                if ramp.stages:
                    self._follow_ramp(ramp.at((now - from_ns) / 1e9), now)
            if self.think_ns:
                self._send_due(now)
            for fd, _ in poll(POLL_S, EVENTS_MAX):
                connection = by_fd[fd]
                if not connection.sent_at:
                    connection.on_event(clock())
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
                        connection.completed += 1
                    elif not connection.process_response(data, now):
                        continue
                    if pauses:
                        connection.sent_at = 0
                        self._on_free(connection, now)
                        continue
                    # One timestamp ends a request and starts the next one: a second one would cost 60 ns to
                    # move the start by 0.5 µs.
                    connection.kind = kind = pick()
                    connection.sent_at = now
                    if (sent := connection.send(kind.request)) != kind.request_bytes:
                        connection.keep_unsent(kind.request, sent)
                except OSError as error:
                    connection.handle_error(error, now)

    def _begin_phase(self, mix: RequestMix, now: int) -> None:
        """Send the first requests; in a later phase, only changes the kinds of the next ones.

        Requests in flight then count for the phase in which they were sent.
        """
        dispatcher, first = self.dispatcher, self.dispatcher.pick is None
        dispatcher.pick = mix.pick
        if first and self.think_ns:
            for number, connection in enumerate(
                dispatcher.free
            ):  # spread, or all would send at the same time
                connection.due_at = now + number * self.think_ns // len(dispatcher.free)
        elif first:
            for _ in range(len(dispatcher.free)):
                dispatcher.free.popleft().send_request(mix.pick(), now, now)

    def _on_free(self, connection: PooledConnection, now: int) -> None:
        """Let a free connection think or send, or close it if it is surplus."""
        dispatcher = self.dispatcher
        if self.surplus:
            self.surplus -= 1
            dispatcher.pool.deactivate(connection)
        elif dispatcher.pick is None:
            dispatcher.add_free(connection, now)
        elif self.think_ns:
            connection.due_at = now + self.think_ns
            dispatcher.add_free(connection, now)
        else:
            connection.send_request(dispatcher.pick(), now, now)

    def _send_due(self, now: int) -> None:
        """Send on all connections whose think time is over, and set the timer for the next one.

        The think time is constant, so `free` is in the order of `due_at`.
        """
        dispatcher, free = self.dispatcher, self.dispatcher.free
        while free and free[0].due_at <= now and dispatcher.pick:
            free.popleft().send_request(dispatcher.pick(), now, now)
        dispatcher.timer.set(free[0].due_at if free else NEVER_NS)

    def _follow_ramp(self, level: float, now: int) -> None:
        """Open connections, or close free ones, until there are as many as the ramp requires."""
        pool, free = self.dispatcher.pool, self.dispatcher.free
        missing = self.share.portion(int(level)) - (pool.active - self.surplus)
        kept = min(missing, self.surplus)  # below 0: so many more become surplus
        self.surplus -= kept
        pool.activate(max(0, missing - kept), now)
        while self.surplus and free:
            self.surplus -= 1
            pool.deactivate(free.pop())
