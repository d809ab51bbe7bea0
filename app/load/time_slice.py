"""Time slices: how soon a thread gets the CPU when it wakes, which changes nothing of how much of it that gets.

The scheduler (EEVDF) runs whose deadline comes first, and a deadline is as far away as a slice is long: 1.4 to 3 ms by
default. A generator that asks for 0.1 ms goes before a browser; a control plane that asks for 10 ms lets nearly
everyone go before it. Linux 6.12 and newer let every process choose; older ones ignore it.
"""

from __future__ import annotations

import ctypes
import os
import platform

SHORT_NS, LONG_NS = 100_000, 10_000_000
_SCHED_SETATTR = {
    "x86_64": 314,
    "aarch64": 274,
    "riscv64": 274,
}  # Linux's number: older libraries have no name for it


class _SchedAttr(ctypes.Structure):
    """struct sched_attr of linux/sched/types.h, in its first version."""

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


def choose(policy: int, slice_ns: int = 0) -> bool:
    """Set policy (SCHED_OTHER or SCHED_BATCH) and slice of this thread; 0: as usual. Whether the kernel took it."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attr = _SchedAttr(ctypes.sizeof(_SchedAttr), policy, 0, nice, 0, slice_ns, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attr), 0) == 0)
