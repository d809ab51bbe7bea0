"""The state of a thread as the kernel describes it: on a CPU, or in which system call it waits.

The file `syscall` of a thread has the number of the call in which it waits, or `running`. A thread that runs
and one that waits for a CPU look alike there; `app/servers/outside.py` tells them apart by their times.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from enum import IntEnum

from engines.common.board.board import THREAD_STATES

FIRST = len(THREAD_STATES)  # the numbers continue those of the board, so that frames have one list of names
READ_BYTES = 256


class KernelState(IntEnum):
    """What a thread does, by the kernel."""

    ON_CPU = FIRST
    RUNNABLE = FIRST + 1  # waits for a CPU
    EVENTS = FIRST + 2  # epoll_wait, poll, select, io_uring_enter
    ACCEPT = FIRST + 3
    RECEIVE = FIRST + 4  # recv, read
    SEND = FIRST + 5  # send, write
    FUTEX = FIRST + 6  # a lock, a condition, or the GIL
    SLEEP = FIRST + 7  # nanosleep
    DISK = FIRST + 8  # uninterruptible
    OTHER = FIRST + 9  # another call, such as wait4


# Names of all thread states by number: those of the board, then those of the kernel.
STATE_NAMES = (*THREAD_STATES, *(state.name.lower() for state in KernelState))
# In these states a thread has nothing to do, as far as one can see from outside: a thread that receives from
# another service looks like one that waits for its client.
IDLE = frozenset(
    (KernelState.EVENTS, KernelState.ACCEPT, KernelState.RECEIVE, KernelState.FUTEX, KernelState.OTHER)
)
# In these states a thread has work, as far as one can see, and does not need a CPU.
BLOCKED = frozenset((KernelState.SEND, KernelState.SLEEP, KernelState.DISK))

_WAITS = {
    "x86_64": {
        KernelState.EVENTS: (7, 23, 232, 270, 271, 281, 426, 441),
        KernelState.ACCEPT: (43, 288),
        KernelState.RECEIVE: (0, 19, 45, 47, 299),
        KernelState.SEND: (1, 20, 40, 44, 46, 307),
        KernelState.FUTEX: (202, 449, 455),
        KernelState.SLEEP: (35, 230),
    },
    "aarch64": {
        KernelState.EVENTS: (22, 72, 73, 426, 441),
        KernelState.ACCEPT: (202, 242),
        KernelState.RECEIVE: (63, 65, 207, 212, 243),
        KernelState.SEND: (64, 66, 71, 206, 211, 269),
        KernelState.FUTEX: (98, 449, 455),
        KernelState.SLEEP: (101, 115),
    },
}


def _by_number(machine: str) -> Mapping[bytes, KernelState]:
    waits = _WAITS.get(machine, {})
    return {str(number).encode(): state for state, numbers in waits.items() for number in numbers}


WAITS_BY_NUMBER = _by_number(platform.machine())


def parse_syscall(content: bytes, waits: Mapping[bytes, KernelState] = WAITS_BY_NUMBER) -> KernelState:
    """Return the state for the content of a thread's file `syscall`. A runnable thread is ON_CPU here."""
    number = content.split(maxsplit=1)[0]
    return KernelState.ON_CPU if number == b"running" else waits.get(number, KernelState.OTHER)


class KernelStateReader:
    """Reads the states of threads through descriptors that stay open. Event loop only."""

    def __init__(self, open_max: int) -> None:
        """open_max: how many descriptors to keep open."""
        self._open_max = open_max
        self._fds: dict[int, int] = {}  # by thread id

    def read(self, pid: int, tid: int) -> KernelState | None:
        """Return the state of a thread; None if it has ended or the kernel refuses."""
        try:
            fd = self._fds.get(tid)
            if fd is None:
                if len(self._fds) >= self._open_max:
                    self.close_thread(next(iter(self._fds)))
                fd = self._fds[tid] = os.open(f"/proc/{pid}/task/{tid}/syscall", os.O_RDONLY)
            return parse_syscall(os.pread(fd, READ_BYTES, 0))
        except (OSError, IndexError):
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
