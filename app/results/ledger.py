"""Computes the cost ledger: the engine's cost per request between the edges of the measured window. Pure."""

from __future__ import annotations

from app.load.protocol.outcome import Outcome
from app.results.observation import Edge, Observation
from app.results.stalled import stalled_s, stalls
from app.schemas.result import GeneratorCost, Ledger

KERNEL_STACK_BYTES = 16 * 1024  # of a thread on x86-64 and arm64; a constant, not measured
CPU_NS_MIN = 50_000_000  # with less CPU time, ticks of 10 ms are too coarse to split user and system time


def cost(observation: Observation, outcome: Outcome | None) -> Ledger | None:
    """Return the ledger of the measured window.

    None if one of its edges was not observed, or the engine completed no request. `outcome`: the load
    generator's, for its own CPU time; None leaves that unknown.
    """
    begin, end = observation.first, observation.last
    if begin is None or end is None:
        return None
    requests = _responses(begin, end, outcome)
    if requests is None or requests <= 0:
        return None
    cpu_ns, user = _cpu(begin, end)
    voluntary, involuntary, waited_us = _switches(begin, end)
    stalled = stalled_s(stalls(observation))

    def per_request(total: float | None) -> float | None:
        return None if total is None else total / requests

    def increase(name: str) -> int | None:
        return _difference(begin.board.counters.get(name), end.board.counters.get(name))

    cpu_us = None if cpu_ns is None else cpu_ns / 1000 / requests
    return Ledger(
        cpu_us=cpu_us,
        cpu_user_us=None if cpu_us is None or user is None else cpu_us * user,
        cpu_system_us=None if cpu_us is None or user is None else cpu_us * (1 - user),
        io_calls=per_request(_difference(begin.board.io_calls, end.board.io_calls)),
        syscalls=per_request(observation.system_calls),
        voluntary_switches=per_request(voluntary),
        involuntary_switches=per_request(involuntary),
        run_queue_us=per_request(waited_us),
        wakeups=per_request(increase("wakeups")),
        queue_wait_us=_ratio(increase("queue_wait_us"), increase("queue_pops")),
        threads_peak=observation.threads_peak,
        rss_bytes_peak=observation.rss_peak,
        anon_bytes_per_connection=_memory_per_connection(observation, end),
        kernel_stack_bytes=observation.threads_peak * KERNEL_STACK_BYTES
        if observation.threads_peak
        else None,
        generator=_generator(outcome),
        handoffs=per_request(increase("queue_pushes")),
        stalled_us=None if stalled is None else stalled * 1e6 / requests,
        accept_queue_mean=observation.accept_queue.mean,
        accept_queue_peak=observation.accept_queue.peak if observation.accept_queue.count else None,
        accept_wait_us=_accept_wait_us(
            observation.accept_queue.mean, increase("accepted"), end.at_ns - begin.at_ns
        ),
    )


def _responses(begin: Edge, end: Edge, outcome: Outcome | None) -> int | None:
    """Return the responses of the window, by the engine's count.

    Nothing counts in an external server, so then it is the load generator's count of requests that began in
    the window. Those in flight at its edges make a difference of at most one per connection.
    """
    counted = _difference(begin.board.requests, end.board.requests)
    if counted is not None or outcome is None:
        return counted
    return sum(each.requests for each in outcome.loads)


def _difference(first: int | None, last: int | None) -> int | None:
    return last - first if last is not None and first is not None else None


def _ratio(value: int | None, count: int | None) -> float | None:
    return value / count if value is not None and count else None


def _accept_wait_us(depth: float | None, accepted: int | None, window_ns: int) -> float | None:
    """Return the mean wait in the accept queue: mean depth / rate of accepted connections (Little's law)."""
    return depth * window_ns / 1000 / accepted if depth is not None and accepted else None


def _generator(outcome: Outcome | None) -> GeneratorCost:
    """Return what the load generator itself used for all loads, or unknown values."""
    if outcome is None or not outcome.wall_s:
        return GeneratorCost(None, None)
    used_s = sum(each.cpu_user_s + each.cpu_system_s for each in outcome.loads)
    requests = sum(each.requests for each in outcome.loads)
    return GeneratorCost(used_s * 1e6 / requests if requests else None, outcome.utilisation)


def _cpu(begin: Edge, end: Edge) -> tuple[int | None, float | None]:
    """Return the CPU time of the window in ns (exact) and the share of user time (from ticks).

    Either is None if unknown; the share also if the CPU time is below CPU_NS_MIN.
    """
    if begin.process is None or end.process is None:
        return None, None
    cpu_ns = end.process.cpu_ns - begin.process.cpu_ns
    user = end.process.user_ticks - begin.process.user_ticks
    ticks = user + end.process.system_ticks - begin.process.system_ticks
    return cpu_ns, user / ticks if ticks and cpu_ns >= CPU_NS_MIN else None


def _switches(begin: Edge, end: Edge) -> tuple[int | None, int | None, float | None]:
    """Return voluntary switches, involuntary switches and run-queue wait in µs.

    Switches of threads that ended are on the board. Their run-queue wait is not, so it is known only if no
    thread ended in the window; without a board, that is true for all three.
    """
    first, last = begin.switches, end.switches
    if first is None or last is None:
        return None, None, None
    ended = {
        name: end.board.counters.get(name, 0) - begin.board.counters.get(name, 0)
        for name in ("voluntary_switches", "involuntary_switches")
    }
    none_ended = first.threads.keys() <= last.threads.keys()
    if not end.board.counters and not none_ended:
        return None, None, None
    return (
        max(0, last.voluntary - first.voluntary + ended["voluntary_switches"]),
        max(0, last.involuntary - first.involuntary + ended["involuntary_switches"]),
        (last.run_queue_ns - first.run_queue_ns) / 1000 if none_ended else None,
    )


def _memory_per_connection(observation: Observation, end: Edge) -> float | None:
    """Return the anonymous memory that each connection added, in bytes.

    The board is shared memory, so it is not included.
    """
    connections = end.board.connections_total
    if observation.before is None or end.process is None or not connections:
        return None
    return max(0.0, (end.process.anon_bytes - observation.before.anon_bytes) / connections)
