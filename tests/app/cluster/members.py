"""Members of a cluster as processes: scheduler, workers, and labs of the command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.app.cluster.network import HUB, Network
from tests.app.driver import MARK, THREADLAB, generators, has_ended, marked_pids, read_meter
from tests.waiting import BOUND_S, until

PORT = 8786


class Member:
    """A process of `threadlab`, with its output. `close` ends it and asserts that nothing of it remains."""

    def __init__(self, command: Sequence[str], **variables: str) -> None:
        self.mark = uuid.uuid4().hex
        self._out, self._err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        own = {name: text for name, text in os.environ.items() if not name.startswith("THREADLAB_")}
        self.process = subprocess.Popen(
            list(command), stdout=self._out, stderr=self._err, env={**own, MARK: self.mark, **variables}
        )

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return _text(self._out)

    @property
    def errors(self) -> str:
        """What it has written to stderr so far."""
        return _text(self._err)

    def wait_printed(self, text: str, times: int = 1) -> None:
        """Wait until it has printed a text so many times."""
        until(
            lambda: self.output.count(text) >= times or self._has_failed(), f"it prints {text}", every_s=0.02
        )
        assert self.output.count(text) >= times, f"{self.output}\n{self.errors}"

    def wait_exit(self) -> int:
        """Wait until it has ended, and return its exit code."""
        return self.process.wait(BOUND_S)

    def pids(self) -> set[int]:
        """Return the live processes that it is or has started."""
        return {pid for pid in marked_pids(self.mark) if not has_ended(pid)}

    def shards(self) -> list[int]:
        """Return its load-generator processes that have had responses."""
        meters = {pid: read_meter(pid) for pid in generators(self.pids())}
        return [pid for pid, meter in meters.items() if meter and meter.completed]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, or to the one that it has become."""
        for pid in self._own_pids():
            os.kill(pid, number)

    def _own_pids(self) -> list[int]:
        """The process itself: in a time namespace it is the child of `unshare`."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        is_unshare = Path(f"/proc/{self.process.pid}/comm").read_text().strip() == "unshare"
        return [int(pid) for pid in children] if is_unshare else [self.process.pid]

    def _has_failed(self) -> bool:
        return self.process.poll() is not None

    def assert_nothing_left(self) -> None:
        """Wait until no process of it is left."""
        until(lambda: not self.pids(), "all its processes have ended", every_s=0.05)

    def close(self) -> None:
        """End it by SIGTERM, and assert that it leaves no process and no traceback."""
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
            self.wait_exit()
        finally:
            self.process.kill()
            self.process.wait()
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            errors = self.errors
            self._out.close()
            self._err.close()
        assert "Traceback" not in errors, errors
        self.assert_nothing_left()


def _text(file: Any) -> str:
    """Return the content of a file to which a process writes."""
    return os.pread(file.fileno(), 2**22, 0).decode()


def threadlab(*words: str) -> list[str]:
    """Return a command line of threadlab."""
    return [THREADLAB, *words]


class TlsCluster:
    """A scheduler on the hub of a network, and workers on its hosts, with certificates."""

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        self.certificates = folder / "certificates"
        subprocess.run(threadlab("cluster", "certs", str(self.certificates)), check=True, capture_output=True)
        self.address = f"tls://{HUB}:{PORT}"
        self.members: list[Member] = []
        self._folder = folder
        self._labs = 0

    def scheduler(self) -> Member:
        """Start the scheduler, and return it when it listens."""
        command = threadlab("cluster", "up", "--listen", self.address, "--workers", "0")
        member = self.member("hub", [*command, "--certs", str(self.certificates)])
        member.wait_printed("Scheduler:")
        return member

    def worker(self, host: str, *flags: str, before: Sequence[str] = (), **variables: str) -> Member:
        """Start a worker on a host. `before`: a command that becomes it."""
        words = ["worker", self.address, "--name", host, *flags]
        if "--certs" not in flags:
            words += ["--certs", str(self.certificates)]
        return self.member(host, [*before, *threadlab(*words)], **variables)

    def joined(self, host: str, *flags: str, **more: Any) -> Member:
        """Start a worker on a host, and return it when it has joined."""
        worker = self.worker(host, *flags, **more)
        worker.wait_printed("Joined")
        return worker

    def member(self, host: str, command: Sequence[str], **variables: str) -> Member:
        """Start a process on a host; `close` ends it."""
        member = Member(self.network.inside(host, command), **variables)
        self.members.append(member)
        return member

    def lab(self, *words: str, **variables: str) -> Member:
        """Start a command that measures with the hosts of the cluster, and a history of its own."""
        self._labs += 1
        return self.member(
            "hub",
            threadlab(*words),
            THREADLAB_CLUSTER=self.address,
            THREADLAB_CLUSTER_CERTS=str(self.certificates),
            THREADLAB_ENGINE_HOST=HUB,
            THREADLAB_TOKEN="0123456789abcdef" * 3,
            THREADLAB_DATA_DIR=str(self._folder / f"lab-{self._labs}"),
            **variables,
        )

    def run(self, *words: str, **variables: str) -> Any:
        """Return the run that a command measured."""
        return self.result(self.lab("run", *words, "--json", "-", **variables))

    def result(self, lab: Member) -> Any:
        """Return the result of a lab that was started with `--json -`."""
        code = lab.wait_exit()
        assert lab.output, f"exit code {code}: {lab.errors}"
        found = json.loads(lab.output)
        return found.get("run", found)

    def close(self) -> None:
        """End all members, the youngest first, and the others also if one fails."""
        with contextlib.ExitStack() as stack:
            for member in self.members:
                stack.callback(member.close)


def python_module(name: str, *words: str) -> list[str]:
    """Return the command that runs a module of the tests."""
    return [sys.executable, "-m", name, *words]
