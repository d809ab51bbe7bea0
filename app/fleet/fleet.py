"""The fleet: every engine that is alive, the last ones that ended, and the newest samples of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.errors import Busy, Invalid, NotNow, Unknown, shown
from app.events import LINE, Event, Events
from app.fleet.engine import Engine, listen
from app.fleet.models import Models
from app.fleet.sampler import Sampler
from app.machine import scheduling
from app.machine.cpu_placement import usable_cpus
from app.schemas.engine import EngineView, SampleView
from app.settings import Settings

ENDED_KEPT = 20  # ended engines whose last state and log can still be asked for


class Fleet:
    """Starts, samples and stops engines. Event loop of the main thread only."""

    def __init__(self, settings: Settings, models: Models, events: Events) -> None:
        self.engines: dict[str, Engine] = {}
        self.samplers: dict[str, Sampler] = {}
        self._settings = settings
        self._models = models
        self._events = events
        self._numbers: dict[str, int] = {}
        self._jobs: set[asyncio.Task[Any]] = set()
        self.forgets: Callable[[Engine, Sampler], None] = lambda engine, sampler: (
            None
        )  # called for each it removes

    @property
    def alive(self) -> list[Engine]:
        return [engine for engine in self.engines.values() if engine.alive]

    async def start(
        self,
        model: str,
        knobs: Mapping[str, object],
        port: int = 0,
        cpus: Sequence[int] | None = None,
        wait: bool = True,
        shared: bool = False,
    ) -> EngineView:
        """Start an engine; with `wait`, return when it is ready. Raises LabError, and then nothing was started.

        `port`: 0 takes a free one; of the operator's range, if there is one, like any other port.
        `shared`: its port can be taken over by another that is started so.
        """
        parsed = self._models.knobs(model, knobs)
        self._models.require_available(model)
        self._check_cpus(cpus)
        self._check_port(port)
        if len(self.alive) >= self._settings.max_engines:
            raise Busy(f"At most {self._settings.max_engines} engines run at once; stop one first.")
        listener = self._listen(port, int(parsed["backlog"]), shared)
        number = self._numbers.get(model, 0) + 1
        engine = Engine(f"{model}-{number}", self._models.contracts[model], parsed, self._changed, self._said)
        engine.spawn(self._settings.engine_python, listener, self._models.calibration, cpus)
        self._numbers[model] = number
        self.engines[engine.id], self.samplers[engine.id] = engine, Sampler(engine)
        self._forget_old()
        ready = asyncio.create_task(self._become_ready(engine))
        self.keep_until_done(ready)
        if wait:
            await asyncio.shield(ready)
        return engine.view()

    async def _become_ready(self, engine: Engine) -> None:
        """Wait until the engine is ready, then sample it at once: its threads can be read as soon as it is reported."""
        await engine.wait_ready()
        self.samplers[engine.id].begin(time.monotonic_ns())

    def _listen(self, port: int, backlog: int, shared: bool = False) -> socket.socket:
        """On the port asked for; else on the first free one of the operator's range; else on any."""
        host, ports = self._settings.engine_host, self._settings.engine_port_range
        if (
            shared and not port
        ):  # one that nobody has: a shared socket would join whoever shares a port already
            with self._listen(0, backlog) as free:
                port = free.getsockname()[1]
        if port or not ports:
            return listen(host, port, backlog, shared)
        for each in ports:
            with contextlib.suppress(NotNow):
                return listen(host, each, backlog)
        raise Busy(f"All engine ports from {ports[0]} to {ports[-1]} are taken; stop an engine first.")

    def engine(self, id: str) -> Engine:
        if id not in self.engines:
            raise Unknown(f"There is no engine {shown(id)}.")
        return self.engines[id]

    async def stop(self, id: str, force: bool = False) -> EngineView:
        """Drain and stop, or kill; returns the last view."""
        engine = self.engine(id)
        await engine.stop(force)
        return engine.view()

    async def stop_on(self, port: int | None) -> None:
        """Stop whoever listens on a port: several, where one takes over from another."""
        await asyncio.gather(*(engine.stop() for engine in self.alive if engine.port == port))

    def sample(self, id: str) -> SampleView:
        self.engine(id)
        if (view := self.samplers[id].view()) is None:
            raise NotNow(f"{id} has not been sampled yet.")
        return view

    def keep_until_done(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task that nobody may wait for, or the collector would take it."""
        self._jobs.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._jobs.discard(task)
        if not task.cancelled():
            task.exception()  # seen: the engine's state and its card say it

    async def stop_all(self) -> None:
        """Stop whatever is alive, and give up what is starting."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await asyncio.gather(*(engine.stop() for engine in self.alive), return_exceptions=True)

    def _check_cpus(self, cpus: Sequence[int] | None) -> None:
        usable = usable_cpus()
        if cpus is not None and (not cpus or not set(cpus) <= set(usable)):
            raise Invalid.field("/cpus", f"cpus are some of {', '.join(map(str, usable))}.")

    def _check_port(self, port: int) -> None:
        """An operator who names a range has opened, published or watches those ports and no others."""
        ports = self._settings.engine_port_range
        if port and ports and port not in ports:
            allowed = f"{ports[0]} to {ports[-1]} (THREADLAB_ENGINE_PORTS)"
            raise Invalid.field(
                "/port", f"Engines of this lab take ports from {allowed}, or 0 for a free one of them."
            )

    def _forget_old(self) -> None:
        ended = [engine.id for engine in self.engines.values() if not engine.alive]
        for id in ended[: max(0, len(ended) - ENDED_KEPT)]:
            engine, sampler = self.engines.pop(id), self.samplers.pop(id)
            if not sampler.complete:
                sampler.take(time.monotonic_ns())
            self.forgets(engine, sampler)
            sampler.close()

    async def sample_all(self) -> None:
        """Read every living engine at the sampling interval, and once more after its end."""
        interval_s = self._settings.sample_interval_ms / 1000
        next_s = time.monotonic()
        while True:
            for id, sampler in tuple(self.samplers.items()):
                engine = self.engines[id]
                sample = sampler.take(time.monotonic_ns()) if engine.alive or not sampler.complete else None
                engine.update_state(bool(sample and sample.process and sample.process.suspended))
                if engine.tracing:
                    engine.tracing.read_if_due(time.monotonic_ns())
                scheduling.yield_cpu()
            next_s = max(next_s + interval_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    def _said(self, engine: Engine, line: str) -> None:
        self._events.tell(Event(LINE, engine.id, engine.model.name, None, line))

    def _changed(self, engine: Engine, text: str) -> None:
        self._events.tell(Event(f"engine.{engine.state}", engine.id, engine.model.name, None, text))
