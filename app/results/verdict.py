"""The verdict: who was the limit, and the sentences that decide it. A pure function of the evidence.

Order, first match (DESIGN 7): degraded; errors; kernel drops; the generator; an open rate that was missed;
a closed load that filled a role; Little's law; else unsaturated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from app.schemas.capacity import Capacity
from app.schemas.result import Check, Verdict
from app.schemas.states import VerdictName

ERRORS_MAX = 0.01
GENERATOR_BUSY_MAX = 0.85
WAITED_WORTH_SAYING = 0.05
WAITED_MAX = 0.25
RATE_RATIO_MIN = 0.99
OPEN_OCCUPIED_MIN = 0.90
CLOSED_OCCUPIED_MIN = 0.85
LITTLE_MAX = 0.05
LITTLE_ENOUGH = 1000  # requests below which the law's residual is mostly chance

TITLES = {
    VerdictName.SERVER_BOUND: "Server bound",
    VerdictName.CLIENT_BOUND: "Client bound",
    VerdictName.UNSATURATED: "Unsaturated",
    VerdictName.RATE_MISSED: "Rate missed",
    VerdictName.ERRORS_DOMINATE: "Errors dominate",
    VerdictName.KERNEL_DROPS: "Kernel drops",
    VerdictName.NOISY: "Noisy",
    VerdictName.DEGRADED: "Degraded",
}
TRACE_COSTS = "each request some CPU"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers that a verdict rests on. None: not known."""

    is_open: bool
    placement: str
    think_time: bool
    requests: int
    errors: int
    generator_utilisation: float | None
    generator_waited: (
        float | None
    )  # share of the time in which another had the CPU that is the generator's own
    late_share: float | None
    rate_ratio: float | None
    occupancy: Mapping[str, float]  # per role: share of looks at which its threads had something to do
    looks: int  # at the threads: so many samples is the occupancy from
    engine_cpu_share: float | None  # of the CPUs that it may use
    cores: Mapping[int, float]  # how busy each CPU was, by whomever
    in_flight_grew: bool  # at the engine, while connections were left
    little_residual: float | None
    listen_drops: int | None
    answered: int  # requests, by the engine's own count, from the first connection to the last
    counted: int  # responses, by the generator's; the same, unless something failed or somebody else asked
    other_engines: int  # alive beside the loaded one: the kernel's counters do not tell them apart
    died: str | None  # a sentence, if engine or generator ended
    lost: str | None  # a sentence, if a process of the engine ended and the engine went on
    stopped: bool
    stalled: bool = False
    traced: bool = False
    swaps: int = 0  # engines that took over from another while it went, or could not
    beside: int = 0  # runs that went at the same time
    realtime: bool = False  # the generator had real-time priority


def judge(evidence: Evidence) -> Verdict:
    """The first rule that matches decides. Which figures are fit is added by app/results/fitness.py."""
    name, because = next((name, said) for name, rule in _RULES if (said := rule(evidence)))
    return Verdict(name, TITLES[name], False, tuple(because), _checks(evidence), _plain(evidence))


def of_search(verdict: Verdict, capacity: Capacity) -> Verdict:
    """That of a search for capacity, from that of the trial which counts."""
    said = (
        f"No rate kept {capacity.objective}; what is shown is of the last trial."
        if capacity.kept_per_s is None
        else f"What is shown is of the trial at {capacity.kept_per_s:,.6g} requests a second, the highest rate that "
        f"kept {capacity.objective}."
    )
    return replace(verdict, because=(*verdict.because, said, *filter(None, [capacity.limited_by])))


def busiest(evidence: Evidence) -> tuple[str, float] | None:
    """The role, or the CPU set, that was occupied most; and how much. None: of neither is it known."""
    candidates = dict(evidence.occupancy)
    if evidence.engine_cpu_share is not None:
        candidates["CPU"] = evidence.engine_cpu_share
    return max(candidates.items(), key=lambda item: item[1], default=None)


def _degraded(e: Evidence) -> list[str]:
    if e.died:
        return [e.died, "What was measured up to then is kept."]
    return [e.lost, "For a time the engine was not whole."] if e.lost else []


def _errors(e: Evidence) -> list[str]:
    total = e.requests + e.errors
    if not total:
        return ["Nothing was answered in the measured time."]
    if e.errors / total <= ERRORS_MAX:
        return []
    return [f"{_percent(e.errors / total)} of the requests failed; the latency of the rest says little."]


def _drops(e: Evidence) -> list[str]:
    if not e.listen_drops or e.other_engines:
        return []
    return [f"The kernel dropped {e.listen_drops:,} connections because the accept queue was full."]


def _generator(e: Evidence) -> list[str]:
    used, waited = e.generator_utilisation, e.generator_waited or 0.0
    if used is not None and (used + waited > GENERATOR_BUSY_MAX or waited > WAITED_MAX):
        starved = (
            f", and waited for it {_percent(waited)} of the time" if waited > WAITED_WORTH_SAYING else ""
        )
        return [
            f"The load generator used {_percent(used)} of its CPU{starved}.",
            "A higher figure might be possible; what was measured is as much the generator's limit as the engine's.",
        ]
    return []


def _rate(e: Evidence) -> list[str]:
    if not e.is_open or e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
        return []
    seen, missed = busiest(e), f"Only {_percent(e.rate_ratio)} of the offered rate was answered"
    if e.in_flight_grew or (seen and seen[1] > OPEN_OCCUPIED_MIN):
        return []  # the server's doing: the next rule says so
    if seen is None:
        return [f"{missed}, and how busy the engine was is not known: what the limit was cannot be said."]
    who, share = seen
    return [
        f"{missed}, yet the engine's {who} was occupied for {_percent(share)} of the time: something else was the "
        "limit, such as too few connections."
    ]


