"""Hosts as network namespaces: each has its own interface, all are on one bridge. They need root.

10.77.0.1 (hub: scheduler and lab)  ── bridge ──  10.77.0.11 (a), 10.77.0.12 (b), …
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence

import pytest

from tests.app.cluster.slow_cable import NAME as SLOW

HUB = "10.77.0.1"
needs_namespaces = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")


def ip(*words: str) -> None:
    """Run a command of iproute2."""
    found = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert found.returncode == 0, f"ip {' '.join(words)}: {found.stderr}"


def cable(host: str) -> str:
    """Return the name of the hub's end of the cable to a host."""
    return f"cable-{host}"


class Network:
    """A bridge and hosts. `close` removes them; the processes in them must have ended."""

    def __init__(self, hosts: Sequence[str]) -> None:
        self._prefix = f"tl{uuid.uuid4().hex[:8]}"
        self.hosts = tuple(hosts)
        self.addresses = {host: f"10.77.0.{number}" for number, host in enumerate(hosts, 11)}
        self._made: list[str] = []
        self._slow: list[subprocess.Popen[str]] = []
        try:
            self._add("hub")
            ip("-n", self.namespace("hub"), "link", "add", "br0", "type", "bridge")
            self._address("hub", HUB, "br0")
            for host in hosts:
                self._add(host)
                hub, own = self.namespace("hub"), self.namespace(host)
                ip(
                    "-n",
                    hub,
                    "link",
                    "add",
                    cable(host),
                    "type",
                    "veth",
                    "peer",
                    "name",
                    "eth0",
                    "netns",
                    own,
                )
                ip("-n", hub, "link", "set", cable(host), "master", "br0", "up")
                self._address(host, self.addresses[host], "eth0")
        except BaseException:
            self.close()
            raise

    def namespace(self, host: str) -> str:
        """Return the name of the namespace of a host."""
        return f"{self._prefix}-{host}"

    def inside(self, host: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` on a host, in the same process."""
        return ["ip", "netns", "exec", self.namespace(host), *command]

    def set_link(self, host: str, state: str) -> None:
        """Cut the cable of a host (`down`), or plug it in (`up`)."""
        ip("-n", self.namespace("hub"), "link", "set", cable(host), state)

    def delay(self, host: str, ms: int) -> None:
        """Replace the cable of a host by one that delays all packets to it."""
        hub, own, address = self.namespace("hub"), self.namespace(host), self.addresses[host]
        ip("-n", hub, "link", "del", cable(host))
        command = [sys.executable, "-m", "tests.app.cluster.slow_cable", hub, own, str(ms)]
        slow = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._slow.append(slow)
        assert slow.stdout and slow.stdout.readline() == "ready\n"
        ip("-n", hub, "link", "set", SLOW, "name", cable(host))
        ip("-n", hub, "link", "set", cable(host), "master", "br0", "up")
        self._address(host, address, SLOW)

    def close(self) -> None:
        """Remove all namespaces; their interfaces go with them."""
        for slow in self._slow:
            with slow:
                slow.kill()
        for name in reversed(self._made):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _add(self, host: str) -> None:
        name = self.namespace(host)
        ip("netns", "add", name)
        self._made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def _address(self, host: str, address: str, interface: str) -> None:
        ip("-n", self.namespace(host), "addr", "add", f"{address}/24", "dev", interface)
        ip("-n", self.namespace(host), "link", "set", interface, "up")
