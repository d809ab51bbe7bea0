"""Time slices: how soon a thread gets the CPU when it wakes up. How much CPU it gets is not affected.

The EEVDF scheduler runs the thread with the earliest deadline, and the deadline is one slice away: 1.4 to 3
ms by default. A generator with a slice of 0.1 ms runs before a browser; a control plane with 10 ms runs after
nearly everyone. Linux 6.12 and newer let each thread choose its slice; older ones ignore it.

The control plane uses this module too. It is here, and not in `app`, because the generator imports nothing
else of `app`.
"""

from __future__ import annotations

import ctypes
import os
import platform

SHORT_NS, LONG_NS = 100_000, 10_000_000
# The system call's number: older C libraries have no function for it.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}


class _SchedAttr(ctypes.Structure):
    """struct sched_attr of linux/sched/types.h, in its first version (48 bytes)."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def set_policy(policy: int, slice_ns: int = 0, thread: int = 0) -> bool:
    """Set scheduling policy and time slice of a thread; its nice value stays.

    `policy` is os.SCHED_OTHER or os.SCHED_BATCH; `slice_ns` 0 is the kernel's default slice; `thread` is a
    thread id, and 0 is the calling thread. Returns whether the kernel accepted them: False also if the thread
    has ended, or on an architecture whose system call number is not known here.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    try:
        nice = os.getpriority(os.PRIO_PROCESS, thread)
    except ProcessLookupError:
        return False
    attr = _SchedAttr(ctypes.sizeof(_SchedAttr), policy, 0, nice, 0, slice_ns, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, thread, ctypes.byref(attr), 0) == 0)
