"""Where the shards of a load run, and the busiest CPU of its hosts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.hosts.port import Slot
from app.load.protocol.meter import MeterReading
from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import HOSTS, SHARED, SPLIT
from app.machine.cpu_placement import Placement
from app.runs.generator import Generator, slots
from tests.app.driver import run_in_thread
from tests.app.hosts.views import host_use
from tests.load.outcomes import closed_outcome

A, B = host_use("a"), host_use("b")


def test_shards_take_the_cpus_in_turn() -> None:
    found = slots(Placement(SPLIT, (0,), (2, 3)), 3)
    assert found == [Slot(2), Slot(3), Slot(2)]
    assert slots(Placement(SHARED, None, None), 2) == [Slot(), Slot()]


def test_shards_take_the_hosts_in_turn_and_share_each_of_them() -> None:
    found = slots(Placement(HOSTS, None, None, hosts=(A, B)), 3)
    assert found == [Slot(host=A, share=1 / 2), Slot(host=B), Slot(host=A, share=1 / 2)]
    assert slots(Placement(HOSTS, None, None, hosts=(A, B)), 1) == [Slot(host=A)]


@given(st.integers(1, 5), st.integers(1, 64))
def test_the_shards_of_a_run_take_the_whole_load_resource_of_each_host_that_they_use(
    hosts: int, count: int
) -> None:
    names = [host_use(str(number)) for number in range(hosts)]
    taken: defaultdict[str, float] = defaultdict(float)
    for slot in slots(Placement(HOSTS, None, None, hosts=tuple(names)), count):
        assert slot.host
        taken[slot.host.name] += slot.share
    assert len(taken) == min(hosts, count)
    assert all(share == pytest.approx(1.0) for share in taken.values())


@dataclass
class Ended:
    """A shard with an outcome. Satisfies `Shard`."""

    host: str | None
    cpu: int | None
    utilisation: float
    group: str | None = None
    start_delay_ns: int = 0
    silent_s: float = 0.0
    failure: str = ""
    exited: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def __post_init__(self) -> None:
        self.exited.set_result(None)

    def read(self) -> MeterReading:
        return MeterReading()

    def outcome(self) -> Outcome:
        base = closed_outcome([100], [100])
        return replace(base, cpu_user_s=self.utilisation * base.wall_s, cpu_system_s=0.0)

    def start_at(self, start_ns: int) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    async def close(self, grace_s: float) -> None: ...


def busiest(*shards: tuple[str | None, int | None, float]) -> float | None:
    """Return the utilisation of the busiest CPU, of shards with a host, a CPU and an utilisation."""

    async def merged() -> Outcome:
        generator = Generator([Ended(*each) for each in shards])
        await generator.exited
        return generator.outcome()

    return run_in_thread(merged).busiest


def test_shards_on_one_cpu_add_up_and_those_on_different_hosts_do_not() -> None:
    assert busiest((None, 1, 0.4), (None, 1, 0.5)) == pytest.approx(0.9)
    assert busiest(("a", None, 0.4), ("b", None, 0.5)) == pytest.approx(0.5)
    assert busiest(("a", None, 0.4), ("a", None, 0.5), ("b", None, 0.3)) == pytest.approx(0.5)


def test_the_busiest_cpu_may_be_that_of_any_host() -> None:
    assert busiest((None, 1, 0.4), (None, 1, 0.3), ("a", None, 0.5)) == pytest.approx(0.7)
    assert busiest((None, 1, 0.2), ("a", None, 0.95), ("a", None, 0.1)) == pytest.approx(0.95)
