"""A scheduler, and a process with many hosts of a cluster, for benchmarks: what they use.

python -m tests.bench.cluster_processes ADDRESS HOSTS [CERTIFICATES]     the process of the hosts
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from app.addresses import ClusterAddress, cluster_address
from app.cli.members import facts_here
from app.cluster.certificates import make_certificates
from app.cluster.worker import HostSpec, run_worker
from tests.app.cluster.members import Member, threadlab


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process."""
    return time.clock_gettime((~pid << 3) | 2)


def status(pid: int, name: str) -> int:
    """Return a number of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(dict(line.split(":", 1) for line in lines)[name].split()[0])


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in s, and bytes that the scheduler has received and sent on connections to its port."""

    scheduler: float
    hosts: float
    lab: float
    received: float
    sent: float

    def __sub__(self, other: Usage) -> Usage:
        return Usage(*(a - b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def per(self, count: float) -> Usage:
        """Return the usage per one of `count`."""
        return Usage(*(each / count for each in astuple(self)))


class Cluster:
    """A scheduler and `count` hosts in one process. `close` ends them."""

    def __init__(self, folder: Path, count: int, encrypted: bool) -> None:
        self.count = count
        self.certificates = folder / "certificates" if encrypted else None
        if self.certificates and not self.certificates.exists():
            make_certificates(self.certificates)
        certs = ("--certs", str(self.certificates)) if self.certificates else ()
        listen = f"{'tls' if encrypted else 'tcp'}://127.0.0.1:0"
        self._members = [Member(threadlab("cluster", "up", "--listen", listen, "--workers", "0", *certs))]
        (scheduler,) = self._members
        scheduler.wait_printed("Scheduler:")
        self.address = cluster_address(scheduler.output.split()[1])
        own = (sys.executable, "-m", "tests.bench.cluster_processes", str(self.address), str(count))
        self.empty_kib = status(scheduler.process.pid, "VmRSS")
        self._members.append(Member([*own, *certs[1:]]))
        self._members[1].wait_printed("Joined", times=count)

    @property
    def pids(self) -> tuple[int, int]:
        """The processes of the scheduler and of the hosts."""
        return self._members[0].process.pid, self._members[1].process.pid

    def usage(self) -> Usage:
        """Return what has been used so far. The lab is this process."""
        ss = ["ss", "-tinH", "state", "established", f"sport = :{self.address.port}"]
        words = subprocess.run(ss, capture_output=True, text=True, check=True).stdout.split()
        received, sent = (
            sum(int(word.split(":")[1]) for word in words if word.startswith(f"bytes_{name}:"))
            for name in ("received", "sent")
        )
        scheduler, hosts = map(cpu_s, self.pids)
        return Usage(scheduler, hosts, time.process_time(), received, sent)

    async def used(self, action: Callable[[], Awaitable[object]]) -> Usage:
        """Return what an action used."""
        before = self.usage()
        began_s = time.process_time()  # ss is not part of the action
        await action()
        lab_s = time.process_time() - began_s
        return replace(self.usage() - before, lab=lab_s)

    def close(self) -> None:
        for member in reversed(self._members):
            member.close()


async def join(address: ClusterAddress, certificates: Path | None, count: int) -> None:
    """Be `count` hosts of a cluster until a signal ends this process."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    facts = facts_here("load,rounds")
    specs = [HostSpec(address, certificates, f"host-{number}", facts) for number in range(count)]
    await asyncio.gather(*(run_worker(spec, stop, lambda text: print(text, flush=True)) for spec in specs))


def main() -> None:
    address, count, *certificates = sys.argv[1:]
    folder = Path(certificates[0]) if certificates else None
    asyncio.run(join(cluster_address(address), folder, int(count)))


if __name__ == "__main__":
    main()
