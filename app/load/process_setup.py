"""Prepares the process of a shard: parent-death signal, CPUs, scheduling policy, descriptor limit."""

from __future__ import annotations

import ctypes
import os
import signal

from app.load import time_slice
from app.load.protocol.shard_job import InvalidJob, ShardJob

PR_SET_PDEATHSIG = 1


def set_up_process(job: ShardJob) -> None:
    """Apply the job's settings to this process. Call it before anything is opened. Raises InvalidJob."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if job.parent_pid is not None and os.getppid() != job.parent_pid:
        raise InvalidJob("the parent process ended before the shard could ask to be killed with it")
    if job.cpus:
        try:
            os.sched_setaffinity(0, job.cpus)
        except OSError as error:
            raise InvalidJob(f"cannot run on CPUs {list(job.cpus)}: {error.strerror}") from error
        set_priority(job.realtime)
    job.raise_descriptor_limit()


def set_priority(realtime: bool) -> None:
    """Make this process run soon after it wakes up: by a short time slice, or by real-time priority.

    It takes nothing from the engine, which runs on other CPUs. A process that has another policy than
    SCHED_OTHER is left alone: it was chosen for the whole lab. Raises InvalidJob if real-time priority is not
    allowed.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    if not realtime:
        time_slice.set_policy(os.SCHED_OTHER, time_slice.SHORT_NS)
        return
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError as error:
        raise InvalidJob(f"cannot set real-time priority: {error.strerror}") from error
