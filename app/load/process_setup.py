"""What a shard asks of the kernel for itself: its CPUs, to be there soon when it wakes, and to die with its parent."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable

from app.load import time_slice
from app.load.connections.connection_pool import ConnectionPool
from app.load.protocol.shard_job import InvalidJob, ShardJob

PR_SET_PDEATHSIG = 1


def set_up_process(job: ShardJob) -> None:
    """Before anything is opened. Raises BadOrder."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if job.parent_pid is not None and os.getppid() != job.parent_pid:
        raise InvalidJob("the parent ended before this process could ask to end with it")
    if job.cpus:
        try:
            os.sched_setaffinity(0, job.cpus)
        except OSError as error:
            raise InvalidJob(f"cannot run on CPUs {list(job.cpus)}: {error.strerror}") from error
        set_priority(job.realtime)
    job.raise_descriptor_limit()


def set_priority(realtime: bool) -> None:
    """Get the CPU soon after each wake-up. The engine is on other CPUs: nothing is taken from it. Raises BadOrder."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return  # a policy was chosen for the whole lab: leave it
    if not realtime:
        time_slice.choose(os.SCHED_OTHER, time_slice.SHORT_NS)
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError as error:
        raise InvalidJob(f"cannot take real-time priority: {error.strerror}") from error


class Lifeline:
    """A pipe whose other end the control plane holds. When it ends, the shard ends at once, without an outcome.

    Through it comes one word, a line: the instant of CLOCK_MONOTONIC at which all shards begin. A pipe, because the
    loop waits for it like for any other event, and a shard that waits for a start that nobody will give ends as well.
    """

    sent_at = 0  # to the hot loops it looks like a peer with nothing in flight

    def __init__(self, fd: int, pool: ConnectionPool, begin: Callable[[int], None]) -> None:
        self.fd = fd
        self._begin = begin
        pool.epoll.register(fd, select.EPOLLIN)
        pool.set_handler(fd, self)

    def on_event(self, _now: int) -> None:
        if word := os.read(self.fd, 64):  # one write of less than PIPE_BUF: it comes whole
            self._begin(int(word))
        else:
            sys.stderr.write("the control plane is gone: ending without an outcome\n")
            sys.stderr.flush()
            os._exit(1)
