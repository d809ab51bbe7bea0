"""Carries out rounds on other hosts: each whole, one at a time on each host, several hosts at once.

A round that is lost with its host is repeated on another one, a few times. All entries of a round are
measured on one host, engine and load generator beside each other, so no ratio mixes machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from app.errors import NotNow
from app.hosts.port import HostLost, HostPool, HostRound, HostRun
from app.load.protocol.plan import HOSTS
from app.machine.machine_lock import machine_lock
from app.rounds.schedule import OpenRound
from app.runs.request import RunRequest
from app.runs.runs import Runs
from app.schemas.host import HostView
from app.schemas.run import RunView
from app.servers.commands import is_command
from app.settings import Settings

POLL_S = 0.2
LOSSES_MAX = 3  # of one round
HOST_TIMEOUT_S = 30.0  # for a host that can take a round, when none can
AVOIDED_S = 5.0  # after a host has lost a round; until then it is known whether it is still there
# Settings of this lab that bound a plan on a host as they bound it here.
LIMITS = ("max_connections", "max_rate", "max_duration_s", "load_priority")
TRIAL_OF = ("comparison", "experiment", "tuning")


class HostedRounds(Protocol):
    """What is measured: the rounds of a comparison, of a tuning, or of a cell of an experiment."""

    @property
    def is_stopped(self) -> bool:
        """Whether no further rounds are wanted, nor the results of open ones."""
        ...

    @property
    def has_more(self) -> bool:
        """Whether a further round is wanted now, beside the open ones."""
        ...

    def begin(self) -> OpenRound | None:
        """Open the next round; None: there is none now."""
        ...

    def title(self, round: OpenRound) -> str:
        """Return what a host shows as its work."""
        ...

    def requests(self, round: OpenRound) -> Sequence[RunRequest]:
        """Return the runs of a round, in the order in which to measure them."""
        ...

    async def record(self, round: OpenRound, runs: Sequence[RunView], host: HostView) -> None:
        """Add a round that has ended."""
        ...

    def on_progress(self, ended_runs: int) -> None:
        """Take the number of runs of open rounds that have ended."""
        ...

    def note(self, sentence: str) -> None:
        """Add a note to the result."""
        ...


@dataclass(eq=False)
class _Open:
    """A round on a host."""

    round: OpenRound
    requests: Sequence[RunRequest]
    host: HostView
    result: asyncio.Task[tuple[HostRun, ...]] = field(init=False)
    task: HostRound | None = None  # once it has started


class RoundHosts:
    """Decides where rounds are measured, and carries them out on other hosts. Event loop only."""

    def __init__(self, pool: HostPool, runs: Runs, settings: Settings) -> None:
        self._pool = pool
        self._runs = runs
        self._busy: set[str] = set()  # machines that have a round of this lab
        self._limits = {name: getattr(settings, name) for name in LIMITS}
        self._settings = settings

    def are_used_for(self, engines: Sequence[str], placement: str) -> bool:
        """Return whether hosts of the cluster measure rounds of these models and servers.

        Not what only this machine has: servers by their commands, an application, and models of a directory;
        and not a load that comes from the hosts itself.
        """
        is_own = self._settings.models is not None or any(map(is_command, engines))
        return placement != HOSTS and not is_own and bool(self._pool.round_hosts(engines))

    async def carry_out(self, rounds: HostedRounds, engines: Sequence[str]) -> None:
        """Measure rounds until there are no more. Raises NotNow if hosts are lost too often, LabError."""
        data_dir = self._settings.data_dir
        await _Dispatcher(self._pool, self._runs, self._limits, data_dir, self._busy, rounds, engines).run()

    @property
    def count(self) -> int:
        """How many machines of the cluster measure rounds now."""
        return len({host.machine for host in self._pool.round_hosts(())})


@dataclass(eq=False)
class _Dispatcher:
    """One series of rounds on hosts."""

    pool: HostPool
    runs: Runs
    limits: dict[str, Any]
    data_dir: Path
    busy: set[str]
    rounds: HostedRounds
    engines: Sequence[str]
    open: list[_Open] = field(default_factory=list)
    to_repeat: deque[OpenRound] = field(default_factory=deque)
    losses: Counter[int] = field(default_factory=Counter)
    avoided: dict[str, float] = field(default_factory=dict)  # until when, by host that lost a round
    last_host_s: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Measure until no round is left, or none is wanted."""
        try:
            while not self.rounds.is_stopped:
                self._start_rounds()
                if not (self.open or self._has_more):
                    return
                if self.open:
                    await asyncio.wait(
                        [each.result for each in self.open],
                        timeout=POLL_S,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                else:
                    await self._await_host()
                for ended in [each for each in self.open if each.result.done()]:
                    self._forget(ended)
                    await self._take(ended)
                self.rounds.on_progress(sum(each.task.ended_runs for each in self.open if each.task))
        finally:
            for each in tuple(self.open):
                each.result.cancel()
                self._forget(each)
            self.rounds.on_progress(0)

    @property
    def _has_more(self) -> bool:
        return bool(self.to_repeat) or self.rounds.has_more

    def _start_rounds(self) -> None:
        """Give a round to each idle host."""
        now_s = time.monotonic()
        for host in self.pool.round_hosts(self.engines):
            if self.avoided.get(host.name, 0.0) > now_s:
                continue
            self.last_host_s = now_s
            if host.machine not in self.busy and (round := self._next()):
                self._start(round, host)

    def _forget(self, ended: _Open) -> None:
        self.open.remove(ended)
        self.busy.discard(ended.host.machine)

    def _next(self) -> OpenRound | None:
        return self.to_repeat.popleft() if self.to_repeat else self.rounds.begin()

    def _start(self, round: OpenRound, host: HostView) -> None:
        started = _Open(round, self.rounds.requests(round), host)
        started.result = asyncio.create_task(self._measure(started, self.rounds.title(round)))
        self.busy.add(host.machine)
        self.open.append(started)

    async def _measure(self, started: _Open, title: str) -> tuple[HostRun, ...]:
        """Measure a round on its host. Raises HostLost, LabError, OSError."""
        async with contextlib.AsyncExitStack() as stack:
            if started.host.is_here:  # nothing else is measured on this machine at the same time
                await stack.enter_async_context(machine_lock(self.data_dir, lambda: False))
            requests = [_for_host(each) for each in started.requests]
            started.task = self.pool.submit_round(started.host.name, requests, self.limits, title)
            stack.push_async_callback(started.task.close)
            return await started.task.result()

    async def _await_host(self) -> None:
        if time.monotonic() - self.last_host_s > HOST_TIMEOUT_S:
            raise NotNow(f"No host can take a round. {self.pool.problem or 'They were lost.'}")
        await asyncio.sleep(POLL_S)

    async def _take(self, ended: _Open) -> None:
        try:
            found = ended.result.result()
        except HostLost as error:
            self._repeat(ended, str(error))
            return
        runs = [
            await self.runs.adopt(run, request, ended.host.name)
            for run, request in zip(found, ended.requests, strict=True)
        ]
        await self.rounds.record(ended.round, runs, ended.host)

    def _repeat(self, lost: _Open, reason: str) -> None:
        number = lost.round.number
        self.losses[number] += 1
        if self.losses[number] >= LOSSES_MAX:
            raise NotNow(f"Round {number} was lost {LOSSES_MAX} times. The last time: {reason}")
        self.to_repeat.append(lost.round)
        self.avoided[lost.host.name] = time.monotonic() + AVOIDED_S
        self.rounds.note(f"Round {number} was lost with host {lost.host.name} and repeated: {reason}")


def _for_host(request: RunRequest) -> dict[str, Any]:
    """Return the fields of a request for another lab, which has no comparison or experiment of these ids."""
    found = {**asdict(request), "label": None}
    return {name: value for name, value in found.items() if name not in TRIAL_OF}
