"""Readings of the kernel's view of an engine: /proc and CPU clocks.

Readings are sums over the processes of an engine: first the process that the lab started, then the processes
that it has forked. A reading is None if the first process has ended. CPU time of an ended forked process
remains in the account of its parent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
ZOMBIE_MEMORY = {"VmRSS": "0 kB", "RssAnon": "0 kB"}  # the status file of a zombie has no such lines
SCHEDSTAT_BYTES = 128


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One reading of CPU time and memory. Costs 0.12 ms per process, independent of its number of threads."""

    at_ns: int  # CLOCK_MONOTONIC
    cpu_ns: int  # exact, with ended threads; time of ended processes in ticks of 10 ms
    user_ticks: int
    system_ticks: int
    threads: int
    rss_bytes: int  # pages shared by forked processes count in each of them, as in `ps`
    anon_bytes: int
    suspended: bool = False  # stopped by a signal

    def __add__(self, other: ProcessReading) -> ProcessReading:
        """Return the sum of both, with the time of the first."""
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
    """Sums over the live threads, since each began. The board has the counts of ended threads.

    Costs 25 µs per thread, so it is read only at the start and the end of a run.
    """

    voluntary: int
    involuntary: int
    run_queue_ns: int
    threads: Mapping[int, SchedStat]  # by thread id


def read_processes(pids: Sequence[int]) -> ProcessReading | None:
    """Return the sum over an engine's processes; None if the first has ended.

    A zombie counts until its parent has waited for it: otherwise its CPU time would be missing until then,
    and be added all at once.
    """
    if (total := read_process(pids[0])) is None:
        return None
    for pid in pids[1:]:
        if (reading := read_process(pid, include_zombie=True)) is not None:
            total += reading
    return total


def read_process(pid: int, include_zombie: bool = False) -> ProcessReading | None:
    """Return the reading of a process, with the CPU time of its ended children.

    Returns None if it has ended. A zombie has ended unless `include_zombie`.
    """
    try:
        cpu_ns = time.clock_gettime_ns(cpu_clock_id(pid))
        at_ns = time.monotonic_ns()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system, children_user, children_system = map(int, fields[11:15])
        status = (ZOMBIE_MEMORY if include_zombie else {}) | _fields(Path(f"/proc/{pid}/status").read_text())
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


def read_reaped(pid: int) -> ProcessReading | None:
    """Return the CPU time of the children of a process that have ended; None if the process has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = map(int, fields[13:15])
        return ProcessReading(time.monotonic_ns(), (user + system) * TICK_NS, user, system, 0, 0, 0)
    except (OSError, ValueError):
        return None


def read_switches(pids: Sequence[int]) -> SwitchReading | None:
    """Return context switches and run-queue wait of all live threads; None if the first process has ended."""
    voluntary = involuntary = 0
    threads = {}
    if not (first := task_paths(pids[0])):
        return None
    for task in [*first, *(task for pid in pids[1:] for task in task_paths(pid))]:
        with suppress(OSError, KeyError, ValueError):
            status = _fields((task / "status").read_text())
            schedstat = SchedStat.parse((task / "schedstat").read_bytes())
            voluntary += int(status["voluntary_ctxt_switches"])
            involuntary += int(status["nonvoluntary_ctxt_switches"])
            threads[int(task.name)] = schedstat
    run_queue_ns = sum(each.run_queue_ns for each in threads.values())
    return SwitchReading(voluntary, involuntary, run_queue_ns, threads)


class SchedStat(NamedTuple):
    """The schedstat file of a thread: totals since the thread began."""

    at_ns: int  # CLOCK_MONOTONIC of the reading
    cpu_ns: int
    run_queue_ns: int
    switches: int  # how often it was given a CPU

    @classmethod
    def parse(cls, content: bytes) -> SchedStat:
        """Return the totals of a file that was read just now. Raises ValueError."""
        cpu_ns, run_queue_ns, switches = map(int, content.split())
        return cls(time.monotonic_ns(), cpu_ns, run_queue_ns, switches)


class SchedStatReader:
    """Reads schedstat files of threads through descriptors that stay open: 7 µs per thread, not 25."""

    def __init__(self, open_max: int) -> None:
        """open_max: how many descriptors to keep open."""
        self._open_max = open_max
        self._fds: dict[int, int] = {}  # by thread id

    def read(self, pid: int, tid: int) -> SchedStat | None:
        """Return the totals of a thread; None if it has ended or cannot be read."""
        try:
            fd = self._fds.get(tid)
            if fd is None:
                if len(self._fds) >= self._open_max:
                    self.close_thread(next(iter(self._fds)))
                fd = self._fds[tid] = os.open(f"/proc/{pid}/task/{tid}/schedstat", os.O_RDONLY)
            return SchedStat.parse(os.pread(fd, SCHEDSTAT_BYTES, 0))
        except (OSError, ValueError):
            self.close_thread(tid)
            return None

    def close_thread(self, tid: int) -> None:
        """Close the descriptor of a thread, if there is one."""
        if (fd := self._fds.pop(tid, None)) is not None:
            os.close(fd)

    def close(self) -> None:
        """Close all descriptors."""
        for tid in tuple(self._fds):
            self.close_thread(tid)


@dataclass(frozen=True, slots=True)
class ListenDrops:
    """Connections that the kernel dropped at listening sockets, in the whole network namespace."""

    overflows: int
    drops: int


def read_listen_drops() -> ListenDrops | None:
    """Return the counters since boot (/proc/net/netstat); None if the kernel does not have them."""
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/net/netstat").read_text().splitlines()
        names, values = next((a, b) for a, b in pairwise(lines) if a.startswith("TcpExt:"))
        table = dict(zip(names.split()[1:], map(int, values.split()[1:]), strict=True))
        return ListenDrops(table["ListenOverflows"], table["ListenDrops"])
    return None


@dataclass(frozen=True, slots=True)
class CoreReading:
    """Ticks of one CPU since boot: busy ticks, and all ticks."""

    busy: int
    total: int


def read_cores() -> dict[int, CoreReading]:
    """Return the readings of every CPU by its number (/proc/stat); empty if the kernel does not have them."""
    cores = {}
    with suppress(OSError, ValueError):
        for line in Path("/proc/stat").read_text().splitlines():
            name, *ticks = line.split()
            if name.startswith("cpu") and name[3:].isdigit():
                # Fields 9 and 10 (guest time) are left out: they are part of `user` and `nice`.
                user, nice, system, idle, iowait, *rest = map(int, ticks[:8])
                busy = user + nice + system + sum(rest)
                cores[int(name[3:])] = CoreReading(busy, busy + idle + iowait)
    return cores


def task_paths(pid: int) -> list[Path]:
    """Return the /proc folders of a process's threads; empty if the process has ended."""
    with suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def cpu_clock_id(pid: int) -> int:
    """Return the clock id of another process's CPU time, as clock_getcpuclockid(3) computes it."""
    return (~pid << 3) | 2


def _fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _bytes(kib: str) -> int:
    return int(kib.split()[0]) * 1024
