"""The evidence of a verdict, computed from what was observed of server and load generator. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from app.load.protocol.outcome import Outcome
from app.load.protocol.plan import Plan
from app.machine.cpu_placement import REALTIME, Placement, usable_cpus
from app.results.limits import LITTLE_REQUESTS_MIN, SAMPLES_MIN
from app.results.observation import Edge, Observation
from app.results.process_cpu import process_fairness, process_utilisation
from app.results.stalled import RoleStall, stalls
from app.results.summary import little_residual, responses_received
from app.results.thread_fairness import fairness_by_role
from app.schemas.result import Summary

GROWTH_MIN = 1.5  # in-flight requests at the end / at the start: above it, the queue grew
IN_FLIGHT_FLOOR = 4  # smaller numbers of requests in flight vary by chance

# Names of evidence in stored results and in the API, where they differ from the attributes of Evidence.
_API_NAMES = {
    "samples": "looks",
    "server_requests": "answered",
    "client_responses": "counted",
    "concurrent_runs": "beside",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers on which a verdict is based. Shares are 0 to 1; None is unknown."""

    is_open: bool  # the main load
    placement: str  # split, shared, hosts
    think_time: bool
    requests: int  # of the main load and of all groups
    errors: int
    generator_utilisation: float | None  # of the CPU that the generator uses most
    generator_waited: float | None  # share of time in which the generator was runnable and had no CPU
    late_share: float | None
    rate_ratio: float | None
    occupancy: Mapping[str, float]  # utilisation by role: share of samples in which its threads had work
    samples: int  # of the threads' states
    engine_cpu_share: float | None  # of the CPUs that the engine may use
    cores: Mapping[int, float]  # utilisation of each core by all processes
    in_flight_grew: bool  # requests in flight grew while connections were free
    little_residual: float | None  # of the main load
    listen_drops: int | None
    server_requests: int | None  # counted by the engine, from the first connection to the last
    client_responses: int  # counted by the generator: equal, unless requests failed or came from elsewhere
    other_engines: int  # alive besides the loaded one; the kernel's counters include theirs
    died: str | None  # one sentence, if engine or generator ended
    lost: str | None  # one sentence, if a worker process of the engine ended and the engine continued
    stopped: bool
    stalled: bool = False
    traced: bool = False
    swaps: int = 0  # engines that took over from another one during the run, or failed to
    concurrent_runs: int = 0
    realtime: bool = False  # the generator had real-time priority
    engine_stopped: bool = False  # the engine ended because it was stopped on request
    stalls: Mapping[str, RoleStall] = field(default_factory=dict)  # waits for the GIL or a lock, by role
    fairness: Mapping[str, float] = field(default_factory=dict)  # Jain's index of the threads' responses
    generator_cpus: float | None = None  # CPU use of all loads together, 1 is one CPU; None: no groups
    closed_groups: bool = False  # some load group is a closed model

    def numbers(self) -> dict[str, float | int | str | None]:
        """Return the flat mapping that stored results and the API have."""
        numbers = {_API_NAMES.get(name, name): value for name, value in asdict(self).items()}
        occupancy, cores = numbers.pop("occupancy"), numbers.pop("cores")
        del numbers["stalls"], numbers["fairness"]
        return {
            **numbers,
            **{f"occupied_{role}": share for role, share in occupancy.items()},
            **{f"stalled_{role}": stall.share for role, stall in self.stalls.items()},
            **{f"stalled_margin_{role}": stall.share_margin for role, stall in self.stalls.items()},
            **{f"run_queue_{role}": stall.run_queue_share for role, stall in self.stalls.items()},
            **{f"jain_{role}": index for role, index in self.fairness.items()},
            **{f"busy_cpu_{cpu}": share for cpu, share in cores.items()},
        }


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of a trial that neither plan nor outcome contain."""

    placement: Placement
    other_engines: int = 0  # engines alive on this machine besides the loaded one
    lost_shard: str | None = None  # one sentence, if a load-generator process ended early
    swaps: int = 0  # engines that took over from another one during the trial, or failed to
    concurrent_runs: int = 0  # runs in progress at the same time


def evidence(
    plan: Plan,
    outcome: Outcome,
    summary: Summary,
    observations: Sequence[Observation],
    conditions: Conditions,
) -> Evidence:
    """Return the numbers on which the verdict of a trial is based.

    `observations`: one; for a hot swap one for each engine that served, in order.
    """
    placement, errors = conditions.placement, sum(sum(each.errors.values()) for each in outcome.loads)
    first, last = observations[0].first, observations[-1].last
    window = (first, last) if first and last else None
    return Evidence(
        is_open=plan.is_open,
        placement=placement.mode,
        think_time=plan.think_time_ms > 0,
        requests=sum(each.requests for each in outcome.loads),
        errors=errors,
        generator_utilisation=outcome.utilisation if outcome.wall_s else None,
        generator_waited=_waited_for_cpu(outcome) if placement.mode != "shared" else None,
        late_share=outcome.late / outcome.intended if outcome.intended else None,
        rate_ratio=summary.rate_ratio,
        occupancy=_utilisation_by_role(observations),
        samples=sum(each.samples for each in observations),
        engine_cpu_share=_engine_cpu_share(observations, placement),
        cores=_core_utilisation(window),
        in_flight_grew=_has_grown(
            [number for each in observations for number in each.in_flight], plan.vus_peak * plan.pipeline
        ),
        little_residual=None if errors else _little_residual(outcome),
        listen_drops=_listen_drops(window),
        server_requests=_server_requests(observations),
        client_responses=responses_received(outcome),
        other_engines=conditions.other_engines,
        died=observations[-1].died or conditions.lost_shard,
        engine_stopped=observations[-1].stopped,
        lost=next((each.lost for each in observations if each.lost), None),
        stopped=outcome.stopped,
        stalled=plan.stall_ms > 0,
        traced=plan.trace,
        swaps=conditions.swaps,
        concurrent_runs=conditions.concurrent_runs,
        stalls={
            _named(role, each, observations): stall
            for each in observations
            for role, stall in stalls(each).items()
        },
        realtime=plan.is_all_open and placement.load_priority == REALTIME,
        fairness=_fairness(observations[0]) if len(observations) == 1 else {},
        generator_cpus=_generator_cpus(outcome),
        closed_groups=any(not group.rate_per_s for group in plan.groups),
    )


def _server_requests(observations: Sequence[Observation]) -> int | None:
    """Return the requests that the engines have counted; None if one of them does not count.

    Each engine that took over has answered one request of the control plane itself.
    """
    answered = [each.answered for each in observations]
    if None in answered:
        return None
    return sum(each for each in answered if each is not None) - (len(observations) - 1)


def _little_residual(outcome: Outcome) -> float | None:
    """Return the relative error of Little's law; None also with too few requests of the main load.

    A verdict knows only the requests of all loads.
    """
    if outcome.groups and outcome.requests < LITTLE_REQUESTS_MIN:
        return None
    return little_residual(outcome)


def _waited_for_cpu(outcome: Outcome) -> float | None:
    """Return the CPU starvation of the load that waited longest; None if it is unknown.

    The mean over all loads would hide a small group that waits for a busy main load on the same CPU.
    """
    waited = [each.waited_for_cpu for each in outcome.loads]
    return max((each for each in waited if each is not None), default=None)


def _generator_cpus(outcome: Outcome) -> float | None:
    if not outcome.groups or not outcome.wall_s:
        return None
    return sum(each.cpu_user_s + each.cpu_system_s for each in outcome.loads) / outcome.wall_s


Window = tuple[Edge, Edge] | None


def _has_grown(in_flight: list[int], limit: int) -> bool:
    """Return whether the number of requests in flight grew, and stayed below what all connections can carry.

    At that limit, a constant number may mean that the connections are too few, so it does not count as
    growth.
    """
    if len(in_flight) < 2:
        return False
    return max(in_flight[0], IN_FLIGHT_FLOOR) * GROWTH_MIN < in_flight[-1] < limit


def _utilisation_by_role(observations: Sequence[Observation]) -> dict[str, float]:
    """Return the utilisation (0 to 1) of each role; after a hot swap of each role of each engine."""
    sampled = [each for each in observations if each.samples >= SAMPLES_MIN]
    return {
        _named(role, each, observations): share
        for each in sampled
        for role, share in {**each.occupancy, **process_utilisation(each)}.items()
    }


def _fairness(observation: Observation) -> dict[str, float]:
    return {**fairness_by_role(observation), **process_fairness(observation)}


def _named(role: str, observation: Observation, observations: Sequence[Observation]) -> str:
    """Return the name of a role in the evidence; in a hot swap it has the name of its engine."""
    return role if len(observations) == 1 else f"{role} of {observation.engine}"


def _engine_cpu_share(observations: Sequence[Observation], placement: Placement) -> float | None:
    """Return the CPU time of the engines as a share of the CPU time that their CPUs had available."""
    used = elapsed = 0
    for each in observations:
        begin, end = (edge.process if edge else None for edge in (each.first, each.last))
        if begin is None or end is None:
            return None
        used += max(0, end.cpu_ns - begin.cpu_ns)
        elapsed += end.at_ns - begin.at_ns
    return used / elapsed / len(placement.engine_cpus or usable_cpus()) if elapsed > 0 else None


def _core_utilisation(window: Window) -> dict[int, float]:
    """Return the utilisation (0 to 1) of each core by all processes of the machine."""
    if not window:
        return {}
    first, last = window[0].cores, window[1].cores
    found = {}
    for cpu in sorted(first.keys() & last.keys()):
        total = last[cpu].total - first[cpu].total
        if total > 0:
            found[cpu] = (last[cpu].busy - first[cpu].busy) / total
    return found


def _listen_drops(window: Window) -> int | None:
    """Return how many connections the kernel dropped; None if unknown.

    The kernel counts an overflow of the listen queue as a drop too, so the two counters are not added.
    """
    if not window or not window[0].drops or not window[1].drops:
        return None
    begin, end = window[0].drops, window[1].drops
    return max(end.overflows - begin.overflows, end.drops - begin.drops)
