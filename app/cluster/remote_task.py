"""A task of the lab on one host: it runs there or nowhere, once, and is lost when its host is silent."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.cluster import LOST_AFTER_S
from app.cluster.dask import Future, FutureCancelledError, KilledWorker
from app.cluster.link import Link
from app.hosts.clock import ClockOffset

OTHER_WORK = "the host has other work, or does not answer."
CHECK_S = 0.25  # between two looks whether the host is lost


@dataclass(frozen=True, slots=True)
class Member:
    """A host that has joined: its name, the address of its worker, and its clock."""

    name: str
    worker: str
    clock: ClockOffset


class RemoteTask:
    """Follows a task until it has ended or is lost. Event loop only.

    id: names it in messages and on its host. ended: resolves when it has a result or a failure. result: what
    it returned. failure: how it ended without a result, as "on NAME was lost: …". error: what it raised.
    has_started: whether it has sent a message. may_wait: whether it may wait on its host for the end of
    others, without messages. is_there: returns whether the host is still in the cluster.
    """

    def __init__(
        self,
        link: Link,
        member: Member,
        kind: str,
        *,
        may_wait: bool = False,
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        self.id = f"{kind}-{secrets.token_hex(8)}"
        self.result: Any = None
        self.failure = ""
        self.error: BaseException | None = None
        self.has_started = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._link = link
        self._member = member
        self._may_wait = may_wait
        self._is_there = is_there
        self._heard_ns = time.monotonic_ns()
        self._future: Future | None = None
        self._follower: asyncio.Task[None] | None = None

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: object,
        resources: dict[str, float],
        on_message: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Start `function` of app/cluster/tasks.py, with the id and the topic as further arguments."""

        def heard(message: Mapping[str, Any]) -> None:
            self._heard_ns, self._may_wait, self.has_started = time.monotonic_ns(), False, True
            on_message(message)

        self._link.subscribe(self.id, heard)
        task = (self.id, self._link.topic, *arguments)
        self._future = self._link.submit(self.id, self._member.worker, function, *task, resources=resources)
        self._follower = asyncio.create_task(self._follow(self._future))

    def call(
        self,
        function: Callable[..., Any],
        *arguments: object,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Call a function of tasks.py on the host with the id; do not wait for it.

        `on_failure` gets the reason if that is not possible.
        """
        self._link.call_soon(self._member.worker, function, self.id, *arguments, on_failure=on_failure)

    def end(self, failure: str) -> None:
        """End it for the lab, unless it has ended."""
        if not self.ended.done():
            self.failure = failure
            self.ended.set_result(None)

    def close(self) -> None:
        """Forget the task. Its host ends it if it has not ended."""
        self.end("was stopped.")
        if self._follower:
            self._follower.cancel()
        self._link.unsubscribe(self.id)
        if self._future:
            self._future.release()

    def _lose(self, reason: str) -> None:
        self.end(f"on {self._member.name} was lost: {reason}")

    async def _follow(self, future: Future) -> None:
        result = asyncio.ensure_future(future.result())
        try:
            while not self.ended.done():
                await asyncio.wait([result], timeout=CHECK_S)
                if result.done():
                    self._keep(result)
                elif not self._link.is_open:
                    self._lose("the scheduler has ended.")
                elif not self._is_there():
                    self._lose("the host has left the cluster.")
                elif not self._may_wait and (silent_s := self._silent_s) > LOST_AFTER_S:
                    if self.has_started:
                        self._lose(f"no message for {silent_s:.0f} s.")
                    else:
                        self.end(f"on {self._member.name} has not started for {silent_s:.0f} s: {OTHER_WORK}")
        finally:
            result.cancel()

    @property
    def _silent_s(self) -> float:
        return (time.monotonic_ns() - self._heard_ns) / 1e9

    def _keep(self, result: asyncio.Future[Any]) -> None:
        self.error = error = None if result.cancelled() else result.exception()
        if result.cancelled() or isinstance(error, FutureCancelledError):
            self._lose("the connection to the scheduler has ended.")
        elif isinstance(error, KilledWorker):
            self._lose("the host has left the cluster.")
        elif error is not None:
            self.end(f"on {self._member.name} failed: {str(error) or type(error).__name__}")
        else:
            self.result = result.result()
            self.end("")
