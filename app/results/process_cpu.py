"""CPU time of each process of an external server in the measured window. Pure.

Its threads cannot be asked whether they have work, so it shows which process was the limit and how evenly
the workers shared the work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from app.load.protocol.connection_requests import ConnectionRequests
from app.results.observation import Observation
from app.schemas.result import ProcessShare
from app.servers.outside import WORKER, process_role


def process_shares(observation: Observation) -> tuple[ProcessShare, ...]:
    """Return CPU use and connections of each process that was there in the whole window, the first one first.

    Empty if the processes were not read.
    """
    first, last = observation.first, observation.last
    if first is None or last is None or last.at_ns <= first.at_ns:
        return ()
    begun = {each.pid: each.cpu_ns for each in first.processes}
    window_ns = last.at_ns - first.at_ns
    return tuple(
        ProcessShare(
            pid=each.pid,
            role=process_role(position, len(last.processes)),
            cpu_percent=100 * (each.cpu_ns - begun[each.pid]) / window_ns,
            connections=each.connections,
            has_gil=each.has_gil,
        )
        for position, each in enumerate(last.processes)
        if each.pid in begun
    )


def process_utilisation(observation: Observation) -> dict[str, float]:
    """Return the CPU use (0 to 1) of processes with a GIL by role, as a mean over its processes.

    Such a process can use one CPU, however many threads it has. Others can use several, so that is no
    measure of their saturation.
    """
    shares = [each for each in process_shares(observation) if each.has_gil]
    return {f"{role} CPU": sum(values) / len(values) for role, values in _cpu_by_role(shares)}


def process_fairness(observation: Observation) -> dict[str, float]:
    """Return Jain's index of the CPU time of several worker processes, by role."""
    found = {}
    for role, values in _cpu_by_role(process_shares(observation)):
        jain = ConnectionRequests.of([round(1e6 * value) for value in values]).jain
        if role == WORKER and len(values) > 1 and jain is not None:
            found[f"{role} CPU"] = jain
    return found


def _cpu_by_role(shares: Iterable[ProcessShare]) -> Iterator[tuple[str, list[float]]]:
    by_role: defaultdict[str, list[float]] = defaultdict(list)
    for each in shares:
        by_role[each.role].append(each.cpu_percent / 100)
    yield from by_role.items()
