"""What the kernel knows of a process, from /proc and its CPU clock. Every reading may find the process gone: None."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One reading of a process: 0.12 ms, whatever its number of threads."""

    at_ns: int
    cpu_ns: int  # exact, ended threads included
    user_ticks: int
    system_ticks: int
    threads: int
    rss_bytes: int
    anon_bytes: int


@dataclass(frozen=True, slots=True)
class SwitchReading:
    """Sums over the live threads (25 µs each: only at a run's edges). The rows keep those of ended threads."""

    voluntary: int
    involuntary: int
    run_queue_ns: int
    threads: frozenset[int]


def read_process(pid: int) -> ProcessReading | None:
    """Read a process; None when it is gone."""
    try:
        cpu_ns = time.clock_gettime_ns(_cpu_clock(pid))
        at_ns = time.monotonic_ns()
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        status = _fields(Path(f"/proc/{pid}/status").read_text())
        return ProcessReading(
            at_ns, cpu_ns, int(fields[11]), int(fields[12]), int(fields[17]),
            _bytes(status["VmRSS"]), _bytes(status["RssAnon"]),
        )  # fmt: skip
    except (OSError, KeyError, IndexError):
        return None


def read_switches(pid: int) -> SwitchReading | None:
    """Context switches and run-queue wait of all live threads; None when the process is gone."""
    voluntary = involuntary = waited = 0
    seen = set()
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return None
    for task in tasks:
        with suppress(OSError, KeyError, IndexError):
            status = _fields((task / "status").read_text())
            waited += int((task / "schedstat").read_text().split()[1])
            voluntary += int(status["voluntary_ctxt_switches"])
            involuntary += int(status["nonvoluntary_ctxt_switches"])
            seen.add(int(task.name))
    return SwitchReading(voluntary, involuntary, waited, frozenset(seen))


class ThreadClocks:
    """CPU time of single threads, through descriptors that are kept open: 7 µs a thread instead of 25."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._open: dict[int, int] = {}

    def read(self, tid: int) -> tuple[int, int] | None:
        """(CPU ns, run-queue wait ns) of a thread; None when it is gone."""
        try:
            fd = self._open.get(tid)
            if fd is None:
                fd = self._open[tid] = os.open(f"/proc/{self._pid}/task/{tid}/schedstat", os.O_RDONLY)
            cpu_ns, waited_ns, _ = os.pread(fd, 128, 0).split()
            return int(cpu_ns), int(waited_ns)
        except (OSError, ValueError):
            self.forget(tid)
            return None

    def keep_only(self, tids: set[int]) -> None:
        for tid in set(self._open) - tids:
            self.forget(tid)

    def forget(self, tid: int) -> None:
        if (fd := self._open.pop(tid, None)) is not None:
            os.close(fd)

    def close(self) -> None:
        self.keep_only(set())


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


def _cpu_clock(pid: int) -> int:
    """The clock id of another process's CPU time, as clock_getcpuclockid(3) makes it."""
    return (~pid << 3) | 2


def _fields(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def _bytes(kib: str) -> int:
    return int(kib.split()[0]) * 1024
