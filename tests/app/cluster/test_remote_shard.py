"""A shard on another host: its phases follow from the start instant, and all instants are of our clock."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any

import pytest

from app.cluster import remote_task, tasks
from app.cluster.dask import FutureCancelledError, KilledWorker
from app.cluster.remote_shard import START_DELAY_NS, RemoteShard
from app.cluster.remote_task import Member
from app.hosts.clock import ClockOffset
from app.hosts.port import Slot
from app.load.protocol.meter import DONE, DRAIN, MEASURE, WARMUP, MeterReading
from app.load.protocol.request_times import RequestTimes
from tests.app.cluster.fake_link import FakeLink
from tests.app.driver import run_in_thread
from tests.load.outcomes import closed_outcome
from tests.waiting import BOUND_S

OFFSET_NS = 10**15
HOST = Member("a", "tls://10.0.0.2:41234", ClockOffset(OFFSET_NS, 50_000, 100_000))
SECOND_NS = 10**9
LONG_S = 10_000.0  # longer than any test


@dataclass
class Started:
    """A shard whose host is the test."""

    shard: RemoteShard
    link: FakeLink


def play(
    act: Callable[[Started], Any], warmup_s: float = 0.0, duration_s: float = LONG_S, share: float = 1.0
) -> Any:
    """Return what `act` returns for a shard that was submitted with this plan."""

    async def run() -> Any:
        link = FakeLink()
        job = {"plan": {"warmup_s": warmup_s, "duration_s": duration_s}, "host": "10.0.0.4", "port": 8101}
        shard = RemoteShard.submit(link.link, HOST, job, None, Slot(share=share))
        try:
            found = act(Started(shard, link))
            async with asyncio.timeout(BOUND_S):
                return await found if isawaitable(found) else found
        finally:
            shard._task.close()

    return run_in_thread(run)


def read_started(since_s: float, warmup_s: float, duration_s: float) -> tuple[MeterReading, int]:
    """Return the meter of a load that began so long ago, without any message, and when it began."""
    start_ns = time.monotonic_ns() - int(since_s * SECOND_NS)

    def act(started: Started) -> MeterReading:
        started.shard.start_at(start_ns)
        return started.shard.read()

    return play(act, warmup_s, duration_s), start_ns


def test_it_runs_on_its_host_with_a_fence() -> None:
    def act(started: Started) -> None:
        key, worker, function, id, topic, job, title = started.link.submitted
        assert (key, worker, function, topic) == (id, HOST.worker, tasks.run_shard, FakeLink.topic)
        assert job["waits"] and job["fenced"] and title == "load, process 1 of 1"
        assert started.shard.host == "a" and not started.shard.exited.done()

    play(act)


def test_it_is_told_the_start_instant_by_the_clock_of_its_host() -> None:
    def act(started: Started) -> None:
        started.shard.start_at(7 * SECOND_NS)
        (call,) = started.link.calls
        assert call == (HOST.worker, tasks.start_shard, started.shard._task.id, 7 * SECOND_NS + OFFSET_NS)
        assert started.shard.start_delay_ns == START_DELAY_NS + 4 * HOST.clock.rtt_ns

    play(act)


def test_before_the_start_instant_it_has_the_phase_of_its_messages() -> None:
    def act(started: Started) -> None:
        assert started.shard.read() == MeterReading()
        started.link.send(MeterReading(connected_ns=5 + OFFSET_NS, connections=8, at_ns=6 + OFFSET_NS))
        expected = MeterReading(connected_ns=5, connections=8, at_ns=6)
        assert started.shard.read() == expected
        started.shard.start_at(time.monotonic_ns() + int(LONG_S * SECOND_NS))
        assert started.shard.read() == expected

    play(act)


def test_after_the_start_instant_it_warms_up() -> None:
    reading, start_ns = read_started(10, warmup_s=LONG_S, duration_s=1)
    assert (reading.phase, reading.started_ns, reading.measured_from_ns) == (WARMUP, start_ns, 0)
    assert reading.at_ns == start_ns


def test_after_the_warm_up_it_measures() -> None:
    reading, start_ns = read_started(10, warmup_s=4, duration_s=LONG_S)
    assert (reading.phase, reading.started_ns) == (MEASURE, start_ns)
    assert reading.measured_from_ns == reading.at_ns == start_ns + 4 * SECOND_NS
    assert reading.measured_to_ns == 0


def test_after_the_measured_time_it_drains() -> None:
    reading, start_ns = read_started(10, warmup_s=4, duration_s=5)
    assert (reading.phase, reading.measured_from_ns) == (DRAIN, start_ns + 4 * SECOND_NS)
    assert reading.measured_to_ns == reading.at_ns == start_ns + 9 * SECOND_NS


def test_a_late_message_does_not_turn_the_phase_back() -> None:
    """It was sent during the warm-up, and arrives when the load is measured."""

    def act(started: Started) -> None:
        started.shard.start_at(start_ns := time.monotonic_ns() - 10 * SECOND_NS)
        late = MeterReading(phase=WARMUP, started_ns=start_ns + OFFSET_NS + 9, completed=70)
        started.link.send(replace(late, at_ns=start_ns + OFFSET_NS + SECOND_NS))
        reading = started.shard.read()
        assert (reading.phase, reading.started_ns, reading.completed) == (MEASURE, start_ns, 70)
        assert reading.at_ns == reading.measured_from_ns == start_ns + 4 * SECOND_NS
        started.link.send(replace(late, at_ns=start_ns + OFFSET_NS + 8 * SECOND_NS))
        assert started.shard.read().at_ns == start_ns + 8 * SECOND_NS, "the later one"

    play(act, warmup_s=4)


def test_a_shard_that_was_stopped_early_has_the_phase_of_its_message() -> None:
    def act(started: Started) -> None:
        started.shard.start_at(start_ns := time.monotonic_ns() - 10 * SECOND_NS)
        started.link.send(MeterReading())
        started.shard.stop()
        started.shard.stop()
        assert len(started.link.calls) == 2, "the start and one stop, however often it is asked for"
        assert started.link.calls[-1] == (HOST.worker, tasks.stop_shard, started.shard._task.id)
        assert started.shard.read().phase == MEASURE
        theirs_ns = start_ns + OFFSET_NS
        started.link.send(MeterReading(DRAIN, 0, theirs_ns, theirs_ns + 5, theirs_ns + 7))
        assert started.shard.read() == MeterReading(DRAIN, 0, start_ns, start_ns + 5, start_ns + 7)

    play(act)


def test_a_shard_that_was_killed_is_done_without_an_outcome() -> None:
    def act(started: Started) -> None:
        started.shard.kill()
        assert started.link.calls == [(HOST.worker, tasks.kill_shard, started.shard._task.id)]
        assert started.shard.exited.done() and started.shard.read().phase == DONE
        assert (started.shard.outcome(), started.shard.failure) == (None, "was killed.")

    play(act)


def ended(outcome: str, failure: str = "ended with exit code 0 without a result.") -> Any:
    """Return the function for `play` that gives a shard this result."""

    async def act(started: Started) -> RemoteShard:
        started.link.future.answer.set_result({"outcome": outcome, "failure": failure})
        await started.shard.exited
        return started.shard

    return act


def test_the_instants_of_the_outcome_are_of_our_clock() -> None:
    times = RequestTimes()
    times.append(OFFSET_NS + 5_000, 1)
    base = closed_outcome([100], [200])
    theirs = replace(
        base,
        measured_from_ns=OFFSET_NS + 10**9,
        measured_to_ns=OFFSET_NS + 3 * 10**9,
        kinds=(replace(base.kinds[0], times=times.encode()),),
    )
    found = play(ended(json.dumps(theirs.to_json()))).outcome()
    assert found
    assert (found.measured_from_ns, found.measured_to_ns) == (10**9, 3 * 10**9)
    assert (found.requests, found.seconds, found.sent) == (base.requests, base.seconds, base.sent)
    assert list(RequestTimes.decode(found.kinds[0].times).answered_ns) == [5_000]


def test_a_shard_without_an_outcome_names_its_host() -> None:
    shard = play(
        ended("", "ended with exit code 2 without a result. the start instant arrived 9 ms too late")
    )
    assert shard.outcome() is None
    assert shard.failure.startswith("on a ended with exit code 2 without a result.")


async def lose_scheduler(started: Started) -> RemoteShard:
    started.link.is_open = False
    await started.shard.exited
    return started.shard


async def say_nothing(started: Started) -> RemoteShard:
    await started.shard.exited
    return started.shard


def failed(error: BaseException) -> Any:
    """Return the function for `play` that gives a shard this error."""

    async def act(started: Started) -> RemoteShard:
        started.link.future.answer.set_exception(error)
        await started.shard.exited
        return started.shard

    return act


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (lose_scheduler, "on a was lost: the scheduler has ended."),
        (failed(KilledWorker("key", None, 0)), "on a was lost: the host has left the cluster."),
        (failed(FutureCancelledError("key", "lost")), "on a was lost: the connection to the scheduler has"),
        (failed(ValueError("10.0.0.4 is not allowed.")), "on a failed: 10.0.0.4 is not allowed."),
    ],
    ids=["scheduler", "host", "connection", "refused"],
)
def test_a_shard_that_is_lost_says_how(act: Any, failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_task, "CHECK_S", 0.001)
    shard = play(act)
    assert shard.failure.startswith(failure)
    assert shard.outcome() is None and shard.read().phase == DONE


def test_a_silent_host_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(started: Started) -> RemoteShard:
        started.link.send(MeterReading())
        return await say_nothing(started)

    monkeypatch.setattr(remote_task, "CHECK_S", 0.001)
    monkeypatch.setattr(remote_task, "LOST_AFTER_S", 0.0)
    assert play(act).failure == "on a was lost: no message for 0 s."


def test_a_host_with_other_work_is_not_called_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_task, "CHECK_S", 0.001)
    monkeypatch.setattr(remote_task, "LOST_AFTER_S", 0.0)
    failure = play(say_nothing).failure
    assert failure == "on a has not started for 0 s: the host has other work, or does not answer."


def test_a_closed_shard_is_stopped_and_released_on_its_host() -> None:
    async def act(started: Started) -> FakeLink:
        started.link.send(MeterReading())
        await started.shard.close(0.0)
        return started.link

    link = play(act)
    assert link.future.released and link.handlers == {}
    assert [function for _, function, *_ in link.calls] == [tasks.stop_shard]


def test_a_shard_that_is_stopped_before_it_has_started_is_dropped() -> None:
    """The host does not know it yet: a call would overtake it."""

    def act(started: Started) -> FakeLink:
        started.shard.stop()
        assert started.shard.exited.done()
        return started.link

    link = play(act)
    assert link.future.released and not link.calls


def test_a_shard_that_cannot_be_told_to_start_has_failed() -> None:
    def act(started: Started) -> RemoteShard:
        started.link.send(MeterReading())
        started.link.refuses = "no answer"
        started.shard.start_at(7 * SECOND_NS)
        return started.shard

    assert play(act).failure == "on a could not be started: no answer"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 49, 64])
def test_the_shares_of_all_shards_fit_into_the_load_resource_of_their_host(count: int) -> None:
    share = play(lambda started: started.link.resources["host"], share=1 / count)
    assert sum([share] * count) <= 1.0
    assert sum([share] * (count + 1)) > 1.0, "another run has to wait"
