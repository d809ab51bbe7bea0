"""What can be seen of an external server from outside: its threads, with their states, by /proc.

It stands where an engine of the lab has a metrics board, and gives the same readings. Nothing counts requests
in such a server, so the counters are empty. States are samples: what is shorter than the sampling interval
can be missed.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from app.machine.proc import SchedStat, SchedStatReader
from app.machine.sock_diag import TcpStates, family_of, sockets
from app.servers.kernel_states import IDLE, KernelState, KernelStateReader
from app.servers.process_tree import ProcessTree
from engines.common.board.board import ENDED

THREADS_MAX = 1024  # threads beyond it are not shown
NAMES_INTERVAL_S = 1.0
CONNECTIONS_INTERVAL_S = 1.0  # one count of the open connections costs 3 ms on a machine with 24 GiB
# Roles: the only process of a server, or the first of several and the others; and any further thread.
ONLY, FIRST, WORKER, THREAD = "process", "master", "worker", "thread"


class OutsideThread(NamedTuple):
    """One thread. Which connections it serves and what it has counted is not known."""

    slot: int
    generation: int
    pid: int
    tid: int
    role: str
    index: int  # type: ignore[assignment]  # a tuple's method of that name is not used here
    state: int
    connections: None = None
    counters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class OutsideReading:
    """One reading of a server. What only a server itself can count is None or empty."""

    threads: tuple[OutsideThread, ...]
    connections_total: int | None  # open connections
    counters: Mapping[str, int] = field(default_factory=dict)
    connections: Mapping[str, int] = field(default_factory=dict)  # by state
    queue_wait: tuple[int, ...] = ()
    requests: None = None
    errors: None = None
    io_calls: None = None
    queue_depth: None = None
    accept_pauses: None = None


@dataclass(slots=True)
class _Slot:
    """The place of a thread in the readings; `tid` 0: free."""

    pid: int = 0
    tid: int = 0
    role: str = ""
    index: int = 0
    generation: int = 0
    schedstat: SchedStat | None = None


class OutsideBoard:
    """Reads the threads of one external server. Event loop only. Satisfies `Board`."""

    def __init__(self, tree: ProcessTree, host: str, port: int) -> None:
        self._tree = tree
        self._address = host, port
        self._states = KernelStateReader(THREADS_MAX)
        self._schedstats = SchedStatReader(THREADS_MAX)
        self._slots: list[_Slot] = []
        self._names: dict[int, str] = {}  # by thread id
        self._names_due_s = 0.0
        self._connections: int | None = None
        self._connections_due_s = 0.0

    def close(self) -> None:
        """Close all descriptors."""
        self._states.close()
        self._schedstats.close()

    def read(self) -> OutsideReading:
        """Return the threads of the server: 20 µs for each."""
        if time.monotonic() >= self._names_due_s:  # a thread may change its name after its start
            self._names_due_s, self._names = time.monotonic() + NAMES_INTERVAL_S, {}
        self._assign(dict(self._threads(self._tree.refresh())))
        threads = tuple(
            reading for slot, each in enumerate(self._slots) if (reading := self._reading(slot, each))
        )
        return OutsideReading(threads, self._open_connections())

    def states(self) -> list[int]:
        """Return the states of the threads of the last reading, by slot (0: no thread): 5 µs for each.

        A thread that waits for a CPU is shown as one that runs.
        """
        return [
            (self._states.read(each.pid, each.tid) or ENDED) if each.tid else ENDED for each in self._slots
        ]

    def roles(self) -> list[str]:
        """Return the role of each slot."""
        return [each.role for each in self._slots]

    def is_idle(self) -> bool:
        """Return whether all threads wait."""
        return all(state in IDLE or state == ENDED for state in self.states())

    def flags(self) -> tuple[bool, bool]:
        """Return (out of descriptors, saturated), which are not known of an external server."""
        return False, False

    def _assign(self, threads: dict[int, tuple[int, str]]) -> None:
        """Give each new thread a free slot, and free the slots of threads that have ended."""
        for each in self._slots:
            if each.tid and threads.get(each.tid, (0, ""))[0] != each.pid:
                self._states.close_thread(each.tid)
                self._schedstats.close_thread(each.tid)
                each.tid, each.schedstat = 0, None
            elif each.tid and each.role == ONLY and threads[each.tid][1] != ONLY:
                each.role = threads[each.tid][1]  # it is the first of several by now
                each.generation += 1
        known = {each.tid for each in self._slots}
        free = iter([each for each in self._slots if not each.tid])
        for tid, (pid, role) in threads.items():
            if tid not in known:
                slot = next(free, None)
                if slot is None:
                    if len(self._slots) >= THREADS_MAX:
                        return
                    self._slots.append(slot := _Slot())
                used = {each.index for each in self._slots if each.tid and each.role == role}
                index = next(i for i in range(len(used) + 1) if i not in used)
                slot.pid, slot.tid, slot.role, slot.index = pid, tid, role, index
                slot.generation += 1

    def _threads(self, pids: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, str]]]:
        """Yield each thread with its process and its role."""
        for position, pid in enumerate(pids):
            process = process_role(position, len(pids))
            with contextlib.suppress(OSError, ValueError):
                name = self._name(pid, pid)
                for tid in sorted(int(task.name) for task in os.scandir(f"/proc/{pid}/task")):
                    own = name if tid == pid else self._name(pid, tid)
                    yield tid, (pid, process if tid == pid else THREAD if own == name else own)

    def _name(self, pid: int, tid: int) -> str:
        """Return the name of a thread. Raises OSError if it has ended."""
        if (name := self._names.get(tid)) is None:
            name = Path(f"/proc/{pid}/task/{tid}/comm").read_text(errors="replace").strip()
            self._names[tid] = name
        return name

    def _reading(self, slot: int, each: _Slot) -> OutsideThread | None:
        """Return the reading of a slot's thread; None if there is none any more."""
        state = self._state(each) if each.tid else None
        if state is None:
            return None
        return OutsideThread(slot, each.generation, each.pid, each.tid, each.role, each.index, state)

    def _state(self, each: _Slot) -> KernelState | None:
        """Return the state of a thread; distinguishes RUNNABLE from ON_CPU, and DISK from other waits."""
        state = self._states.read(each.pid, each.tid)
        if state == KernelState.ON_CPU:
            now, before = self._schedstats.read(each.pid, each.tid), each.schedstat
            each.schedstat = now
            if now and before and now.run_queue_ns - before.run_queue_ns > now.cpu_ns - before.cpu_ns:
                return KernelState.RUNNABLE  # since the previous sample it waited longer than it ran
        elif state in (KernelState.RECEIVE, KernelState.SEND, KernelState.OTHER) and _is_on_disk(each):
            return KernelState.DISK
        return state

    def _open_connections(self) -> int | None:
        """Return the number of open connections, at most CONNECTIONS_INTERVAL_S old; None if unknown."""
        now_s = time.monotonic()
        if now_s >= self._connections_due_s:
            self._connections_due_s = now_s + CONNECTIONS_INTERVAL_S
            host, port = self._address
            try:
                self._connections = sum(1 for _ in sockets(family_of(host), port, TcpStates.ESTABLISHED))
            except (OSError, struct.error):
                self._connections = None
        return self._connections


def process_role(position: int, processes: int) -> str:
    """Return the role of a process by its place among all processes of the server."""
    return ONLY if processes == 1 else WORKER if position else FIRST


def _is_on_disk(each: _Slot) -> bool:
    """Return whether the kernel calls the thread's wait uninterruptible."""
    try:
        content = Path(f"/proc/{each.pid}/task/{each.tid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return content.rpartition(")")[2][1:2] == "D"