def _server(e: Evidence) -> list[str]:
    seen = busiest(e)
    if e.is_open:
        if e.rate_ratio is None or e.rate_ratio >= RATE_RATIO_MIN:
            return []
        busy = (
            f"its {seen[0]} was occupied for {_percent(seen[1])} of the time"
            if seen
            else "fell further behind"
        )
        return [
            f"The engine answered {_percent(e.rate_ratio)} of the offered rate, and {busy}.",
            "Response time here is that of a growing queue.",
        ]
    if e.think_time or seen is None or seen[1] <= CLOSED_OCCUPIED_MIN:
        return []
    return [
        "The engine was the limit, not the load generator.",
        f"Its {seen[0]} was occupied for {_percent(seen[1])} of the time that it was measured.",
    ]


def _little(e: Evidence) -> list[str]:
    if e.little_residual is None or e.requests < LITTLE_ENOUGH or abs(e.little_residual) <= LITTLE_MAX:
        return []
    return [
        f"Requests in flight differ from rate x latency (Little's law) by {_percent(abs(e.little_residual))}."
    ]


def _unsaturated(e: Evidence) -> list[str]:
    seen, generator = busiest(e), e.generator_utilisation
    if seen is None:
        return ["Neither side was seen at its limit, but how busy the engine was is not known."]
    said = f"Neither side was at its limit: the engine's {seen[0]} was occupied for {_percent(seen[1])} of the time"
    return [said + (f", the generator for {_percent(generator)}." if generator is not None else ".")]


_RULES: tuple[tuple[VerdictName, Callable[[Evidence], list[str]]], ...] = (
    (VerdictName.DEGRADED, _degraded),
    (VerdictName.ERRORS_DOMINATE, _errors),
    (VerdictName.KERNEL_DROPS, _drops),
    (VerdictName.CLIENT_BOUND, _generator),
    (VerdictName.RATE_MISSED, _rate),
    (VerdictName.SERVER_BOUND, _server),
    (VerdictName.NOISY, _little),
    (VerdictName.UNSATURATED, _unsaturated),
)


def _checks(e: Evidence) -> tuple[Check, ...]:
    """What was looked at, in the order of the rules; `ok` None where it could not be known."""
    total = e.requests + e.errors
    few = total > 0 and e.errors / total <= ERRORS_MAX
    whole = not e.errors and not e.died and not e.stopped
    checks = [
        Check("Errors", f"{e.errors:,} of {total:,}", "must stay under 1 %", few),
        Check(
            "Connections dropped by the kernel",
            "–" if e.listen_drops is None else f"{e.listen_drops:,}",
            "must be 0" if not e.other_engines else "shared with other engines",
            None if e.listen_drops is None or e.other_engines else e.listen_drops == 0,
        ),
        _check(
            "Generator used of its CPU", e.generator_utilisation, "must stay under 85 %", GENERATOR_BUSY_MAX
        ),
        _check("Generator waited for its CPU", e.generator_waited, "must stay under 25 %", WAITED_MAX),
    ]
    if e.is_open:
        late = "over 1 ms late: shown with each percentile"
        checks.append(Check("Sent late by the generator", _percent(e.late_share), late, None))
        ok = None if e.rate_ratio is None else e.rate_ratio >= RATE_RATIO_MIN
        checks.append(Check("Achieved of offered", _percent(e.rate_ratio), "must reach 99 %", ok))
    both = f"{e.answered:,}" if e.answered == e.counted else f"{e.answered:,} and {e.counted:,}"
    checks.append(
        Check(
            "Requests answered = responses counted",
            both,
            "must be equal" if whole else "differ where something failed",
            e.answered == e.counted if whole else None,
        )
    )
    residual = None if e.little_residual is None or e.requests < LITTLE_ENOUGH else abs(e.little_residual)
    checks.append(_check("Little's law off by", residual, "must stay under 5 %", LITTLE_MAX))
    checks.append(_occupied(e))
    if e.cores:
        each = ", ".join(f"{cpu}: {100 * busy:.0f} %" for cpu, busy in e.cores.items())
        checks.append(Check("Busy, each CPU", each, "by whomever", None))
    return tuple(checks)


def _occupied(e: Evidence) -> Check:
    limit = f"bound above {100 * (OPEN_OCCUPIED_MIN if e.is_open else CLOSED_OCCUPIED_MIN):.0f} %"
    if (found := busiest(e)) is None:
        return Check("Occupied", "–", limit, None)
    who, share = found
    looks = (
        f" of {e.looks:,} looks" if who in e.occupancy and not e.swaps else ""
    )  # in a relay, each has its own
    return Check(f"Occupied: {who}", f"{_percent(share)}{looks}", limit, True)


def _check(what: str, seen: float | None, limit: str, most: float) -> Check:
    return Check(what, _percent(seen), limit, None if seen is None else seen <= most)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _plain(evidence: Evidence) -> dict[str, float | int | str | None]:
    plain = asdict(evidence)
    occupancy, cores = plain.pop("occupancy"), plain.pop("cores")
    return {
        **plain,
        **{f"occupied_{role}": share for role, share in occupancy.items()},
        **{f"busy_cpu_{cpu}": share for cpu, share in cores.items()},
    }
