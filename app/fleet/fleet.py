"""The fleet: all live engines, the last engines that have ended, and their newest samples."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from app.errors import Busy, Invalid, NotNow, Unknown, shown
from app.events import LINE, Event, Events
from app.fleet.backend import Backend
from app.fleet.engine import Engine
from app.fleet.external_backend import ExternalBackend, PortChoice
from app.fleet.launchables import Launchables
from app.fleet.model_backend import ModelBackend
from app.fleet.processes import processes_view
from app.fleet.sampler import Sampler
from app.fleet.sockets import hold, listen
from app.machine.cpu_placement import usable_cpus
from app.machine.scheduling import batch_policy
from app.schemas.engine import EngineView, SampleView
from app.schemas.process import ProcessesView
from app.settings import Settings
from engines.common.contract import listens_by_itself

ENDED_KEPT = 20  # ended engines whose last state and log are kept

OnRemoved = Callable[[Engine, Sampler], None]


class Fleet:
    """Starts, samples and stops engines. Event loop of the main thread only.

    engines and samplers: by engine id. on_removed: called with each ended engine that is removed.
    """

    def __init__(self, settings: Settings, launchables: Launchables, events: Events) -> None:
        self.engines: dict[str, Engine] = {}
        self.samplers: dict[str, Sampler] = {}
        self.on_removed: OnRemoved = lambda engine, sampler: None
        self._settings = settings
        self._launchables = launchables
        self._events = events
        self._numbers: dict[str, int] = {}  # the last engine number of each name
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def alive(self) -> list[Engine]:
        return [engine for engine in self.engines.values() if engine.alive]

    async def start(
        self,
        name: str,
        knobs: Mapping[str, object],
        port: int = 0,
        cpus: Sequence[int] | None = None,
        wait: bool = True,
        reuse_port: bool = False,
    ) -> EngineView:
        """Start an engine of a model or an external server; with `wait`, return when it is ready.

        Raises LabError, and then nothing was started.

        port: 0 takes a free one, from the operator's range if there is one.
        cpus: numbers of the CPUs to pin it to; None: all usable CPUs.
        reuse_port: another engine that is started with it can listen on the same port (SO_REUSEPORT); not
        of an external server.
        """
        parsed = self._launchables.parse_knobs(name, knobs)
        await asyncio.to_thread(self._launchables.require_available, name)
        self._check_cpus(cpus)
        self._check_port(port)
        if len(self.alive) >= self._settings.max_engines:
            raise Busy(f"At most {self._settings.max_engines} engines run at once; stop one first.")
        backend = self._backend(name, parsed, port, reuse_port)
        number = self._numbers.get(name, 0) + 1
        engine = Engine(f"{name}-{number}", backend, self._publish_state, self._publish_line)
        engine.spawn(cpus)
        self._numbers[name] = number
        self.engines[engine.id], self.samplers[engine.id] = engine, Sampler(engine)
        self._remove_ended()
        ready = asyncio.create_task(self._wait_ready(engine))
        self.keep_task(ready)
        if wait:
            await asyncio.shield(ready)
        return engine.view()

    def _backend(self, name: str, knobs: dict[str, int | str], port: int, reuse_port: bool) -> Backend:
        models, python = self._launchables.models, self._settings.engine_python
        if not self._launchables.is_external(name):
            listener = self._listen(port, knobs, reuse_port)
            return ModelBackend(
                models.contracts[name],
                knobs,
                python,
                listener,
                models.calibration,
                self._launchables.application,
            )
        return ExternalBackend(
            self._launchables.definition(name),
            knobs,
            PortChoice(self._settings.engine_host, partial(self._free_port, port), is_fixed=port != 0),
            python,
            models.calibration,
        )

    async def _wait_ready(self, engine: Engine) -> None:
        """Wait until the engine is ready and sample it, so that its threads are known at once."""
        await engine.wait_ready()
        self.samplers[engine.id].restart(time.monotonic_ns())

    def _listen(self, port: int, knobs: Mapping[str, Any], reuse_port: bool) -> socket.socket:
        """Return the socket of an engine, on `port` or on a free port.

        It listens, unless the processes of the engine listen by themselves: then it only holds the port.
        """
        host, backlog = self._settings.engine_host, int(knobs["backlog"])
        if listens_by_itself(knobs):
            return hold(host, port if port and reuse_port else self._free_port(port))
        if reuse_port:
            return listen(host, port or self._free_port(), backlog, reuse_port)
        return self._listen_alone(port, backlog)

    def _free_port(self, port: int = 0) -> int:
        """Return the number of a free port: `port`, if it is not 0. Raises NotNow if it is in use.

        With SO_REUSEPORT alone, the port could be one that other engines share.
        """
        with self._listen_alone(port, 1) as free:
            number: int = free.getsockname()[1]
            return number

    def _listen_alone(self, port: int, backlog: int) -> socket.socket:
        """Listen on `port`, or on a free port of the operator's range, or on any free port."""
        host, ports = self._settings.engine_host, self._settings.engine_port_range
        if port or not ports:
            return listen(host, port, backlog)
        for candidate in ports:
            with contextlib.suppress(NotNow):
                return listen(host, candidate, backlog)
        raise Busy(f"All engine ports from {ports[0]} to {ports[-1]} are in use; stop an engine first.")

    def engine(self, id: str) -> Engine:
        """Return an engine, live or ended. Raises Unknown."""
        if id not in self.engines:
            raise Unknown(f"There is no engine {shown(id)}.")
        return self.engines[id]

    async def stop(self, id: str, force: bool = False) -> EngineView:
        """Drain and stop an engine, or kill it with `force`; return its last view. Raises Unknown."""
        engine = self.engine(id)
        await engine.stop(force)
        return engine.view()

    async def stop_port(self, port: int | None) -> None:
        """Stop all engines that listen on a port: two during a hot swap."""
        await asyncio.gather(*(engine.stop() for engine in self.alive if engine.port == port))

    def sample(self, id: str) -> SampleView:
        """Return the newest sample of an engine. Raises Unknown, and NotNow before the first sample."""
        self.engine(id)
        if (view := self.samplers[id].view()) is None:
            raise NotNow(f"{id} has not been sampled yet.")
        return view

    def processes(self, id: str) -> ProcessesView:
        """Return the processes of an external server one by one. Raises Unknown."""
        return processes_view(self.engine(id), self.samplers[id])

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Hold a reference to a task until it is done: the event loop has only weak ones."""
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as retrieved: the state of the engine shows the error

    async def stop_all(self) -> None:
        """Cancel pending starts and stop all live engines."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(engine.stop() for engine in self.alive), return_exceptions=True)

    def _check_cpus(self, cpus: Sequence[int] | None) -> None:
        usable = usable_cpus()
        if cpus is not None and (not cpus or not set(cpus) <= set(usable)):
            raise Invalid.field("/cpus", f"cpus must be one or more of {', '.join(map(str, usable))}.")

    def _check_port(self, port: int) -> None:
        """Raise Invalid outside the operator's range: only its ports are published or monitored."""
        ports = self._settings.engine_port_range
        if port and ports and port not in ports:
            allowed = f"{ports[0]} to {ports[-1]} (THREADLAB_ENGINE_PORTS)"
            raise Invalid.field("/port", f"port must be from {allowed}, or 0 for a free one of them.")

    def _remove_ended(self) -> None:
        ended = [engine.id for engine in self.engines.values() if not engine.alive]
        for id in ended[: max(0, len(ended) - ENDED_KEPT)]:
            engine, sampler = self.engines.pop(id), self.samplers.pop(id)
            if not sampler.is_final:
                sampler.sample(time.monotonic_ns())
            self.on_removed(engine, sampler)
            sampler.close()

    async def sample_all(self) -> None:
        """Sample every live engine at the sampling interval, and once more after its end. Never returns."""
        interval_s = self._settings.sample_interval_ms / 1000
        next_s = time.monotonic()
        while True:
            for id, sampler in tuple(self.samplers.items()):
                engine = self.engines[id]
                is_due = engine.alive or not sampler.is_final
                sample = sampler.sample(time.monotonic_ns()) if is_due else None
                engine.update_state(bool(sample and sample.process and sample.process.suspended))
                if engine.tracing:
                    engine.tracing.read_if_due(time.monotonic_ns())
                batch_policy.yield_cpu()
            next_s = max(next_s + interval_s, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    def _publish_line(self, engine: Engine, line: str) -> None:
        self._events.publish(Event(LINE, engine.id, engine.name, None, line))

    def _publish_state(self, engine: Engine, text: str) -> None:
        self._events.publish(Event(f"engine.{engine.state}", engine.id, engine.name, None, text))
