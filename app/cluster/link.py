"""The connection of a lab to the scheduler: tasks for hosts, calls to hosts, and messages of tasks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from app.addresses import ClusterAddress
from app.cluster import LOST_AFTER_S, tasks
from app.cluster.certificates import Role
from app.cluster.dask import Client, ClosedClientError, Future
from app.cluster.facts import Software
from app.cluster.joining import check_scheduler
from app.cluster.security import security_of
from app.hosts.clock import ClockOffset, clock_offset

CLOCK_SAMPLES = 9
HEARTBEAT = "1s"

Handler = Callable[[Mapping[str, Any]], None]


class HostUnreachable(Exception):
    """A host did not answer."""


class Link:
    """One connection to a scheduler; it is not opened again when it is lost. Event loop only.

    topic: under which tasks of this lab send messages.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._handlers: dict[str, Handler] = {}
        self._scheduler = ""  # its id, which another one on the same address does not have
        self._calls: set[asyncio.Task[Any]] = set()  # the event loop keeps only weak references to tasks
        self.topic = f"threadlab-{secrets.token_hex(8)}"
        client.subscribe_topic(self.topic, self._on_message)

    @classmethod
    async def open(cls, address: ClusterAddress, certificates: Path | None) -> Link:
        """Connect to a scheduler. Raises LabError with a sentence."""
        security = security_of(address, certificates, Role.LAB)
        await check_scheduler(address, certificates, Role.LAB, Software.here())
        client = await Client(
            str(address),
            asynchronous=True,
            security=security,
            timeout=LOST_AFTER_S,
            set_as_default=False,
            heartbeat_interval=HEARTBEAT,
            name="threadlab",
        )
        return cls(client)

    @property
    def is_open(self) -> bool:
        """Whether the scheduler is still there."""
        return bool(self._client.status == "running")

    async def workers(self) -> dict[str, dict[str, Any]]:
        """Return what the scheduler knows of each worker, by address.

        Raises TimeoutError, and OSError also if it is another scheduler: Dask connects to that by itself, and
        the subscription is lost.
        """
        found = await asyncio.wait_for(self._client.scheduler.identity(n_workers=-1), LOST_AFTER_S)
        if found["id"] != (self._scheduler or found["id"]):
            raise OSError("the scheduler was restarted")
        self._scheduler = found["id"]
        return dict(found["workers"])

    async def call(self, worker: str, function: Callable[..., Any], *args: object) -> Any:
        """Return what a function of `tasks` returns on a host. Raises HostUnreachable."""
        try:
            found = await asyncio.wait_for(
                self._client.run(function, *args, workers=[worker], on_error="return"), LOST_AFTER_S
            )
            result = found[worker]
        except (OSError, TimeoutError, KeyError, ValueError, RuntimeError, ClosedClientError) as error:
            raise HostUnreachable(str(error) or type(error).__name__) from error
        if isinstance(result, Exception):
            raise HostUnreachable(str(result)) from result
        return result

    def call_soon(
        self,
        worker: str,
        function: Callable[..., Any],
        *args: object,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Call a function of `tasks` on a host; `on_failure` gets the reason if that is not possible."""

        async def call() -> None:
            try:
                await self.call(worker, function, *args)
            except HostUnreachable as error:
                on_failure(str(error))

        self._start(call())

    def submit(
        self, key: str, worker: str, function: Callable[..., Any], *args: object, resources: dict[str, float]
    ) -> Future:
        """Return the future of a task that runs on this host or nowhere, and once. Raises OSError."""
        try:
            return self._client.submit(
                function,
                *args,
                key=key,
                workers=[worker],
                allow_other_workers=False,
                retries=0,
                resources=resources,
                pure=False,
            )
        except ClosedClientError as error:
            raise OSError("the connection to the scheduler has ended") from error

    def subscribe(self, id: str, handler: Handler) -> None:
        """Call `handler` with each message of the task with this id."""
        self._handlers[id] = handler

    def unsubscribe(self, id: str) -> None:
        """Forget a task."""
        self._handlers.pop(id, None)

    async def clock(self, worker: str) -> tuple[ClockOffset, int]:
        """Return the offset of a host's CLOCK_MONOTONIC, and that of its wall clock in ns.

        Raises HostUnreachable.
        """
        samples, walls = [], []
        for _ in range(CLOCK_SAMPLES):
            sent_ns, sent_wall_ns = time.monotonic_ns(), time.time_ns()
            read_ns, wall_ns = await self.call(worker, tasks.read_clocks)
            received_ns = time.monotonic_ns()
            samples.append((sent_ns, read_ns, received_ns))
            walls.append((sent_wall_ns, wall_ns, sent_wall_ns + received_ns - sent_ns))
        return clock_offset(samples), clock_offset(walls).offset_ns

    async def close(self) -> None:
        """Close the connection; tasks of this lab end on their hosts."""
        for call in self._calls:
            call.cancel()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._client.close(), LOST_AFTER_S)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _on_message(self, event: tuple[float, Any]) -> None:
        _, message = event
        if isinstance(message, dict) and (handler := self._handlers.get(message.get("task", ""))):
            handler(message)
