"""Rounds on hosts, without a network: which host gets which round, and what happens when hosts are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import NotNow
from app.hosts.local_host import LocalHost
from app.hosts.port import HostLost, HostRound, HostRun
from app.rounds import on_hosts
from app.rounds.kinds import differ, noted, with_round
from app.rounds.on_hosts import LOSSES_MAX, RoundHosts
from app.rounds.schedule import OpenRound, RoundSchedule
from app.runs.request import RunRequest
from app.schemas.host import HostRole, HostState, HostView, RoundHost
from app.settings import Settings


def host(name: str, cores: int = 2) -> HostView:
    facts = {"cpu_model": "AMD", "memory_bytes": 1, "descriptor_limit": 2000, "python": "CPython 3.11.7"}
    clock = dict.fromkeys(("clock_offset_us", "clock_error_us", "wall_offset_us", "rtt_us"), 0.0)
    return HostView(
        name=name,
        address=f"tls://10.0.0.1:{len(name)}",
        state=HostState.READY,
        reason=None,
        roles=(HostRole.ROUNDS,),
        cores=cores,
        kernel="Linux 6.1",
        version="0.1",
        engines=("reactor",),
        machine=name,
        **facts,  # type: ignore[arg-type]
        **clock,  # type: ignore[arg-type]
    )


@dataclass(eq=False)
class FakeRound:
    """A round that ends when the test says so, or at once."""

    requests: Sequence[Mapping[str, Any]]
    error: Exception | None = None
    ended_runs: int = 0
    closed: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def result(self) -> tuple[HostRun, ...]:
        await self.gate.wait()
        if self.error:
            raise self.error
        return tuple(HostRun({"model": each["model"]}, None, {}) for each in self.requests)

    async def close(self) -> None:
        self.closed = True


class FakePool(LocalHost):
    """Hosts whose rounds fail as planned: `losses` by host name."""

    def __init__(self, hosts: Sequence[HostView], losses: Mapping[str, int] | None = None) -> None:
        self.hosts = list(hosts)
        self.losses = dict(losses or {})
        self.rounds: list[tuple[str, FakeRound]] = []
        self.held = False
        self.problem = "The scheduler does not answer."

    def round_hosts(self, engines: Any) -> tuple[HostView, ...]:
        return tuple(each for each in self.hosts if set(engines) <= set(each.engines))

    def submit_round(
        self, name: str, requests: Sequence[Mapping[str, Any]], limits: Mapping[str, Any], title: str
    ) -> HostRound:
        made = FakeRound(requests)
        if self.losses.get(name, 0):
            self.losses[name] -= 1
            made.error = HostLost(f"A round on {name} was lost.")
        if not self.held:
            made.gate.set()
        self.rounds.append((name, made))
        return made


class FakeRuns:
    """Keeps what it adopts."""

    async def adopt(self, found: HostRun, request: RunRequest, host: str) -> Any:
        return (found.view["model"], host, request.comparison)


@dataclass(eq=False)
class FakeRounds:
    """The rounds of a schedule. Satisfies `HostedRounds`."""

    schedule: RoundSchedule
    is_stopped: bool = False
    recorded: list[tuple[int, list[Any], str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def has_more(self) -> bool:
        return self.schedule.next_order() is not None

    def begin(self) -> OpenRound | None:
        return self.schedule.begin()

    def title(self, round: OpenRound) -> str:
        return f"round {round.number}"

    def requests(self, round: OpenRound) -> Sequence[RunRequest]:
        return [RunRequest(model="reactor", comparison=7, label="mine") for _ in round.order]

    async def record(self, round: OpenRound, runs: Sequence[Any], host: HostView) -> None:
        self.recorded.append((round.number, list(runs), host.name))
        self.schedule.record(round.order, [()] * len(self.schedule.needs))

    def on_progress(self, ended_runs: int) -> None:
        """Ignored here."""

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def carry_out(pool: FakePool, rounds: FakeRounds, tmp_path: Path) -> None:
    hosts = RoundHosts(pool, FakeRuns(), Settings(data_dir=tmp_path))  # type: ignore[arg-type]
    asyncio.run(hosts.carry_out(rounds, ["reactor"]))


def two_entries(rounds: int) -> FakeRounds:
    return FakeRounds(RoundSchedule([(0, 1)], lambda _: rounds, seed=1))


def test_all_rounds_are_measured_whole_and_on_all_hosts(tmp_path: Path) -> None:
    rounds, pool = two_entries(7), FakePool([host("a"), host("b"), host("c")])
    carry_out(pool, rounds, tmp_path)
    assert sorted(number for number, _, _ in rounds.recorded) == [1, 2, 3, 4, 5, 6, 7]
    assert {name for _, _, name in rounds.recorded} == {"a", "b", "c"}
    for _, runs, name in rounds.recorded:
        assert runs == [("reactor", name, 7)] * 2, "both entries on one host, with the id of this lab"
    assert all(each.closed for _, each in pool.rounds)
    assert not rounds.schedule.open and not rounds.notes


def test_another_lab_gets_no_ids_of_this_one(tmp_path: Path) -> None:
    rounds, pool = two_entries(1), FakePool([host("a")])
    carry_out(pool, rounds, tmp_path)
    [(_, made)] = pool.rounds
    for request in made.requests:
        assert not {"comparison", "experiment", "tuning"} & request.keys()
        assert request["label"] is None


def test_a_host_has_one_round_at_a_time(tmp_path: Path) -> None:
    """Also when two cells are measured at once."""
    pool = FakePool([host("a"), host("b")])
    pool.held = True
    hosts = RoundHosts(pool, FakeRuns(), Settings(data_dir=tmp_path))  # type: ignore[arg-type]

    async def play() -> None:
        both = [two_entries(3), two_entries(3)]
        tasks = [asyncio.create_task(hosts.carry_out(each, ["reactor"])) for each in both]
        for number in range(6):
            while len(pool.rounds) <= number:
                await asyncio.sleep(0)
            waiting = [name for name, each in pool.rounds if not each.gate.is_set()]
            assert len(waiting) == len(set(waiting)), "two rounds on one host"
            pool.rounds[number][1].gate.set()
        await asyncio.gather(*tasks)
        assert [len(each.recorded) for each in both] == [3, 3]

    asyncio.run(play())


def test_a_lost_round_is_repeated_on_another_host_and_noted(tmp_path: Path) -> None:
    rounds, pool = two_entries(2), FakePool([host("a"), host("b")], losses={"a": 1})
    carry_out(pool, rounds, tmp_path)
    assert sorted((number, name) for number, _, name in rounds.recorded) == [(1, "b"), (2, "b")]
    assert rounds.notes == ["Round 1 was lost with host a and repeated: A round on a was lost."]


def test_a_round_is_not_repeated_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_hosts, "AVOIDED_S", 0.0)
    rounds, pool = two_entries(2), FakePool([host("a")], losses={"a": 100})
    with pytest.raises(NotNow, match=f"was lost {LOSSES_MAX} times"):
        carry_out(pool, rounds, tmp_path)
    assert len(pool.rounds) == LOSSES_MAX and not rounds.recorded


def test_without_any_host_it_ends_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_hosts, "HOST_TIMEOUT_S", 0.0)
    with pytest.raises(NotNow, match=r"No host can take a round\. The scheduler does not answer\."):
        carry_out(FakePool([]), two_entries(2), tmp_path)


def test_a_refused_run_ends_it(tmp_path: Path) -> None:
    pool = FakePool([host("a")])
    pool.held = True
    hosts = RoundHosts(pool, FakeRuns(), Settings(data_dir=tmp_path))  # type: ignore[arg-type]

    async def play() -> None:
        task = asyncio.create_task(hosts.carry_out(two_entries(2), ["reactor"]))
        while not pool.rounds:
            await asyncio.sleep(0)
        [(_, made)] = pool.rounds
        made.error = NotNow("A round on a failed: no descriptors.")
        made.gate.set()
        with pytest.raises(NotNow, match="no descriptors"):
            await task
        assert made.closed

    asyncio.run(play())


def test_a_stop_closes_open_rounds(tmp_path: Path) -> None:
    pool, rounds = FakePool([host("a"), host("b")]), two_entries(5)
    pool.held = True
    hosts = RoundHosts(pool, FakeRuns(), Settings(data_dir=tmp_path))  # type: ignore[arg-type]

    async def play() -> None:
        task = asyncio.create_task(hosts.carry_out(rounds, ["reactor"]))
        while len(pool.rounds) < 2:
            await asyncio.sleep(0)
        rounds.is_stopped = True
        await task
        while not all(each.closed for _, each in pool.rounds):
            await asyncio.sleep(0)
        assert not rounds.recorded

    asyncio.run(play())


@pytest.mark.parametrize(
    ("engines", "placement", "settings", "used"),
    [
        (["reactor"], "split", {}, True),
        (["reactor"], "hosts", {}, False),
        (["reactor", "proactor"], "split", {}, False),  # the host has no io_uring
        (["reactor"], "split", {"models": Path("/models")}, False),
    ],
)
def test_which_rounds_go_to_hosts(
    engines: list[str], placement: str, settings: dict[str, Any], used: bool, tmp_path: Path
) -> None:
    given = Settings(data_dir=tmp_path, **settings)
    hosts = RoundHosts(FakePool([host("a")]), FakeRuns(), given)  # type: ignore[arg-type]
    assert hosts.are_used_for(engines, placement) is used


def test_open_rounds_count_as_valid_until_they_prove_void() -> None:
    schedule = RoundSchedule([(0, 1)], lambda _: 2, seed=5)
    first, second = schedule.begin(), schedule.begin()
    assert first and second and (first.number, second.number) == (1, 2)
    assert schedule.begin() is None and not schedule.is_complete(0)
    assert schedule.remaining_trials == 4
    schedule.record(second.order, [{0}])
    third = schedule.begin()
    assert third and third.number == 3, "the void one is repeated"
    schedule.record(first.order, [()])
    schedule.record(third.order, [()])
    assert schedule.is_complete(0) and not schedule.open and schedule.begin() is None


def test_the_order_of_a_round_does_not_depend_on_how_many_are_open() -> None:
    def orders(parallel: int) -> list[tuple[int, ...]]:
        schedule, found = RoundSchedule([(0, 1, 2, 3)], lambda _: 6, seed=9), []
        while opened := [each for _ in range(parallel) if (each := schedule.begin())]:
            for each in opened:
                found.append(each.order)
                schedule.record(each.order, [()])
        return found

    assert orders(1) == orders(2) == orders(3)


def test_hosts_with_their_rounds() -> None:
    a, b = host("a"), host("b", cores=8)
    found = with_round(with_round(with_round((), b), a), b)
    assert found == (RoundHost("a", a.kind, 1), RoundHost("b", b.kind, 2))
    changed = replace(a, kernel="Linux 6.2")
    assert len(with_round(found, changed)) == 3, "another kernel is another kind"


def test_results_that_differ_between_kinds_are_noted_once() -> None:
    assert differ({"x": "holds"}) is None and differ({"x": "holds", "y": "holds"}) is None
    note = differ({"2 CPUs": "holds", "8 CPUs": "does not hold"})
    assert note == "The result depends on the kind of host: holds on 2 CPUs; does not hold on 8 CPUs."
    assert noted(["lost", note], note) == ("lost", note)
    assert noted(["lost", note], None) == ("lost",)
