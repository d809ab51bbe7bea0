"""A connection to a scheduler that is not there: it keeps what is asked of hosts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import astuple
from typing import Any, cast

from app.cluster.link import Handler, Link
from app.load.protocol.meter import MeterReading


class FakeFuture:
    """The future of a task whose result a test sets."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.released = False

    async def result(self) -> Any:
        """Return the result of the task."""
        return await asyncio.shield(self.answer)

    def release(self) -> None:
        """Keep that the task is not wanted any more."""
        self.released = True


class FakeLink:
    """Has the methods of `Link` that a task needs, and keeps their arguments."""

    topic = "threadlab-0"

    def __init__(self) -> None:
        self.is_open = True
        self.future = FakeFuture()
        self.handlers: dict[str, Handler] = {}
        self.submitted: tuple[Any, ...] = ()
        self.resources: Mapping[str, float] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.refuses = ""  # why calls fail

    @property
    def link(self) -> Link:
        """The same object, as the type that a task asks for."""
        return cast(Link, self)

    def subscribe(self, id: str, handler: Handler) -> None:
        """Keep the handler of messages."""
        self.handlers[id] = handler

    def unsubscribe(self, id: str) -> None:
        """Forget the handler."""
        self.handlers.pop(id, None)

    def submit(
        self, key: str, worker: str, function: Callable[..., Any], *args: object, resources: dict[str, float]
    ) -> FakeFuture:
        """Keep what is submitted, and where to."""
        self.submitted, self.resources = (key, worker, function, *args), resources
        return self.future

    def call_soon(
        self,
        worker: str,
        function: Callable[..., Any],
        *args: object,
        on_failure: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Keep the call, or refuse it."""
        self.calls.append((worker, function, *args))
        if self.refuses:
            on_failure(self.refuses)

    def send(self, reading: MeterReading) -> None:
        """Send the meter of the only shard as its host does."""
        for handler in self.handlers.values():
            handler({"reading": astuple(reading)})
