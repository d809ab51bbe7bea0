"""How long a host needs to join a cluster, from its command to its first offer of work."""

from __future__ import annotations

import contextlib
import time

from tests.app.cluster.members import Member, threadlab
from tests.measure.conftest import Report
from tests.waiting import reserved_port

JOIN_MAX_S = 5.0


def test_a_worker_joins_within_five_seconds(report: Report) -> None:
    """The scheduler runs already, on the loopback.

    Noise: the command imports Dask, which takes about a second of CPU; another process can double that.
    """
    with reserved_port() as port:
        address = f"tcp://127.0.0.1:{port}"
        scheduler = Member(threadlab("cluster", "up", "--listen", address, "--workers", "0"))
        with contextlib.closing(scheduler):
            scheduler.wait_printed("Scheduler:")
            began_s = time.monotonic()
            with contextlib.closing(Member(threadlab("worker", address, "--name", "one"))) as worker:
                worker.wait_printed("Joined")
                took_s = time.monotonic() - began_s
    report(f"joined after {took_s:.2f} s (limit {JOIN_MAX_S:g} s)")
    assert took_s < JOIN_MAX_S
