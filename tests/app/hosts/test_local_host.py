"""This machine as the only host."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import pytest

from app.errors import NotNow
from app.hosts.local_host import LocalHost
from app.hosts.port import HostLost
from app.machine.system import read_system
from app.schemas.host import HostUse
from app.settings import Settings
from tests.app.driver import run_in_thread
from tests.app.hosts.views import host_use

SYSTEM = read_system(None, Settings())


def prepared(*hosts: HostUse) -> Sequence[HostUse]:
    """Return the measured hosts of a load."""
    names = [host.name for host in hosts]
    return run_in_thread(lambda: LocalHost(SYSTEM).prepare(names, "127.0.0.1", 1))


def test_this_machine_is_the_only_host_and_its_clock_is_that_of_the_lab() -> None:
    pool = LocalHost(SYSTEM)
    (host,) = pool.discover()
    assert (host.name, host.address, host.cores) == (platform.node(), None, SYSTEM.cores)
    assert (host.clock_offset_us, host.clock_error_us, host.rtt_us) == (0.0, 0.0, None)
    assert host.is_here and host.is_usable
    assert (pool.cluster, pool.problem) == (None, None)


def test_no_host_takes_load_or_rounds_from_it() -> None:
    pool = LocalHost(SYSTEM)
    assert pool.load_hosts() == pool.round_hosts(()) == ()
    with pytest.raises(HostLost, match="There is no host b: the lab has no cluster"):
        pool.submit_round("b", [], {}, "round 1")


def test_a_load_of_this_machine_needs_no_preparation_and_one_of_others_is_refused() -> None:
    assert prepared() == ()
    with pytest.raises(NotNow, match="The lab has no cluster"):
        prepared(host_use("a"))
