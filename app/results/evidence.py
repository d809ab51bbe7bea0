"""From what was seen of a trial on both sides to the numbers that its verdict rests on. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.cpu_placement import REALTIME, Placement, usable_cpus
from app.results.observation import Edge, Observation
from app.results.summary import answers, little_residual
from app.results.verdict import Evidence
from app.schemas.result import Summary

GROWN = 1.5  # sent and not answered: so many times more at the end than at the start is growth
FEW_IN_FLIGHT = 4  # below so many it is chance
ENOUGH_LOOKS = 20  # fewer say nothing of a role's occupancy


def evidence(
    plan: Plan,
    outcome: Outcome,
    summary: Summary,
    observations: Sequence[Observation],
    placement: Placement,
    others: int,
    lost: str | None,
) -> Evidence:
    """Return the numbers that the verdict rests on.

    `observations`: one, or of a hot swap one for each engine that served; `others`: other engines that are alive;
    `lost`: a sentence, if a shard ended early.
    """
    first, last = observations[0].first, observations[-1].last
    spread = (first, last) if first and last else None
    return Evidence(
        is_open=plan.is_open,
        placement=placement.mode,
        think_time=plan.think_time_ms > 0,
        requests=outcome.requests,
        errors=sum(outcome.errors.values()),
        generator_utilisation=outcome.utilisation if outcome.wall_s else None,
        generator_waited=outcome.waited_for_cpu if placement.mode == "split" else None,
        late_share=outcome.late / outcome.intended if outcome.intended else None,
        rate_ratio=summary.rate_ratio,
        occupancy=_occupancy(observations),
        looks=sum(each.samples for each in observations),
        engine_cpu_share=_engine_share(observations, placement),
        cores=_cores(spread),
        in_flight_grew=_grew(
            [sent for each in observations for sent in each.in_flight], plan.vus_peak * plan.pipeline
        ),
        little_residual=None if outcome.errors else little_residual(outcome),
        listen_drops=_drops(spread),
        answered=sum(each.answered for each in observations)
        - (len(observations) - 1),  # less the requests of the lab itself
        counted=answers(outcome),
        other_engines=others,
        died=observations[-1].died or lost,
        lost=next((each.lost for each in observations if each.lost), None),
        stopped=outcome.stopped,
        stalled=plan.stall_ms > 0,
        traced=plan.trace,
        realtime=plan.is_open and placement.load_priority == REALTIME,
    )


Edges = tuple[Edge, Edge] | None


def _grew(in_flight: list[int], most: int) -> bool:
    """Whether the engine fell behind while there was a connection left to offer it more; else too few may be why."""
    if len(in_flight) < 2:
        return False
    return max(in_flight[0], FEW_IN_FLIGHT) * GROWN < in_flight[-1] < most


def _occupancy(observations: Sequence[Observation]) -> dict[str, float]:
    """By role; in a relay by role and engine, for each had its own share of the time."""
    enough = [each for each in observations if each.samples >= ENOUGH_LOOKS]
    if len(observations) == 1:
        return dict(enough[0].occupancy) if enough else {}
    return {f"{role} of {each.engine}": share for each in enough for role, share in each.occupancy.items()}


def _engine_share(observations: Sequence[Observation], placement: Placement) -> float | None:
    """The engine's CPU time, of all that its CPUs had to give; in a relay that of each while it was watched."""
    used = elapsed = 0
    for each in observations:
        begin, end = (edge.process if edge else None for edge in (each.first, each.last))
        if begin is None or end is None:
            return None
        used += max(0, end.cpu_ns - begin.cpu_ns)
        elapsed += end.at_ns - begin.at_ns
    return used / elapsed / len(placement.engine_cpus or usable_cpus()) if elapsed > 0 else None


def _cores(edges: Edges) -> dict[int, float]:
    """How busy each CPU was, by whomever."""
    if not edges:
        return {}
    first, last = edges[0].cores, edges[1].cores
    found = {}
    for cpu in sorted(first.keys() & last.keys()):
        total = last[cpu].total - first[cpu].total
        if total > 0:
            found[cpu] = (last[cpu].busy - first[cpu].busy) / total
    return found


def _drops(edges: Edges) -> int | None:
    """Connections that the kernel dropped: an overflow is counted among the drops as well, so they are not added."""
    if not edges or not edges[0].drops or not edges[1].drops:
        return None
    begin, end = edges[0].drops, edges[1].drops
    return max(end.overflows - begin.overflows, end.drops - begin.drops)
