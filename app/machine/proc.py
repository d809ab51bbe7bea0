"""What the kernel knows of an engine's processes, from /proc and their CPU clocks.

Readings are sums over the processes: the one that was started comes first, and those that it has forked follow.
Every reading may find the first one gone: None. What a forked one used stays in its parent's account after its end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
ZOMBIE = {"VmRSS": "0 kB", "RssAnon": "0 kB"}  # it has no memory, and so its status has no such lines


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One reading: 0.12 ms a process, whatever its number of threads."""

    at_ns: int
    cpu_ns: int  # exact, ended threads included; of ended processes in ticks of 10 ms
    user_ticks: int
    system_ticks: int
    threads: int
    rss_bytes: int  # pages that forked processes still share are counted in each of them, as `ps` does
    anon_bytes: int
    suspended: bool = False  # stopped by a signal: it does nothing until it is continued

    def __add__(self, other: ProcessReading) -> ProcessReading:
        """Both together, at the time of the first."""
        return ProcessReading(
            self.at_ns,
            self.cpu_ns + other.cpu_ns,
            self.user_ticks + other.user_ticks,
            self.system_ticks + other.system_ticks,
            self.threads + other.threads,
            self.rss_bytes + other.rss_bytes,
            self.anon_bytes + other.anon_bytes,
            self.suspended or other.suspended,
        )


@dataclass(frozen=True, slots=True)
class SwitchReading:
    """Sums over the live threads (25 µs each: only at a run's edges). The rows keep those of ended threads."""

    voluntary: int
    involuntary: int
    run_queue_ns: int
    threads: frozenset[int]


def read_processes(pids: Sequence[int]) -> ProcessReading | None:
    """Read an engine's processes; None when the first is gone. One that has ended counts until its parent accounts for
    it, or its CPU time would be missing for a moment, and then come all at once."""
    if (total := read_process(pids[0])) is None:
        return None
    for pid in pids[1:]:
        if (each := read_process(pid, ended=True)) is not None:
            total += each
    return total


def read_process(pid: int, ended: bool = False) -> ProcessReading | None:
    """Read a process, with what its ended children used; None when it is gone or, unless `ended`, a zombie."""
    try:
        cpu_ns = time.clock_gettime_ns(_cpu_clock(pid))
        at_ns = time.monotonic_ns()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system, children_user, children_system = map(int, fields[11:15])
        status = (ZOMBIE if ended else {}) | _fields(Path(f"/proc/{pid}/status").read_text())
        return ProcessReading(
            at_ns,
            cpu_ns + (children_user + children_system) * TICK_NS,
            user + children_user,
            system + children_system,
            int(fields[17]),
            _bytes(status["VmRSS"]),
            _bytes(status["RssAnon"]),
            fields[0] == "T",
        )
    except (OSError, KeyError, IndexError):
        return None


def read_switches(pids: Sequence[int]) -> SwitchReading | None:
    """Context switches and run-queue wait of all live threads; None when the first process is gone."""
    voluntary = involuntary = waited = 0
    seen = set()
    if not (first := tasks(pids[0])):
        return None
    for task in [*first, *(task for pid in pids[1:] for task in tasks(pid))]:
        with suppress(OSError, KeyError, IndexError):
            status = _fields((task / "status").read_text())
            waited += int((task / "schedstat").read_text().split()[1])
            voluntary += int(status["voluntary_ctxt_switches"])
            involuntary += int(status["nonvoluntary_ctxt_switches"])
            seen.add(int(task.name))
    return SwitchReading(voluntary, involuntary, waited, frozenset(seen))


class ThreadClock(NamedTuple):
    """What a thread has used since it began. A switch: it was given a CPU."""

    at_ns: int
    cpu_ns: int
    waited_ns: int
    switches: int


class ThreadClocks:
    """Clocks of single threads, through descriptors that are kept open: 7 µs a thread instead of 25."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[int, int] = {}

    def read(self, pid: int, tid: int) -> ThreadClock | None:
        """A process's thread; None when it is gone."""
        try:
            fd = self._open.get(tid)
            if fd is None:
                if len(self._open) >= self._most:
                    self.forget(next(iter(self._open)))
                fd = self._open[tid] = os.open(f"/proc/{pid}/task/{tid}/schedstat", os.O_RDONLY)
            cpu_ns, waited_ns, switches = os.pread(fd, 128, 0).split()
            return ThreadClock(time.monotonic_ns(), int(cpu_ns), int(waited_ns), int(switches))
        except (OSError, ValueError):
            self.forget(tid)
            return None

    def forget(self, tid: int) -> None:
        if (fd := self._open.pop(tid, None)) is not None:
            os.close(fd)

    def close(self) -> None:
        for tid in tuple(self._open):
            self.forget(tid)


@dataclass(frozen=True, slots=True)
class ListenDrops:
    """Connections the kernel dropped at listeners, in the whole network namespace."""

    overflows: int
    drops: int


def read_listen_drops() -> ListenDrops | None:
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/net/netstat").read_text().splitlines()
        names, values = next((a, b) for a, b in pairwise(lines) if a.startswith("TcpExt:"))
        table = dict(zip(names.split()[1:], map(int, values.split()[1:]), strict=True))
        return ListenDrops(table["ListenOverflows"], table["ListenDrops"])
    return None


@dataclass(frozen=True, slots=True)
class CoreReading:
    """Ticks of one CPU since boot: those in which it did something, and all."""

    busy: int
    total: int


def read_cores() -> dict[int, CoreReading]:
    """Every CPU; none where the kernel does not tell."""
    found = {}
    with suppress(OSError, ValueError):
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name.startswith("cpu") and name[3:].isdigit():
                user, nice, system, idle, waiting, *rest = map(
                    int, ticks[:8]
                )  # the last two are in user already
                busy = user + nice + system + sum(rest)
                found[int(name[3:])] = CoreReading(busy, busy + idle + waiting)
    return found


def tasks(pid: int) -> list[Path]:
    """The threads of a process; none when it is gone."""
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _cpu_clock(pid: int) -> int:
    """The clock id of another process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def _fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _bytes(kib: str) -> int:
    return int(kib.split()[0]) * 1024
