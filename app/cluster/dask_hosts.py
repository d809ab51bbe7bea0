"""The hosts of a Dask cluster, as the lab uses them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from app.addresses import ClusterAddress
from app.cluster import LOST_AFTER_S, tasks
from app.cluster.facts import HostFacts, Software
from app.cluster.link import HostUnreachable, Link
from app.cluster.remote_round import RemoteRound
from app.cluster.remote_shard import RemoteShard
from app.cluster.remote_task import Member
from app.errors import LabError, NotNow
from app.hosts.clock import ClockOffset
from app.hosts.local_host import LocalHost
from app.hosts.port import HostLost, HostRound, Slot
from app.hosts.shard import Shard
from app.machine.identity import machine_id
from app.runs.queue import report_bug
from app.schemas.host import HostRole, HostState, HostUse, HostView
from app.schemas.system import SystemView

REFRESH_S = 1.0
ASKED_AT_ONCE = 8  # hosts; messages to more wait for each other, which is not their fault
RETRY_S = 2.0
OPEN_TIMEOUT_S = 2 * LOST_AFTER_S
CLOCK_AGE_S = 30.0  # a clock is measured again after this time, and before each load
JOINED, LOST, CLUSTER = "host.joined", "host.lost", "cluster.changed"


@dataclass(slots=True)
class _Known:
    """A host that has joined since the lab started."""

    view: HostView
    worker: str
    clock: ClockOffset | None = None
    wall_ns: int = 0
    measured_s: float = 0.0

    @property
    def member(self) -> Member:
        """The host for a task; its clock has been measured."""
        assert self.clock
        return Member(self.view.name, self.worker, self.clock)


class DaskHosts:
    """This machine and the hosts of a cluster. Satisfies `HostPool`. Event loop of the main thread only."""

    def __init__(self, address: ClusterAddress, certificates: Path | None, system: SystemView) -> None:
        self._address = address
        self._certificates = certificates
        self._local = LocalHost(system)
        self._software = Software.here()
        self._link: Link | None = None
        self._hosts: dict[str, _Known] = {}
        self._task: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._asked = asyncio.Semaphore(ASKED_AT_ONCE)
        self.cluster: str | None = str(address)
        self.problem: str | None = "Connecting to the scheduler."
        self.on_event: Callable[[str, str], None] = lambda _name, _text: None

    async def open(self) -> None:
        """Connect, and keep connecting. Returns when the hosts are known, or after some seconds."""
        self._task = asyncio.create_task(self._keep_connected())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), OPEN_TIMEOUT_S)

    async def close(self) -> None:
        """Disconnect. Hosts end what this lab has started on them."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._disconnect()

    def discover(self) -> tuple[HostView, ...]:
        """Return this machine, and the hosts of the cluster that are or were there, by name."""
        known = sorted(self._hosts.values(), key=lambda host: host.view.name)
        return (*self._local.discover(), *(host.view for host in known))

    def load_hosts(self) -> tuple[HostView, ...]:
        """Return the hosts that can generate load, by name."""
        return tuple(
            view
            for view in self.discover()
            if view.address is not None and view.is_usable and HostRole.LOAD in view.roles
        )

    def round_hosts(self, engines: Collection[str]) -> tuple[HostView, ...]:
        """Return the hosts that run rounds and can start all these engines, by name."""
        return tuple(
            view
            for view in self.discover()
            if view.address is not None
            and view.is_usable
            and HostRole.ROUNDS in view.roles
            and set(engines) <= set(view.engines)
        )

    def submit_round(
        self, name: str, requests: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], title: str
    ) -> HostRound:
        """Start a round on a host. Raises HostLost."""
        try:
            host, link = self._require(name)
        except NotNow as error:
            raise HostLost(error.detail) from error

        def is_there() -> bool:
            return self._hosts.get(name) is host and host.view.state != HostState.LOST

        return RemoteRound.submit(link, host.member, requests, limits, title, is_there)

    async def prepare(self, names: Sequence[str], address: str, port: int) -> tuple[HostUse, ...]:
        """Measure the clocks one after the other, and the round trips of all hosts at once.

        Messages to all hosts at once wait for each other, and a slow message makes a clock uncertain.
        Raises NotNow if a host does not answer.
        """
        for name in names:
            host, link = self._require(name)
            try:
                await self._measure_clock(link, host)
            except HostUnreachable as error:
                raise NotNow(f"Host {name} does not answer: {error}.") from error
        return tuple(await asyncio.gather(*(self._prepare(name, address, port) for name in names)))

    async def _prepare(self, name: str, address: str, port: int) -> HostUse:
        host, link = self._require(name)
        try:
            rtts_us = await link.call(host.worker, tasks.measure_rtt, address, port)
        except HostUnreachable as error:
            raise NotNow(f"Host {name} does not answer: {error}.") from error
        if not rtts_us:
            raise NotNow(
                f"Host {name} cannot connect to {address}:{port}. Set engine_host to the address of this "
                "machine at which the host reaches it."
            )
        view = host.view
        assert view.clock_offset_us is not None and view.clock_error_us is not None
        rtt_us = float(median(rtts_us))
        offset_us, error_us = view.clock_offset_us, view.clock_error_us
        return HostUse(name, view.cores, view.kernel, view.python, offset_us, error_us, rtt_us)

    def submit_shard(self, job: Mapping[str, Any], group: str | None, slot: Slot) -> Shard:
        """Start a shard on the host of `slot`, or on this machine. Raises OSError."""
        if slot.host is None:
            return self._local.submit_shard(job, group, slot)
        try:
            host, link = self._require(slot.host.name)
        except NotNow as error:
            raise OSError(error.detail) from error
        return RemoteShard.submit(link, host.member, job, group, slot)

    def _require(self, name: str) -> tuple[_Known, Link]:
        host = self._hosts.get(name)
        is_open = self._link is not None and self._link.is_open
        if host is None or self._link is None or not (is_open and host.clock and host.view.is_usable):
            reason = (host.view.reason if host else None) or self.problem or "It is not in the cluster."
            raise NotNow(f"Host {name} cannot be used. {reason}")
        return host, self._link

    async def _keep_connected(self) -> None:
        while True:
            try:
                if self._link is None or not self._link.is_open:
                    await self._disconnect()
                    self._link = await Link.open(self._address, self._certificates)
                await self._refresh(self._link)
                self._set_problem(None)
            except Exception as error:
                self._lose(self._hosts.values(), "The scheduler does not answer.")
                self._set_problem(_reason(error))
                await self._disconnect()
            self._tried.set()
            await asyncio.sleep(REFRESH_S if self._link else RETRY_S)

    async def _disconnect(self) -> None:
        link, self._link = self._link, None
        if link:
            await link.close()

    def _set_problem(self, problem: str | None) -> None:
        if problem != self.problem:
            self.problem = problem
            self.on_event(CLUSTER, problem or f"Connected to the scheduler at {self._address}.")

    async def _refresh(self, link: Link) -> None:
        workers = await link.workers()
        gone = [host for host in self._hosts.values() if host.worker not in workers]
        self._lose(gone, "It has left the cluster, or its network is down.")
        await asyncio.gather(*(self._update(link, worker, info) for worker, info in workers.items()))

    def _lose(self, hosts: Iterable[_Known], reason: str) -> None:
        for host in hosts:
            if host.view.state != HostState.LOST:
                host.view = replace(host.view, state=HostState.LOST, reason=reason, work=(), rtt_us=None)
                self.on_event(LOST, f"Host {host.view.name} is lost. {reason}")

    async def _update(self, link: Link, worker: str, info: Mapping[str, Any]) -> None:
        """Look at a worker: a new one is checked, a known one is asked what it does."""
        name = str(info.get("name"))
        host = self._hosts.get(name)
        is_new = host is None or host.worker != worker or host.view.state == HostState.LOST
        if host is None or is_new:
            host = _Known(self._checked(name, worker, info), worker)
        if host.view.state != HostState.REFUSED:
            try:
                async with self._asked, asyncio.timeout(LOST_AFTER_S):  # a slow one must not delay the others
                    await self._look(link, host)
            except (HostUnreachable, TimeoutError):
                if not is_new:
                    self._lose([host], "It does not answer.")
                return
        if is_new:  # known only now, with its clock: rounds and loads need it
            self._hosts[name] = host
            suffix = f"; it gets no work. {host.view.reason}" if host.view.reason else "."
            self.on_event(JOINED, f"Host {name} has joined{suffix}")

    async def _look(self, link: Link, host: _Known) -> None:
        """Ask a host what it does, and measure its clock if that is due. Raises HostUnreachable."""
        if asyncio.get_running_loop().time() - host.measured_s > CLOCK_AGE_S or host.clock is None:
            await self._measure_clock(link, host)
        work = tuple(await link.call(host.worker, tasks.read_work))
        state = HostState.WORKING if work else HostState.READY
        host.view = replace(host.view, state=state, work=work)

    def _checked(self, name: str, worker: str, info: Mapping[str, Any]) -> HostView:
        """Return a new host, which is refused if its software is another one."""
        facts = HostFacts.from_json(info.get("lab"))
        if facts is None:
            reason: str | None = "It was not started by `threadlab worker` of this version."
        else:
            differs = self._software.difference(facts.software)
            reason = f"It has {differs}." if differs else None
        return HostView(
            name=name,
            address=worker,
            state=HostState.REFUSED if reason else HostState.READY,
            reason=reason,
            roles=tuple(HostRole(role) for role in facts.roles) if facts else (),
            cores=facts.cores if facts else int(info.get("nthreads", 0)),
            cpu_model=facts.cpu_model if facts else "",
            memory_bytes=facts.memory_bytes if facts else 0,
            descriptor_limit=facts.descriptor_limit if facts else 0,
            python=facts.python if facts else "",
            kernel=facts.kernel if facts else "",
            version=facts.software.get("threadlab", "") if facts else "",
            is_here=facts is not None and facts.machine != "" and facts.machine == machine_id(),
            machine=(facts.machine if facts else "") or worker,
            engines=facts.engines if facts else (),
            clock_offset_us=None,
            clock_error_us=None,
            wall_offset_us=None,
            rtt_us=None,
        )

    async def _measure_clock(self, link: Link, host: _Known) -> None:
        """Measure the clocks of a host. Raises HostUnreachable."""
        host.clock, host.wall_ns = await link.clock(host.worker)
        host.measured_s = asyncio.get_running_loop().time()
        host.view = replace(
            host.view,
            clock_offset_us=host.clock.offset_ns / 1e3,
            clock_error_us=host.clock.error_ns / 1e3,
            wall_offset_us=host.wall_ns / 1e3,
            rtt_us=host.clock.rtt_ns / 1e3,
        )


def _reason(error: Exception) -> str:
    """Return why the cluster cannot be used, in a sentence. An unexpected error is logged, and retried."""
    if isinstance(error, LabError):
        return error.detail
    if isinstance(error, OSError | TimeoutError):
        return f"The scheduler does not answer: {error or 'timeout'}."
    return report_bug(error, "the connection to the cluster")
