"""How long threads waited for the GIL or a lock: the arithmetic over samples and the kernel's totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.machine.proc import SchedStat, SwitchReading
from app.results.limits import SAMPLES_MIN
from app.results.observation import Edge, Observation, ThreadSamples
from app.results.stalled import stalled_s, stalls

SECOND_NS = 10**9
SAMPLES = 100
Row = tuple[int, int, int]  # slot, generation, thread id


def edge(at_s: float, rows: Sequence[Row], used_s: Mapping[int, tuple[float, float]]) -> Edge:
    """Return an edge of the window. used_s: CPU time and run-queue wait by thread id."""
    threads = [SimpleNamespace(slot=slot, generation=generation, tid=tid) for slot, generation, tid in rows]
    stats = {
        tid: SchedStat(int(at_s * SECOND_NS), int(cpu_s * SECOND_NS), int(wait_s * SECOND_NS), 1)
        for tid, (cpu_s, wait_s) in used_s.items()
    }
    board = cast(Any, SimpleNamespace(threads=threads))
    return Edge(int(at_s * SECOND_NS), board, None, SwitchReading(0, 0, 0, stats), None, {})


def worker(slot: int, occupied: int, blocked: int = 0, total: int = SAMPLES) -> ThreadSamples:
    return ThreadSamples("worker", slot, total, occupied, blocked)


def observed(first: Edge, last: Edge, *samples: ThreadSamples) -> Observation:
    return Observation(
        "pool-1", "pool", "Pool", first=first, last=last, samples=SAMPLES, thread_samples=samples
    )


def one_thread(cpu_s: float, run_queue_s: float, samples: ThreadSamples) -> Observation:
    """Return a thread in a window of 10 s, with totals from before the window."""
    begin, end = (
        edge(5, [(0, 1, 70)], {70: (2, 1)}),
        edge(15, [(0, 1, 70)], {70: (2 + cpu_s, 1 + run_queue_s)}),
    )
    return observed(begin, end, samples)


def test_stalled_is_what_remains_of_the_occupied_time() -> None:
    (found,) = stalls(one_thread(cpu_s=3, run_queue_s=1, samples=worker(0, occupied=90, blocked=20))).values()
    assert found.occupied_s == pytest.approx(9)
    assert found.stalled_s == pytest.approx(9 - 2 - 3 - 1)
    assert found.share == pytest.approx(3 / 9)
    assert found.run_queue_share == pytest.approx(1 / 9)
    assert (found.threads, found.left_out) == (1, 0)


def test_the_margin_follows_from_the_number_of_samples() -> None:
    """EXPERIMENTS.md: 50 samples in a second give ±0.14 s at 95 %."""
    begin, end = edge(5, [(0, 1, 70)], {70: (2, 0)}), edge(6, [(0, 1, 70)], {70: (2.1, 0)})
    found = stalls(observed(begin, end, worker(0, occupied=25, total=50)))["worker"]
    assert found.margin_s == pytest.approx(0.139, abs=0.001)
    assert found.share_margin == pytest.approx(0.139 / 0.5, abs=0.002)


def test_a_thread_that_sleeps_in_its_handler_is_not_stalled() -> None:
    found = stalls(one_thread(cpu_s=0.1, run_queue_s=0, samples=worker(0, occupied=80, blocked=80)))["worker"]
    assert (found.occupied_s, found.stalled_s) == (8.0, 0.0)


def test_the_sum_over_a_role_is_clipped_not_each_thread() -> None:
    rows = [(0, 1, 70), (1, 1, 71)]
    begin = edge(5, rows, {70: (1, 0), 71: (1, 0)})
    end = edge(15, rows, {70: (4, 0), 71: (7, 0)})
    found = stalls(observed(begin, end, worker(0, occupied=50), worker(1, occupied=50)))["worker"]
    assert found.stalled_s == pytest.approx((5 - 3) + (5 - 6))
    assert found.margin_s == pytest.approx(1.96 * 10 * sqrt(2 * 0.25 / SAMPLES))
    more = stalls(observed(begin, end, worker(0, occupied=20), worker(1, occupied=50)))["worker"]
    assert more.stalled_s == 0.0


def test_threads_that_began_or_ended_in_the_window_are_left_out() -> None:
    begin = edge(5, [(0, 1, 70), (1, 1, 71), (2, 1, 72)], {70: (1, 0), 71: (1, 0), 72: (1, 0)})
    end = edge(15, [(0, 1, 70), (1, 2, 73), (3, 1, 74)], {70: (4, 0), 73: (0.1, 0), 74: (0.1, 0)})
    four = [worker(slot, occupied=50) for slot in range(4)]
    acceptor = replace(worker(4, occupied=1), role="acceptor")
    found = stalls(observed(begin, end, *four, acceptor))
    assert (found["worker"].threads, found["worker"].left_out) == (1, 3)
    assert found["worker"].stalled_s == pytest.approx(2)
    assert (found["acceptor"].threads, found["acceptor"].share) == (0, None)
    assert stalled_s(found) is None, "the sum of all threads is not known"


def test_the_sum_of_all_roles_is_known_if_every_thread_is() -> None:
    observation = one_thread(cpu_s=3, run_queue_s=1, samples=worker(0, occupied=90))
    assert stalled_s(stalls(observation)) == pytest.approx(5)
    assert stalled_s({}) is None


UNKNOWN = {
    "an edge is missing": {"last": None},
    "too few samples": {"samples": SAMPLES_MIN - 1},
    "the engine was paused": {"stalled_ns": 1},
}


@pytest.mark.parametrize("change", UNKNOWN.values(), ids=UNKNOWN)
def test_it_is_unknown_if(change: dict[str, Any]) -> None:
    observation = one_thread(cpu_s=3, run_queue_s=1, samples=worker(0, occupied=90))
    assert stalls(observation)
    assert stalls(replace(observation, **change)) == {}


def test_a_kernel_without_the_accounting_makes_it_unknown() -> None:
    rows = [(0, 1, 70)]
    zeros = observed(edge(5, rows, {70: (0, 0)}), edge(15, rows, {70: (0, 0)}), worker(0, occupied=90))
    assert stalled_s(stalls(zeros)) is None
    refused = [replace(each, switches=None) for each in (edge(5, rows, {}), edge(15, rows, {}))]
    assert stalled_s(stalls(observed(refused[0], refused[1], worker(0, occupied=90)))) is None
