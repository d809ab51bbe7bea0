"""The cost ledger: what one request cost the engine, from the two edges of the measured window. Pure."""

from __future__ import annotations

from app.load.protocol.outcome import Outcome
from app.results.observation import Edge, Observation
from app.schemas.result import GeneratorCost, Ledger

KERNEL_STACK_BYTES = 16 * 1024  # x86-64 and arm64: a thread's kernel stack, computed and not measured
ENOUGH_CPU_NS = 50_000_000  # below so much CPU, user and system ticks (10 ms) say nothing


def cost(observation: Observation, outcome: Outcome | None) -> Ledger | None:
    """The ledger; None if the window was not seen from both ends, or nothing was answered in it."""
    begin, end = observation.first, observation.last
    if begin is None or end is None:
        return None
    requests = end.board.requests - begin.board.requests
    if requests <= 0:
        return None
    cpu_ns, user = _cpu(begin, end)
    voluntary, involuntary, waited_us = _switches(begin, end)

    def each(total: float | None) -> float | None:
        return None if total is None else total / requests

    def grown(name: str) -> int:
        return end.board.counters[name] - begin.board.counters[name]

    cpu_us = None if cpu_ns is None else cpu_ns / 1000 / requests
    return Ledger(
        cpu_us=cpu_us,
        cpu_user_us=None if cpu_us is None or user is None else cpu_us * user,
        cpu_system_us=None if cpu_us is None or user is None else cpu_us * (1 - user),
        io_calls=each(end.board.io_calls - begin.board.io_calls),
        syscalls=each(observation.system_calls),
        voluntary_switches=each(voluntary),
        involuntary_switches=each(involuntary),
        run_queue_us=each(waited_us),
        wakeups=each(grown("wakeups")),
        queue_wait_us=grown("queue_wait_us") / grown("queue_pops") if grown("queue_pops") else None,
        threads_peak=observation.threads_peak,
        rss_bytes_peak=observation.rss_peak,
        anon_bytes_per_connection=_memory_per_connection(observation, end),
        kernel_stack_bytes=observation.threads_peak * KERNEL_STACK_BYTES
        if observation.threads_peak
        else None,
        generator=_generator(outcome),
    )


def _generator(outcome: Outcome | None) -> GeneratorCost:
    if outcome is None or not outcome.wall_s:
        return GeneratorCost(None, None)
    used_s = outcome.cpu_user_s + outcome.cpu_system_s
    return GeneratorCost(used_s * 1e6 / outcome.requests if outcome.requests else None, outcome.utilisation)


def _cpu(begin: Edge, end: Edge) -> tuple[int | None, float | None]:
    """CPU ns of the window (exact), and the share of it that was user time (from ticks, where there are enough)."""
    if begin.process is None or end.process is None:
        return None, None
    cpu_ns = end.process.cpu_ns - begin.process.cpu_ns
    user = end.process.user_ticks - begin.process.user_ticks
    ticks = user + end.process.system_ticks - begin.process.system_ticks
    return cpu_ns, user / ticks if ticks and cpu_ns >= ENOUGH_CPU_NS else None


def _switches(begin: Edge, end: Edge) -> tuple[int | None, int | None, float | None]:
    """Of live threads, plus what ended threads left on the board; run-queue wait only if no thread ended."""
    first, last = begin.switches, end.switches
    if first is None or last is None:
        return None, None, None
    left = {name: end.board.counters[name] - begin.board.counters[name] for name in _LEFT}
    none_ended = first.threads <= last.threads
    return (
        max(0, last.voluntary - first.voluntary + left["voluntary_switches"]),
        max(0, last.involuntary - first.involuntary + left["involuntary_switches"]),
        (last.run_queue_ns - first.run_queue_ns) / 1000 if none_ended else None,
    )


_LEFT = ("voluntary_switches", "involuntary_switches")


def _memory_per_connection(observation: Observation, end: Edge) -> float | None:
    """Anonymous memory that the connections of the run added; the board is shared memory, and not in it."""
    connections = sum(end.board.connections.values())
    if observation.before is None or end.process is None or not connections:
        return None
    return max(0.0, (end.process.anon_bytes - observation.before.anon_bytes) / connections)
