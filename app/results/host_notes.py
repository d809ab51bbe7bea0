"""The notes on a trial whose load came from other hosts: the network is part of every response time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app import format
from app.schemas.host import HostUse
from app.schemas.result import Summary

RTT_SHARE_MIN = 0.1  # of the median: a shorter round trip does not change what the median says


def host_notes(hosts: Sequence[HostUse], summary: Summary) -> Iterator[str]:
    """Yield where the load came from, and how much of the response times is the network."""
    if not hosts:
        return
    yield f"The load came from {_listed([_of_host(host) for host in hosts])}."
    times = summary.latency.service
    rtts = [host.rtt_us for host in hosts if host.rtt_us is not None]
    if times and times.p50_us and rtts and max(rtts) >= RTT_SHARE_MIN * times.p50_us:
        low, high = format.us(min(rtts)), format.us(max(rtts))
        yield (
            "Network delay: each response time includes the round trip to its host, "
            f"{low if low == high else f'{low} to {high}'}; the median service time is "
            f"{format.us(times.p50_us)}."
        )
    errors = [host.clock_error_us for host in hosts if host.clock_error_us is not None]
    if len(hosts) > 1 and errors:
        yield (
            "The hosts started at one instant by their own clocks; the instants differ by at most "
            f"{format.us(2 * max(errors))}."
        )


def _of_host(host: HostUse) -> str:
    rtt = "" if host.rtt_us is None else f" (round trip {format.us(host.rtt_us)})"
    return f"{host.name}{rtt}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
